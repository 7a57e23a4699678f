"""Compare fitted models on the same users and targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recommender import metrics
from recommender.folds import Fold
from recommender.interactions import Flags, Floats, Integers
from recommender.list_making import BATCH, Recommender, recommend

# (name, fewest, most listens in training)
SEGMENTS = (("all", 0, np.inf), ("cold", 0, 0), ("light", 1, 9), ("regular", 10, np.inf))
RESAMPLES = 1000
CONFIDENCE = 0.95
# Two models that have this share of the first 10 at the same ranks make the same lists.
COINCIDENCE = 0.95
# A model that has this share of its first 10 in common with popularity has lost the taste of its users. On public data,
# useful models have .2 to .35, and ALS with too much regularisation .6 to .7.
NEAR_POPULARITY = 0.55


@dataclass(frozen=True)
class Measurement:
    """Hold the metrics of a model for each evaluated user, and its lists.

    `users`: their positions in the dataset; only users with targets are evaluated.
    """

    users: Integers
    values: Mapping[str, Floats]
    tracks: Integers

    @property
    def ndcg(self) -> float:
        return float(self.values["ndcg@10"].mean()) if len(self.users) else 0.0


@dataclass(frozen=True)
class Row:
    """Hold one line of the comparison: a model's metrics on a list and a segment of users.

    `low`, `high`: the interval of NDCG@10; `difference`: of NDCG@10 to popularity on the same users, with its interval.
    """

    list: str
    model: str
    segment: str
    users: int
    ndcg: float
    recall: float
    map: float
    coverage: float
    novelty: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


def measure(recommender: Recommender, fold: Fold, list_name: str, batch: int = BATCH) -> Measurement:
    """Make the lists of all users with targets, and measure them."""
    users, targets = find_users_with_targets(fold, list_name)
    people, catalogue = fold.dataset.users.take(users), fold.dataset.catalogue
    lists = recommend(recommender, people, catalogue, list_name, metrics.DEPTH, with_reasons=False, batch=batch)
    return Measurement(users, metrics.measure_users(lists.tracks, targets), lists.tracks)


def find_users_with_targets(fold: Fold, list_name: str) -> tuple[Integers, csr_matrix]:
    """Return the positions of the users with targets, and their targets."""
    targets = fold.targets_of(list_name)
    users = np.flatnonzero((np.diff(targets.indptr) > 0) & fold.dataset.is_listed)
    return users, targets[users]


def compare(measurements: Mapping[str, Measurement], fold: Fold, list_name: str, baseline: str, seed: int) -> list[Row]:
    """Return a row per model and segment that has users; the measurements are of the same users."""
    listens = fold.dataset.listens.listens()[measurements[baseline].users]
    catalogue = fold.dataset.catalogue
    users_of_track = np.bincount(fold.dataset.listens.weights().indices, minlength=len(catalogue.track_ids))
    rows = []
    for segment, fewest, most in SEGMENTS:
        members = np.flatnonzero((listens >= fewest) & (listens <= most))
        if not len(members):
            continue
        values = np.stack([measurement.values["ndcg@10"][members] for measurement in measurements.values()], axis=1)
        base = values[:, list(measurements).index(baseline)]
        lows, highs = intervals(np.hstack([values, values - base[:, None]]), seed)
        for number, (model, measurement) in enumerate(measurements.items()):
            tracks = measurement.tracks[members]
            means = {name: float(value[members].mean()) for name, value in measurement.values.items()}
            rows.append(
                Row(
                    list=list_name,
                    model=model,
                    segment=segment,
                    users=len(members),
                    ndcg=means["ndcg@10"],
                    recall=means["recall@20"],
                    map=means["map@10"],
                    coverage=metrics.coverage(tracks, catalogue.is_candidate),
                    novelty=metrics.novelty(tracks, users_of_track, fold.dataset.listens.user_count),
                    low=lows[number],
                    high=highs[number],
                    difference=means["ndcg@10"] - float(base.mean()),
                    difference_low=lows[len(measurements) + number],
                    difference_high=highs[len(measurements) + number],
                )
            )
    return rows


def intervals(values: Floats, seed: int) -> tuple[list[float], list[float]]:
    """Return for each column the bounds of the mean's 95 % interval, by bootstrap over the rows, which are users.

    All columns are drawn with the same users, so a column of differences is a paired comparison.
    """
    draw, size = np.random.default_rng(seed), len(values)
    # how often each user is drawn: far cheaper than copying their rows
    means = np.stack(
        [np.bincount(draw.integers(size, size=size), minlength=size) @ values / size for _ in range(RESAMPLES)]
    )
    tail = (1 - CONFIDENCE) / 2
    return tuple(np.quantile(means, bound, axis=0).tolist() for bound in (tail, 1 - tail))


def agreement(one: Measurement, other: Measurement) -> float:
    """Return the share of the first 10 that two models have at the same rank, over all users."""
    first, second = (measurement.tracks[:, : metrics.NDCG_DEPTH] for measurement in (one, other))
    is_listed: Flags = (first >= 0) | (second >= 0)
    return float((first == second)[is_listed].mean()) if is_listed.any() else 1.0


def overlap(one: Measurement, other: Measurement) -> float:
    """Return the share of a model's first 10 that another model has among its first 10, over all users."""
    first, second = (measurement.tracks[:, : metrics.NDCG_DEPTH] for measurement in (one, other))
    is_shared = (first[:, :, None] == second[:, None, :]).any(axis=2)
    return float(is_shared[first >= 0].mean()) if (first >= 0).any() else 1.0


def find_coinciding(measurements: Mapping[str, Measurement]) -> list[tuple[str, str]]:
    """Return the pairs of models that make the same lists."""
    names: Sequence[str] = list(measurements)
    return [
        (one, other)
        for number, one in enumerate(names)
        for other in names[number + 1 :]
        if agreement(measurements[one], measurements[other]) >= COINCIDENCE
    ]
