"""Test that people listen as the README says, that models can learn it, and that the oracle knows it."""

import dataclasses
import datetime as dt
import itertools
from collections import Counter

import numpy as np
import pytest

from sample_api import listening
from sample_api.listening import Listeners
from sample_api.scenes import scenes_of
from sample_api.world import GENRES, World, odds, snapshot, snapshots
from tests.world_model import WorldModel, split_genres

WORLD = World()
CUT = dt.datetime.combine(WORLD.start, dt.time(), dt.UTC)
NIGHTS = 14


def listens_after(world, nights):
    """Return (user, track, time) of the listens that a warehouse has after these nights and that of day 0, by time."""
    model = WorldModel()
    for rows in snapshots(world, nights + 1):
        model.night(rows.users, rows.tracks, rows.listen_history)
    return sorted((listen[:3] for listen in model.kept_listens().values()), key=lambda listen: listen[2])


@pytest.fixture(scope="module")
def listens():
    return listens_after(WORLD, NIGHTS)


@pytest.fixture(scope="module")
def day_zero():
    return snapshot(WORLD, 0)


def test_most_listens_are_returns(listens):
    known, returns = set(), Counter()
    for user, track, at in listens:
        returns[(CUT - at).days // 30, (user, track) in known] += 1
        known.add((user, track))
    share = returns[0, True] / (returns[0, True] + returns[0, False])
    assert 0.7 < share < 0.76, "of the 30 days before day 0"


def test_a_tenth_of_the_tracks_gets_a_large_share(listens):
    plays = Counter(track for _, track, _ in listens)
    top = plays.most_common(WORLD.tracks // 10)
    assert 0.33 < sum(count for _, count in top) / len(listens) < 0.45
    assert top[0][1] < 0.03 * len(listens)


def test_people_are_cold_light_and_regular_listeners(listens, day_zero):
    counts = Counter(user for user, _, at in listens if at < CUT)
    sizes = np.array([counts[row["id"]] for row in day_zero.users])
    cold, light, regular = (sizes == 0).mean(), ((sizes > 0) & (sizes < 10)).mean(), (sizes >= 10).mean()
    assert 0.03 < cold < 0.15 and 0.05 < light < 0.3 and regular > 0.6
    assert sizes.max() > 5 * np.median(sizes)


STARTS = [
    *(dt.date(2026, 6, 1) + dt.timedelta(days=number) for number in range(7)),  # each weekday
    *(dt.date(2028, 2, day) for day in (22, 23, 29)),
    dt.date(2026, 12, 25),
    dt.date(2026, 12, 31),
]


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS, ids=str)
def test_after_three_nights_most_listeners_have_listened_within_7_30_and_90_days(start):
    """The first run reads day 0, six days later."""
    found = listens_after(World(start=start), 2)
    first_run_on = dt.datetime.combine(start, dt.time(), dt.UTC) + dt.timedelta(days=6)
    for hours in (0, 24):
        now = first_run_on + dt.timedelta(hours=hours)
        recent = {days: [user for user, _, at in found if now - at < dt.timedelta(days=days)] for days in (7, 30, 90)}
        listeners = {user for user, _, _ in found}
        assert all(len(set(users)) > 0.6 * len(listeners) for users in recent.values())
        assert 2 * len(recent[7]) < len(recent[30]) < len(recent[90]) / 2
        assert len(recent[90]) < 0.9 * len(found)


def test_some_listen_on_working_days_and_others_at_weekends(listens):
    nights = Counter()
    for user, date in {(user, at.date()) for user, _, at in listens if at >= CUT}:
        nights[user, date.weekday() >= 5] += 1
    users = {user for user, _ in nights if nights[user, True] + nights[user, False] >= 7}
    weekend = np.array([nights[user, True] / (nights[user, True] + nights[user, False]) for user in users])
    assert (weekend < 0.15).mean() > 0.1 and (weekend > 0.4).mean() > 0.1


def of_genres(texts):
    """Return a matrix, texts by genres."""
    return np.array([[genre.lower() in split_genres(text) for genre in GENRES] for text in texts], float)


def genres_of_new_listens(known, tracks):
    """Return the oracle's shares of genres in new listens, users by genres."""
    texts = {row["id"]: row["genres"] for row in tracks}
    shares = known.new @ of_genres([texts.get(track, "") for track in known.track_ids])
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.slow
def test_some_people_drift_to_other_genres(day_zero):
    later = snapshot(WORLD, 45)
    users = sorted({row["id"] for row in day_zero.users} & {row["id"] for row in later.users})
    first, last = (genres_of_new_listens(odds(WORLD, day, users), later.tracks) for day in (0, 45))
    moved = np.abs(last - first).sum(axis=1) / 2
    assert 0.03 < (moved > 0.4).mean() < 0.2
    assert np.median(moved) < 0.15


def test_a_few_people_are_contrarians_who_avoid_hits_and_declare_what_they_do_not_hear(listens, day_zero):
    known = odds(WORLD, 0)
    declared = of_genres([row["favorite_genres"] for row in day_zero.users])
    is_contrarian = (genres_of_new_listens(known, day_zero.tracks) * declared).sum(axis=1) < 0.15
    assert 0.02 < is_contrarian.mean() < 0.1
    plays = Counter(track for _, track, _ in listens)
    hits = known.new @ np.array([plays[track] for track in known.track_ids])
    assert np.median(hits[is_contrarian]) < 0.5 * np.median(hits[~is_contrarian])


@pytest.mark.slow
def test_new_releases_rise_and_fade():
    born = {row["id"] for row in snapshot(WORLD, 2).tracks} - {row["id"] for row in snapshot(WORLD, 1).tracks}

    def chance(day):
        known = odds(WORLD, day)
        return known.new[:, [track in born for track in known.track_ids]].mean()

    first, peak, later = (chance(day) for day in (2, 8, 40))
    assert peak > 1.5 * first and peak > 3 * later > 0


@pytest.mark.parametrize("is_contrarian", [False, True])
def test_a_listen_is_drawn_with_the_odds_of_the_oracle(is_contrarian):
    """The frequencies of many draws pass a chi-squared test, in the middle of a drift, and with some tracks gone."""
    seed, size = 7, 200_000
    scenes = scenes_of(seed)
    catalogue = listening.draw_catalogue(seed, scenes, np.arange(300), np.linspace(-300, 1, 300))
    user = listening.draw_listeners(seed, scenes, np.array([4]))
    user.drifts_on[:], user.is_contrarian[:] = -listening.DRIFT_DAYS / 2, is_contrarian
    earlier = np.arange(40)
    listening.draw_listens(seed, scenes, catalogue, user, 0 * earlier, 0 * earlier - 1, earlier)
    catalogue.is_present[user.memory[0, 30]] = catalogue.is_present[::50] = False
    copies = Listeners(*(np.repeat(getattr(user, field.name), size, axis=0) for field in dataclasses.fields(user)))
    copies.key = np.arange(size)

    everybody = np.arange(size)
    tracks = listening.draw_listens(seed, scenes, catalogue, copies, everybody, 0 * everybody, 0 * everybody)

    new, following = listening.odds(scenes, catalogue, user, np.array([0]), 0)
    assert np.isclose(new.sum(), 1) and (new[0] > 0).sum() > 200
    expected, found = size * following[0], np.bincount(tracks, minlength=300)
    assert found[expected == 0].sum() == 0
    is_likely = expected > 5
    surplus = ((found - expected)[is_likely] ** 2 / expected[is_likely]).sum() - is_likely.sum()
    assert abs(surplus) < 4 * np.sqrt(2 * is_likely.sum())


@pytest.mark.slow
def test_the_listens_of_a_day_follow_the_odds_of_the_day_before():
    """The likelihood of the first listens of sessions is the expected one."""
    surplus = variance = listens = 0
    for day, (before, after) in enumerate(itertools.pairwise(snapshots(WORLD, 8))):
        known = odds(WORLD, day)
        assert np.allclose(known.next.sum(axis=1), 1) and np.allclose(known.new.sum(axis=1), 1)
        users, tracks = ({number: at for at, number in enumerate(ids)} for ids in (known.user_ids, known.track_ids))
        items = {(row["user_id"], row["created_at"]): row["items"] or [] for row in before.listen_history}
        for row in after.listen_history:
            old, new = items.get((row["user_id"], row["created_at"]), []), row["items"] or []
            if len(new) > len(old) and new[: len(old)] == old and row["user_id"] in users:
                chances = known.next[users[row["user_id"]]]
                likely = np.log(chances, out=np.zeros_like(chances), where=chances > 0)
                expected = chances @ likely
                surplus += likely[tracks[new[len(old)]]] - expected
                variance += chances @ likely**2 - expected**2
                listens += 1
    assert listens > 1000
    assert abs(surplus) < 3 * variance**0.5


@pytest.fixture(scope="module")
def split(listens, day_zero):
    """Return counts of listens before day 0, recent ones weighted more, and what is heard in the nights that follow."""
    users = {row["id"]: at for at, row in enumerate(day_zero.users)}
    tracks = {row["id"]: at for at, row in enumerate(day_zero.tracks)}
    counts, recent, later = np.zeros((3, len(users), len(tracks)))
    for user, track, at in listens:
        if user in users and track in tracks:
            cell = users[user], tracks[track]
            if at >= CUT:
                later[cell] = 1
            else:
                counts[cell] += 1
                recent[cell] += 0.5 ** ((CUT - at) / dt.timedelta(days=14))
    return counts, recent, later


@pytest.fixture(scope="module")
def models(split, day_zero):
    """Return the scores of simple models, users by tracks."""
    counts, recent, _ = split
    heard = (counts > 0).astype(float)
    popularity = recent.sum(axis=0)
    genres = of_genres([row["genres"] for row in day_zero.tracks])
    listeners = np.sqrt(np.maximum(heard.sum(axis=0), 1))
    cosine = heard.T @ heard / np.outer(listeners, listeners)
    np.fill_diagonal(cosine, 0)
    known = odds(WORLD, 0)
    return {
        "popularity": np.broadcast_to(popularity, counts.shape),
        "genres": (counts @ genres) @ genres.T * popularity,
        "neighbours": heard @ cosine,
        "own counts": recent,
        "oracle for discover": known.new,
        "oracle for again": known.next,
    }


def ndcg(scores, is_candidate, is_relevant):
    """Return the mean NDCG@10 over the users with a relevant candidate."""
    is_relevant = is_relevant * is_candidate
    users = is_relevant.any(axis=1)
    best = np.argsort(np.where(is_candidate, -scores, np.inf)[users], axis=1, kind="stable")[:, :10]
    discounts = 1 / np.log2(np.arange(2, 12))
    gains = np.take_along_axis(is_relevant[users], best, axis=1) @ discounts
    ideal = np.cumsum(discounts)[np.minimum(is_relevant[users].sum(axis=1), 10).astype(int) - 1]
    return (gains / ideal).mean()


def test_neighbours_find_new_tracks_better_than_genres_and_popularity(split, models):
    counts, _, later = split
    discover = {name: ndcg(scores, counts == 0, later) for name, scores in models.items()}
    assert discover["neighbours"] > 1.5 * discover["genres"] > 1.5 * 1.5 * discover["popularity"]
    assert discover["oracle for discover"] > 1.5 * discover["neighbours"]


def test_own_counts_predict_best_to_which_track_a_user_returns(split, models):
    counts, _, later = split
    again = {name: ndcg(scores, counts > 0, later) for name, scores in models.items()}
    others = max(again[name] for name in ("popularity", "genres", "neighbours"))
    assert again["oracle for again"] > again["own counts"] > 1.2 * others
