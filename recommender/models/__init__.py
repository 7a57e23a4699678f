"""List the models. To add one, write a module with the same six names, and add it to MODELS: see README.md."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import optuna

from recommender.axes import Axes
from recommender.dataset import Catalogue, Dataset, Users
from recommender.interactions import Integers
from recommender.models import als, ease, genres, neighbours, popularity
from recommender.reasons import Reasons
from recommender.scores import Scores

Params = Mapping[str, Any]


class FittedModel(Protocol):
    """Describe what `fit` returns: parameters of tracks, none of which belongs to a person."""

    def score(self, users: Users) -> Scores:
        """Return the scores of these users for all tracks, from what they heard and declared."""
        ...

    def explain(self, users: Users, tracks: Integers) -> Reasons:
        """Return why each of these tracks (users x k, -1 for none) was recommended to the user of its row."""
        ...


class ModelModule(Protocol):
    """Describe a module of this package."""

    NAME: str
    FIRST_TRIALS: Sequence[Params]
    """Parameters that are tried first, even without a budget."""
    AXES: Axes
    """What the rows and the columns of the arrays stand for in the class that `fit` returns."""

    def suggest(self, trial: optuna.Trial) -> Params: ...

    def fit(self, dataset: Dataset, params: Params, seed: int) -> FittedModel: ...

    def is_possible(self, dataset: Dataset) -> bool:
        """Return whether the model can be fitted to this dataset."""
        ...


# The models in the race, in the order in which they are tried; the first two are the fallback models of the others.
MODELS: dict[str, ModelModule] = {module.NAME: module for module in (popularity, genres, neighbours, als, ease)}

__all__ = ["MODELS", "Catalogue", "FittedModel", "ModelModule", "Params"]
