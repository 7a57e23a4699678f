"""The metrics equal a worked example, and another implementation on random lists."""

import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, R, nDCG
from scipy.sparse import csr_matrix

from recommender.metrics import coverage, measure_users, novelty

TRACKS = 30


def matrix(targets) -> csr_matrix:
    dense = np.zeros((len(targets), TRACKS), np.float32)
    for user, wanted in enumerate(targets):
        dense[user, list(wanted)] = 1
    return csr_matrix(dense)


def test_a_worked_example():
    """The targets 4, 9 and 20; the list has 4 at rank 1 and 9 at rank 3."""
    ranked = np.array([[4, 1, 9, *range(10, 18), -1, -1, -1, -1, -1, -1, -1, -1, -1]])
    found = measure_users(ranked, matrix([{4, 9, 20}]))
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@10"][0] == pytest.approx((1 + 1 / math.log2(4)) / best)
    assert found["recall@20"][0] == pytest.approx(2 / 3)
    assert found["map@10"][0] == pytest.approx((1 / 1 + 2 / 3) / 3)


def test_a_target_below_the_depth_counts_for_recall_only():
    ranked = np.array([[*range(10), 25, *range(11, 20)]])
    found = measure_users(ranked, matrix([{25}]))
    assert (found["ndcg@10"][0], found["recall@20"][0], found["map@10"][0]) == (0, 1, 0)


def test_more_targets_than_ranks_can_still_be_perfect():
    assert measure_users(np.arange(20)[None, :], matrix([set(range(25))]))["ndcg@10"][0] == pytest.approx(1)


@given(
    st.lists(
        st.tuples(st.permutations(range(TRACKS)), st.integers(0, 20), st.sets(st.integers(0, TRACKS - 1), min_size=1)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_they_equal_those_of_ir_measures(users):
    ranked = np.full((len(users), 20), -1)
    relevant, run = {}, {}
    for user, (order, length, targets) in enumerate(users):
        ranked[user, :length] = order[:length]
        relevant[str(user)] = {str(track): 1 for track in targets}
        run[str(user)] = {str(track): float(20 - rank) for rank, track in enumerate(order[:length])}
    found = measure_users(ranked, matrix([targets for *_, targets in users]))
    names = {nDCG @ 10: "ndcg@10", R @ 20: "recall@20", AP @ 10: "map@10"}
    for metric in ir_measures.iter_calc(list(names), relevant, run):
        assert found[names[metric.measure]][int(metric.query_id)] == pytest.approx(metric.value)


def test_coverage_counts_candidate_tracks_that_somebody_gets():
    ranked = np.array([[0, 1, -1], [1, 2, -1]])
    assert coverage(ranked, np.array([True] * 6)) == 0.5


def test_novelty_is_the_surprise_of_what_is_shown():
    assert novelty(np.array([[0, 1]]), np.array([4, 1]), 8) == pytest.approx((1 + 3) / 2)
