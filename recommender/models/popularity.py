"""Recommend to everybody what many users heard lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna

from recommender import reasons
from recommender.axes import TRACKS
from recommender.dataset import Dataset, Users
from recommender.interactions import Floats, Integers
from recommender.scores import FactorScores

NAME = "popularity"
HALF_LIVES = (None, 3.0, 7.0, 14.0, 30.0, 90.0)
TREND_HALF_LIVES = (3.0, 7.0, 14.0, 30.0)
USERS_AT_ONCE = 10_000
# A track without listeners has no trend, and one with few has little.
TREND_PRIOR = 3.0
# All of them: the baseline must be strong even if there is no time for tuning.
FIRST_TRIALS = tuple({"half_life": half_life} for half_life in HALF_LIVES)


@dataclass(frozen=True)
class Popularity:
    """Hold the popularity of each track: tracks x 1."""

    popularity: Floats

    def score(self, users: Users) -> FactorScores:
        return FactorScores(np.ones((len(users), 1), np.float32), self.popularity)

    def explain(self, users: Users, tracks: Integers) -> reasons.Reasons:
        return reasons.make_popular_reasons(tracks.shape)


AXES = {Popularity: {"popularity": (TRACKS,)}}


def suggest(trial: optuna.Trial) -> dict[str, float | None]:
    return {"half_life": suggest_half_life(trial)}


def suggest_half_life(trial: optuna.Trial, name: str = "half_life") -> float | None:
    """Suggest after how many days a listen counts half; None: it always counts in full."""
    return trial.suggest_categorical(name, HALF_LIVES)


def is_possible(dataset: Dataset) -> bool:
    return True


def fit(dataset: Dataset, params: dict[str, float | None], seed: int) -> Popularity:
    return Popularity(popularities(dataset, params["half_life"])[:, None])


def popularities(dataset: Dataset, half_life: float | None) -> Floats:
    """Return how many users heard each track, where users count less whose listens are long ago."""
    found = np.zeros(dataset.listens.track_count)
    # the pairs of all users at once would take half of the memory of a run
    for some in dataset.users.batches(USERS_AT_ONCE):
        found += np.asarray(some.listens.tastes(half_life).sum(axis=0)).ravel()
    return found.astype(np.float32)


def suggest_trend(trial: optuna.Trial) -> dict[str, float]:
    """Suggest how much a rising track gains, and what counts as lately."""
    return {
        "trend": trial.suggest_float("trend", 0.0, 1.5),
        "trend_half_life": trial.suggest_categorical("trend_half_life", TREND_HALF_LIVES),
    }


def trends(dataset: Dataset, params: Mapping[str, Any]) -> Floats:
    """Return a factor per track: above 1 for one that is heard more lately than before, such as a new release.

    A model of who hears what with what knows nothing of time. 1 for all tracks of a log without times.
    """
    ever, lately = (popularities(dataset, half_life) for half_life in (None, params["trend_half_life"]))
    lately *= ever.sum() / max(lately.sum(), np.finfo(np.float32).tiny)
    return ((lately + TREND_PRIOR) / (ever + TREND_PRIOR)) ** np.float32(params["trend"])
