"""Make lists of recommendations: the one function for the nightly batch, a request, and the evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recommender.dataset import Catalogue, Users
from recommender.interactions import Floats, Integers
from recommender.models import FittedModel
from recommender.reasons import Reasons, make_popular_reasons
from recommender.releases import DISCOVER
from recommender.scores import no_answers, rows_of

BATCH = 1000
# So many times the length of a list is asked for where a cap of tracks per artist will drop some.
ROOM_FOR_CAP = 4


@dataclass(frozen=True)
class Recommender:
    """Hold a model, and the fallback models that fill its lists where it has no answer, in this order."""

    model: FittedModel
    fallbacks: Sequence[FittedModel]


@dataclass(frozen=True)
class Lists:
    """Hold the lists of some users, users x k, best first; -1 for none.

    `sources`: 0 for the model, 1 for its first fallback model and so on, -1 for none. Scores of different sources do
    not compare.
    """

    tracks: Integers
    scores: Floats
    sources: Integers
    reasons: Reasons | None = None


def recommend(
    recommender: Recommender,
    users: Users,
    catalogue: Catalogue,
    list_name: str,
    k: int,
    *,
    per_artist: int | None = None,
    with_reasons: bool = True,
    batch: int = BATCH,
) -> Lists:
    """Return the list of each user: candidate tracks the user has not heard (`discover`), or has heard (`again`).

    At most `per_artist` tracks of one artist; None: any number.
    """
    make = _discover if list_name == DISCOVER else _again
    parts = []
    for some in users.batches(batch):
        lists = make(recommender, some, catalogue, k, per_artist)
        parts.append(_with_reasons(recommender, some, lists) if with_reasons else lists)
    if not parts:
        return Lists(
            *no_answers(0, k), np.empty((0, k), np.int8), make_popular_reasons((0, k)) if with_reasons else None
        )
    return Lists(
        np.concatenate([part.tracks for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.sources for part in parts]),
        Reasons(
            np.concatenate([part.reasons.kinds for part in parts]),
            np.concatenate([part.reasons.positions for part in parts]),
        )
        if with_reasons
        else None,
    )


def _discover(recommender: Recommender, users: Users, catalogue: Catalogue, k: int, per_artist: int | None) -> Lists:
    heard = users.listens.weights()
    tracks, scores = no_answers(len(users), k)
    sources = np.full(tracks.shape, -1, np.int8)
    asked = k * ROOM_FOR_CAP if per_artist else k
    for source, model in enumerate((recommender.model, *recommender.fallbacks)):
        short = np.flatnonzero(tracks[:, -1] < 0)
        if not len(short):
            break
        is_all = len(short) == len(users)
        some = users if is_all else users.take(short)
        excluded = heard if is_all else heard[short]
        if source:
            excluded = excluded + _entries(tracks[short], heard.shape[1])
            excluded.sort_indices()
        more, more_scores = model.score(some).top(asked, excluded, catalogue.is_candidate)
        joined = np.hstack([tracks[short], more])
        joined_scores = np.hstack([scores[short], more_scores])
        joined_sources = np.hstack([sources[short], np.where(more >= 0, source, -1).astype(np.int8)])
        is_kept = joined >= 0
        if per_artist:
            is_kept &= _place_within_artist(joined, catalogue.artists) < per_artist
        # the kept ones first, in their order
        order = np.argsort(~is_kept, axis=1, kind="stable")[:, :k]
        is_kept = np.take_along_axis(is_kept, order, axis=1)
        tracks[short] = np.where(is_kept, np.take_along_axis(joined, order, axis=1), -1)
        scores[short] = np.where(is_kept, np.take_along_axis(joined_scores, order, axis=1), -np.inf)
        sources[short] = np.where(is_kept, np.take_along_axis(joined_sources, order, axis=1), -1)
    return Lists(tracks, scores, sources)


def _again(recommender: Recommender, users: Users, catalogue: Catalogue, k: int, per_artist: int | None) -> Lists:
    """Rank what each user knows by the model; the last fallback model decides between equal scores."""
    known = users.listens.weights()
    is_kept = catalogue.is_candidate[known.indices]
    starts = np.concatenate([[0], np.cumsum(is_kept)])[known.indptr]
    known = csr_matrix((known.data[is_kept], known.indices[is_kept], starts.astype(np.int32)), shape=known.shape)
    tracks, scores = no_answers(len(users), k)
    sources = np.full(tracks.shape, -1, np.int8)
    if not known.nnz:
        return Lists(tracks, scores, sources)
    row = rows_of(known)
    score = recommender.model.score(users).at(known)
    second = recommender.fallbacks[-1].score(users).at(known) if recommender.fallbacks else np.zeros_like(score)
    order = np.lexsort((known.indices, -second, -score, row))
    ranked = known.indices[order]
    rank = np.arange(len(order)) - known.indptr[row]
    if per_artist:
        artist = catalogue.artists[ranked].astype(np.int64)
        groups = np.where(artist >= 0, row * (len(catalogue.track_ids) + 1) + artist, -1 - np.arange(len(row)))
        is_within = _place_in_group(groups) < per_artist
        row, ranked, order = row[is_within], ranked[is_within], order[is_within]
        sizes = np.bincount(row, minlength=len(users))
        rank = np.arange(len(row)) - (np.cumsum(sizes) - sizes)[row]
    is_listed = rank < k
    at = row[is_listed], rank[is_listed]
    tracks[at], scores[at], sources[at] = ranked[is_listed], score[order][is_listed], 0
    return Lists(tracks, scores, sources)


def _with_reasons(recommender: Recommender, users: Users, lists: Lists) -> Lists:
    found = make_popular_reasons(lists.tracks.shape)
    for source, model in enumerate((recommender.model, *recommender.fallbacks)):
        is_mine = lists.sources == source
        mine = np.flatnonzero(is_mine.any(axis=1))
        if len(mine):
            some = users if len(mine) == len(users) else users.take(mine)
            why = model.explain(some, np.where(is_mine, lists.tracks, -1)[mine])
            for target, value in ((found.kinds, why.kinds), (found.positions, why.positions)):
                target[mine] = np.where(is_mine[mine], value, target[mine])
    return Lists(lists.tracks, lists.scores, lists.sources, found)


def _entries(tracks: Integers, track_count: int) -> csr_matrix:
    """Return a matrix, users x tracks, with 1 for each track that is there."""
    is_there = tracks >= 0
    starts = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))]).astype(np.int32)
    ones = np.ones(starts[-1], np.float32)
    return csr_matrix((ones, tracks[is_there], starts), shape=(len(tracks), track_count))


def _place_within_artist(tracks: Integers, artists: Integers) -> Integers:
    """Return how many tracks of the same artist come before each one in its row. A track without artist has none."""
    users, k = tracks.shape
    artist = np.where(tracks >= 0, artists[tracks], -1).astype(np.int64)
    row = np.arange(users)[:, None]
    groups = np.where(
        artist >= 0, row * (artists.max(initial=0) + 1) + artist, -1 - np.arange(users * k).reshape(users, k)
    )
    return _place_in_group(groups.ravel()).reshape(users, k)


def _place_in_group(groups: Integers) -> Integers:
    """Return how many elements of the same group come before each one."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    is_first = np.ones(len(groups), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    place = np.empty(len(groups), np.int64)
    place[order] = np.arange(len(groups)) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    return place
