"""Simulate how often the rules of a promotion err: python -m benchmarks.promotion_rules

Each training draws the differences between models as their sampling noise makes them, with the deviations that were
measured between like models (one recipe on newer data) and unlike ones (two recipes): .33 and 1.1 times NDCG@10.
"""

from collections.abc import Iterator

import numpy as np

from recommender import promotion
from recommender.promotion import CHANGES, Difference, Finalist

LIKE, UNLIKE = 0.33, 1.1
USERS = (400, 2_000, 20_000)
LOSSES = (0.0, 0.05, 0.1)
GAINS = (0.05, 0.1, 0.2)
DRAWS = 4_000
TRAININGS, SERIES = 30, 400
NDCG = 0.1
# What each refresh of a recipe loses whose data get worse, as a share of NDCG@10.
DECAY = 0.01


def draw_difference(draw: np.random.Generator, truth: float, users: int, deviation: float) -> Difference:
    """Return the difference that so many users show when the true one is `truth`; both as shares of NDCG@10."""
    error = deviation * NDCG / users**0.5
    mean = truth * NDCG + draw.normal(0, error)
    return Difference(users, NDCG, mean, mean - 1.96 * error, mean + 1.96 * error, deviation * NDCG)


def finalist(to_baseline: Difference, users: int, to_anchor: Difference | None = None) -> Finalist:
    """Return a model that beats popularity by far."""
    popularity = Difference(users, NDCG / 2, NDCG, 0.9 * NDCG, 1.1 * NDCG, NDCG)
    return Finalist("model", to_baseline, popularity, to_anchor)


def refreshed_share(truth: float, users: int, seed: int) -> float:
    """Return how often the champion's recipe on newer data is promoted, if its true difference is `truth`."""
    draw = np.random.default_rng(seed)
    decisions = [
        promotion.decide(None, finalist(draw_difference(draw, truth, users, LIKE), users)) for _ in range(DRAWS)
    ]
    return sum(decision.outcome in CHANGES for decision in decisions) / DRAWS


def new_recipe_share(truth: float, users: int, seed: int) -> float:
    """Return how often a new recipe is promoted, if its true difference is `truth`."""
    draw = np.random.default_rng(seed)
    refusals = [
        promotion.find_refusals_of_new_recipe(finalist(draw_difference(draw, truth, users, UNLIKE), users))
        for _ in range(DRAWS)
    ]
    return sum(not reasons for reasons in refusals) / DRAWS


def low_quality(users: int, seed: int, has_anchor: bool) -> float:
    """Return the 5 % quantile of the quality after all trainings, each of which may lose DECAY; 1 at the start."""
    draw = np.random.default_rng(seed)
    ends = []
    for _ in range(SERIES):
        quality = 1.0
        for _ in range(TRAININGS):
            lower = quality - DECAY
            to_anchor = draw_difference(draw, lower - 1, users, LIKE) if has_anchor else None
            refreshed = finalist(draw_difference(draw, -DECAY / quality, users, LIKE), users, to_anchor)
            if promotion.decide(None, refreshed).outcome in CHANGES:
                quality = lower
        ends.append(quality)
    return float(np.quantile(ends, 0.05))


def rows(seed: int = 0) -> Iterator[tuple[str, list[str]]]:
    """Yield each row of the table: what is simulated, and a figure for each number of users."""
    yield "an equally good refresh is refused", [f"{1 - refreshed_share(0, users, seed):.1%}" for users in USERS]
    for loss in LOSSES[1:]:
        what = f"a refresh that is {loss:.0%} worse gets through"
        yield what, [f"{refreshed_share(-loss, users, seed):.1%}" for users in USERS]
    for truth in (*(-loss for loss in LOSSES), *GAINS):
        kind = f"{abs(truth):.0%} {'better' if truth > 0 else 'worse'}" if truth else "equally good"
        what = f"a new recipe that is {kind} gets through"
        yield what, [f"{new_recipe_share(truth, users, seed):.1%}" for users in USERS]
    for has_anchor in (True, False):
        what = f"quality after {TRAININGS} refreshes of which each loses {DECAY:.0%}"
        what += ", with the anchor" if has_anchor else ", if there were no anchor"
        yield what, [f"{low_quality(users, seed, has_anchor):.1%}" for users in USERS]


def main() -> None:
    """Print the table of docs/operations/retraining.md."""
    header = [f"{users:,} users" for users in USERS]
    print(f"| simulated | {' | '.join(header)} |")
    print("|---|" + "---|" * len(USERS))
    for what, figures in rows():
        print(f"| {what} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
