"""Measure how much is known, and say why nothing may be trained on it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from recommender import artefacts
from recommender.fold_readers import Windows
from recommender.interactions import day_of
from warehouse.counts import count

# The data are refused if so many of the users, tracks or listens of the last training are gone.
SHRUNKEN = 0.3
# And if no listen has become known for so long.
STALE = dt.timedelta(days=10)


@dataclass(frozen=True)
class DataSize:
    """Hold how much is known: users and tracks that are not removed, listens, and when the newest became known."""

    users: int
    tracks: int
    listens: int
    newest: dt.datetime | None


def measure_data(connection: psycopg.Connection) -> DataSize:
    """Return how much the warehouse knows now."""
    row = connection.execute("""
        select users.count, tracks.count, listens.count, listens.newest
        from (select count(*) from marts.users where deleted_at is null) as users
        cross join (select count(*) from marts.tracks where deleted_at is null) as tracks
        cross join (select count(*), max(known_at) as newest from marts.listen_history) as listens
    """).fetchone()
    return DataSize(*row)


def find_data_problems(size: DataSize, before: Mapping[str, int] | None, now: dt.datetime) -> list[str]:
    """Return why nothing may be trained on these data. `before`: users, tracks and listens of the last training."""
    found = [f"there are no {name} yet" for name in ("users", "tracks", "listens") if not getattr(size, name)]
    for name, earlier in (before or {}).items():
        here = getattr(size, name)
        if 0 < here < (1 - SHRUNKEN) * earlier:
            found.append(
                f"there are {here:,} {name}, {1 - here / earlier:.0%} fewer than the {earlier:,} at the last training"
            )
    if size.newest and now - size.newest > STALE:
        found.append(
            f"the newest listen became known on {size.newest.astimezone(dt.UTC):%Y-%m-%d}, more than"
            f" {count(STALE.days, 'day')} ago"
        )
    return found


def make_training_columns(
    size: DataSize, as_of: dt.datetime, windows: Windows, budget: float, seed: int
) -> dict[str, Any]:
    """Return what a training is made from, as columns of recommendations.trainings."""
    return {
        "budget": budget,
        "seed": seed,
        "known_at": as_of,
        "users": size.users,
        "tracks": size.tracks,
        "listens": size.listens,
        "tuning_from": day_of(windows.tuning),
        "final_from": day_of(windows.final),
        "final_until": day_of(windows.end - 1),
        "code_version": artefacts.code_version(),
    }
