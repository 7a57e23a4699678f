"""Compare the recipes of a list in the final window, decide which one is its next champion, and check the last fit."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender import artefacts, metrics, promotion, recipes
from recommender.artefacts import Artefact, ArtefactError
from recommender.dataset import Catalogue, Dataset
from recommender.evaluation import (
    SEGMENTS,
    Measurement,
    Row,
    agreement,
    compare,
    find_users_with_targets,
    measure,
    overlap,
)
from recommender.folds import Fold
from recommender.interactions import number_of
from recommender.list_making import Recommender
from recommender.models import FittedModel, popularity
from recommender.progress import Progress, report_nothing
from recommender.promotion import Difference, Finalist, PromotionDecision
from recommender.recipes import Recipe
from recommender.registry import ANCHOR, CHALLENGER, CHAMPION, POPULARITY, REFRESHED, ModelVersion
from recommender.tuning import choose_fallbacks, fit_fallbacks

# The fit to everything known must show at least this share of the tracks that the evaluated fit shows, and have this
# share of its first 10.
LEAST_COVERAGE, LEAST_OVERLAP = 0.5, 0.2


@dataclass(frozen=True)
class Comparison:
    """Hold what the final window decided for a list.

    `winner`: the recipe of the next champion; None: the champion stays. `measurement`: how it did, fitted to what was
    known before the window. `rows`: those of recommendations.evaluations. `metrics`: of the winner.
    """

    decision: PromotionDecision
    winner: Recipe | None
    measurement: Measurement | None
    rows: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, Any]


def prepare_champion(
    version: ModelVersion, stored: Artefact | None, newest_day: dt.date | None, fold: Fold, seed: int
) -> Recommender | None:
    """Return the champion as it is served, for the tracks of the fold, to compare newer fits with it.

    `stored`: its artefact. `newest_day`: of the listens that it knows; None: not known. None if it has no artefact, or
    knows what came after the cut.
    """
    newest_day = newest_day or version.as_of.astimezone(dt.UTC).date()
    if stored is None or number_of(newest_day) > fold.dataset.listens.today:
        return None
    model = artefacts.renumber(stored, fold.dataset.catalogue)
    fallbacks = fit_fallbacks(fold.dataset, version.fallback_params, seed)
    return Recommender(model, choose_fallbacks(version.model, fallbacks))


def compare_finalists(
    fold: Fold,
    list_name: str,
    challenger: Recipe,
    seed: int,
    *,
    champion_recipe: Recipe | None = None,
    anchor: Recipe | None = None,
    champion: Recommender | None = None,
    show: Progress = report_nothing,
) -> Comparison | None:
    """Compare the challenger with popularity, the champion and the anchor in the final window, and decide.

    All recipes are fitted to the data before the window, also the champion's: that fit is the refreshed champion.
    `champion`: the champion as it is served; None: it cannot be compared. None if no user has a target.
    """
    if not len(find_users_with_targets(fold, list_name)[0]):
        return None
    contenders = _list_contenders(challenger, champion_recipe, anchor)
    measurements: dict[str, Measurement] = {}
    for name, recipe in contenders.items():
        show(f"{list_name}: fitting and scoring {name}, {recipe.model}")
        measurements[name] = measure(fit_recipe(recipe, fold.dataset, seed), fold, list_name)
    models = {name: recipe.model for name, recipe in contenders.items()}
    if champion is not None:
        show(f"{list_name}: scoring the champion as it is served")
        measurements[CHAMPION] = measure(champion, fold, list_name)
        models[CHAMPION] = champion_recipe.model
    # popularity competes under one name, also if tuning chose it
    name = POPULARITY if challenger.model == popularity.NAME else CHALLENGER
    decision = _decide(measurements, models, None if challenger.is_same(champion_recipe) else name, fold, seed)
    rows, figures = _make_rows(measurements, models, fold, list_name, seed)
    if decision.finalist is None:
        return Comparison(decision, None, None, rows, {})
    winner = name if decision.finalist == CHALLENGER else decision.finalist
    return Comparison(decision, contenders[winner], measurements[winner], rows, figures[winner])


def _list_contenders(challenger: Recipe, champion_recipe: Recipe | None, anchor: Recipe | None) -> dict[str, Recipe]:
    """Return the recipes to compare, each once."""
    is_popularity = challenger.model == popularity.NAME
    params = challenger.params if is_popularity else challenger.fallback_params.get(popularity.NAME)
    found = {POPULARITY: recipes.make_popularity_recipe(params)}
    if not is_popularity and not challenger.is_same(champion_recipe):
        found[CHALLENGER] = challenger
    if champion_recipe:
        found[REFRESHED] = champion_recipe
        if anchor and not anchor.is_same(champion_recipe):
            found[ANCHOR] = anchor
    return found


def fit_recipe(recipe: Recipe, dataset: Dataset, seed: int) -> Recommender:
    """Fit the model of a recipe, and its fallback models."""
    model = recipes.fit(recipe.model, recipe.params, dataset, seed)
    return Recommender(model, choose_fallbacks(recipe.model, fit_fallbacks(dataset, recipe.fallback_params, seed)))


def _decide(
    measurements: Mapping[str, Measurement],
    models: Mapping[str, str],
    challenger: str | None,
    fold: Fold,
    seed: int,
) -> PromotionDecision:
    def finalist(name: str, baseline: str | None, anchor: str | None) -> Finalist:
        def to(other: str | None) -> Difference | None:
            if other is None or other not in measurements or other == name:
                return None
            return _compare_pair(measurements, name, other, seed)

        has_baseline = baseline in measurements
        return Finalist(
            models[name],
            to(baseline),
            None if models[name] == popularity.NAME else to(POPULARITY),
            to(anchor),
            _compare_segments(measurements, name, baseline, fold, seed) if has_baseline else {},
            agreement(measurements[name], measurements[baseline]) if has_baseline else 0.0,
        )

    if REFRESHED not in measurements:
        return promotion.decide_first(finalist(challenger, None, None))
    new = finalist(challenger, REFRESHED, ANCHOR) if challenger else None
    return promotion.decide(new, finalist(REFRESHED, CHAMPION, ANCHOR))


def _compare_pair(
    measurements: Mapping[str, Measurement], name: str, base: str, seed: int, members: Any = slice(None)
) -> Difference:
    values, others = (measurements[each].values["ndcg@10"][members] for each in (name, base))
    return promotion.measure_difference(values, others, seed)


def _compare_segments(
    measurements: Mapping[str, Measurement], name: str, base: str, fold: Fold, seed: int
) -> dict[str, Difference]:
    listens = fold.dataset.listens.listens()[measurements[name].users]
    found = {}
    for segment, fewest, most in SEGMENTS[1:]:
        members = np.flatnonzero((listens >= fewest) & (listens <= most))
        if len(members) >= promotion.SEGMENT_USERS:
            found[segment] = _compare_pair(measurements, name, base, seed, members)
    return found


def _make_rows(
    measurements: Mapping[str, Measurement], models: Mapping[str, str], fold: Fold, list_name: str, seed: int
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the rows of recommendations.evaluations, and by contender the figures for its model version."""
    to_popularity = compare(measurements, fold, list_name, POPULARITY, seed)
    to_refreshed: Mapping[tuple[str, str], Row] = {}
    if REFRESHED in measurements:
        compared = compare(measurements, fold, list_name, REFRESHED, seed)
        to_refreshed = {(row.model, row.segment): row for row in compared}
    rows = []
    for row in to_popularity:
        other = to_refreshed.get((row.model, row.segment))
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


def find_refit_problems(
    model: FittedModel, catalogue: Catalogue, recipe: Recipe, fold: Fold, list_name: str, before: Measurement, seed: int
) -> list[str]:
    """Return what is wrong with a fit to everything known, beside the evaluated fit of the same recipe."""
    try:
        artefacts.check_is_finite(model)
    except ArtefactError as error:
        return [str(error)]
    moved = artefacts.renumber(Artefact(model, catalogue.track_ids, catalogue.genre_names), fold.dataset.catalogue)
    fallbacks = fit_fallbacks(fold.dataset, recipe.fallback_params, seed)
    after = measure(Recommender(moved, choose_fallbacks(recipe.model, fallbacks)), fold, list_name)
    is_candidate = fold.dataset.catalogue.is_candidate
    shown, shown_before = (metrics.coverage(each.tracks, is_candidate) for each in (after, before))
    found = []
    if shown < LEAST_COVERAGE * shown_before:
        found.append(f"it shows {shown:.1%} of the tracks, and the evaluated fit {shown_before:.1%}")
    if (shared := overlap(after, before)) < LEAST_OVERLAP:
        found.append(f"it has {shared:.0%} of its first 10 in common with the evaluated fit")
    return found
