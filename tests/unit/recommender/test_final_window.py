"""Planted challengers are refused in the final window, and a bad last fit is noticed."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recommender import artefacts, recipes
from recommender.artefacts import Artefact
from recommender.evaluation import measure
from recommender.final_window import compare_finalists, find_refit_problems, fit_recipe, prepare_champion
from recommender.folds import Fold, fold_of_log
from recommender.interactions import day_of
from recommender.models.neighbours import FIRST_TRIALS
from recommender.recipes import Recipe
from recommender.registry import ModelVersion
from recommender.releases import DISCOVER
from tests.listens import random_dataset

NOW = dt.datetime(2026, 7, 31, tzinfo=dt.UTC)
CHAMPION = Recipe("neighbours", dict(FIRST_TRIALS[0]), {})
# There are fewer tracks than neighbours that either keeps.
TWIN = Recipe("neighbours", {**FIRST_TRIALS[0], "k": 500}, {})
WORSE = Recipe("als", {"factors": 32, "regularization": 1000.0, "alpha": 0.3, "taste_half_life": None}, {})


@pytest.fixture(scope="module")
def fold() -> Fold:
    listens = random_dataset(1, 400, 60).listens
    is_target = np.random.default_rng(1).random(len(listens.tracks)) < 0.3
    targets = listens.where(is_target).weights()
    targets.data[:] = 1
    return fold_of_log(np.arange(400), np.arange(60), listens.where(~is_target), targets)


@pytest.fixture
def few_users_are_enough(monkeypatch):
    monkeypatch.setattr("recommender.promotion.USERS_TO_SEE_MARGIN", 100)


@pytest.mark.parametrize(
    ("challenger", "words"),
    [
        (TWIN, "neighbours makes the same lists (100% of the first 10)"),
        (WORSE, "als is not proven better: -0."),
        (CHAMPION, "tuning found no better recipe"),
        (recipes.make_popularity_recipe(), "popularity is not proven better: -0."),
    ],
    ids=["coinciding", "worse", "the same", "popularity"],
)
def test_a_planted_challenger_is_refused_and_the_recipe_stays(challenger, words, fold, few_users_are_enough):
    found = compare_finalists(fold, DISCOVER, challenger, 0, champion_recipe=CHAMPION)
    assert found.decision.outcome == "refreshed" and words in found.decision.reason
    assert found.winner is CHAMPION
    names = {row["contender"] for row in found.rows}
    assert names == {
        "popularity",
        "refreshed",
        *(() if "popularity" in words or challenger is CHAMPION else ("challenger",)),
    }


def test_a_better_challenger_wins_beside_champion_refreshed_champion_and_anchor(fold, few_users_are_enough):
    champion = fit_recipe(WORSE, fold.dataset, 0)
    found = compare_finalists(
        fold, DISCOVER, CHAMPION, 0, champion_recipe=WORSE, anchor=recipes.make_popularity_recipe(), champion=champion
    )
    assert (found.decision.outcome, found.winner) == ("promoted", CHAMPION)
    rows = {row["contender"]: row for row in found.rows if row["segment"] == "all"}
    assert set(rows) == {"popularity", "challenger", "refreshed", "champion", "anchor"}
    assert rows["champion"]["ndcg"] == pytest.approx(rows["refreshed"]["ndcg"])
    assert found.metrics["ndcg@10"] == rows["challenger"]["ndcg"] > rows["refreshed"]["ndcg"]


def test_the_champion_is_compared_unless_it_knows_the_final_window(fold):
    model = recipes.fit(CHAMPION.model, CHAMPION.params, fold.dataset, 0)
    stored = Artefact(model, fold.dataset.catalogue.track_ids, ())
    version = ModelVersion(1, 1, DISCOVER, "neighbours", CHAMPION.params, {}, b"", None, None, None, NOW)
    last = day_of(fold.dataset.listens.today)
    assert prepare_champion(version, stored, last, fold, 0) is not None
    assert prepare_champion(version, stored, last + dt.timedelta(days=1), fold, 0) is None
    assert prepare_champion(version, None, last, fold, 0) is None
    # it is not known which listens it knows: those up to its time
    assert prepare_champion(version, stored, None, fold, 0) is None
    version = replace(version, as_of=dt.datetime.combine(last, dt.time(), dt.UTC))
    assert prepare_champion(version, stored, None, fold, 0) is not None


def test_a_last_fit_that_differs_from_the_evaluated_one_is_noticed(fold):
    data = fold.dataset
    model = recipes.fit(CHAMPION.model, CHAMPION.params, data, 0)
    before = measure(fit_recipe(CHAMPION, data, 0), fold, DISCOVER)

    def problems(changed):
        return find_refit_problems(changed, data.catalogue, CHAMPION, fold, DISCOVER, before, 0)

    assert problems(model) == []
    infinite = model.weights.copy()
    infinite.data[0] = np.inf
    (finite,) = problems(replace(model, weights=infinite))
    assert "not finite" in finite
    # few of so many tracks are shown by chance
    shuffled = -model.weights.toarray() + model.weights.max() * (model.weights.toarray() == 0)
    shuffled = csr_matrix(np.where(shuffled > 0, shuffled, 0).astype(np.float32))
    mixed = problems(replace(model, weights=shuffled))
    assert any("of its first 10 in common with the evaluated fit" in problem for problem in mixed), mixed
    empty = problems(replace(model, weights=model.weights * 0))
    assert any(problem.startswith("it shows ") for problem in empty)
    assert artefacts.check_is_finite(model) is None
