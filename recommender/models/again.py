"""Recommend again what a user heard often lately, with a small weight for what another model recommends.

A model of what is new cannot predict returns: three quarters of the listens to music are repeats, and the user's own
counts explain them better than any neighbour.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import optuna
from scipy.sparse import csr_matrix

from recommender import reasons
from recommender.axes import Axes
from recommender.dataset import Dataset, Users
from recommender.interactions import Flags, Floats, Integers
from recommender.scores import Scores, rows_of, values_at

if TYPE_CHECKING:
    from recommender.models import FittedModel

NAME = "again"
FIRST_TRIALS = ({"half_life": 14.0, "weight": 0.1}, {"half_life": 14.0, "weight": 0.0})


@dataclass(frozen=True)
class AgainScores:
    """Hold own counts (users x tracks), and the scores of another model that are added with a weight."""

    counts: csr_matrix
    others: Scores
    weight: float

    def top(self, k: int, excluded: csr_matrix, is_candidate: Flags) -> tuple[Integers, Floats]:
        raise NotImplementedError("own counts rank known tracks only")

    def at(self, pairs: csr_matrix) -> Floats:
        counts = values_at(self.counts, pairs)
        return _per_user(counts, pairs) + self.weight * _per_user(self.others.at(pairs), pairs)


@dataclass(frozen=True)
class Again:
    """Hold after how many days a listen counts half, and the model whose scores are added with a weight."""

    base: "FittedModel"
    half_life: float
    weight: float

    def score(self, users: Users) -> AgainScores:
        return AgainScores(users.listens.weights(self.half_life), self.base.score(users), self.weight)

    def explain(self, users: Users, tracks: Integers) -> reasons.Reasons:
        # the user's own listens to this track
        return reasons.make_reasons(reasons.TRACK, tracks)


AXES: Axes = {Again: {}}


def suggest(trial: optuna.Trial) -> dict[str, float]:
    return {
        "half_life": trial.suggest_float("half_life", 1.0, 365.0, log=True),
        "weight": trial.suggest_float("weight", 0.0, 0.5),
    }


def fit(dataset: Dataset, params: dict[str, float], base: "FittedModel") -> Again:
    return Again(base, params["half_life"], params["weight"])


def _per_user(values: Floats, pairs: csr_matrix) -> Floats:
    """Divide the values by the largest one of each user, so that two kinds of scores can be added."""
    if not len(values):
        return values
    largest = np.zeros(pairs.shape[0], np.float32)
    np.maximum.at(largest, rows_of(pairs), values)
    return values / np.maximum(largest, np.finfo(np.float32).tiny)[rows_of(pairs)]
