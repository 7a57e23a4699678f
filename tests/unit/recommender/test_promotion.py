"""Each rule of a promotion refuses a planted challenger, and lets a good one pass."""

import numpy as np
import pytest

from recommender import promotion
from recommender.promotion import POPULARITY, PROMOTED, REFRESHED, REFUSED, Difference, Finalist, decide, decide_first


def differing(by: float, users: int = 20_000, base: float = 0.1, deviation: float = 0.03) -> Difference:
    """Return a difference of this share of the base, with the interval of so many users."""
    half = 1.96 * deviation / users**0.5
    return Difference(users, base, by * base, by * base - half, by * base + half, deviation)


def finalist(by: float = 0.0, model: str = "als", users: int = 20_000, **changes) -> Finalist:
    return Finalist(model, **{"to_baseline": differing(by, users), "to_popularity": differing(1, users), **changes})


BETTER, SAME, WORSE = finalist(0.1), finalist(0.0), finalist(-0.1)
# A challenger that one rule refuses, and words of the reason. The champion's recipe passes, so it is refreshed.
REFUSED_CHALLENGERS = {
    "worse": (WORSE, "als is not proven better: -0.0100"),
    "the same": (SAME, "als is not proven better"),
    "better on the tuning window only": (finalist(-0.001), "is not proven better"),
    "makes the same lists": (finalist(0.1, agreement=0.97), "makes the same lists (97% of the first 10)"),
    "loses to popularity": (finalist(0.1, to_popularity=differing(0)), "not proven better than popularity"),
    "below the anchor": (finalist(0.1, to_anchor=differing(-0.05)), "more than 2% below the anchor"),
    "bad for a segment": (
        finalist(0.1, segments={"cold": differing(-0.2, 4_000)}),
        "cold users (4,000) lose more than 5%",
    ),
}


@pytest.mark.parametrize("name", REFUSED_CHALLENGERS)
def test_a_new_recipe_that_fails_one_rule_leaves_the_recipe(name):
    challenger, words = REFUSED_CHALLENGERS[name]
    found = decide(challenger, SAME)
    assert (found.outcome, found.finalist) == (REFRESHED, "refreshed")
    assert words in found.reason and found.reason.startswith("the recipe stays, because")
    assert len(promotion.find_refusals_of_new_recipe(challenger)) == 1


REFUSED_REFRESHES = {
    "worse than the champion": (finalist(-0.1), "more than 2% below the champion"),
    "no better than popularity": (finalist(to_popularity=differing(0)), "not proven better than popularity"),
    "below the anchor": (finalist(to_anchor=differing(-0.03)), "more than 2% below the anchor"),
    "bad for a segment": (finalist(segments={"regular": differing(-0.1, 5_000)}), "regular users (5,000) lose"),
}


@pytest.mark.parametrize("name", REFUSED_REFRESHES)
def test_newer_data_that_fail_one_rule_leave_the_champion(name):
    refreshed, words = REFUSED_REFRESHES[name]
    found = decide(None, refreshed)
    assert (found.outcome, found.finalist) == (REFUSED, None)
    assert words in found.reason and "tuning found no better recipe" in found.reason
    assert len(promotion.find_refusals_of_refresh(refreshed)) == 1


def test_a_better_recipe_is_promoted_and_becomes_the_anchor():
    found = decide(BETTER, SAME)
    assert (found.outcome, found.finalist) == (PROMOTED, "challenger")
    assert "beats the champion's recipe by +0.0100" in found.reason and "+10.0%" in found.reason


def test_a_loss_within_the_margin_is_refreshed_and_one_beyond_it_is_not():
    assert decide(None, finalist(-0.01)).outcome == REFRESHED
    assert decide(None, finalist(-0.03)).outcome == REFUSED
    assert decide(None, finalist(-0.01, to_anchor=differing(-0.01))).outcome == REFRESHED


def test_too_few_users_to_see_the_margin_leave_the_recipe_which_is_refreshed_unless_it_is_proven_worse():
    few = finalist(0.0, users=400)
    assert not few.to_baseline.has_enough_users
    found = decide(finalist(0.5, users=400), few)
    assert found.outcome == REFRESHED and "takes 1,684 users, and 400 were evaluated" in found.reason
    assert decide(None, finalist(-0.02, users=400)).outcome == REFRESHED
    proven = decide(None, finalist(-0.06, users=400))
    assert proven.outcome == REFUSED and "worse than the champion" in proven.reason


def test_a_champion_that_cannot_be_compared_is_refreshed_if_the_other_rules_let_it():
    assert decide(None, finalist(to_baseline=None)).outcome == REFRESHED
    assert decide(finalist(0.5, users=promotion.USERS_TO_SEE_MARGIN), finalist(to_baseline=None)).outcome == PROMOTED
    assert decide(None, finalist(to_baseline=None, to_popularity=differing(0))).outcome == REFUSED


def test_a_segment_with_few_users_or_a_loss_that_may_be_noise_refuses_nothing():
    few = {"cold": differing(-0.5, promotion.SEGMENT_USERS - 1)}
    noisy = {"cold": differing(-0.07, 300, deviation=0.05)}
    for segments in (few, noisy):
        assert decide(finalist(0.1, segments=segments), SAME).outcome == PROMOTED


def test_popularity_replaces_a_champion_that_is_proven_worse():
    found = decide(None, finalist(to_popularity=differing(-0.2)))
    assert (found.outcome, found.finalist) == (POPULARITY, "popularity")
    chosen = decide(finalist(0.2, "popularity", to_popularity=None), SAME)
    assert (chosen.outcome, chosen.finalist) == (POPULARITY, "challenger")


def test_the_first_model_must_beat_popularity_beyond_doubt():
    assert decide_first(finalist(to_baseline=None)).outcome == PROMOTED
    doubtful = decide_first(finalist(to_baseline=None, to_popularity=differing(0.01, 400)))
    assert (doubtful.outcome, doubtful.finalist) == (POPULARITY, "popularity")
    assert "als is not proven better than popularity" in doubtful.reason
    assert decide_first(finalist(model="popularity", to_baseline=None, to_popularity=None)).outcome == POPULARITY


def test_a_difference_is_paired_and_says_how_many_users_it_takes():
    draw = np.random.default_rng(0)
    base = draw.random(1_000)
    found = promotion.measure_difference(base + draw.normal(0.01, 0.05, 1_000), base, 0)
    assert found.low < 0.01 < found.high and found.high - found.low < 0.01
    assert found.users == 1_000 and found.base == pytest.approx(base.mean())
    # the formula of the power of a paired test
    assert found.users_needed == pytest.approx((2.487 * found.deviation / (0.02 * base.mean())) ** 2, abs=1)
    assert promotion.measure_difference(base, base, 0).is_within_margin
    assert promotion.measure_difference(np.zeros(5), np.zeros(5), 0).is_within_margin
