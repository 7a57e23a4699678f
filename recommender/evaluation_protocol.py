"""Evaluate: tune on one fold, choose a challenger per list there, and compare on another fold that nothing saw yet."""

import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from recommender import recipes
from recommender.dataset import Users
from recommender.evaluation import (
    NEAR_POPULARITY,
    Measurement,
    Row,
    compare,
    find_coinciding,
    find_users_with_targets,
    measure,
    overlap,
)
from recommender.folds import Fold
from recommender.interactions import Floats, Integers
from recommender.list_making import Recommender
from recommender.models import FittedModel, Params, again, popularity
from recommender.progress import Progress, report_nothing
from recommender.reasons import Reasons, make_popular_reasons
from recommender.releases import DISCOVER, LISTS
from recommender.scores import FactorScores
from recommender.tuning import FALLBACKS, Tuning, add_base, choose_fallbacks, fit_fallbacks, tune

ORACLE = "oracle"


@dataclass(frozen=True)
class Fit:
    """Hold what fitting a model took: seconds, and the peak of memory in MB."""

    seconds: float
    megabytes: float


@dataclass
class Evaluation:
    """Hold the result of an evaluation.

    `chosen`: by list, the model that did best in the tuning window. `tuning_rows` are of that window, `rows` of the
    final one. `fits`: by list and model. `coinciding`: (list, one model, another that makes the same lists).
    `near_popularity`: models for new tracks whose lists are hardly more than popular tracks, with the share of these.
    `tuning`: the best parameters of each model.
    """

    chosen: dict[str, str] = field(default_factory=dict)
    tuning_rows: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    params: dict[tuple[str, str], Params] = field(default_factory=dict)
    fits: dict[tuple[str, str], Fit] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)
    coinciding: list[tuple[str, str, str]] = field(default_factory=list)
    near_popularity: dict[str, float] = field(default_factory=dict)
    tuning: Tuning = field(default_factory=Tuning)


def evaluate(
    tuning_fold: Fold,
    final_fold: Fold,
    names: Sequence[str],
    budget: float,
    seed: int,
    *,
    are_all_final: bool,
    show: Progress = report_nothing,
) -> Evaluation:
    """Tune the models within `budget` seconds, and compare them on the final fold.

    `are_all_final`: all of them; otherwise only popularity and the chosen ones: the final window chooses nothing.
    """
    tuning = tune(tuning_fold, names, budget, seed, show)
    evaluation = Evaluation(trials=tuning.trials, tuning=tuning)
    with threadpool_limits(1, "blas"):
        for list_name in LISTS:
            challenger = tuning.challenger(list_name)
            if challenger is None:
                continue
            found = tuning.best[list_name]
            evaluation.chosen[list_name] = challenger
            measurements = {name: trial.measurement for name, trial in found.items()}
            evaluation.coinciding += [(list_name, *pair) for pair in find_coinciding(measurements)]
            if list_name == DISCOVER:
                evaluation.near_popularity = _near_popularity(measurements)
            evaluation.tuning_rows += compare(measurements, tuning_fold, list_name, popularity.NAME, seed)
            finalists = [name for name in found if are_all_final or name in (popularity.NAME, challenger)]
            _compare_finally(evaluation, tuning, final_fold, list_name, finalists, seed, show)
    return evaluation


def _near_popularity(measurements: Mapping[str, Measurement]) -> dict[str, float]:
    shares = {
        name: overlap(measurement, measurements[popularity.NAME])
        for name, measurement in measurements.items()
        if name != popularity.NAME
    }
    return {name: share for name, share in shares.items() if share >= NEAR_POPULARITY}


def _compare_finally(
    evaluation: Evaluation,
    tuning: Tuning,
    fold: Fold,
    list_name: str,
    names: Sequence[str],
    seed: int,
    show: Progress,
) -> None:
    if not len(find_users_with_targets(fold, list_name)[0]):
        return
    found = tuning.best[list_name]
    fallbacks = fit_fallbacks(fold.dataset, {name: found[name].params for name in FALLBACKS if name in found}, seed)
    measurements: dict[str, Measurement] = {}
    for name in names:
        show(f"{list_name}: fitting and scoring {name}")
        params = found[name].params
        model, fit = _measure_fit(lambda: _fit(tuning, fold, name, params, seed))  # noqa: B023 (called at once)
        evaluation.params[list_name, name], evaluation.fits[list_name, name] = params, fit
        measurements[name] = measure(Recommender(model, choose_fallbacks(name, fallbacks)), fold, list_name)
    if fold.oracle:
        measurements[ORACLE] = _measure_oracle(fold, list_name, fallbacks)
    evaluation.rows += compare(measurements, fold, list_name, popularity.NAME, seed)


def _fit(tuning: Tuning, fold: Fold, name: str, params: Params, seed: int) -> FittedModel:
    if name == again.NAME:
        params = add_base(params, tuning)
    return recipes.fit(name, params, fold.dataset, seed)


def _measure_fit(fit: Callable[[], FittedModel]) -> tuple[FittedModel, Fit]:
    started = time.perf_counter()
    tracemalloc.start()
    try:
        model = fit()
        return model, Fit(time.perf_counter() - started, tracemalloc.get_traced_memory()[1] / 1e6)
    finally:
        tracemalloc.stop()


@dataclass(frozen=True)
class _Oracle:
    """Score by known odds, users x tracks; the users must come in the order of the odds."""

    odds: Floats

    def score(self, users: Users) -> FactorScores:
        return FactorScores(self.odds, np.eye(self.odds.shape[1], dtype=np.float32))

    def explain(self, users: Users, tracks: Integers) -> Reasons:
        return make_popular_reasons(tracks.shape)


def _measure_oracle(fold: Fold, list_name: str, fallbacks: Sequence[FittedModel]) -> Measurement:
    users, _ = find_users_with_targets(fold, list_name)
    odds = fold.oracle(list_name)[users].astype(np.float32)
    return measure(Recommender(_Oracle(odds), fallbacks), fold, list_name, batch=max(1, len(users)))
