"""Measure ranked lists against the tracks that users then listened to.

All are of binary relevance, over the full catalogue, per user. With r(i) = 1 if the track at rank i is a target, and n
targets:

- NDCG@k: sum of r(i) / log2(i + 1) up to k, divided by the same sum for a perfect list (Jarvelin, Kekalainen 2002)
- recall@k: targets among the first k, divided by n
- AP@k: sum of r(i) * (targets up to i) / i up to k, divided by n, as trec_eval does; MAP is its mean
"""

import numpy as np
from scipy.sparse import csr_matrix

from recommender.interactions import Flags, Floats, Integers

NDCG_DEPTH, RECALL_DEPTH, AP_DEPTH, COVERAGE_DEPTH = 10, 20, 10, 10
# What a list must hold for all of them.
DEPTH = 20


def measure_users(tracks: Integers, targets: csr_matrix) -> dict[str, Floats]:
    """Return by name the metrics of each user, who has at least 1 target. `tracks`: users x ranks, -1 for none."""
    count = np.diff(targets.indptr)
    is_hit = _is_target(tracks, targets)
    discounts = 1 / np.log2(np.arange(2, NDCG_DEPTH + 2))
    ideal = np.cumsum(discounts)[np.minimum(count, NDCG_DEPTH) - 1]
    first = is_hit[:, :AP_DEPTH]
    precision = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    return {
        "ndcg@10": is_hit[:, :NDCG_DEPTH] @ discounts[: min(NDCG_DEPTH, tracks.shape[1])] / ideal,
        "recall@20": is_hit[:, :RECALL_DEPTH].sum(axis=1) / count,
        "map@10": (precision * first).sum(axis=1) / count,
    }


def coverage(tracks: Integers, is_candidate: Flags) -> float:
    """Return the share of the candidate tracks that somebody gets among the first 10."""
    shown = np.unique(tracks[:, :COVERAGE_DEPTH])
    return float((shown >= 0).sum() / max(1, is_candidate.sum()))


def novelty(tracks: Integers, users_of_track: Integers, user_count: int) -> float:
    """Return the mean of -log2(share of users who heard the track) over the first 10, in bits; a track that nobody
    heard counts as one that one user heard."""
    shown = tracks[:, :COVERAGE_DEPTH]
    shares = np.maximum(users_of_track, 1) / max(1, user_count)
    return float(-np.log2(shares[shown[shown >= 0]]).mean()) if (shown >= 0).any() else 0.0


def _is_target(tracks: Integers, targets: csr_matrix) -> Flags:
    """Return whether each listed track is a target of its user."""
    users, size = targets.shape
    wanted = np.repeat(np.arange(users), np.diff(targets.indptr)) * size + targets.indices
    wanted.sort()
    listed = np.where(tracks >= 0, np.arange(users)[:, None] * size + tracks, -1)
    positions = np.minimum(np.searchsorted(wanted, listed), max(0, len(wanted) - 1))
    return wanted[positions] == listed if len(wanted) else np.zeros(tracks.shape, bool)
