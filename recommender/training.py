"""Train models for lists: check the data, tune recipes, compare them in the final window, and fit the winner."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
from threadpoolctl import threadpool_limits

from recommender import artefacts, metrics, promotion, recipes, sources
from recommender.artefacts import Artefact, ArtefactError
from recommender.dataset import Catalogue, Dataset
from recommender.evaluation import SEGMENTS, Judgement, Row, agreement, compare, evaluated, judge, overlap
from recommender.folds import Fold
from recommender.interactions import day_of, number_of
from recommender.models import FittedModel, again, popularity
from recommender.promotion import TOO_LITTLE_DATA, Decision, Difference, Finalist
from recommender.recipes import MODELS, Recipe
from recommender.registry import ModelVersion
from recommender.releases import LISTS
from recommender.scoring import Recommender
from recommender.sources import DataError, Windows
from recommender.tuning import FALLBACKS, Tuning, fallbacks_of, fit_fallbacks, tune, with_base
from warehouse.counts import count

CHALLENGER, CHAMPION, SERVED, ANCHOR, POPULARITY = "challenger", "champion", "served", "anchor", "popularity"
# The data are refused if so many of the users, tracks or listens of the last training are gone.
SHRUNKEN = 0.3
# And if no listen has become known for so long.
STALE = dt.timedelta(days=10)
# The fit to everything known must show at least this share of the tracks that the evaluated fit shows, and have this
# share of its first 10.
LEAST_COVERAGE, LEAST_OVERLAP = 0.5, 0.2

Log = Callable[[str], None]


@dataclass(frozen=True)
class DataSize:
    """Hold how much is known: users and tracks that are not removed, listens, and when the newest became known."""

    users: int
    tracks: int
    listens: int
    newest: dt.datetime | None


@dataclass(frozen=True)
class Tuned:
    """Hold the best recipe by list, and the number of trials by model."""

    recipes: Mapping[str, Recipe]
    trials: Mapping[str, int]


@dataclass(frozen=True)
class Comparison:
    """Hold what the final window decided for a list.

    `winner`: the recipe of the next champion; None: the champion stays. `evaluated`: how it did, fitted to what was
    known before the window. `rows`: those of recommendations.evaluations. `metrics`: of the winner.
    """

    decision: Decision
    winner: Recipe | None
    evaluated: Judgement | None
    rows: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, Any]


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


def data_size(connection: psycopg.Connection) -> DataSize:
    """Return how much the warehouse knows now."""
    row = connection.execute("""
        select users.count, tracks.count, listens.count, listens.newest
        from (select count(*) from marts.users where deleted_at is null) as users
        cross join (select count(*) from marts.tracks where deleted_at is null) as tracks
        cross join (select count(*), max(known_at) as newest from marts.listen_history) as listens
    """).fetchone()
    return DataSize(*row)


def data_problems(size: DataSize, before: Mapping[str, int] | None, now: dt.datetime) -> list[str]:
    """Return why nothing may be trained on these data. `before`: users, tracks and listens of the last training."""
    found = [f"there are no {name} yet" for name in ("users", "tracks", "listens") if not getattr(size, name)]
    for name, earlier in (before or {}).items():
        here = getattr(size, name)
        if 0 < here < (1 - SHRUNKEN) * earlier:
            found.append(
                f"there are {here:,} {name}, {1 - here / earlier:.0%} fewer than the {earlier:,} at the last training"
            )
    if size.newest and now - size.newest > STALE:
        found.append(
            f"the newest listen became known on {size.newest.astimezone(dt.UTC):%Y-%m-%d}, more than"
            f" {count(STALE.days, 'day')} ago"
        )
    return found


def tune_recipes(fold: Fold, budget: float, seed: int, champions: Mapping[str, Recipe], log: Log) -> Tuned:
    """Tune all models within `budget` seconds, and return the best recipe per list; none for a list without targets.

    The recipes of the champions are tried first.
    """
    first: dict[str, list[dict[str, Any]]] = {}
    for recipe in champions.values():
        own = {name: value for name, value in recipe.params.items() if name not in ("base", "base_params")}
        first.setdefault(recipe.model, []).append(own)
    tuning = tune(fold, MODELS, budget, seed, log, first)
    found = {name: challenger for name in LISTS if (challenger := tuning.challenger(name))}
    return Tuned({name: _recipe(tuning, name, model) for name, model in found.items()}, tuning.trials)


def _recipe(tuning: Tuning, list_name: str, model: str) -> Recipe:
    best = tuning.best[list_name]
    params = with_base(best[model].params, tuning) if model == again.NAME else dict(best[model].params)
    return Recipe(model, params, {name: dict(best[name].params) for name in FALLBACKS if name in best})


def served_model(
    version: ModelVersion, stored: Artefact | None, newest_day: dt.date | None, fold: Fold, seed: int
) -> Recommender | None:
    """Return the champion as it is for the tracks of the fold, to compare newer fits with it.

    `stored`: its artefact. `newest_day`: of the listens that it knows; None: not known. None if it has no artefact, or
    knows what came after the cut.
    """
    newest_day = newest_day or version.known_at.astimezone(dt.UTC).date()
    if stored is None or number_of(newest_day) > fold.dataset.listens.today:
        return None
    model = artefacts.renumber(stored, fold.dataset.catalogue)
    fallbacks = fit_fallbacks(fold.dataset, version.fallback_params, seed)
    return Recommender(model, fallbacks_of(version.model, fallbacks))


def compare_finalists(
    fold: Fold,
    list_name: str,
    challenger: Recipe,
    seed: int,
    *,
    champion: Recipe | None = None,
    anchor: Recipe | None = None,
    served: Recommender | None = None,
    log: Log = lambda message: None,
) -> Comparison | None:
    """Compare the challenger with popularity, the champion and the anchor in the final window, and decide.

    All recipes are fitted to what was known before the window. None if no user has a target.
    """
    if not len(evaluated(fold, list_name)[0]):
        return None
    contenders = _contenders(challenger, champion, anchor)
    judgements: dict[str, Judgement] = {}
    for name, recipe in contenders.items():
        log(f"{list_name}: fitting and scoring {name}, {recipe.model}")
        judgements[name] = judge(_fitted(recipe, fold.dataset, seed), fold, list_name)
    if served is not None:
        log(f"{list_name}: scoring the served model")
        judgements[SERVED] = judge(served, fold, list_name)
    models = {name: recipe.model for name, recipe in contenders.items()} | {SERVED: champion.model if champion else ""}
    # popularity competes under one name, also if tuning chose it
    name = POPULARITY if challenger.model == popularity.NAME else CHALLENGER
    decision = _decide(judgements, models, None if challenger.is_same(champion) else name, fold, seed)
    rows, figures = _rows(judgements, models, fold, list_name, seed)
    if decision.finalist is None:
        return Comparison(decision, None, None, rows, {})
    winner = name if decision.finalist == CHALLENGER else decision.finalist
    return Comparison(decision, contenders[winner], judgements[winner], rows, figures[winner])


def _contenders(challenger: Recipe, champion: Recipe | None, anchor: Recipe | None) -> dict[str, Recipe]:
    """Return the recipes to compare, each once."""
    is_popularity = challenger.model == popularity.NAME
    params = challenger.params if is_popularity else challenger.fallback_params.get(popularity.NAME)
    found = {POPULARITY: recipes.of_popularity(params)}
    if not is_popularity and not challenger.is_same(champion):
        found[CHALLENGER] = challenger
    if champion:
        found[CHAMPION] = champion
        if anchor and not anchor.is_same(champion):
            found[ANCHOR] = anchor
    return found


def _fitted(recipe: Recipe, dataset: Dataset, seed: int) -> Recommender:
    model = recipes.fit(recipe.model, recipe.params, dataset, seed)
    return Recommender(model, fallbacks_of(recipe.model, fit_fallbacks(dataset, recipe.fallback_params, seed)))


def _decide(
    judgements: Mapping[str, Judgement],
    models: Mapping[str, str],
    challenger: str | None,
    fold: Fold,
    seed: int,
) -> Decision:
    def finalist(name: str, champion: str | None, anchor: str | None) -> Finalist:
        def to(other: str | None) -> Difference | None:
            if other is None or other not in judgements or other == name:
                return None
            return _difference(judgements, name, other, seed)

        has_champion = champion in judgements
        return Finalist(
            models[name],
            to(champion),
            None if models[name] == popularity.NAME else to(POPULARITY),
            to(anchor),
            _by_segment(judgements, name, champion, fold, seed) if has_champion else {},
            agreement(judgements[name], judgements[champion]) if has_champion else 0.0,
        )

    if CHAMPION not in judgements:
        return promotion.decide_first(finalist(challenger, None, None))
    new = finalist(challenger, CHAMPION, ANCHOR) if challenger else None
    return promotion.decide(new, finalist(CHAMPION, SERVED, ANCHOR))


def _difference(
    judgements: Mapping[str, Judgement], name: str, base: str, seed: int, members: Any = slice(None)
) -> Difference:
    values, others = (judgements[each].values["ndcg@10"][members] for each in (name, base))
    return promotion.difference(values, others, seed)


def _by_segment(
    judgements: Mapping[str, Judgement], name: str, base: str, fold: Fold, seed: int
) -> dict[str, Difference]:
    listens = fold.dataset.listens.listens()[judgements[name].users]
    found = {}
    for segment, fewest, most in SEGMENTS[1:]:
        members = np.flatnonzero((listens >= fewest) & (listens <= most))
        if len(members) >= promotion.SEGMENT_USERS:
            found[segment] = _difference(judgements, name, base, seed, members)
    return found


def _rows(
    judgements: Mapping[str, Judgement], models: Mapping[str, str], fold: Fold, list_name: str, seed: int
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the rows of recommendations.evaluations, and by contender the figures for its model version."""
    to_popularity = compare(judgements, fold, list_name, POPULARITY, seed)
    to_champion: Mapping[tuple[str, str], Row] = {}
    if CHAMPION in judgements:
        to_champion = {(row.model, row.segment): row for row in compare(judgements, fold, list_name, CHAMPION, seed)}
    rows = []
    for row in to_popularity:
        other = to_champion.get((row.model, row.segment))
        rows.append(
            {
                "contender": row.model,
                "segment": row.segment,
                "model": models[row.model],
                "users": row.users,
                "ndcg": row.ndcg,
                "recall": row.recall,
                "map": row.map,
                "coverage": row.coverage,
                "novelty": row.novelty,
                "ndcg_low": row.low,
                "ndcg_high": row.high,
                "popularity_difference": row.difference,
                "popularity_difference_low": row.difference_low,
                "popularity_difference_high": row.difference_high,
                "champion_difference": other and other.difference,
                "champion_difference_low": other and other.difference_low,
                "champion_difference_high": other and other.difference_high,
            }
        )
    of_all = {row.model: row for row in to_popularity if row.segment == "all"}
    figures = {
        name: {
            "users": row.users,
            "ndcg@10": row.ndcg,
            "popularity_ndcg@10": of_all[POPULARITY].ndcg,
            "difference": row.difference,
            "difference_low": row.difference_low,
            "difference_high": row.difference_high,
        }
        for name, row in of_all.items()
    }
    return rows, figures


