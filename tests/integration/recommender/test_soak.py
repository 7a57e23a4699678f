"""Night after night, with drifting tastes, a better, a worse and a broken model: the right champion serves."""

import datetime as dt
from collections.abc import Mapping

import numpy as np
import psycopg
import pytest
from scipy.sparse import csr_matrix

from recommender import (
    artefacts,
    known_range,
    live_quality,
    metrics,
    promotion,
    publishing,
    registry,
    releases,
    retraining,
    triggers,
    tuning,
)
from recommender.known_range import KnownRange
from recommender.models.neighbours import FIRST_TRIALS
from recommender.recipes import Recipe
from recommender.triggers import Trigger
from recommender.tuning import TunedRecipes
from tests.databases import migrate
from tests.listening_world import ListeningWorld

START = dt.date(2026, 3, 1)
HISTORY_DAYS = 30
EVERY = dt.timedelta(days=7)
GOOD = Recipe("neighbours", {**FIRST_TRIALS[0], "k": 200}, {})
# The same on few listens only: it knows fewer pairs of tracks.
WEAK = Recipe("neighbours", {**GOOD.params, "k": 20, "window": 2}, {})
# A little different, and no better.
EQUAL = Recipe("neighbours", {**GOOD.params, "k": 150, "b": 0.6}, {})
# What a lost setting makes of it.
REGRESSION = Recipe("neighbours", {**GOOD.params, "k": 10, "window": 2}, {})
AGAIN = Recipe(
    "again", {"half_life": 14.0, "weight": 0.0, "base": "popularity", "base_params": {"half_life": None}}, {}
)


class Nights:
    """Play nights on a warehouse with a clock that stands still in between."""

    def __init__(self, connection: psycopg.Connection, seed: int, users: int, patch: pytest.MonkeyPatch) -> None:
        self.connection, self.seed, self.patch = connection, seed, patch
        migrate(connection)
        # `_measure` does, by what it knows of the world
        patch.setattr(live_quality, "compute", lambda *_: None)
        self.world = ListeningWorld(seed, users, 600, START - dt.timedelta(days=HISTORY_DAYS))
        self.world.create(connection)
        for _ in range(HISTORY_DAYS):
            self.heard = self.world.next_day(connection)
        patch.setattr(known_range, "read", lambda connection: KnownRange(self.now, None, 1))

    @property
    def now(self) -> dt.datetime:
        return dt.datetime.combine(self.world.day, dt.time(3), dt.UTC)

    def night(self, *, is_measured: bool, is_published: bool) -> None:
        """Let a day pass; measure the lists of that day, and publish new ones."""
        before = releases.read_published(self.connection)
        self.heard = self.world.next_day(self.connection)
        if is_measured:
            self._measure(before)
        if is_published:
            publishing.publish(self.connection, self.now, 1, artist_cap=50, budget=0)

    def train(self, challenger: Recipe) -> registry.Training:
        """Retrain if it is due; tuning finds this challenger. Return what was decided for `discover`."""
        trigger = triggers.find_due_trigger(self.connection, self.now, EVERY, 10.0) or Trigger("asked", "")
        tuned = TunedRecipes({"discover": challenger, "again": AGAIN}, {})
        self.patch.setattr(tuning, "tune_recipes", lambda *_: tuned)
        retraining.prepare(self.connection, trigger, None, budget=0, seed=self.seed)
        retraining.tune(self.connection, None, lambda *_: None)
        retraining.evaluate(self.connection, None, lambda *_: None)
        decided = retraining.read_promotions(self.connection)
        publishing.publish(self.connection, self.now, 1, artist_cap=50, budget=0, promotions=decided)
        return next(row for row in registry.read_trainings(self.connection) if row.list == "discover")

    @property
    def recipe(self) -> Recipe:
        return retraining.read_champions(self.connection, None)["discover"].recipe

    def is_due(self) -> str | None:
        found = triggers.find_due_trigger(self.connection, self.now, EVERY, 10.0)
        return found and found.name

    def quality(self) -> list[tuple]:
        return self.connection.execute(
            "select day, model_version, users, ndcg, ndcg_difference, ndcg_difference_high"
            " from recommendations.quality order by day"
        ).fetchall()

    def plant_broken_champion(self) -> None:
        """Make the champion with the weights of other tracks the champion: as if ids had been mixed up."""
        champion = retraining.read_champions(self.connection, None)["discover"]
        stored = champion.stored
        shuffled = np.random.default_rng(self.seed).permutation(len(stored.track_ids))
        weights: csr_matrix = stored.model.weights[shuffled]
        broken = type(stored.model)(weights.tocsr(), stored.model.taste_half_life)
        catalogue = type("Catalogue", (), {"track_ids": stored.track_ids, "genre_names": stored.genre_names})
        content = artefacts.dump(broken, catalogue)
        number = registry.register(
            self.connection,
            {
                **champion.recipe.to_json(),
                **retraining.artefact_store.store(content, None),
                "list": "discover",
                "track_count": len(stored.track_ids),
                "until_seq": 1,
                "known_at": self.now,
            },
        )
        promoted = publishing.Promotion("discover", number, "planted")
        publishing.publish(self.connection, self.now, 1, artist_cap=50, budget=0, promotions=[promoted])

    def _measure(self, release: releases.Release) -> None:
        """Store how the lists did beside the most popular tracks, on the users who heard a track of neither before."""
        heard_users, heard_tracks = self.heard
        rows = self.connection.execute(
            "select user_id, track_ids[:10] from recommendations.lists where release_id = %s and list = 'discover'",
            [release.release_id],
        ).fetchall()
        counts = dict(
            self.connection.execute(
                "select user_id, array_agg(track_id) from marts.listen_history where listened_at < %s group by 1",
                [self.now - dt.timedelta(days=1)],
            ).fetchall()
        )
        popular = [
            number
            for (number,) in self.connection.execute(
                "select track_id from marts.listen_history where listened_at < %s group by 1 order by count(*) desc",
                [self.now - dt.timedelta(days=1)],
            )
        ]
        targets: dict[int, set[int]] = {}
        for user, track in zip((heard_users + 1).tolist(), (heard_tracks + 1).tolist(), strict=True):
            if track not in counts.get(user, ()):
                targets.setdefault(user, set()).add(track)
        lists = {user: tracks for user, tracks in rows if user in targets}
        values = _ndcg(lists, targets)
        base = _ndcg({user: [t for t in popular if t not in set(counts.get(user, ()))][:10] for user in lists}, targets)
        found = promotion.measure_difference(values, base, self.seed)
        self.connection.execute(
            "insert into recommendations.quality (release_id, list, segment, day, model_version, users, plays,"
            " recommended_plays, hit_rate, ndcg, popularity_hit_rate, popularity_ndcg, ndcg_difference,"
            " ndcg_difference_low, ndcg_difference_high)"
            " values (%s, 'discover', 'all', %s, %s, %s, 0, 0, 0, %s, 0, %s, %s, %s, %s)",
            [
                release.release_id, self.world.day - dt.timedelta(days=1), release.model_versions["discover"],
                found.users, values.mean(), base.mean(), found.mean, found.low, found.high,
            ],
        )  # fmt: skip


