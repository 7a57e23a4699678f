"""Recommend tracks that are heard by the same users as the tracks that a user heard.

The weight of a recommended track j for a heard track i is `Di^-a X' Du^-b X Dj^-c`, where X is users x tracks, and the
D are the numbers of users of a track and of tracks of a user. Cosine (a = c = 1/2, b = 0) and RP3beta (a = b = 1) are
points of this family, see Paudel et al. 2017, "Updatable, Accurate, Diverse, and Scalable Recommendations". A trend
multiplies the weights of tracks that are heard more lately.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna
from implicit.nearest_neighbours import NearestNeighboursScorer
from scipy.sparse import csr_matrix, vstack

from recommender import reasons
from recommender.axes import TRACKS
from recommender.dataset import Dataset, Users
from recommender.interactions import Floats, Integers
from recommender.models.popularity import suggest_half_life, suggest_trend, trends
from recommender.scores import SparseScores

NAME = "neighbours"
FIRST_TRIALS = tuple(
    {"a": 0.7, "b": 0.7, "c": 0.6, "k": 200, "trend": trend, "trend_half_life": 14.0, "taste_half_life": None}
    for trend in (0.0, 0.5)
)
# Privacy: a pair of tracks that fewer users have in common is not stored, since it could point at a person.
FEWEST_USERS = 3
# A user with more tracks says little about each pair of them, but costs their square.
MOST_TRACKS = 1000
# So many pairs are counted at a time: 240 MB.
PAIRS_AT_ONCE = 20_000_000


@dataclass(frozen=True)
class Neighbours:
    """Hold the weights, heard tracks x recommended tracks, and after how many days a listen counts half in
    a user's taste."""

    weights: csr_matrix
    taste_half_life: float | None

    @cached_property
    def scorer(self) -> NearestNeighboursScorer:
        return NearestNeighboursScorer(self.weights)

    def score(self, users: Users) -> SparseScores:
        return SparseScores(users.listens.tastes(self.taste_half_life), self.weights, self.scorer)

    def explain(self, users: Users, tracks: Integers) -> reasons.Reasons:
        heard = users.listens.tastes(self.taste_half_life)
        positions = np.full(tracks.shape, -1, np.int32)
        rank_of = np.full(heard.shape[1], -1, np.int32)
        indptr, indices, data = self.weights.indptr, self.weights.indices, self.weights.data
        for user, recommended in enumerate(tracks):
            mine = slice(heard.indptr[user], heard.indptr[user + 1])
            own = heard.indices[mine]
            sizes = indptr[own + 1] - indptr[own]
            at = np.arange(sizes.sum()) + np.repeat(indptr[own] - np.cumsum(sizes) + sizes, sizes)
            recommended = recommended[recommended >= 0]
            rank_of[recommended] = np.arange(len(recommended))
            rank = rank_of[indices[at]]
            rank_of[recommended] = -1
            is_asked = rank >= 0
            rank, at = rank[is_asked], at[is_asked]
            source = np.repeat(np.arange(len(own)), sizes)[is_asked]
            # the largest is written last
            order = np.argsort(data[at] * heard.data[mine][source], kind="stable")
            positions[user, rank[order]] = own[source[order]]
        return reasons.make_reasons(reasons.TRACK, positions)


AXES = {Neighbours: {"weights": (TRACKS, TRACKS)}}


def suggest(trial: optuna.Trial) -> dict[str, float | None]:
    return {
        "a": trial.suggest_float("a", 0.0, 1.0),
        "b": trial.suggest_float("b", 0.0, 1.0),
        "c": trial.suggest_float("c", 0.0, 1.0),
        "k": trial.suggest_categorical("k", [20, 50, 100, 200, 500]),
        **suggest_trend(trial),
        "taste_half_life": suggest_half_life(trial, "taste_half_life"),
    }


def is_possible(dataset: Dataset) -> bool:
    return True


