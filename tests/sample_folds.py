"""Make folds from the sample world, as a warehouse that read it every night would see it."""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.sparse import csr_matrix

from recommender import folds
from recommender.dataset import Catalogue, Dataset, Users
from recommender.folds import Fold
from recommender.interactions import Interactions, find, number_of
from recommender.releases import AGAIN, DISCOVER
from sample_api.world import GENRES, World, odds, snapshots
from tests.world_model import WorldModel, split_genres, utc

DAYS = 14
NAMES = sorted(genre.lower() for genre in GENRES)


@cache
def sample_folds(world: World) -> tuple[Fold, Fold]:
    """Return two folds: the 14 days before day 0, to tune on, and the 14 days from day 0 on, with the oracle."""
    model = WorldModel()
    first = None
    for snapshot in snapshots(world, DAYS + 1):
        model.night(**{name: list(rows) for name, rows in snapshot.tables().items()})
        first = first or snapshot
    user_ids = np.array(sorted(row["id"] for row in first.users))
    track_ids = np.array(sorted(row["id"] for row in first.tracks))
    users, tracks = ({row["id"]: row for row in rows} for rows in (first.users, first.tracks))
    listens = [(user, track, number_of(at.date())) for user, track, at, _ in model.listens().values()]
    log = _log(listens, user_ids, track_ids)
    start = number_of(world.start)

    def fold(cut: int) -> Fold:
        training, targets = folds.split_by_time(log, cut, cut + DAYS)
        favorites = _genres([users[number]["favorite_genres"] for number in user_ids])
        artists = [tracks[number]["artist"] for number in track_ids]
        is_candidate = np.array([number_of(utc(tracks[number]["created_at"]).date()) < cut for number in track_ids])
        is_listed = np.array([number_of(utc(users[number]["created_at"]).date()) < cut for number in user_ids])
        catalogue = Catalogue(
            track_ids,
            is_candidate,
            np.unique(artists, return_inverse=True)[1].astype(np.int32),
            _genres([tracks[number]["genres"] for number in track_ids]),
            NAMES,
        )
        return folds.drop_unreachable(
            Fold(Dataset(user_ids, is_listed, Users(training, favorites), catalogue), targets)
        )

    known = odds(world, 0)
    rows, columns = np.argsort(known.user_ids), np.argsort(known.track_ids)
    by_list = {DISCOVER: known.new[np.ix_(rows, columns)], AGAIN: known.next[np.ix_(rows, columns)]}
    return fold(start - DAYS), replace(fold(start), oracle=by_list.__getitem__)


def _log(listens: list[tuple[int, int, int]], user_ids: np.ndarray, track_ids: np.ndarray) -> Interactions:
    user, track, day = np.array(listens).T
    (users, is_user), (tracks, is_track) = find(user_ids, user), find(track_ids, track)
    is_kept = is_user & is_track
    users, tracks, days = users[is_kept], tracks[is_kept], day[is_kept]
    order = np.lexsort((days, tracks, users))
    starts = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=len(user_ids)))])
    return Interactions(
        starts, tracks[order].astype(np.int32), days[order].astype(np.int32), len(track_ids), int(days.max())
    )


def _genres(texts: list[str | None]) -> csr_matrix:
    rows = [sorted(NAMES.index(genre) for genre in split_genres(text) if genre in NAMES) for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    indices = np.array([column for row in rows for column in row], np.int32)
    return csr_matrix((np.ones(len(indices), np.float32), indices, starts), shape=(len(texts), len(NAMES)))
