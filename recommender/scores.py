"""Hold the scores of some users for all tracks without writing them out, and choose the best of them.

Every kind has the same two methods. `top` returns the best k tracks of each user with their scores, best first, without
the excluded ones and those that are no candidate tracks; an absent answer is track -1 with the score -inf. `at` returns
the scores at the entries of a matrix, users x tracks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from implicit.cpu.topk import topk
from implicit.nearest_neighbours import NearestNeighboursScorer
from scipy.sparse import csr_matrix

from recommender.interactions import Flags, Floats, Integers

Top = tuple[Integers, Floats]
# As many scores are written out at a time: 64 MB.
SCORES_AT_ONCE = 1 << 24


class Scores(Protocol):
    """Describe the scores of some users for all tracks."""

    def top(self, k: int, excluded: csr_matrix, is_candidate: Flags) -> Top: ...

    def at(self, pairs: csr_matrix) -> Floats: ...


@dataclass(frozen=True)
class FactorScores:
    """Hold scores that are products of a row per user and a row per track. A user whose row is 0 has no answer."""

    queries: Floats
    items: Floats

    def top(self, k: int, excluded: csr_matrix, is_candidate: Flags) -> Top:
        if not len(self.queries):
            return no_answers(0, k)
        count = min(k, len(self.items))
        hidden = np.flatnonzero(~is_candidate)
        tracks, scores = topk(self.items, self.queries, count, filter_query_items=excluded, filter_items=hidden)
        is_hidden = (scores <= np.finfo(scores.dtype).min) | ~self.queries.any(axis=1)[:, None]
        return pad(np.where(is_hidden, -1, tracks), np.where(is_hidden, -np.inf, scores), k)

    def at(self, pairs: csr_matrix) -> Floats:
        users = rows_of(pairs)
        found = np.empty(len(users), np.float32)
        step = max(1, SCORES_AT_ONCE // self.items.shape[1])
        for start in range(0, len(users), step):
            part = slice(start, start + step)
            found[part] = np.einsum("ij,ij->i", self.queries[users[part]], self.items[pairs.indices[part]])
        return found


@dataclass(frozen=True)
class SparseScores:
    """Hold scores that are sums over what a user heard: `heard` (users x tracks) times sparse weights (tracks x
    tracks). Only a score above 0 is an answer."""

    heard: csr_matrix
    weights: csr_matrix
    scorer: NearestNeighboursScorer

    def top(self, k: int, excluded: csr_matrix, is_candidate: Flags) -> Top:
        tracks, scores = no_answers(self.heard.shape[0], k)
        indptr, indices, data = self.heard.indptr, self.heard.indices, self.heard.data
        hidden = int(np.count_nonzero(~is_candidate))
        for user in range(len(tracks)):
            others = excluded.indices[excluded.indptr[user] : excluded.indptr[user + 1]]
            heard = indptr[user + 1] - indptr[user]
            # the scorer itself leaves out what the user heard
            more = hidden + max(0, len(others) - heard)
            found, values = self.scorer.recommend(indptr[user : user + 2], indices, data, k + more)
            is_kept = (values > 0) & is_candidate[found]
            if len(others) > heard:
                is_kept &= ~np.isin(found, others)
            found, values = found[is_kept], values[is_kept]
            best = np.lexsort((found, -values))[:k]
            tracks[user, : len(best)], scores[user, : len(best)] = found[best], values[best]
        return tracks, scores

    def at(self, pairs: csr_matrix) -> Floats:
        # written out, because looking up entries of a sparse product takes longer than making it
        return _at(pairs, lambda part: (self.heard[part] @ self.weights).toarray())


@dataclass(frozen=True)
class DenseScores:
    """Hold scores that are sums over what a user heard and declared, with dense weights (tracks x tracks and genres x
    tracks). A user who heard nothing has no answer."""

    heard: csr_matrix
    weights: Floats
    favorites: csr_matrix
    genre_weights: Floats

    def top(self, k: int, excluded: csr_matrix, is_candidate: Flags) -> Top:
        tracks, scores = no_answers(self.heard.shape[0], k)
        count = min(k, len(is_candidate))
        step = max(1, SCORES_AT_ONCE // len(is_candidate))
        for start in range(0, len(tracks), step):
            part = slice(start, start + step)
            values = self._of(part)
            hidden = excluded[part]
            values[rows_of(hidden), hidden.indices] = -np.inf
            values[:, ~is_candidate] = -np.inf
            values[np.diff(self.heard[part].indptr) == 0] = -np.inf
            best = np.argpartition(-values, count - 1, axis=1)[:, :count]
            found = np.take_along_axis(values, best, axis=1)
            order = np.lexsort((best, -found), axis=1)
            tracks[part, :count] = np.take_along_axis(best, order, axis=1)
            scores[part, :count] = np.take_along_axis(found, order, axis=1)
        return np.where(np.isneginf(scores), -1, tracks), scores

    def at(self, pairs: csr_matrix) -> Floats:
        return _at(pairs, self._of)

    def _of(self, part: slice) -> Floats:
        """Return the scores of some users for all tracks."""
        values = self.heard[part] @ self.weights
        values += self.favorites[part] @ self.genre_weights
        return values


def _at(pairs: csr_matrix, scores_of: Callable[[slice], Floats]) -> Floats:
    """Return the scores at the pairs. `scores_of`: returns those of some users for all tracks."""
    found = np.empty(pairs.nnz, np.float32)
    step = max(1, SCORES_AT_ONCE // pairs.shape[1])
    for start in range(0, pairs.shape[0], step):
        part = pairs[start : start + step]
        first = pairs.indptr[start]
        found[first : first + part.nnz] = scores_of(slice(start, start + step))[rows_of(part), part.indices]
    return found


def values_at(matrix: csr_matrix, pairs: csr_matrix) -> Floats:
    """Return the values of a matrix at the pairs, which scipy returns as a matrix if there are none."""
    if not pairs.nnz:
        return np.empty(0, np.float32)
    return np.asarray(matrix[rows_of(pairs), pairs.indices], np.float32).ravel()


def rows_of(matrix: csr_matrix) -> Integers:
    """Return the row of each entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def no_answers(users: int, k: int) -> Top:
    """Return k absent answers for each user."""
    return np.full((users, k), -1, np.int32), np.full((users, k), -np.inf, np.float32)


def pad(tracks: Integers, scores: Floats, k: int) -> Top:
    """Return the answers with absent ones up to k."""
    missing = ((0, 0), (0, k - tracks.shape[1]))
    return (
        np.pad(tracks, missing, constant_values=-1).astype(np.int32),
        np.pad(scores, missing, constant_values=-np.inf).astype(np.float32),
    )
