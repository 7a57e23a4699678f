"""Say why a track was recommended: because of a track the user heard, of a genre, or because it is popular."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender.dataset import Catalogue
from recommender.interactions import Integers

TRACK, GENRE, POPULAR = 1, 2, 3


@dataclass(frozen=True)
class Reasons:
    """Hold a reason for each recommended track, users x k: its `kinds`, and the position of the track or genre."""

    kinds: Integers
    positions: Integers

    def of(self, user: int, rank: int, catalogue: Catalogue) -> dict[str, Any]:
        """Return one reason in the form in which it is published."""
        kind, position = self.kinds[user, rank], self.positions[user, rank]
        if kind == TRACK:
            return {"type": "track", "track_id": int(catalogue.track_ids[position])}
        if kind == GENRE:
            return {"type": "genre", "genre": catalogue.genre_names[position]}
        return {"type": "popular"}


def make_popular_reasons(shape: tuple[int, ...]) -> Reasons:
    """Return that everything was recommended because it is popular."""
    return Reasons(np.full(shape, POPULAR, np.int8), np.full(shape, -1, np.int32))


def make_reasons(kind: int, positions: Integers) -> Reasons:
    """Return reasons of one kind; a position of -1 means that there is none, which makes the track a popular one."""
    return Reasons(np.where(positions >= 0, kind, POPULAR).astype(np.int8), positions.astype(np.int32))


def prefer(preferred: Reasons, other: Reasons) -> Reasons:
    """Return the preferred reasons, and the other ones where these only say that a track is popular."""
    is_other = preferred.kinds == POPULAR
    return Reasons(
        np.where(is_other, other.kinds, preferred.kinds), np.where(is_other, other.positions, preferred.positions)
    )
