"""Make small logs of listens, with a catalogue, for tests of the recommender."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from recommender.dataset import Catalogue, Dataset, Users
from recommender.interactions import Interactions

GENRES = ("jazz", "pop", "rock")
TODAY = 20_000


def interactions(listens: Mapping[int, Sequence[tuple[int, int]]], users: int, tracks: int) -> Interactions:
    """Return the listens of users: user -> (track, days ago)."""
    rows = [sorted((track, TODAY - age) for track, age in listens.get(user, ())) for user in range(users)]
    flat = [listen for row in rows for listen in row]
    return Interactions(
        np.concatenate([[0], np.cumsum([len(row) for row in rows])]),
        np.array([track for track, _ in flat], np.int32),
        np.array([day for _, day in flat], np.int32),
        tracks,
        TODAY,
    )


def dataset(listens: Interactions, seed: int = 0, gone: Sequence[int] = ()) -> Dataset:
    """Return what is known beside these listens: genres, artists and favourites are drawn."""
    draw = np.random.default_rng(seed)
    tracks, users = listens.track_count, listens.user_count
    is_candidate = np.ones(tracks, bool)
    is_candidate[list(gone)] = False
    catalogue = Catalogue(
        np.arange(tracks) * 10 + 7,
        is_candidate,
        draw.integers(-1, 4, tracks).astype(np.int32),
        csr_matrix((draw.random((tracks, len(GENRES))) < 0.5).astype(np.float32)),
        GENRES,
    )
    favorites = csr_matrix((draw.random((users, len(GENRES))) < 0.4).astype(np.float32))
    return Dataset(np.arange(users) * 3 + 1, np.ones(users, bool), Users(listens, favorites), catalogue)


def random_dataset(seed: int, users: int = 40, tracks: int = 30, gone: Sequence[int] = ()) -> Dataset:
    """Return users of a few tastes, some of whom heard nothing."""
    draw = np.random.default_rng(seed)
    listens = {}
    for user in range(users):
        taste = draw.integers(3)
        size = int(draw.integers(0, 12))
        own = draw.integers(0, tracks // 3, size) * 3 + taste
        any_track = draw.integers(0, tracks, size)
        heard = np.where(draw.random(size) < 0.8, own, any_track)
        listens[user] = [(int(track), int(age)) for track, age in zip(heard, draw.integers(0, 90, size), strict=True)]
    return dataset(interactions(listens, users, tracks), seed, gone)
