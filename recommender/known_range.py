"""Say since when the features of the past can be computed, and up to which publication the marts are built."""

import datetime as dt
from dataclasses import dataclass

import psycopg

from warehouse import database
from warehouse.errors import CommandError, ExitCode


@dataclass(frozen=True)
class KnownRange:
    """Hold the time now, since when the past can be computed (None: always), and the newest publication."""

    now: dt.datetime
    known_from: dt.datetime | None
    until_seq: int


def read(connection: psycopg.Connection) -> KnownRange:
    """Return the range. Raises CommandError(WRONG_SETTINGS) while the marts are not built up to the newest publication:
    marts and histories would follow different decisions."""
    if not database.has(connection, "features.known_range"):
        raise CommandError(ExitCode.WRONG_SETTINGS, "nothing is built yet; first run: make run")
    now, known_from, built_seq, published_seq = connection.execute(
        "select now(), known_from, built_seq, published_seq from features.known_range"
    ).fetchone()
    if built_seq != published_seq:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "the marts are not built up to the newest publication; wait for the run in progress, or run: make build",
        )
    return KnownRange(now, known_from, built_seq)