def refit_problems(
    model: FittedModel, catalogue: Catalogue, recipe: Recipe, fold: Fold, list_name: str, before: Judgement, seed: int
) -> list[str]:
    """Return what is wrong with a fit to everything known, beside the evaluated fit of the same recipe."""
    try:
        artefacts.check_is_finite(model)
    except ArtefactError as error:
        return [str(error)]
    moved = artefacts.renumber(Artefact(model, catalogue.track_ids, catalogue.genre_names), fold.dataset.catalogue)
    fallbacks = fit_fallbacks(fold.dataset, recipe.fallback_params, seed)
    after = judge(Recommender(moved, fallbacks_of(recipe.model, fallbacks)), fold, list_name)
    is_candidate = fold.dataset.catalogue.is_candidate
    shown, shown_before = (metrics.coverage(each.tracks, is_candidate) for each in (after, before))
    found = []
    if shown < LEAST_COVERAGE * shown_before:
        found.append(f"it shows {shown:.1%} of the tracks, and the evaluated fit {shown_before:.1%}")
    if (shared := overlap(after, before)) < LEAST_OVERLAP:
        found.append(f"it has {shared:.0%} of its first 10 in common with the evaluated fit")
    return found


def training_columns(size: DataSize, now: dt.datetime, windows: Windows, budget: float, seed: int) -> dict[str, Any]:
    """Return what a training is made from, as columns of recommendations.trainings."""
    return {
        "budget": budget,
        "seed": seed,
        "known_at": now,
        "users": size.users,
        "tracks": size.tracks,
        "listens": size.listens,
        "tuning_from": day_of(windows.tuning),
        "final_from": day_of(windows.final),
        "final_until": day_of(windows.end - 1),
        "code_version": artefacts.code_version(),
    }


