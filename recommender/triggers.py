"""Say whether a retraining is due, and why. Imports nothing heavy."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from recommender import registry, releases
from warehouse import database, launch_quality
from warehouse.counts import count
from warehouse.launch_quality import NIGHTS

ASKED, INTERRUPTED = "asked", "interrupted"
SCHEDULE, VOLUME, DEGRADATION, UNKNOWN_TRACKS = "schedule", "volume", "degradation", "unknown_tracks"
UNUSABLE_CHAMPION = "unusable_champion"
# A retraining is due if so many of the plays of a week are of tracks that the champion does not know.
UNKNOWN_SHARE = 0.1
PLAYS_OF = dt.timedelta(days=7)

# Materialized: beside a mart, Citus reads what the view reads with the rights of the caller.
UNKNOWN = """
with first_known as materialized (
    select track_id, min(coalesce(valid_from, '-infinity')) as at
    from features.track_history
    group by track_id
)
select coalesce(avg((first_known.at > %(as_of)s)::integer), 0)::float
from marts.listen_history as plays
inner join first_known on plays.track_id = first_known.track_id
where plays.listened_at > %(since)s
"""


@dataclass(frozen=True)
class Trigger:
    """Hold why a training starts: a name for the table, and a sentence with figures."""

    name: str
    detail: str


@dataclass(frozen=True)
class Check:
    """Hold a check for a retraining: whether it is due, and the sentence that says so."""

    name: str
    is_due: bool
    detail: str


def check_triggers(
    connection: psycopg.Connection, now: dt.datetime, every: dt.timedelta, volume: float
) -> Iterator[Check]:
    """Yield the checks, the most urgent first. `volume`: the share of more listens that makes a retraining due.

    Yields nothing while no list has a champion: the nightly recommendations train the first one. An interrupted
    training comes last, because it says nothing about the data.
    """
    champions = releases.read_champions(connection)
    if not champions:
        return
    last = registry.read_trainings(
        connection, "finished_at is not null and listens is not null and outcome not in ('data_refused', 'abandoned')"
    )
    for list_name, number in champions.items():
        yield _check_degradation(connection, list_name, number)
    for list_name, number in champions.items():
        yield _check_unknown_tracks(connection, list_name, number, now)
    if last:
        yield from _check_since(connection, last[0], now, every, volume)
    else:
        yield Check(SCHEDULE, True, "there was no training yet")
    for row in registry.read_unfinished_trainings(connection)[:1]:
        detail = f"the training of {row.started_at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC stopped after {row.stage}"
        yield Check(INTERRUPTED, True, detail)


def find_due_trigger(
    connection: psycopg.Connection, now: dt.datetime, every: dt.timedelta, volume: float
) -> Trigger | None:
    """Return the most urgent trigger that has fired, or None."""
    return next(
        (Trigger(each.name, each.detail) for each in check_triggers(connection, now, every, volume) if each.is_due),
        None,
    )


def _check_since(
    connection: psycopg.Connection, last: registry.Training, now: dt.datetime, every: dt.timedelta, volume: float
) -> Iterator[Check]:
    """Yield how long ago the last training was, and how many listens were added since."""
    age = now - last.started_at
    yield Check(
        SCHEDULE,
        age >= every,
        f"the last training was {_format_days(age)} ago; a training is due after {_format_days(every)}",
    )
    (listens,) = connection.execute("select count(*) from marts.listen_history").fetchone()
    growth = listens / last.listens - 1 if last.listens else 0
    yield Check(
        VOLUME,
        growth >= volume,
        f"there are {listens:,} listens, {growth:+.1%} since the last training; a training is due at {volume:+.0%}",
    )


def _check_degradation(connection: psycopg.Connection, list_name: str, champion: int) -> Check:
    if not database.has(connection, "recommendations.quality"):
        return Check(DEGRADATION, False, f"{list_name}: live quality is not measured yet")
    found = connection.execute(
        f"select nights, at_launch, newest, nights_below from ({launch_quality.QUERY}) as compared"
        " where list = %s and model_version = %s",
        [list_name, champion],
    ).fetchone()
    if found is None:
        return Check(DEGRADATION, False, f"{list_name}: nothing to compare: the champion is popularity, or new")
    nights, at_launch, newest, nights_below = found
    if nights < NIGHTS or at_launch is None:
        return Check(DEGRADATION, False, f"{list_name}: the champion was measured on {count(nights, 'night')}, too few")
    return Check(
        DEGRADATION,
        nights_below >= NIGHTS,
        f"{list_name}: NDCG@10 differs from popularity by {newest:+.4f} in the last {NIGHTS} nights, and by"
        f" {at_launch:+.4f} at launch",
    )


def _check_unknown_tracks(connection: psycopg.Connection, list_name: str, number: int, now: dt.datetime) -> Check:
    (as_of,) = connection.execute(
        # a refitted model, which has no artefact, knows the tracks of each night
        "select case when checksum is null then now() else known_at end from recommendations.model_versions"
        " where model_version = %s",
        [number],
    ).fetchone()
    (share,) = connection.execute(UNKNOWN, {"as_of": as_of, "since": now - PLAYS_OF}).fetchone()
    return Check(
        UNKNOWN_TRACKS,
        share >= UNKNOWN_SHARE,
        f"{list_name}: {share:.1%} of the plays of {PLAYS_OF.days} days are of tracks that the champion does not know;"
        f" a training is due at {UNKNOWN_SHARE:.0%}",
    )


def _format_days(span: dt.timedelta) -> str:
    return f"{span / dt.timedelta(days=1):.1f} days"
