"""Hold the recipe of a model: what is fitted, with which parameters, to the listens of which time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recommender.dataset import Dataset
from recommender.models import MODELS, FittedModel, Params, again, popularity

MODEL_NAMES = (*MODELS, again.NAME)
# A parameter of every model: fit to the listens of so many days only. Without it: to all of them.
WINDOW = "window"


@dataclass(frozen=True)
class Recipe:
    """Hold a model, its parameters, and those of its fallback models.

    `params` include WINDOW, and of `again` the base model and its parameters.
    """

    model: str
    params: Params
    fallback_params: Mapping[str, Params]

    def is_same(self, other: "Recipe | None") -> bool:
        """Return whether both fit the same model. Fallback models are fitted for each release, so they do not count."""
        return other is not None and (self.model, dict(self.params)) == (other.model, dict(other.params))

    def to_json(self) -> dict[str, Any]:
        fallback_params = {name: dict(params) for name, params in self.fallback_params.items()}
        return {"model": self.model, "params": dict(self.params), "fallback_params": fallback_params}

    def __str__(self) -> str:
        params = {name: value for name, value in self.params.items() if name not in (WINDOW, "base_params")}
        shown = ", ".join(f"{name} {_format(value)}" for name, value in params.items() if value is not None)
        days = self.params.get(WINDOW)
        return f"{self.model} ({shown + ', ' if shown else ''}{f'{days} days' if days else 'all listens'})"


def complete(model: str, params: Params) -> Params:
    """Return the parameters with those that a later version of the code added, as its first trial has them."""
    first = again.FIRST_TRIALS[0] if model == again.NAME else MODELS[model].FIRST_TRIALS[0]
    return {**first, **params}


def fit(model: str, params: Params, dataset: Dataset, seed: int) -> FittedModel:
    """Fit a model to the whole dataset, or to the listens of its training window."""
    params = complete(model, params)
    if days := params.get(WINDOW):
        dataset = keep_last_days(dataset, days)
    if model == again.NAME:
        base = fit(params["base"], params["base_params"], dataset, seed)
        return again.fit(dataset, params, base)
    return MODELS[model].fit(dataset, params, seed)


def keep_last_days(dataset: Dataset, days: int) -> Dataset:
    """Return the dataset with the listens of the last days only."""
    listens = dataset.listens.where(dataset.listens.days > dataset.listens.today - days)
    return replace(dataset, users=replace(dataset.users, listens=listens))


def make_popularity_recipe(params: Params | None = None) -> Recipe:
    """Return the recipe of popularity, by default one that counts all listens alike."""
    return Recipe(popularity.NAME, params or MODELS[popularity.NAME].FIRST_TRIALS[-1], {})


def _format(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