def fit(dataset: Dataset, params: dict[str, float | None], seed: int) -> Neighbours:
    heard = keep_most_recent(dataset.listens.tastes(30.0))
    heard.data[:] = 1
    of_track = np.maximum(np.diff(heard.tocsc().indptr), 1)
    of_user = np.maximum(np.diff(heard.indptr), 1)
    per_track = of_track ** -float(params["c"]) * trends(dataset, params)
    rows = [_best(weights, params["k"]) for weights in _common_users(heard, of_user ** -float(params["b"]), per_track)]
    shape = (heard.shape[1], heard.shape[1])
    weights = vstack(rows, "csr", np.float32) if rows else csr_matrix(shape, dtype=np.float32)
    weights.data *= np.repeat(of_track ** -float(params["a"]), np.diff(weights.indptr)).astype(np.float32)
    return Neighbours(weights, params["taste_half_life"])


def keep_most_recent(heard: csr_matrix) -> csr_matrix:
    """Return users x tracks with at most MOST_TRACKS of each user: those with the largest values."""
    sizes = np.diff(heard.indptr)
    if not (sizes > MOST_TRACKS).any():
        return heard
    is_kept = np.ones(heard.nnz, bool)
    for user in np.flatnonzero(sizes > MOST_TRACKS):
        start, stop = heard.indptr[user : user + 2]
        is_kept[start + np.argsort(-heard.data[start:stop], kind="stable")[MOST_TRACKS:]] = False
    starts = np.concatenate([[0], np.cumsum(is_kept)])[heard.indptr].astype(np.int32)
    return csr_matrix((heard.data[is_kept], heard.indices[is_kept], starts), shape=heard.shape)


def _common_users(heard: csr_matrix, per_user: Floats, per_track: Floats) -> Iterator[csr_matrix]:
    """Yield the rows of the pairs of tracks, some at a time: the sum over their common users, times `per_track`."""
    by_track = heard.T.tocsr()
    # one product gives both: the real part is the weight, the imaginary one the number of common users
    both = heard.astype(np.complex64)
    both.data = np.repeat(per_user, np.diff(heard.indptr)).astype(np.complex64) + np.complex64(1j)
    pairs = np.cumsum(by_track @ np.diff(heard.indptr).astype(float))
    bounds = np.searchsorted(pairs, np.arange(PAIRS_AT_ONCE, pairs[-1] if len(pairs) else 0, PAIRS_AT_ONCE))
    bounds = np.unique([0, *bounds, len(pairs)])
    for start, stop in itertools.pairwise(bounds):
        product = by_track[start:stop] @ both
        row = np.repeat(np.arange(start, stop), np.diff(product.indptr))
        is_kept = (product.data.imag > FEWEST_USERS - 0.5) & (product.indices != row)
        starts = np.concatenate([[0], np.cumsum(is_kept)])[product.indptr].astype(np.int32)
        columns = product.indices[is_kept]
        data = (product.data.real[is_kept] * per_track[columns]).astype(np.float32)
        yield csr_matrix((data, columns, starts), shape=product.shape)


def _best(weights: csr_matrix, k: int) -> csr_matrix:
    """Return the k largest values of each row, with sorted columns."""
    weights.sort_indices()
    is_kept = np.ones(weights.nnz, bool)
    for row in np.flatnonzero(np.diff(weights.indptr) > k):
        values = weights.data[weights.indptr[row] : weights.indptr[row + 1]]
        smallest = np.partition(values, len(values) - k)[len(values) - k]
        is_best = values > smallest
        # of equal values, the first: the same ones on every machine
        is_best[np.flatnonzero(values == smallest)[: k - is_best.sum()]] = True
        is_kept[weights.indptr[row] : weights.indptr[row + 1]] = is_best
    starts = np.concatenate([[0], np.cumsum(is_kept)])[weights.indptr].astype(np.int32)
    return csr_matrix((weights.data[is_kept], weights.indices[is_kept], starts), shape=weights.shape)
