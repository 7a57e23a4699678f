"""Measure the step recommend on a built warehouse: lists of all users, published as a release."""

from collections.abc import Callable, Iterator

import psycopg

from benchmarks.measuring import measure
from benchmarks.targets import Figure
from recommender import artefact_store, artefacts, dataset, known_range, publishing, recipes, registry
from recommender.models.neighbours import FIRST_TRIALS
from recommender.recipes import Recipe

MOST_CPU_MINUTES, MOST_GIGABYTES = 10, 1.5
# Fitted to a month only: how long a list takes depends on the number of neighbours, not on the listens behind them.
BASE = {**FIRST_TRIALS[0], "k": 200, "window": 30}
RECIPES = {
    "discover": Recipe("neighbours", BASE, {}),
    "again": Recipe("again", {"half_life": 14.0, "weight": 0.2, "base": "neighbours", "base_params": BASE}, {}),
}


def figures(database_url: str, size: str, log: Callable[[str], None]) -> Iterator[Figure]:
    """Measure the step with champions that score by neighbours. `size`: of the warehouse, in words."""
    measure(promote_champions, database_url)
    step = measure(recommend, database_url)
    log(f"{step.answer:,} lists published in {step.seconds:.0f} s, {step.cpu_seconds:.0f} CPU s")
    yield Figure(f"the step recommend, {size}, CPU", MOST_CPU_MINUTES, step.cpu_seconds / 60, unit=" min")
    yield Figure(f"peak memory of the step recommend, {size}", MOST_GIGABYTES, step.peak_mb / 1000, unit=" GB")


def promote_champions(database_url: str) -> None:
    """Fit the recipes to all data, and make them the champions: random listens would choose popularity."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        known = known_range.read(connection)
        data = dataset.read(connection, known.now)
        for name, recipe in RECIPES.items():
            content = artefacts.dump(recipes.fit(recipe.model, recipe.params, data, 0), data.catalogue)
            version = {"list": name, "track_count": len(data.catalogue.track_ids), "known_at": known.now}
            version |= {"until_seq": known.until_seq, "code_version": ""}
            version |= {**recipe.to_json(), **artefact_store.store(content, None)}
            registry.promote(connection, name, registry.register(connection, version), "benchmark")


def recommend(database_url: str) -> int:
    """Publish lists, and return their number."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        known = known_range.read(connection)
        return publishing.publish(connection, known.now, known.until_seq, artist_cap=3, budget=0).release.lists
