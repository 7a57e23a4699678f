"""Tuning chooses what is best, notices a model that became popularity, and gives the same result each time."""

import numpy as np
import pytest

from recommender.evaluation import NEAR_POPULARITY, Measurement, find_coinciding, intervals, measure, overlap
from recommender.folds import Fold, fold_of_log, sample_users
from recommender.list_making import Recommender
from recommender.models import MODELS, again, als, neighbours, popularity
from recommender.releases import AGAIN, DISCOVER
from recommender.tuning import BestTrial, Tuning, tune
from tests.listens import random_dataset


def fold(seed: int = 1, users: int = 150, tracks: int = 45) -> Fold:
    listens = random_dataset(seed, users, tracks).listens
    is_target = np.random.default_rng(seed).random(len(listens.tracks)) < 0.3
    targets = listens.where(is_target).weights()
    targets.data[:] = 1
    return fold_of_log(np.arange(users), np.arange(tracks), listens.where(~is_target), targets)


def measurements_of(data: Fold) -> dict[str, Measurement]:
    models = {
        "popularity": popularity.fit(data.dataset, {"half_life": None}, 0),
        "same": popularity.fit(data.dataset, {"half_life": None}, 0),
        "neighbours": neighbours.fit(data.dataset, neighbours.FIRST_TRIALS[0], 0),
    }
    for name, regularization in (("als", 1.0), ("regularised", 20.0)):
        params = {"factors": 32, "regularization": regularization, "alpha": 1.0, "taste_half_life": None}
        models[name] = als.fit(data.dataset, params, 0)
    return {name: measure(Recommender(model, ()), data, DISCOVER) for name, model in models.items()}


def test_models_that_make_the_same_lists_are_named():
    assert find_coinciding(measurements_of(fold())) == [("popularity", "same")]


def test_als_that_was_regularised_into_popularity_is_near_it():
    found = measurements_of(fold())
    assert overlap(found["regularised"], found["popularity"]) >= NEAR_POPULARITY
    assert overlap(found["als"], found["popularity"]) < NEAR_POPULARITY
    assert overlap(found["neighbours"], found["popularity"]) < NEAR_POPULARITY


def test_a_model_that_only_repeats_popularity_is_not_chosen():
    found = measurements_of(fold())
    tuning = Tuning()
    tuning.best[DISCOVER].update({name: BestTrial({}, found[name]) for name in ("same", "popularity")})
    found["same"].values["ndcg@10"][:] = 1  # even if it seems to be better by accident
    assert tuning.challenger(DISCOVER) == "popularity"
    tuning.best[DISCOVER]["neighbours"] = BestTrial({}, found["neighbours"])
    assert tuning.challenger(DISCOVER) == "neighbours"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials(monkeypatch):
    monkeypatch.setattr("recommender.tuning.MOST_TRIALS", 4)
    names = [*MODELS, again.NAME]
    one, other = (tune(fold(), names, 1000, 3) for _ in range(2))
    assert one.trials == other.trials and one.trials["ease"] == 4
    for list_name in (DISCOVER, AGAIN):
        found = {name: (trial.params, trial.measurement.ndcg) for name, trial in one.best[list_name].items()}
        assert found == {name: (trial.params, trial.measurement.ndcg) for name, trial in other.best[list_name].items()}
        assert one.challenger(list_name) == other.challenger(list_name)
        if list_name == AGAIN:
            assert all(params.get("taste_half_life") is None for params, _ in found.values())


def test_without_a_budget_each_model_has_its_first_trials():
    trials = tune(fold(), ["neighbours", "als", again.NAME], 0, 0).trials
    modules = {**MODELS, again.NAME: again}
    assert trials == {name: len(modules[name].FIRST_TRIALS) for name in ("popularity", "neighbours", "als", "again")}


def test_a_sample_of_users_keeps_their_targets():
    whole = fold()
    part = sample_users(whole, 20, 5)
    users = np.flatnonzero(np.diff(part.targets.indptr))
    assert len(users) == 20
    np.testing.assert_array_equal(part.targets[users].toarray(), whole.targets[users].toarray())


def test_the_interval_of_a_mean_has_the_width_of_theory():
    values = np.random.default_rng(0).normal(3, 2, (400, 1))
    (low,), (high,) = intervals(values, 0)
    assert low < values.mean() < high
    assert abs((high - low) - 2 * 1.96 * 2 / 400**0.5) < 0.06
