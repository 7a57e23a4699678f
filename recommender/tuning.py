"""Find good parameters for each model within a time budget.

Each model has an Optuna study of its own. In a common one, all trials of a weaker model would count as bad, so the
sampler (TPE) would learn nothing about it. The models take turns and share the budget. The nth trial of a model is
always the same; only the number of trials depends on the speed of the machine.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from threadpoolctl import threadpool_limits

from recommender import recipes
from recommender.dataset import Dataset
from recommender.evaluation import COINCIDENCE, Measurement, agreement, measure
from recommender.folds import Fold, sample_users
from recommender.list_making import Recommender
from recommender.models import MODELS, FittedModel, Params, again, genres, popularity
from recommender.progress import Progress, report_nothing
from recommender.recipes import MODEL_NAMES, WINDOW, Recipe
from recommender.releases import AGAIN, DISCOVER, LISTS

MOST_TRIALS = 40
# More users would tell models apart by less than their noise, and scoring them would take the time of trials.
MOST_USERS = 5000
# How many of the last days a model is fitted to; None: all of them.
WINDOWS = (None, 30, 90, 365)
# The part of the budget that `again` gets: it needs no fit.
SHARE_OF_AGAIN = 0.15
# The fallback models: they fill the lists of the others, in this order.
FALLBACKS = (genres.NAME, popularity.NAME)


@dataclass(frozen=True)
class BestTrial:
    """Hold the best parameters of a model for a list, and its metrics with them in the tuning window."""

    params: Params
    measurement: Measurement


@dataclass
class Tuning:
    """Hold by list and model the best parameters, and by model the number of trials."""

    best: Mapping[str, dict[str, BestTrial]] = field(default_factory=lambda: {name: {} for name in LISTS})
    trials: dict[str, int] = field(default_factory=dict)

    def challenger(self, list_name: str) -> str | None:
        """Return the best model for a list, or popularity if that model only repeats it; None without a user."""
        found = self.best[list_name]
        if popularity.NAME not in found:
            return None
        baseline = found[popularity.NAME].measurement
        return next(
            name
            for name in sorted(found, key=lambda name: -found[name].measurement.ndcg)
            if name == popularity.NAME or agreement(found[name].measurement, baseline) < COINCIDENCE
        )


@dataclass(frozen=True)
class TunedRecipes:
    """Hold the best recipe by list, and the number of trials by model."""

    recipes: Mapping[str, Recipe]
    trials: Mapping[str, int]


def tune_recipes(fold: Fold, budget: float, seed: int, champions: Mapping[str, Recipe], show: Progress) -> TunedRecipes:
    """Tune all models within `budget` seconds, and return the best recipe per list; none for a list without targets.

    The recipes of the champions are tried first.
    """
    first: dict[str, list[dict[str, Any]]] = {}
    for recipe in champions.values():
        own = {name: value for name, value in recipe.params.items() if name not in ("base", "base_params")}
        first.setdefault(recipe.model, []).append(own)
    tuning = tune(fold, MODEL_NAMES, budget, seed, show, first)
    found = {name: challenger for name in LISTS if (challenger := tuning.challenger(name))}
    return TunedRecipes({name: _recipe(tuning, name, model) for name, model in found.items()}, tuning.trials)


def _recipe(tuning: Tuning, list_name: str, model: str) -> Recipe:
    best = tuning.best[list_name]
    params = add_base(best[model].params, tuning) if model == again.NAME else dict(best[model].params)
    return Recipe(model, params, {name: dict(best[name].params) for name in FALLBACKS if name in best})


def tune(
    fold: Fold,
    names: Sequence[str],
    budget: float,
    seed: int,
    show: Progress = report_nothing,
    first_trials: Mapping[str, Sequence[Params]] | None = None,
) -> Tuning:
    """Tune the models within so many seconds, on at most MOST_USERS users. Popularity is always among them.

    The first trials of each model do not depend on the budget: `first_trials`, then its own FIRST_TRIALS.
    """
    first = {
        name: _distinct([*(first_trials or {}).get(name, ()), *module.FIRST_TRIALS])
        for name, module in (*MODELS.items(), (again.NAME, again))
    }
    tuning = Tuning()
    fold = sample_users(fold, MOST_USERS, seed)
    windows = list_windows(fold.dataset)
    possible = [name for name in MODELS if name in names and MODELS[name].is_possible(fold.dataset)]
    with threadpool_limits(1, "blas"):
        ends_at = time.monotonic() + budget * (1 - SHARE_OF_AGAIN)
        in_turn = dict.fromkeys([popularity.NAME, *possible])
        studies = {name: _study(first[name], windows, seed) for name in in_turn}
        tried: dict[tuple, float] = {}
        fallbacks: Sequence[FittedModel] = ()
        for name, study in studies.items():
            for _ in first[name]:
                _try_model(tuning, study, tried, name, fold, fallbacks, windows, seed, show)
            if name in FALLBACKS:
                best = tuning.best[DISCOVER] or tuning.best[AGAIN]
                fallbacks = fit_fallbacks(fold.dataset, {name: trial.params for name, trial in best.items()}, seed)
        turns = itertools.cycle(studies.items())
        while time.monotonic() < ends_at and min(tuning.trials.values()) < MOST_TRIALS:
            name, study = next(turns)
            _try_model(tuning, study, tried, name, fold, fallbacks, windows, seed, show)
        if again.NAME in names and tuning.best[AGAIN]:
            _tune_again(tuning, fold, fallbacks, first[again.NAME], budget * SHARE_OF_AGAIN, seed, show)
    return tuning


def fit_fallbacks(dataset: Dataset, params: Mapping[str, Params], seed: int) -> list[FittedModel]:
    """Fit the fallback models, with their first parameters where `params` has none."""
    return [
        recipes.fit(name, params.get(name, MODELS[name].FIRST_TRIALS[0]), dataset, seed)
        for name in FALLBACKS
        if MODELS[name].is_possible(dataset)
    ]


def choose_fallbacks(name: str, fallbacks: Sequence[FittedModel]) -> Sequence[FittedModel]:
    """Return the fallback models of this model. Popularity has an answer for everybody, and genres need only it."""
    if name == popularity.NAME:
        return ()
    return fallbacks[-1:] if name == genres.NAME else fallbacks


def _try_model(
    tuning: Tuning,
    study: optuna.Study,
    tried: dict[tuple, float],
    name: str,
    fold: Fold,
    fallbacks: Sequence[FittedModel],
    windows: Sequence[int | None],
    seed: int,
    show: Progress,
) -> None:
    """Make one trial; parameters that were tried before are not fitted again."""
    trial = study.ask()
    params = dict(MODELS[name].suggest(trial))
    if days := trial.suggest_categorical(WINDOW, windows):
        params[WINDOW] = days
    key = (name, *params.items())
    if key not in tried:
        model = recipes.fit(name, params, fold.dataset, seed)
        recommender = Recommender(model, choose_fallbacks(name, fallbacks))
        # it weights the user's own listens by age, which only the model `again` may do for that list
        lists = LISTS if params.get("taste_half_life") is None else (DISCOVER,)
        reached = [_keep_best(tuning, list_name, name, params, recommender, fold) for list_name in lists]
        # a log without new tracks is tuned for the known ones
        tried[key] = next((value for value in reached if value is not None), 0.0)
    tuning.trials[name] = tuning.trials.get(name, 0) + 1
    show(f"tuning {name}, trial {tuning.trials[name]}: NDCG@10 {tried[key]:.4f}")
    study.tell(trial, tried[key])


def _tune_again(
    tuning: Tuning,
    fold: Fold,
    fallbacks: Sequence[FittedModel],
    first_trials: Sequence[Params],
    budget: float,
    seed: int,
    show: Progress,
) -> None:
    ends_at = time.monotonic() + budget
    name, params = choose_base_of_again(tuning)
    base = recipes.fit(name, params, fold.dataset, seed)
    study = _study(first_trials, [None], seed)
    for turn in range(MOST_TRIALS):
        if turn >= len(first_trials) and time.monotonic() > ends_at:
            return
        trial = study.ask()
        params = again.suggest(trial)
        recommender = Recommender(again.fit(fold.dataset, params, base), fallbacks)
        value = _keep_best(tuning, AGAIN, again.NAME, params, recommender, fold)
        tuning.trials[again.NAME] = turn + 1
        show(f"tuning {again.NAME}, trial {turn + 1}: NDCG@10 {value:.4f}")
        study.tell(trial, value)


def choose_base_of_again(tuning: Tuning) -> tuple[str, Params]:
    """Return the model whose scores `again` adds, and its parameters: the best for `discover`, if there is one."""
    list_name = DISCOVER if tuning.best[DISCOVER] else AGAIN
    found = {name: trial for name, trial in tuning.best[list_name].items() if name != again.NAME}
    name = max(found, key=lambda name: found[name].measurement.ndcg)
    return name, found[name].params


def add_base(params: Params, tuning: Tuning) -> Params:
    """Return the parameters of `again` with the base model and its parameters."""
    base, base_params = choose_base_of_again(tuning)
    return {**params, "base": base, "base_params": dict(base_params)}


def _keep_best(
    tuning: Tuning, list_name: str, name: str, params: Params, recommender: Recommender, fold: Fold
) -> float | None:
    """Measure a trial, and keep it if it is the best so far. Return its NDCG@10, or None if no user has targets."""
    measurement = measure(recommender, fold, list_name)
    if not len(measurement.users):
        return None
    best = tuning.best[list_name].get(name)
    if best is None or measurement.ndcg > best.measurement.ndcg:
        tuning.best[list_name][name] = BestTrial(params, measurement)
    return measurement.ndcg


def list_windows(dataset: Dataset) -> list[int | None]:
    """Return the training windows that are shorter than the data, and None."""
    days = dataset.listens.days
    span = dataset.listens.today - int(days.min()) + 1 if len(days) else 0
    return [window for window in WINDOWS if window is None or window < span]


def _distinct(params: Sequence[Params]) -> list[Params]:
    return [each for place, each in enumerate(params) if each not in params[:place]]


def _study(first_trials: Sequence[Params], windows: Sequence[int | None], seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8))
    for params in first_trials:
        window = params.get(WINDOW)
        study.enqueue_trial({**params, WINDOW: window if window in windows else None})
    return study
