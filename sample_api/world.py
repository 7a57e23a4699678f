"""Generate a seeded world of listeners and tracks that changes daily. Pure: no HTTP, no clock, no files.

Every draw has an address (`sample_api.draws`), and no result depends on the order of a set or on `hash()`: the same
arguments give the same rows in every process.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from sample_api import listening
from sample_api.documents import MAX_ITEMS, listen, write_history
from sample_api.draws import Flags, Floats, Numbers, uniform
from sample_api.scenes import GENRES, scenes_of
from sample_api.state import Row, State, World, present
from sample_api.tracks import add_tracks, edit_track
from sample_api.users import add_users, edit_user

__all__ = ["GENRES", "MAX_ITEMS", "Odds", "Row", "Snapshot", "World", "odds", "snapshot", "snapshots"]

NEW_SHARE = 0.01
EDITED_SHARE = 0.01
REMOVED_SHARE = 0.003
DAYS_BETWEEN_RETURNS = 3


@dataclass(frozen=True)
class Snapshot:
    """Hold the rows of the API at one moment, in the API's shape, in order of creation."""

    users: list[Row]
    tracks: list[Row]
    listen_history: list[Row]

    def tables(self) -> Mapping[str, list[Row]]:
        return {"users": self.users, "tracks": self.tracks, "listen_history": self.listen_history}


@dataclass(frozen=True)
class Odds:
    """Hold the tastes behind the world: two matrices of probabilities, users by tracks.

    `new`: of the user's next listen if it is drawn from the taste alone, known tracks included. `next`: of the next
    listen, with the chance that the user returns to one of the last listens.
    """

    user_ids: list[int]
    track_ids: list[int]
    new: Floats
    next: Floats


def snapshot(world: World, day: int) -> Snapshot:
    """Return the world at `world.start + day` 00:00; day 0 is the first. Replays days 0..day.

    Raises ValueError for a negative day and for one beyond the calendar.
    """
    return _snapshot(_state(world, day))


def snapshots(world: World, days: int) -> Iterator[Snapshot]:
    """Yield the world of day 0, day 1 and so on, this many days in all, without replaying each from the start."""
    for state in itertools.islice(_states(world), days):
        yield _snapshot(state)


def odds(world: World, day: int, user_ids: Sequence[int] | None = None) -> Odds:
    """Return the oracle: the probabilities from which the first listens of the 24 hours after `day` are drawn.

    Users and tracks are those of the day's snapshot, in its order, or the users with the given ids. Raises KeyError for
    an id that the snapshot does not have, and ValueError as `snapshot` does.
    """
    state = _state(world, day)
    positions = {state.users[position]["id"]: position for position in np.flatnonzero(state.listeners.is_present)}
    user_ids = list(positions) if user_ids is None else list(user_ids)
    users = np.array([positions[user_id] for user_id in user_ids], int)
    new, following = listening.odds(state.scenes, state.catalogue, state.listeners, users, day)
    tracks = state.catalogue.is_present
    return Odds(user_ids, [row["id"] for row in present(state.tracks, tracks)], new[:, tracks], following[:, tracks])


def _snapshot(state: State) -> Snapshot:
    documents = present(state.documents, state.is_document_present)
    return Snapshot(
        users=list(map(dict, present(state.users, state.listeners.is_present))),
        tracks=list(map(dict, present(state.tracks, state.catalogue.is_present))),
        listen_history=[dict(document.row) for document in documents],
    )


def _state(world: World, day: int) -> State:
    if day < 0:
        raise ValueError(f"a world has no day {day}")
    if day > (date.max - world.start).days:
        raise ValueError(f"day {day} lies beyond the calendar")
    return next(itertools.islice(_states(world), day, None))


def _states(world: World) -> Iterator[State]:
    """Yield the same state each time, one day later."""
    state = _first_day(world)
    for day in itertools.count(1):
        yield state
        _next_day(state, day)


def _first_day(world: World) -> State:
    scenes = scenes_of(world.seed)
    none = np.empty(0, int)
    catalogue = listening.draw_catalogue(world.seed, scenes, none, np.empty(0))
    state = State(world, scenes, catalogue, listening.draw_listeners(world.seed, scenes, none))
    add_users(state, 0, world.users)
    add_tracks(state, 0, world.tracks)
    if world.documents:
        write_history(state)
    return state


def _next_day(state: State, day: int) -> None:
    world = state.world
    users, tracks = state.listeners, state.catalogue

    def some(what: str, share: float, is_present: Flags, *keys: Numbers, at_least: int = 0) -> list[int]:
        """Return the positions of `share` of the present entities on average: those with the smallest draws."""
        at = np.flatnonzero(is_present)
        count = int(len(at) * share + uniform(world.seed, f"number of {what}", day)[0])
        draws = uniform(world.seed, what, *(key[at] for key in keys), day)
        return at[np.argsort(draws, kind="stable")[: max(at_least, count)]].tolist()

    away_before = np.flatnonzero(~users.is_present)
    users.is_present[some("users removed", REMOVED_SHARE, users.is_present, users.key)] = False
    tracks.is_present[some("tracks removed", REMOVED_SHARE, tracks.is_present, tracks.key)] = False
    documents = state.is_document_present, state.document_key, state.document_occasion
    state.is_document_present[some("documents removed", REMOVED_SHARE, *documents)] = False

    for user in some("users edited", EDITED_SHARE, users.is_present, users.key, at_least=1):
        edit_user(state, user, day)
    for track in some("tracks edited", EDITED_SHARE, tracks.is_present, tracks.key, at_least=1):
        edit_track(state, track, day)

    # Returned after all edits, so the user is exactly as before.
    if len(away_before) and day % DAYS_BETWEEN_RETURNS == 0:
        draws = uniform(world.seed, "user returns", users.key[away_before], day)
        users.is_present[away_before[np.argmin(draws)]] = True

    if world.users:
        add_users(state, day, max(1, round(np.count_nonzero(users.is_present) * NEW_SHARE)))
    if world.tracks:
        add_tracks(state, day, max(1, round(np.count_nonzero(tracks.is_present) * NEW_SHARE)))
    if world.documents:
        listen(state, day)
