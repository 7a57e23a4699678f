"""Models keep the privacy rules, are deterministic, and rank what co-listening says."""

from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, issparse

from recommender.dataset import Users
from recommender.models import MODELS, again, als, ease, neighbours, popularity
from recommender.models.neighbours import FEWEST_USERS
from recommender.models.popularity import trends
from tests.listens import dataset, interactions, random_dataset

ALL = list(MODELS.values())


def arrays(model):
    """Yield every array and matrix of the parameters, also of a model within it."""
    for field in fields(model):
        value = getattr(model, field.name)
        if isinstance(value, np.ndarray) or issparse(value):
            yield field.name, value
        elif hasattr(value, "score"):
            yield from arrays(value)
        else:
            assert value is None or isinstance(value, int | float), f"{field.name} may hold anything"


def fitted(data):
    models = [module.fit(data, module.FIRST_TRIALS[-1], 0) for module in ALL]
    return [*models, again.fit(data, again.FIRST_TRIALS[0], models[2])]


def test_parameters_have_rows_for_tracks_and_none_for_users():
    # prime numbers: no other dimension can be equal by accident
    data = random_dataset(1, users=53, tracks=31)
    for model in fitted(data):
        for name, value in arrays(model):
            assert 31 in value.shape and 53 not in value.shape, f"{type(model).__name__}.{name}: {value.shape}"


