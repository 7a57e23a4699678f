"""The quality of releases equals what plain Python computes from the listens, the lists and the publications."""

import datetime as dt
import itertools
import math
import random
import uuid
from collections import Counter, defaultdict

import numpy as np
import psycopg
import pytest
from psycopg.rows import dict_row

from recommender import live_quality, publishing, releases
from tests.databases import new_database

NIGHTS = 7
DAY = dt.timedelta(days=1)
SEGMENTS = {
    "all": lambda listens: True,
    "cold": lambda listens: listens == 0,
    "light": lambda listens: 1 <= listens <= 9,
    "regular": lambda listens: listens >= 10,
}


@pytest.fixture
def warehouse(postgres_url, built_template):
    with (
        new_database(postgres_url, f"measured_{uuid.uuid4().hex[:8]}", f"template {built_template}") as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        yield connection


def enter_listens(connection, first):
    """Enter a random history: some listens late, some never known to a release, some of a track that goes away."""
    draw = random.Random(1)
    users = [number for (number,) in connection.execute("select id from marts.users order by id")]
    tracks = [number for (number,) in connection.execute("select id from marts.tracks order by id")]
    connection.execute("truncate marts.listen_history")
    # the build adds the months that its listens need
    connection.execute("create table prep.other_months partition of marts.listen_history default")
    rows = []
    for place, user in enumerate(users):
        begins = 0 if place % 5 == 0 else draw.randint(-40, -1)
        favourites = draw.sample(tracks, 6)
        for day in range(begins, NIGHTS):
            for _ in range(draw.choice([0, 0, 1, 3]) if place % 2 else draw.choice([0, 0, 0, 1])):
                at = first + day * DAY + dt.timedelta(seconds=draw.randrange(86_400))
                late = draw.choice([0, 0, 0, 0, 1, 2, 6]) * DAY
                known_at = at + dt.timedelta(hours=1) + late
                track = draw.choice(favourites if draw.random() < 0.5 else tracks)
                rows.append((-1 - len(rows), user, track, at, at, known_at))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into marts.listen_history (id, user_id, track_id, listened_at, created_at, known_at, _load_id)"
            " values (%s, %s, %s, %s, %s, %s, 'load')",
            rows,
        )
    return [(user, track, at, known_at) for _, user, track, at, _, known_at in rows]


def put_at(connection, moment):
    """Let the newest publication have happened at this moment."""
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            "update recommendations.release_history set published_at = %s"
            " where history_seq = (select max(history_seq) from recommendations.release_history)",
            [moment],
        )


def expected(connection, listens, now):
    """Return (release, list, segment, day) -> figures of the releases whose lists are kept."""
    publications = connection.execute(
        "select release_id, published_at from recommendations.release_history order by history_seq"
    ).fetchall()
    lists = {
        (release, user, name): track_ids
        for release, user, name, track_ids in connection.execute(
            "select release_id, user_id, list, track_ids from recommendations.lists"
        )
    }
    kept = {release for release, *_ in lists}
    as_of = dict(connection.execute("select release_id, as_of from recommendations.releases").fetchall())
    popular = {
        (release, name): track_ids
        for release, name, track_ids in connection.execute("select * from recommendations.popular_tracks")
    }

    def seen(moment):
        """Return the release that readers saw at this moment, if its lists are kept."""
        before = [release for release, published_at in publications if published_at <= moment]
        return before[-1] if before and before[-1] in kept else None

    played = defaultdict(Counter)
    known_tracks, known_listens = defaultdict(set), Counter()
    for user, track, at, known_at in listens:
        if known_at > now:
            continue
        for release in kept:
            if known_at <= as_of[release]:
                known_tracks[release, user].add(track)
                known_listens[release, user] += 1
        release = seen(at) or seen(known_at)
        if release:
            played[release, at.date(), user][track] += 1
    found = {}
    for (release, day, user), tracks in sorted(played.items()):
        for name in ("discover", "again"):
            if (release, user, name) not in lists:
                continue
            known = known_tracks[release, user]
            targets = {track: times for track, times in tracks.items() if (track in known) == (name == "again")}
            baseline = [track for track in popular[release, name] if (track in known) == (name == "again")]
            if not targets:
                continue
            mine = lists[release, user, name]
            figures = {
                "plays": sum(targets.values()),
                "recommended_plays": sum(times for track, times in targets.items() if track in mine),
                "hit_rate": bool(set(targets) & set(mine[:10])),
                "ndcg": ndcg(mine, targets),
                "popularity_hit_rate": bool(set(targets) & set(baseline[:10])),
                "popularity_ndcg": ndcg(baseline, targets),
            }
            for segment, has in SEGMENTS.items():
                if has(known_listens[release, user]):
                    found.setdefault((release, name, segment, day), []).append(figures)
    return {key: summary(people) for key, people in found.items() if len(people) >= 3}


def ndcg(ranked, targets):
    gain = sum(1 / math.log2(place + 2) for place, track in enumerate(ranked[:10]) if track in targets)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(10, len(targets))))


