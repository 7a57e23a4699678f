"""Recommend by a linear model between tracks, fitted in closed form: EASE (Steck 2019).

A discount divides the weights of a recommended track by a power of its number of users: popular tracks come later.
A trend multiplies them: tracks that are heard more lately come earlier.
"""

from dataclasses import dataclass

import numpy as np
import optuna
from scipy import linalg

from recommender import reasons
from recommender.dataset import Dataset, Users
from recommender.interactions import Floats, Integers
from recommender.models.neighbours import FEWEST_USERS
from recommender.models.popularity import suggest_half_life, suggest_trend, trends
from recommender.scores import DenseScores

NAME = "ease"
FIRST_TRIALS = (
    {"regularization": 500.0, "discount": 0.1, "trend": 0.0, "trend_half_life": 14.0, "taste_half_life": None},
    {"regularization": 100.0, "discount": 0.1, "trend": 0.5, "trend_half_life": 14.0, "taste_half_life": None},
)
# The cost is cubic: 23 s and 2 GB for so many.
MOST_TRACKS = 10_000


@dataclass(frozen=True)
class Ease:
    """Hold the weights, heard tracks x recommended tracks, and after how many days a listen counts half in
    a user's taste."""

    weights: Floats
    taste_half_life: float | None

    def score(self, users: Users) -> DenseScores:
        return DenseScores(users.listens.tastes(self.taste_half_life), self.weights)

    def explain(self, users: Users, tracks: Integers) -> reasons.Reasons:
        heard = users.listens.tastes(self.taste_half_life)
        positions = np.full(tracks.shape, -1, np.int32)
        for user in np.flatnonzero(np.diff(heard.indptr)):
            mine = slice(heard.indptr[user], heard.indptr[user + 1])
            own = heard.indices[mine]
            values = self.weights[own[:, None], tracks[user]] * heard.data[mine][:, None]
            positions[user] = np.where(values.max(axis=0) > 0, own[values.argmax(axis=0)], -1)
        return reasons.because_of(reasons.TRACK, positions)


def suggest(trial: optuna.Trial) -> dict[str, float | None]:
    return {
        "regularization": trial.suggest_float("regularization", 1.0, 10_000.0, log=True),
        "discount": trial.suggest_float("discount", 0.0, 0.15),
        **suggest_trend(trial),
        "taste_half_life": suggest_half_life(trial, "taste_half_life"),
    }


def is_possible(dataset: Dataset) -> bool:
    return 0 < len(dataset.catalogue.track_ids) <= MOST_TRACKS


def fit(dataset: Dataset, params: dict[str, float | None], seed: int) -> Ease:
    heard = dataset.listens.tastes()
    heard.data[:] = 1
    common = (heard.T @ heard).toarray().astype(np.float64)
    is_rare = common < FEWEST_USERS
    of_track = np.maximum(common.diagonal(), 1)
    np.fill_diagonal(common, common.diagonal() + params["regularization"])
    inverse = linalg.inv(common, overwrite_a=True)
    per_track = of_track ** -params["discount"] * trends(dataset, params)
    weights = (inverse / -np.diag(inverse) * per_track).astype(np.float32)
    np.fill_diagonal(weights, 0)
    # privacy, as for neighbours
    weights[is_rare] = 0
    return Ease(weights, params["taste_half_life"])
