"""Choose the day of the sample world that a run reads, and serve it during the extraction."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from pipeline.records import run_ledger
from warehouse.errors import CommandError, ExitCode

# Day 0 of the sample world is this many days before the first run: the runs that follow have days to read at once.
DAYS_BEFORE_FIRST_RUN = 6


@dataclass(frozen=True)
class SampleDay:
    """Name a day of the sample world: `start` is the date of day 0. `is_repeated`: the run before read it too."""

    start: dt.date
    day: int
    is_repeated: bool = False

    @property
    def date(self) -> dt.date:
        return self.start + dt.timedelta(days=self.day)


def take_day(connection: psycopg.Connection, run_id: str, wanted_start: dt.date | None) -> SampleDay:
    """Take the next day for this run, and record it. Raises CommandError(WRONG_SETTINGS) as `next_day` does."""
    taken = next_day(run_ledger.newest_sample_day(connection), wanted_start, today())
    run_ledger.record_sample_day(connection, run_id, taken.start, taken.day)
    return taken


def next_day(previous: tuple[dt.date | None, int] | None, wanted_start: dt.date | None, now: dt.date) -> SampleDay:
    """Return the day after the previous one, which is (start, day), or that one again if the next day has not begun.

    The first day begins at `wanted_start`, or some days before now. Raises CommandError(WRONG_SETTINGS) for a start
    that is not that of this warehouse, and for a world of a version that recorded no start.
    """
    if previous is None:
        return SampleDay(wanted_start or now - dt.timedelta(days=DAYS_BEFORE_FIRST_RUN), 0)
    start, day = previous
    if start is None:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "this warehouse holds the sample world of an earlier version, which this version cannot continue;"
            " begin a new one: empty the embedded warehouse with: make clean, or set another DATABASE_URL",
        )
    if wanted_start not in (None, start):
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"SAMPLE_START is {wanted_start}, but the sample world of this warehouse began on {start};"
            " unset SAMPLE_START, or begin a new warehouse",
        )
    newest = SampleDay(start, day, is_repeated=True)
    return SampleDay(start, day + 1) if newest.date < now else newest


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@contextmanager
def serve_day(sample_day: SampleDay, faults: Sequence[str] = ()) -> Iterator[str]:
    """Serve the sample world of this day, with these faults, on a free port, and yield the base URL."""
    from sample_api.server import serve
    from sample_api.world import World, snapshot

    with serve(snapshot(World(start=sample_day.start), sample_day.day), faults) as server:
        yield server.url
