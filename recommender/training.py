"""Choose a model for a list: the best one in the tuning window, if it beats popularity in the final window."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from recommender import sources
from recommender.dataset import Dataset
from recommender.evaluation import Row
from recommender.models import CANDIDATES, FittedModel, Params, again, popularity
from recommender.protocol import Evaluation, evaluate
from recommender.tuning import FALLBACKS, base_of_again

PROMOTED, POPULARITY, TOO_LITTLE_DATA = "promoted", "popularity", "too_little_data"
MODELS = (*CANDIDATES, again.NAME)


@dataclass(frozen=True)
class Choice:
    """Hold what a training chose for a list, and why. `params` of `again` include the base model and its parameters."""

    list: str
    model: str
    params: Params
    fallback_params: Mapping[str, Params]
    outcome: str
    reason: str
    started_at: dt.datetime
    metrics: Mapping[str, Any] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)


def choose(
    connection: psycopg.Connection, lists: Sequence[str], budget: float, seed: int, log: Callable[[str], None]
) -> list[Choice]:
    """Choose a model for each list within about `budget` seconds of tuning, by what the warehouse knows."""
    started_at = dt.datetime.now(dt.UTC)
    try:
        folds = sources.read_warehouse(connection)
        evaluation = evaluate(folds.tuning, folds.final, MODELS, budget, seed, are_all_final=False, log=log)
    except sources.DataError as error:
        return [_without_data(name, str(error), started_at) for name in lists]
    return [_choose(evaluation, name, folds.notes, started_at) for name in lists]


def fit(model: str, params: Params, dataset: Dataset, seed: int) -> FittedModel:
    """Fit a chosen model to what is known."""
    if model == again.NAME:
        base = CANDIDATES[params["base"]].fit(dataset, params["base_params"], seed)
        return again.fit(dataset, params, base)
    return CANDIDATES[model].fit(dataset, params, seed)


def _without_data(list_name: str, why: str, started_at: dt.datetime) -> Choice:
    params = dict(CANDIDATES[popularity.NAME].FIRST_TRIALS[-1])
    return Choice(list_name, popularity.NAME, params, {}, TOO_LITTLE_DATA, why, started_at)


def _choose(evaluation: Evaluation, list_name: str, notes: Sequence[str], started_at: dt.datetime) -> Choice:
    rows = {row.model: row for row in evaluation.rows if (row.list, row.segment) == (list_name, "all")}
    if not rows:
        return _without_data(list_name, "nobody heard a track that a list could have held", started_at)
    found = evaluation.tuning.best[list_name]
    chosen, outcome, reason = _judge(rows, evaluation.chosen[list_name])
    params = dict(found[chosen].params)
    if chosen == again.NAME:
        base, base_params = base_of_again(evaluation.tuning)
        params |= {"base": base, "base_params": dict(base_params)}
    row = rows[chosen]
    metrics = {
        "users": row.users,
        "ndcg@10": row.ndcg,
        "popularity_ndcg@10": rows[popularity.NAME].ndcg,
        "difference": row.difference,
        "difference_low": row.difference_low,
        "difference_high": row.difference_high,
        "windows": list(notes),
    }
    fallback_params = {name: dict(found[name].params) for name in FALLBACKS if name in found}
    trials = evaluation.trials
    return Choice(list_name, chosen, params, fallback_params, outcome, reason, started_at, metrics, trials)


def _judge(rows: Mapping[str, Row], challenger: str) -> tuple[str, str, str]:
    """Return the model to serve, the outcome, and the reason: the challenger must beat popularity beyond doubt."""
    if challenger == popularity.NAME:
        return challenger, POPULARITY, "popularity did best in the tuning window"
    row, base = rows[challenger], rows[popularity.NAME]
    figures = (
        f"NDCG@10 {row.ndcg:.4f}, popularity {base.ndcg:.4f},"
        f" difference {row.difference:+.4f} ({row.difference_low:+.4f} to {row.difference_high:+.4f}),"
        f" {row.users:,} users"
    )
    if row.difference_low > 0:
        return challenger, PROMOTED, f"{challenger} beats popularity: {figures}"
    return popularity.NAME, POPULARITY, f"{challenger} does not beat popularity beyond its interval: {figures}"
