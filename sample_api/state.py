"""Define the parameters of a world and its state at one moment. Times are days since day 0 until they become text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from sample_api.draws import Choice, Flags, Floats, Numbers, uniform
from sample_api.listening import Catalogue, Listeners
from sample_api.scenes import Scenes

Row = dict[str, Any]

MICROSECONDS_PER_DAY = timedelta(days=1) // timedelta(microseconds=1)
ACCOUNT_DAYS = 400
BACKDATED_SHARE = 0.03


@dataclass(frozen=True)
class World:
    """Hold the parameters of a world; `users`, `tracks` and `documents` are the row counts of day 0.

    Raises ValueError for sizes below 0, a start before 1970 or after 9000, documents without users or tracks.
    """

    seed: int = 7
    users: int = 600
    tracks: int = 1000
    documents: int = 4000
    start: date = date(2026, 1, 1)

    def __post_init__(self) -> None:
        if min(self.users, self.tracks, self.documents) < 0:
            raise ValueError("a world cannot hold fewer than 0 users, tracks or documents")
        if not 1970 <= self.start.year <= 9000:
            raise ValueError(f"a world starts between 1970 and 9000, not in {self.start.year}")
        if self.documents and not (self.users and self.tracks):
            raise ValueError("documents need users and tracks")


@dataclass(slots=True)
class Document:
    """Hold a history document. `size`: the number of items that a document with the habit `slides` keeps."""

    row: Row
    habit: str
    opened: float
    size: int


@dataclass
class State:
    """Hold the world at one moment, removed rows included. A position in a list is also the position in the arrays.

    `created`: when each user joined. `open_document`: the document that took up each user's last listens, or -1.
    `document_key` and `document_occasion` address a document's draws: its user, and when it was opened.
    """

    world: World
    scenes: Scenes
    catalogue: Catalogue
    listeners: Listeners
    users: list[Row] = field(default_factory=list)
    tracks: list[Row] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    user_ids: set[int] = field(default_factory=set)
    track_ids: set[int] = field(default_factory=set)
    created: Floats = field(default_factory=lambda: np.empty(0))
    open_document: list[int] = field(default_factory=list)
    document_key: Numbers = field(default_factory=lambda: np.empty(0, int))
    document_occasion: Numbers = field(default_factory=lambda: np.empty(0, int))
    is_document_present: Flags = field(default_factory=lambda: np.empty(0, bool))


def new_keys(day: int, count: int) -> Numbers:
    """Return the numbers that address the draws of the entities that are new on this day."""
    return day * 2**32 + np.arange(count)


def new_ids(draws: Floats, taken: set[int], size: int) -> list[int]:
    """Return unused ids, and add them to `taken`, which also holds the ids of removed rows. `size`: that of day 0."""
    span = 10 ** max(5, len(str(max(0, size - 1))) + 2)
    ids = []
    for number in (1 + draws * (span - 1)).astype(int).tolist():
        while number in taken:
            number += 1
        taken.add(number)
        ids.append(number)
    return ids


def new_times(world: World, what: str, keys: Numbers, day: int) -> tuple[Floats, Floats]:
    """Return when rows that are new on this day were created and updated.

    On day 0, a few have an update before their creation, as in the real API.
    """
    since, until = (day - 1, day) if day else (-ACCOUNT_DAYS, 0)
    created = since + uniform(world.seed, f"{what} created", keys) * (until - since)
    updated = created + uniform(world.seed, f"{what} updated", keys) * (until - created)
    if day == 0:
        is_backdated = uniform(world.seed, f"{what} is backdated", keys) < BACKDATED_SHARE
        backdated = created - 90 * uniform(world.seed, f"{what} backdated by", keys)
        updated = np.where(is_backdated, backdated, updated)
    return created, updated


def iso(world: World, times: Floats) -> list[str]:
    """Return times as texts such as 2026-01-01T10:00:00.000000."""
    microseconds = np.floor(times * MICROSECONDS_PER_DAY).astype("timedelta64[us]")
    return np.datetime_as_string(np.datetime64(world.start, "us") + microseconds).tolist()


def present(rows: Sequence[Choice], is_present: Flags) -> list[Choice]:
    return [rows[position] for position in np.flatnonzero(is_present).tolist()]
