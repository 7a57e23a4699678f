"""Weights of listens equal those of a plain loop, and parts of a log equal the log of these users."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.interactions import day_of, number_of
from tests.listens import TODAY, interactions

LISTENS = st.dictionaries(st.integers(0, 4), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 200)), max_size=12))


@given(LISTENS, st.sampled_from([None, 3.0, 30.0]))
@settings(max_examples=60, deadline=None)
def test_weights_sum_the_decayed_listens_of_each_pair(listens, half_life):
    expected = np.zeros((5, 6))
    for user, heard in listens.items():
        for track, age in heard:
            expected[user, track] += 1 if half_life is None else 0.5 ** (age / half_life)
    log = interactions(listens, 5, 6)
    np.testing.assert_allclose(log.weights(half_life).toarray(), expected, rtol=1e-4)
    np.testing.assert_allclose(log.tastes(half_life).toarray(), np.minimum(expected, 1), rtol=1e-4)
    assert log.listens().tolist() == [len(listens.get(user, ())) for user in range(5)]


@given(LISTENS, st.lists(st.integers(0, 4), max_size=6), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_part_of_the_users_has_their_listens(listens, users, start, stop):
    log = interactions(listens, 5, 6)
    whole = log.weights(30.0).toarray()
    np.testing.assert_array_equal(log.of_users(np.array(users, int)).weights(30.0).toarray(), whole[users])
    start, stop = sorted((start, stop))
    np.testing.assert_array_equal(log.batch(start, stop).weights(30.0).toarray(), whole[start:stop])


@given(LISTENS, st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_a_cut_keeps_the_listens_before_it(listens, age):
    older = {user: [(track, days) for track, days in heard if days > age] for user, heard in listens.items()}
    log = interactions(listens, 5, 6)
    kept = log.where(log.days < TODAY - age)
    np.testing.assert_array_equal(kept.weights().toarray(), interactions(older, 5, 6).weights().toarray())


@pytest.mark.parametrize(
    "day", [dt.date(1969, 7, 20), dt.date(1970, 1, 1), dt.date(2026, 12, 31), dt.date(2300, 2, 28)]
)
def test_a_day_survives_its_number(day):
    assert day_of(number_of(day)) == day
