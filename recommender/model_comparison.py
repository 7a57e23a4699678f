"""Compare two registered models of a list, as they are, on what users heard after both were trained."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from threadpoolctl import threadpool_limits

from recommender import artefact_store, artefacts, fold_readers, promotion, recipes, registry
from recommender.evaluation import Row, find_users_with_targets, measure
from recommender.evaluation import compare as compare_measurements
from recommender.fold_readers import DataError
from recommender.folds import Fold
from recommender.interactions import number_of
from recommender.list_making import Recommender
from recommender.promotion import Difference
from recommender.tuning import FALLBACKS, choose_fallbacks, fit_fallbacks


@dataclass(frozen=True)
class ModelComparison:
    """Hold the figures of both models and popularity for all users, the difference of the models, and a note."""

    rows: Sequence[Row]
    difference: Difference
    note: str


def compare(
    connection: psycopg.Connection, one: int, other: int, artefact_folder: str | None, seed: int = 0
) -> ModelComparison:
    """Compare two versions. Raises DataError if nothing was heard since, ArtefactError if one cannot be used."""
    versions = {f"version {number}": registry.read_version(connection, number) for number in (one, other)}
    list_name = versions[f"version {one}"].list
    newest = max(version.as_of for version in versions.values())
    cut = number_of(newest.astimezone(dt.UTC).date()) + 1
    (last,) = connection.execute("select max(listened_at) from marts.listen_history").fetchone()
    stop = number_of(last.astimezone(dt.UTC).date()) + 1 if last else cut
    if stop <= cut:
        raise DataError("there are no listens since the newer one was trained; try again after the next run")
    fold = fold_readers.read_fold(connection, cut, stop)
    if not len(find_users_with_targets(fold, list_name)[0]):
        raise DataError("no user has listened since to a track that the list could have held")
    with threadpool_limits(1, "blas"):
        measurements = {
            name: measure(_recommender(version, fold, artefact_folder, seed), fold, list_name)
            for name, version in versions.items()
        }
        popular = recipes.make_popularity_recipe()
        model = recipes.fit(popular.model, popular.params, fold.dataset, seed)
        measurements["popularity"] = measure(Recommender(model, ()), fold, list_name)
    rows = [
        row for row in compare_measurements(measurements, fold, list_name, "popularity", seed) if row.segment == "all"
    ]
    first, second = (measurements[name].values["ndcg@10"] for name in versions)
    note = f"compared on the listens since {fold_readers.day_of(cut)}, after both were trained"
    return ModelComparison(rows, promotion.measure_difference(first, second, seed), note)


def _recommender(version: registry.ModelVersion, fold: Fold, artefact_folder: str | None, seed: int) -> Recommender:
    if version.model in FALLBACKS:
        model = recipes.fit(version.model, version.params, fold.dataset, seed)
    else:
        stored = artefact_store.load(version, artefact_folder)
        model = artefacts.renumber(stored, fold.dataset.catalogue)
    fallbacks = fit_fallbacks(fold.dataset, version.fallback_params, seed)
    return Recommender(model, choose_fallbacks(version.model, fallbacks))