def _ndcg(lists: Mapping[int, list[int]], targets: Mapping[int, set[int]]) -> np.ndarray:
    users = sorted(lists)
    tracks = np.array([(lists[user] + [-1] * 20)[:20] for user in users])
    pairs = [(row, track) for row, user in enumerate(users) for track in targets[user]]
    wanted = csr_matrix((np.ones(len(pairs)), tuple(zip(*pairs, strict=True))), shape=(len(users), 1000))
    return metrics.measure_users(tracks, wanted)["ndcg@10"]


def play(nights: Nights, last: int) -> None:
    """Play nights with a training each week: weak, better, equal, broken, worse. Check the champion after each."""
    recipe = WEAK
    challengers = {0: WEAK, 7: GOOD, 14: EQUAL, 21: REGRESSION}
    recovered = None
    for night in range(last + 1):
        # lists are measured for a few nights after the launch, and from the broken model on
        is_published = 7 < night < 12 or night >= 22
        nights.night(is_measured=8 <= night < 12 or night >= 23, is_published=is_published)
        if night in challengers:
            assert not night or nights.is_due() == "schedule"
            row = nights.train(challengers[night])
            recipe = GOOD if night >= 7 else WEAK
            expected = "promoted" if night in (0, 7) else "refreshed"
            assert (night, row.outcome, nights.recipe) == (night, expected, recipe), row.reason
            if night == 7:
                rows = {
                    each["contender"]: each["ndcg"]
                    for each in registry.read_evaluations(nights.connection, row.training_id)
                    if each["segment"] == "all"
                }
                assert rows["challenger"] >= 1.2 * rows["refreshed"], "the planted improvement"
        elif night == 22:
            nights.plant_broken_champion()
        elif night > 22 and nights.is_due():
            # three nights of its lists that are all beyond chance
            assert nights.is_due() == "degradation" and night in (25, 26, 27) and recovered is None, nights.quality()
            recovered = night
            row = nights.train(EQUAL)
            assert row.outcome == "refreshed" and row.is_overlapping
        else:
            assert nights.is_due() is None
        assert nights.recipe.is_same(recipe)
    assert recovered


@pytest.mark.slow
def test_a_better_recipe_wins_and_an_equal_one_does_not(connection, monkeypatch):
    nights = Nights(connection, 0, 2000, monkeypatch)
    for challenger, outcome in ((WEAK, "promoted"), (GOOD, "promoted"), (EQUAL, "refreshed")):
        for _ in range(7):
            nights.night(is_measured=False, is_published=False)
        row = nights.train(challenger)
        assert row.outcome == outcome, row.reason
    assert nights.recipe.is_same(GOOD)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
def test_thirty_nights_end_with_the_right_champion(seed, connection, monkeypatch):
    print(f"seed {seed}")
    play(Nights(connection, seed, 2000, monkeypatch), 30)
