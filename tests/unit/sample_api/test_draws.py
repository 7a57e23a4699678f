"""Test that draws are uniform, and that each depends on its own address only."""

import numpy as np

from sample_api.draws import normal, pick, uniform

NUMBERS = np.arange(200_000)


def test_draws_are_uniform():
    draws = uniform(7, "a field", NUMBERS)
    assert draws.min() >= 0 and draws.max() < 1
    steps = np.sort(draws) - NUMBERS / len(NUMBERS)
    assert np.abs(steps).max() < 1.63 / np.sqrt(len(NUMBERS)), "the 1 % level of the Kolmogorov-Smirnov test"


def test_draws_of_neighbours_are_independent():
    table = uniform(7, "a field", NUMBERS[:1000, None], np.arange(-100, 100))
    others = [table[1:], table[:, 1:], uniform(8, "a field", NUMBERS[:1000, None], np.arange(-100, 100))]
    others.append(uniform(7, "another field", NUMBERS[:1000, None], np.arange(-100, 100)))
    for other in others:
        rows, columns = other.shape
        same = table[:rows, :columns]
        assert abs(np.corrcoef(same.ravel(), other.ravel())[0, 1]) < 0.01


def test_a_draw_depends_on_its_address_only():
    all_at_once = uniform(-3, "a field", NUMBERS[:50, None], NUMBERS[:20])
    assert uniform(-3, "a field", 41, 7) == all_at_once[41, 7]
    assert uniform(-3, "a field", 41, 8) != all_at_once[41, 7]


def test_draws_are_the_same_in_every_version():
    """A world must not change because numpy or this code did."""
    assert uniform(7, "a field", 1, 2).tolist() == [0.9550771251008611]


def test_normal_draws_have_the_moments_of_the_distribution():
    draws = normal(7, "a field", NUMBERS)
    moments = [np.mean(draws**power) for power in (1, 2, 3, 4)]
    assert np.allclose(moments, [0, 1, 0, 3], atol=0.05)


def test_all_choices_are_picked_equally_often():
    picked = pick("abc", uniform(7, "a field", NUMBERS))
    shares = [picked.count(letter) / len(NUMBERS) for letter in "abc"]
    assert np.allclose(shares, 1 / 3, atol=0.005)
