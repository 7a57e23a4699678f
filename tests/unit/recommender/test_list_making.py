"""Lists hold no track that they must not hold, are full where they can be, and do not depend on how they are made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.list_making import Recommender, recommend
from recommender.models import MODELS, again
from recommender.reasons import GENRE, POPULAR, TRACK
from recommender.releases import AGAIN, DISCOVER, LISTS
from recommender.tuning import choose_fallbacks, fit_fallbacks
from tests.listens import dataset, interactions, random_dataset

NAMES = list(MODELS)


def recommender(data, name, with_fallbacks=True) -> Recommender:
    fallbacks = fit_fallbacks(data, {}, 0) if with_fallbacks else ()
    if name == again.NAME:
        base = MODELS["neighbours"].fit(data, MODELS["neighbours"].FIRST_TRIALS[0], 0)
        return Recommender(again.fit(data, again.FIRST_TRIALS[0], base), fallbacks)
    model = MODELS[name].fit(data, MODELS[name].FIRST_TRIALS[-1], 0)
    return Recommender(model, choose_fallbacks(name, fallbacks) if fallbacks else ())


def heard_by(data, user) -> set[int]:
    return set(data.listens.weights()[user].indices.tolist())


@given(st.integers(0, 10_000), st.sampled_from(NAMES), st.sampled_from([None, 1, 2]), st.sampled_from([3, 20, 60]))
@settings(max_examples=60, deadline=None)
def test_discover_holds_candidate_tracks_that_the_user_has_not_heard_once_each(seed, name, per_artist, k):
    data = random_dataset(seed, gone=(0, 3, 11))
    lists = recommend(recommender(data, name), data.users, data.catalogue, DISCOVER, k, per_artist=per_artist)
    for user, row in enumerate(lists.tracks):
        shown = row[row >= 0].tolist()
        assert (row[: len(shown)] >= 0).all(), "no gap"
        assert len(set(shown)) == len(shown)
        assert not set(shown) & (heard_by(data, user) | {0, 3, 11})
        artists = data.catalogue.artists[shown]
        if per_artist:
            assert np.bincount(artists[artists >= 0], minlength=1).max() <= per_artist
        else:
            assert len(shown) == min(k, 30 - len(heard_by(data, user) | {0, 3, 11}))
        # the model's own first, then those of its fallback models; the best first within each
        sources, scores = lists.sources[user, : len(shown)], lists.scores[user, : len(shown)]
        assert (np.diff(sources) >= 0).all()
        for source in set(sources.tolist()):
            assert (np.diff(scores[sources == source]) <= 1e-6).all()


@given(st.integers(0, 10_000), st.sampled_from([*NAMES, again.NAME]), st.sampled_from([None, 2]))
@settings(max_examples=40, deadline=None)
def test_again_holds_candidate_tracks_that_the_user_has_heard(seed, name, per_artist):
    data = random_dataset(seed, gone=(0, 3))
    lists = recommend(recommender(data, name), data.users, data.catalogue, AGAIN, 20, per_artist=per_artist)
    for user, row in enumerate(lists.tracks):
        shown = row[row >= 0].tolist()
        known = heard_by(data, user) - {0, 3}
        assert len(set(shown)) == len(shown) and set(shown) <= known
        if per_artist:
            artists = data.catalogue.artists[shown]
            assert np.bincount(artists[artists >= 0], minlength=1).max() <= per_artist
        else:
            assert set(shown) == known


@pytest.mark.parametrize("name", [*NAMES, again.NAME])
@pytest.mark.parametrize("list_name", LISTS)
def test_lists_do_not_depend_on_batch_size_or_order(name, list_name):
    """Scores may differ by rounding: 1e-5 of the largest."""
    if name == again.NAME and list_name == DISCOVER:
        pytest.skip("own counts rank known tracks only")
    data = random_dataset(6, users=60)
    made = recommender(data, name)
    whole = recommend(made, data.users, data.catalogue, list_name, 10)
    bound = 1e-5 * np.abs(whole.scores[whole.tracks >= 0]).max()
    order = np.random.default_rng(0).permutation(60)
    for users, batch, expected in ((data.users, 7, np.arange(60)), (data.users.take(order), 60, order)):
        lists = recommend(made, users, data.catalogue, list_name, 10, batch=batch)
        is_there = whole.tracks[expected] >= 0
        assert np.array_equal(lists.tracks >= 0, is_there)
        assert np.abs(lists.scores[is_there] - whole.scores[expected][is_there]).max() <= bound
        assert (lists.tracks == whole.tracks[expected]).mean() > 0.98


@pytest.mark.parametrize("name", [*NAMES, again.NAME])
def test_every_item_has_a_reason_that_is_true(name):
    data = random_dataset(7)
    list_name = AGAIN if name == again.NAME else DISCOVER
    lists = recommend(recommender(data, name), data.users, data.catalogue, list_name, 10)
    kinds = set()
    for user, rank in zip(*np.nonzero(lists.tracks >= 0), strict=True):
        kind, position = lists.reasons.kinds[user, rank], lists.reasons.positions[user, rank]
        kinds.add(int(kind))
        if kind == TRACK:
            assert position in heard_by(data, user)
        elif kind == GENRE:
            assert data.catalogue.genres[lists.tracks[user, rank], position] > 0
        else:
            assert kind == POPULAR
        reason = lists.reasons.of(user, rank, data.catalogue)
        assert reason["type"] in ("track", "genre", "popular")
    assert {"popularity": {POPULAR}, "again": {TRACK}}.get(name, {TRACK, GENRE}) & kinds


def test_the_reason_is_the_heard_track_with_the_largest_weight():
    data = random_dataset(8)
    made = recommender(data, "neighbours")
    lists = recommend(made, data.users, data.catalogue, DISCOVER, 5)
    weights = made.model.weights.toarray()
    heard = data.listens.tastes().toarray()
    for user, rank in zip(*np.nonzero(lists.sources == 0), strict=True):
        products = heard[user] * weights[:, lists.tracks[user, rank]]
        assert products[lists.reasons.positions[user, rank]] == pytest.approx(products.max())


def test_a_cold_user_gets_favourite_genres_and_an_unknown_one_popular_tracks():
    listens = {user: [(track, 1) for track in range(12) if (track + user) % 3] for user in range(2, 12)}
    data = dataset(interactions(listens, 12, 12), seed=3)
    favorites = np.zeros((12, 3), np.float32)
    favorites[0, 1] = 1
    users = type(data.users)(data.listens, type(data.users.favorites)(favorites))
    data = type(data)(data.user_ids, data.is_listed, users, data.catalogue)
    lists = recommend(recommender(data, "als"), users, data.catalogue, DISCOVER, 3)
    assert (lists.sources[0] == 1).all() and (lists.reasons.kinds[0] == GENRE).all()
    assert data.catalogue.genres[lists.tracks[0], 1].toarray().all()
    assert (lists.sources[1] == 2).all() and (lists.reasons.kinds[1] == POPULAR).all()


def test_no_users_give_no_lists():
    data = random_dataset(9)
    lists = recommend(recommender(data, "als"), data.users.take(np.array([], int)), data.catalogue, DISCOVER, 5)
    assert lists.tracks.shape == lists.reasons.kinds.shape == (0, 5)


@pytest.mark.parametrize("name", [*NAMES, again.NAME])
def test_users_who_heard_nothing_that_is_there_get_no_list_of_known_tracks(name):
    data = random_dataset(3, gone=(4,))
    nobody = dataset(interactions({1: [(4, 1)]}, 2, 30)).users
    assert (recommend(recommender(data, name), nobody, data.catalogue, AGAIN, 5).tracks < 0).all()
