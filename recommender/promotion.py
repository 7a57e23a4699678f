"""Decide by fixed rules whether a challenger becomes the champion of a list.

All figures are of NDCG@10 in the final window, on the same users. The rules:

- A new recipe replaces the champion's only if the lower bound of the difference is above 0. With fewer users than
  USERS_TO_SEE_MARGIN, the recipe stays.
- The refreshed champion, its recipe fitted to newer data, replaces the champion if it is not worse by more than MARGIN.
  Where that cannot be seen, it must not be proven worse.
- Either must beat popularity, must not fall more than MARGIN below the anchor, and must not lose more than
  SEGMENT_MARGIN in a segment. The anchor is the last recipe that was promoted for being better, so small losses do not
  add up.
- Popularity replaces a champion that is proven worse than popularity.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recommender.evaluation import COINCIDENCE, intervals
from recommender.interactions import Floats

MARGIN = 0.02
SEGMENT_MARGIN, SEGMENT_USERS = 0.05, 200
# One-sided 5 % and a power of 80 %.
Z_TEST, Z_POWER = 1.645, 0.842
# Users that it takes to see a difference of MARGIN between like models, whose differences deviate between users by a
# third of their NDCG@10 (measured).
USERS_TO_SEE_MARGIN = math.ceil(((Z_TEST + Z_POWER) * 0.33 / MARGIN) ** 2)

# Outcomes of a training.
PROMOTED, REFRESHED, POPULARITY, REFUSED = "promoted", "refreshed", "popularity", "refused"
TOO_LITTLE_DATA, DATA_REFUSED, ABANDONED = "too_little_data", "data_refused", "abandoned"
# Those that make a model version the champion.
CHANGES = (PROMOTED, REFRESHED, POPULARITY)


@dataclass(frozen=True)
class Difference:
    """Hold the difference of two models on the same users: its mean, its interval, and its deviation between users.

    `base`: the mean of the model that was subtracted.
    """

    users: int
    base: float
    mean: float
    low: float
    high: float
    deviation: float

    def __str__(self) -> str:
        share = f", {self.mean / self.base:+.1%}" if self.base else ""
        return f"{self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f}{share})"

    @property
    def margin(self) -> float:
        return MARGIN * self.base

    @property
    def users_needed(self) -> int:
        """Return how many users it takes to see a difference of the margin."""
        return math.ceil(((Z_TEST + Z_POWER) * self.deviation / self.margin) ** 2) if self.margin else 0

    @property
    def has_enough_users(self) -> bool:
        """Return whether there are enough users to see a difference of the margin."""
        return self.users >= self.users_needed

    @property
    def is_within_margin(self) -> bool:
        """Return whether the model is not worse by more than the margin, or not proven worse where too few users are
        evaluated to see that."""
        return self.low >= -self.margin if self.has_enough_users else self.high >= 0


@dataclass(frozen=True)
class Finalist:
    """Hold what the rules need of a model in the final window.

    Its baseline is the refreshed champion for a challenger, and the champion for a refreshed one. `to_baseline` None:
    there is no champion, or it cannot be compared, such as one that knows the final window. `to_popularity` None: it is
    popularity. `to_anchor` None: it has the anchor's recipe. `segments`: by segment, to the baseline. `agreement`: the
    share of the first 10 at the same ranks as those of the baseline.
    """

    model: str
    to_baseline: Difference | None
    to_popularity: Difference | None
    to_anchor: Difference | None = None
    segments: Mapping[str, Difference] = field(default_factory=dict)
    agreement: float = 0.0


@dataclass(frozen=True)
class PromotionDecision:
    """Hold the outcome, which finalist becomes the champion (None: the champion stays), and why, in one sentence."""

    outcome: str
    finalist: str | None
    reason: str


def measure_difference(values: Floats, base: Floats, seed: int) -> Difference:
    """Compare two models by the values of the same users, with an interval by paired bootstrap."""
    each = values - base
    (low,), (high,) = intervals(each[:, None], seed)
    deviation = float(each.std(ddof=1)) if len(each) > 1 else 0.0
    return Difference(len(each), float(np.mean(base)), float(each.mean()), low, high, deviation)


def decide_first(challenger: Finalist) -> PromotionDecision:
    """Decide for a list without a champion: the challenger must beat popularity beyond doubt."""
    if challenger.to_popularity is None:
        return PromotionDecision(POPULARITY, "popularity", "popularity did best in the tuning window")
    if challenger.to_popularity.low > 0:
        reason = f"{challenger.model} beats popularity by {challenger.to_popularity}"
        return PromotionDecision(PROMOTED, "challenger", reason)
    reason = f"{challenger.model} is not proven better than popularity: {challenger.to_popularity}"
    return PromotionDecision(POPULARITY, "popularity", reason)


def decide(challenger: Finalist | None, refreshed: Finalist) -> PromotionDecision:
    """Decide for a list with a champion.

    `challenger`: a new recipe; None if tuning found none. `refreshed`: the champion's recipe, fitted to newer data.
    """
    against_new = ["tuning found no better recipe"]
    if challenger is not None:
        against_new = find_refusals_of_new_recipe(challenger)
        if not against_new:
            outcome = PROMOTED if challenger.to_popularity else POPULARITY
            reason = f"{challenger.model} beats the champion's recipe by {challenger.to_baseline}"
            return PromotionDecision(outcome, "challenger", reason)
    against_refresh = find_refusals_of_refresh(refreshed)
    recipe_stays = f"the recipe stays, because {_join(against_new)}"
    if not against_refresh:
        compared = refreshed.to_baseline
        quality = "it is fitted to newer data"
        if compared:
            quality += f", and differs from the champion by {compared}"
        return PromotionDecision(REFRESHED, "refreshed", f"{recipe_stays}; {quality}")
    if refreshed.to_popularity is not None and refreshed.to_popularity.high < 0:
        reason = f"popularity beats the champion: its recipe differs from popularity by {refreshed.to_popularity}"
        return PromotionDecision(POPULARITY, "popularity", reason)
    return PromotionDecision(REFUSED, None, f"{recipe_stays}; it is not refreshed, because {_join(against_refresh)}")


def find_refusals_of_new_recipe(challenger: Finalist) -> list[str]:
    """Return why a new recipe is not promoted; nothing if it is."""
    compared = challenger.to_baseline
    found = []
    if compared.users < USERS_TO_SEE_MARGIN:
        found.append(
            f"seeing a difference of {MARGIN:.0%} takes {USERS_TO_SEE_MARGIN:,} users, and {compared.users:,} were"
            " evaluated"
        )
    if challenger.agreement >= COINCIDENCE:
        found.append(f"{challenger.model} makes the same lists ({challenger.agreement:.0%} of the first 10)")
    if compared.low <= 0:
        found.append(f"{challenger.model} is not proven better: {compared}")
    return [*found, *_find_refusals_of_either(challenger)]


def find_refusals_of_refresh(refreshed: Finalist) -> list[str]:
    """Return why the champion's recipe is not fitted to newer data; nothing if it is."""
    compared = refreshed.to_baseline
    found = []
    if compared is not None and not compared.is_within_margin:
        limit = f"more than {MARGIN:.0%} below" if compared.has_enough_users else "worse than"
        found.append(f"with newer data it may be {limit} the champion: {compared}")
    return [*found, *_find_refusals_of_either(refreshed)]


def _find_refusals_of_either(finalist: Finalist) -> list[str]:
    found = []
    if finalist.to_popularity is not None and finalist.to_popularity.low <= 0:
        found.append(f"{finalist.model} is not proven better than popularity: {finalist.to_popularity}")
    anchor = finalist.to_anchor
    # stricter than to the champion where users are few: here small losses would add up
    if anchor is not None and (anchor.low if anchor.has_enough_users else anchor.mean) < -anchor.margin:
        found.append(f"{finalist.model} may be more than {MARGIN:.0%} below the anchor: {anchor}")
    for segment, compared in finalist.segments.items():
        if compared.users >= SEGMENT_USERS and compared.high < -SEGMENT_MARGIN * compared.base:
            found.append(f"{segment} users ({compared.users:,}) lose more than {SEGMENT_MARGIN:.0%}: {compared}")
    return found


def _join(reasons: Sequence[str]) -> str:
    return ", and ".join(reasons)