def choose(
    connection: psycopg.Connection, lists: Sequence[str], now: dt.datetime, budget: float, seed: int, log: Log
) -> list[Choice]:
    """Choose a first model for each list within about `budget` seconds of tuning, by what the warehouse knows."""
    started_at = dt.datetime.now(dt.UTC)
    try:
        windows = sources.windows_of_warehouse(connection, until=now)
    except DataError as error:
        return [_without_data(name, str(error), {"started_at": started_at}) for name in lists]
    training = {"started_at": started_at, **training_columns(data_size(connection), now, windows, budget, seed)}
    with threadpool_limits(1, "blas"):
        tuned = tune_recipes(sources.read_fold(connection, windows.tuning, windows.final), budget, seed, {}, log)
        training["trials"] = dict(tuned.trials)
        fold = sources.read_fold(connection, windows.final, windows.end)
        found = []
        for name in lists:
            challenger = tuned.recipes.get(name)
            compared = challenger and compare_finalists(fold, name, challenger, seed, log=log)
            if not compared:
                why = "no user heard a track that a list could have held"
                found.append(_without_data(name, why, training))
                continue
            decision = compared.decision
            columns = {**training, "recipe": challenger.to_json()}
            figures = {**compared.metrics, "windows": [str(windows)]}
            found.append(
                Choice(name, compared.winner, decision.outcome, decision.reason, columns, figures, compared.rows)
            )
    return found


def _without_data(list_name: str, why: str, training: Mapping[str, Any]) -> Choice:
    return Choice(list_name, recipes.of_popularity(), TOO_LITTLE_DATA, why, training)
