"""A recipe is fitted to the listens of its training window, also by a later version of the code."""

import numpy as np

from recommender import recipes
from recommender.models import MODELS
from recommender.recipes import Recipe
from recommender.tuning import list_windows
from tests.listens import TODAY, dataset, interactions, random_dataset


def test_a_window_limits_what_is_fitted_and_not_whom_the_model_knows():
    data = dataset(interactions({0: [(1, 40)], 1: [(2, 29)], 2: [(3, 0)]}, users=3, tracks=4))
    whole = recipes.fit("popularity", {"half_life": None}, data, 0)
    part = recipes.fit("popularity", {"half_life": None, "window": 30}, data, 0)
    assert whole.popularity.ravel().tolist() == [0, 1, 1, 1]
    assert part.popularity.ravel().tolist() == [0, 0, 1, 1]
    assert len(recipes.keep_last_days(data, 30).users) == 3 and data.listens.today == TODAY


def test_windows_are_tried_that_are_shorter_than_what_is_known():
    for age, windows in ((10, [None]), (45, [None, 30]), (400, [None, 30, 90, 365])):
        assert list_windows(dataset(interactions({0: [(1, age), (2, 0)]}, users=1, tracks=3))) == windows


def test_again_fits_its_base_to_the_same_window():
    data = random_dataset(3)
    params = {"half_life": 7.0, "weight": 0.2, "base": "popularity", "base_params": {"half_life": None}, "window": 20}
    fitted = recipes.fit("again", params, data, 0)
    expected = recipes.fit("popularity", {"half_life": None, "window": 20}, data, 0)
    np.testing.assert_array_equal(fitted.base.popularity, expected.popularity)


def test_parameters_that_were_added_later_have_the_values_of_the_first_trial():
    data = random_dataset(3)
    for name, module in MODELS.items():
        assert recipes.complete(name, {}) == module.FIRST_TRIALS[0]
        recipes.fit(name, {}, data, 0)


def test_recipes_are_the_same_by_model_and_parameters():
    one = Recipe("als", {"factors": 64, "window": 30}, {"popularity": {"half_life": 7.0}})
    assert one.is_same(Recipe("als", {"window": 30, "factors": 64}, {}))
    for other in (None, Recipe("als", {"factors": 64}, {}), Recipe("ease", dict(one.params), {})):
        assert not one.is_same(other)
    assert str(one) == "als (factors 64, 30 days)" and Recipe(**one.to_json()) == one