def summary(people):
    differences = np.array([each["ndcg"] - each["popularity_ndcg"] for each in people])
    draw = np.random.default_rng(0)
    means = [differences[draw.integers(len(people), size=len(people))].mean() for _ in range(1000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return {
        "users": len(people),
        **{name: sum(each[name] for each in people) for name in ("plays", "recommended_plays")},
        **{
            name: sum(each[name] for each in people) / len(people)
            for name in ("hit_rate", "ndcg", "popularity_hit_rate", "popularity_ndcg")
        },
        "ndcg_difference": differences.mean(),
        "ndcg_difference_low": low,
        "ndcg_difference_high": high,
    }


def stored_quality(connection):
    rows = connection.cursor(row_factory=dict_row).execute(
        "select quality.*, releases.model_versions from recommendations.quality inner join recommendations.releases"
        " using (release_id)"
    )
    found = {}
    for row in rows:
        key = tuple(row.pop(name) for name in ("release_id", "list", "segment", "day"))
        assert row.pop("model_version") == row.pop("model_versions")[key[1]]
        assert row.pop("computed_at")
        found[key] = row
    return found


@pytest.mark.slow
def test_quality_equals_plain_python_through_late_listens_a_rollback_and_a_removed_track(warehouse, monkeypatch):
    (removed_at,) = warehouse.execute("select min(deleted_at) from marts.tracks").fetchone()
    # the track goes away between the second night and the third
    first = removed_at.replace(hour=2, minute=0, second=0, microsecond=0) - DAY
    listens = enter_listens(warehouse, first - DAY)
    remembered, compute = {}, live_quality.compute

    def compute_by_the_clock_of_the_test(connection, known, now):
        put_at(connection, now + dt.timedelta(minutes=9))
        compute(connection, known, now)
        # rows of dropped releases stay as they were; those that are dropped after this are computed once more
        measured = {
            release for (release,) in connection.execute("select distinct release_id from recommendations.lists")
        }
        for key in [key for key in remembered if key[0] in measured]:
            del remembered[key]
        remembered.update(expected(connection, listens, now))

    monkeypatch.setattr(live_quality, "compute", compute_by_the_clock_of_the_test)
    for night in range(NIGHTS):
        now = first + night * DAY
        before = dict(remembered)
        outcome = publishing.publish(warehouse, now, 1, artist_cap=3, budget=0)
        assert outcome.quality_problem is None
        kept, ranked = (
            {release for (release,) in warehouse.execute(f"select distinct release_id from recommendations.{name}")}
            for name in ("lists", "popular_tracks")
        )
        assert kept == ranked
        found = stored_quality(warehouse)
        assert found.keys() == remembered.keys()
        for key, row in found.items():
            assert row == pytest.approx(remembered[key]), key
        if night == NIGHTS - 1:
            restated = [key for key in before if key in remembered and before[key] != remembered[key]]
            assert restated and {key[0] for key in remembered} - kept, "the history must have late listens"
        if night == 3:
            releases.roll_back(warehouse, "test")
            put_at(warehouse, now + dt.timedelta(hours=10))
    segments, lists = {key[2] for key in remembered}, {key[1] for key in remembered}
    assert segments == set(SEGMENTS) and lists == {"discover", "again"}
    days = Counter((key[1:]) for key in remembered)
    assert max(days.values()) > 1, "two releases share a day"
    assert any(row["recommended_plays"] for row in remembered.values())


def test_a_failure_leaves_the_release_published(warehouse, monkeypatch):
    def fail(*arguments):
        raise psycopg.errors.DiskFull("no space left on device")

    monkeypatch.setattr(live_quality, "_rows", fail)
    (now,) = warehouse.execute("select now()").fetchone()
    outcome = publishing.publish(warehouse, now, 1, artist_cap=3, budget=0)
    assert outcome.quality_problem == "no space left on device"
    assert releases.read_published(warehouse).release_id == outcome.release.release_id


def test_the_ranking_counts_the_users_of_each_track_who_listened_lately(warehouse):
    (now,) = warehouse.execute("select now()").fetchone()
    outcome = publishing.publish(warehouse, now, 1, artist_cap=3, budget=0)
    there = {number for (number,) in warehouse.execute("select id from marts.tracks where deleted_at is null")}
    heard = warehouse.execute("select user_id, track_id, listened_at from marts.listen_history").fetchall()
    for name, track_ids in warehouse.execute("select list, track_ids from recommendations.popular_tracks").fetchall():
        params, fallback_params, model = warehouse.execute(
            "select params, fallback_params, model from recommendations.model_versions where model_version = %s",
            [outcome.release.model_versions[name]],
        ).fetchone()
        half_life = (params if model == "popularity" else fallback_params["popularity"])["half_life"]
        tastes = Counter()
        for user, track, at in heard:
            age = (now.astimezone(dt.UTC).date() - at.astimezone(dt.UTC).date()).days
            tastes[user, track] += 1 if half_life is None else 0.5 ** (age / half_life)
        popularity = Counter()
        for (_, track), taste in tastes.items():
            if track in there:
                popularity[track] += min(1, taste)
        assert set(track_ids) == set(popularity)
        scores = [popularity[track] for track in track_ids]
        assert all(one >= other - 1e-4 for one, other in itertools.pairwise(scores))
