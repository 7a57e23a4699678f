"""Recommend by factors of tracks that explain who heard what: alternating least squares (Hu, Koren, Volinsky 2008)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna
from implicit.cpu.als import AlternatingLeastSquares

from recommender import reasons
from recommender.axes import TRACKS
from recommender.dataset import Dataset, Users
from recommender.interactions import Floats, Integers
from recommender.models.popularity import suggest_half_life
from recommender.scores import FactorScores

NAME = "als"
FIRST_TRIALS = (
    {"factors": 32, "regularization": 16.0, "alpha": 2.0, "taste_half_life": None},
    {"factors": 64, "regularization": 35.0, "alpha": 25.0, "taste_half_life": None},
)
ITERATIONS = 12


@dataclass(frozen=True)
class Als:
    """Hold the factors of the tracks, and what is needed to compute the factors of a user from listens."""

    factors: Floats
    regularization: float
    alpha: float
    taste_half_life: float | None

    @cached_property
    def solver(self) -> AlternatingLeastSquares:
        model = AlternatingLeastSquares(self.factors.shape[1], self.regularization, self.alpha)
        model.item_factors = self.factors
        return model

    def score(self, users: Users) -> FactorScores:
        heard = users.listens.tastes(self.taste_half_life)
        return FactorScores(self.solver.recalculate_user(np.arange(len(users)), heard), self.factors)

    def explain(self, users: Users, tracks: Integers) -> reasons.Reasons:
        heard = users.listens.tastes(self.taste_half_life)
        positions = np.full(tracks.shape, -1, np.int32)
        for user in np.flatnonzero(np.diff(heard.indptr)):
            own = heard.indices[heard.indptr[user] : heard.indptr[user + 1]]
            # the heard track whose factors are closest
            positions[user] = own[(self.factors[tracks[user]] @ self.factors[own].T).argmax(axis=1)]
        return reasons.make_reasons(reasons.TRACK, positions)


AXES = {Als: {"factors": (TRACKS,)}}


def suggest(trial: optuna.Trial) -> dict[str, float | None]:
    return {
        "factors": trial.suggest_categorical("factors", [32, 64, 128]),
        # on a log scale: too much of it and ALS becomes popularity
        "regularization": trial.suggest_float("regularization", 0.01, 1000.0, log=True),
        "alpha": trial.suggest_float("alpha", 0.3, 100.0, log=True),
        "taste_half_life": suggest_half_life(trial, "taste_half_life"),
    }


def is_possible(dataset: Dataset) -> bool:
    return len(dataset.listens.tracks) > 0


def fit(dataset: Dataset, params: dict[str, float | None], seed: int) -> Als:
    model = AlternatingLeastSquares(
        params["factors"],
        params["regularization"],
        params["alpha"],
        iterations=ITERATIONS,
        random_state=seed,
    )
    model.fit(dataset.listens.tastes(), show_progress=False)
    return Als(model.item_factors, params["regularization"], params["alpha"], params["taste_half_life"])
