"""Choose the first model of a list, which has no champion yet, by what the warehouse knows."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from threadpoolctl import threadpool_limits

from recommender import fold_readers, recipes
from recommender.final_window import compare_finalists
from recommender.fold_readers import DataError
from recommender.progress import Progress
from recommender.promotion import TOO_LITTLE_DATA
from recommender.recipes import Recipe
from recommender.training_data import make_training_columns, measure_data
from recommender.tuning import tune_recipes


@dataclass(frozen=True)
class Choice:
    """Hold what a first training chose for a list, and why. `training`: columns of recommendations.trainings."""

    list: str
    recipe: Recipe
    outcome: str
    reason: str
    training: Mapping[str, Any]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()


def choose(
    connection: psycopg.Connection, lists: Sequence[str], as_of: dt.datetime, budget: float, seed: int, show: Progress
) -> list[Choice]:
    """Choose a first model for each list by the data as of `as_of`, within about `budget` seconds of tuning."""
    started_at = dt.datetime.now(dt.UTC)
    try:
        windows = fold_readers.choose_windows(connection, until=as_of)
    except DataError as error:
        return [_choose_popularity(name, str(error), {"started_at": started_at}) for name in lists]
    training = {
        "started_at": started_at,
        **make_training_columns(measure_data(connection), as_of, windows, budget, seed),
    }
    with threadpool_limits(1, "blas"):
        tuned = tune_recipes(fold_readers.read_fold(connection, windows.tuning, windows.final), budget, seed, {}, show)
        training["trials"] = dict(tuned.trials)
        fold = fold_readers.read_fold(connection, windows.final, windows.end)
        found = []
        for name in lists:
            challenger = tuned.recipes.get(name)
            compared = challenger and compare_finalists(fold, name, challenger, seed, show=show)
            if not compared:
                why = "no user heard a track that a list could have held"
                found.append(_choose_popularity(name, why, training))
                continue
            decision = compared.decision
            columns = {**training, "recipe": challenger.to_json()}
            figures = {**compared.metrics, "windows": [str(windows)]}
            found.append(
                Choice(name, compared.winner, decision.outcome, decision.reason, columns, figures, compared.rows)
            )
    return found


def _choose_popularity(list_name: str, why: str, training: Mapping[str, Any]) -> Choice:
    """Return the choice of a list that has too little data."""
    return Choice(list_name, recipes.make_popularity_recipe(), TOO_LITTLE_DATA, why, training)