@given(
    st.integers(0, 10_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([1, 5, 100]),
    st.floats(0, 1.5),
)
@settings(max_examples=40, deadline=None)
def test_neighbours_equal_the_formula_and_no_pair_has_fewer_than_three_users(seed, a, b, c, k, trend):
    data = random_dataset(seed)
    heard = (data.listens.weights().toarray() > 0).astype(float)
    common = heard.T @ heard
    of_track, of_user = np.maximum(heard.sum(axis=0), 1), np.maximum(heard.sum(axis=1), 1)
    params = {"a": a, "b": b, "c": c, "k": k, "trend": trend, "trend_half_life": 7.0, "taste_half_life": None}
    expected = of_track[:, None] ** -a * (heard.T @ (heard * of_user[:, None] ** -b)) * of_track**-c
    expected *= trends(data, params)
    expected[common < FEWEST_USERS] = 0
    np.fill_diagonal(expected, 0)
    weights = neighbours.fit(data, params, 0).weights.toarray()
    assert (common[weights != 0] >= FEWEST_USERS).all()
    assert ((weights != 0).sum(axis=1) == np.minimum((expected > 0).sum(axis=1), k)).all()
    np.testing.assert_allclose(weights[weights != 0], expected[weights != 0], rtol=1e-4)
    # the largest are kept
    np.testing.assert_allclose(weights.max(axis=1), expected.max(axis=1), rtol=1e-4)


def test_neighbours_do_not_depend_on_how_many_pairs_are_counted_at_a_time(monkeypatch):
    data = random_dataset(2)
    whole = neighbours.fit(data, neighbours.FIRST_TRIALS[0], 0).weights
    monkeypatch.setattr(neighbours, "PAIRS_AT_ONCE", 30)
    parts = neighbours.fit(data, neighbours.FIRST_TRIALS[0], 0).weights
    assert whole.nnz and (whole != parts).nnz == 0


def test_ease_keeps_no_pair_with_fewer_than_three_users():
    data = random_dataset(3)
    heard = (data.listens.weights().toarray() > 0).astype(float)
    model = ease.fit(data, ease.FIRST_TRIALS[-1], 0)
    for inputs, weights in ((heard, model.weights), (data.users.favorites, model.genre_weights)):
        assert (weights != 0).any() and (inputs.T @ heard)[weights != 0].min() >= FEWEST_USERS
        assert (inputs.T @ heard).min() < FEWEST_USERS


def test_ease_learns_what_the_users_hear_who_declare_a_genre():
    """Users 0 to 9 declare a genre and hear track 0 or 1; the others hear track 2 or 3. All have heard track 4."""
    log = interactions({user: [(user % 2 + 2 * (user > 9), 1), (4, 1)] for user in range(20)}, 20, 5)
    favorites = csr_matrix(np.arange(20)[:, None] < [10, 0, 0], dtype=np.float32)
    data = dataset(log)
    data = replace(data, users=replace(data.users, favorites=favorites))
    asked = Users(interactions({0: [(4, 1)]}, 1, 5), favorites[:1])
    others = csr_matrix(np.array([[1, 1, 1, 1, 0]], np.float32))
    for weight, is_preferred in ((0.0, False), (2.0, True)):
        values = ease.fit(data, ease.FIRST_TRIALS[-1] | {"favorites": weight}, 0).score(asked).at(others)
        assert (values[:2].min() > values[2:].max() + 0.01) == is_preferred


def test_a_user_with_very_many_tracks_counts_with_the_newest(monkeypatch):
    monkeypatch.setattr(neighbours, "MOST_TRACKS", 2)
    log = interactions({0: [(0, 50), (1, 1), (2, 2)], 1: [(0, 9)]}, 2, 3)
    kept = neighbours.keep_most_recent(log.tastes(30.0))
    assert (kept.toarray() > 0).tolist() == [[False, True, True], [True, False, False]]


@pytest.mark.parametrize("module", ALL, ids=[module.NAME for module in ALL])
def test_the_same_data_and_seed_give_the_same_parameters(module):
    data = random_dataset(4)
    one, other = (module.fit(data, module.FIRST_TRIALS[0], 7) for _ in range(2))
    for (name, first), (_, second) in zip(arrays(one), arrays(other), strict=True):
        same = (first != second).nnz == 0 if issparse(first) else np.array_equal(first, second)
        assert same, name


def test_als_is_the_same_on_one_and_on_two_threads(monkeypatch):
    data = random_dataset(5)
    factors = []
    solver = als.AlternatingLeastSquares
    for threads in (1, 2):
        monkeypatch.setattr(als, "AlternatingLeastSquares", partial(solver, num_threads=threads))
        factors.append(als.fit(data, als.FIRST_TRIALS[0], 7).factors)
    np.testing.assert_array_equal(*factors)


def test_popularity_counts_users_and_not_listens():
    log = interactions({0: [(0, 1)] * 50, 1: [(1, 1)], 2: [(1, 1)]}, 3, 2)
    model = popularity.fit(dataset(log), {"half_life": None}, 0)
    assert model.popularity.ravel().tolist() == [1, 2]


def test_a_trend_moves_tracks_that_are_heard_more_lately():
    # both have two users: track 0 was heard 28 days ago, track 1 today; track 2 was not heard
    log = interactions({0: [(0, 28), (1, 0)], 1: [(0, 28), (1, 0)]}, 2, 3)
    params = {"trend": 1.0, "trend_half_life": 14.0}
    fallen, risen, unheard = trends(dataset(log), params)
    # lately 2/4 and 2 users, scaled to the 4 of all times: 0.8 and 3.2; and three more for each
    np.testing.assert_allclose([fallen, risen, unheard], [3.8 / 5, 6.2 / 5, 1], rtol=1e-6)
    np.testing.assert_allclose(trends(dataset(log), params | {"trend": 0.5})[:2], np.sqrt([fallen, risen]), rtol=1e-6)


def test_a_log_without_times_has_no_trend():
    log = interactions({0: [(0, 0), (1, 0)], 1: [(0, 0)]}, 2, 2)
    assert trends(dataset(log), {"trend": 1.0, "trend_half_life": 3.0}).tolist() == [1, 1]


@pytest.mark.parametrize("module", ALL, ids=[module.NAME for module in ALL])
@pytest.mark.parametrize(("users", "tracks"), [(1, 1), (1, 3), (3, 1)])
def test_a_tiny_world_can_be_fitted(module, users, tracks):
    data = dataset(interactions({0: [(0, 1)]}, users, tracks))
    if module.is_possible(data):
        scores = module.fit(data, module.FIRST_TRIALS[0], 0).score(data.users)
        found, _ = scores.top(5, data.listens.weights(), data.catalogue.is_candidate)
        assert found.shape == (users, 5) and 0 not in found[0]
