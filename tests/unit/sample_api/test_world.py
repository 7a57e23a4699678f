"""Test that a world is reproducible and changes daily as the README says."""

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from sample_api.documents import MAX_SESSION
from sample_api.tables import KEYS, TABLES
from sample_api.world import GENRES, MAX_ITEMS, World, snapshot, snapshots

ROOT = Path(__file__).parents[3]
DEFAULT = World()
TINY = World(users=20, tracks=30, documents=20)
DAYS = 12


def keyed(rows, table):
    return {tuple(row[name] for name in KEYS[table]): row for row in rows}


def days_of(world, days=DAYS):
    """Return, per day and table, the rows by key."""
    return [
        {table: keyed(rows, table) for table, rows in rows_of_day.tables().items()}
        for rows_of_day in snapshots(world, days + 1)
    ]


def pairs(days):
    return list(itertools.pairwise(days))


@pytest.fixture(scope="module")
def default_days():
    return days_of(DEFAULT)


@pytest.fixture(scope="module")
def tiny_days():
    return days_of(TINY)


def digest(day):
    return hashlib.sha256(json.dumps(snapshot(TINY, day).tables()).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_sees_the_same_world(hash_seed):
    code = (
        "import hashlib, json\n"
        "from sample_api.world import World, snapshot\n"
        "tables = snapshot(World(users=20, tracks=30, documents=20), 5).tables()\n"
        "print(hashlib.sha256(json.dumps(tables).encode()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"}
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == digest(5)


def test_other_seeds_and_starts_are_other_worlds():
    worlds = [TINY, World(8, 20, 30, 20), World(7, 20, 30, 20, date(2026, 3, 1))]
    assert len({json.dumps(snapshot(world, 1).tables()) for world in worlds}) == 3


@pytest.mark.parametrize("sizes", [(40, 50, 60), (200, 10, 3), (3, 10, 200)])
def test_day_zero_has_the_sizes_asked_for(sizes):
    first = snapshot(World(7, *sizes), 0)
    assert tuple(len(rows) for rows in first.tables().values()) == sizes


def test_one_more_user_leaves_nearly_everything_as_it_is():
    one, other = (snapshot(World(users=users), 0) for users in (600, 601))
    assert other.users[:-1] == one.users
    assert other.tracks == one.tracks
    kept = [row for row in one.listen_history if row in other.listen_history]
    assert len(kept) > 0.9 * len(one.listen_history)


def test_snapshots_do_not_share_rows():
    snapshot(TINY, 1).users[0]["email"] = "changed"
    assert snapshot(TINY, 1).users[0]["email"] != "changed"


def test_snapshots_of_days_in_a_row_are_those_of_each_day():
    assert list(snapshots(TINY, 9)) == [snapshot(TINY, day) for day in range(9)]


@pytest.mark.parametrize("world", [DEFAULT, TINY, World(users=1, tracks=1, documents=1)])
def test_keys_are_unique(world):
    for table, rows in snapshot(world, DAYS).tables().items():
        assert len(keyed(rows, table)) == len(rows)


@pytest.mark.parametrize("days", ["default_days", "tiny_days"])
@pytest.mark.parametrize("table", TABLES)
def test_every_day_changes_every_table(days, table, request):
    for before, after in pairs(request.getfixturevalue(days)):
        assert before[table] != after[table]


def test_one_person_with_one_track_and_one_document_changes_every_day():
    for before, after in pairs(days_of(World(users=1, tracks=1, documents=1), 40)):
        assert all(before[table] != after[table] for table in TABLES)


def test_a_world_without_people_stays_empty():
    assert snapshot(World(users=0, tracks=0, documents=0), 9).tables() == {table: [] for table in TABLES}


@pytest.mark.parametrize("days", ["default_days", "tiny_days"])
def test_nothing_is_later_than_the_day(days, request):
    for number, day in enumerate(request.getfixturevalue(days)):
        until = datetime(2026, 1, 1) + timedelta(days=number)
        times = [row[name] for rows in day.values() for row in rows.values() for name in ("created_at", "updated_at")]
        assert max(map(datetime.fromisoformat, times)) < until


def test_new_and_changed_rows_have_times_within_the_day(default_days):
    for number, (before, after) in enumerate(pairs(default_days), start=1):
        since = datetime(2026, 1, 1) + timedelta(days=number - 1)
        ever = default_days[:number]
        for table in TABLES:
            for key, row in after[table].items():
                known = any(key in day[table] for day in ever)
                if not known:
                    assert datetime.fromisoformat(row["created_at"]) >= since
                if not known or (key in before[table] and row != before[table][key]):
                    assert datetime.fromisoformat(row["updated_at"]) >= since


@pytest.mark.parametrize("table", ["users", "tracks"])
def test_about_one_percent_is_new_and_one_percent_is_edited_a_day(default_days, table):
    for before, after in pairs(default_days):
        edited = [key for key in after[table] if before[table].get(key, after[table][key]) != after[table][key]]
        assert 5 <= len(after[table].keys() - before[table].keys()) <= 20
        assert 5 <= len(edited) <= 20


@pytest.mark.parametrize("table", TABLES)
def test_a_few_rows_vanish_every_day(default_days, table):
    for before, after in pairs(default_days):
        assert 1 <= len(before[table].keys() - after[table].keys()) <= 0.01 * len(before[table])


def test_a_removed_user_comes_back_unchanged(default_days):
    returned = [
        (number, key, row)
        for number, (before, after) in enumerate(pairs(default_days), start=1)
        for key, row in after["users"].items()
        if key not in before["users"] and any(key in day["users"] for day in default_days[:number])
    ]
    assert len(returned) == DAYS // 3
    for number, key, row in returned:
        assert row == next(day["users"][key] for day in default_days[number - 1 :: -1] if key in day["users"])


def test_documents_keep_referring_to_removed_rows(default_days):
    last = default_days[-1]
    assert any(row["user_id"] not in last["users"] for row in last["listen_history"].values())
    heard = {track for row in last["listen_history"].values() for track in row["items"] or []}
    assert heard - {key for (key,) in last["tracks"]}


def test_documents_grow_slide_or_stay(default_days):
    grown = slid = kept = 0
    for before, after in pairs(default_days):
        for key, row in after["listen_history"].items():
            old = before["listen_history"].get(key)
            if old is None or not old["items"]:
                continue
            if old["items"] == row["items"]:
                assert old == row
                kept += 1
                continue
            assert row["updated_at"] > old["updated_at"]
            if row["items"][: len(old["items"])] == old["items"]:
                assert 1 <= len(row["items"]) - len(old["items"]) <= MAX_SESSION
                grown += 1
            else:
                size = len(row["items"])
                assert len(old["items"]) <= size
                assert any(
                    (old["items"] + row["items"][-new:])[-size:] == row["items"] for new in range(1, MAX_SESSION + 1)
                )
                slid += 1
    assert min(grown, slid, kept) > 500
    changed_a_day = (grown + slid) / DAYS
    assert 120 < changed_a_day < 260


def test_documents_match_the_contract(default_days):
    documents = list(default_days[-1]["listen_history"].values())
    items = [row["items"] for row in documents if row["items"] is not None]
    assert 0 < len(documents) - len(items) < 0.05 * len(documents)
    assert max(map(len, items)) <= MAX_ITEMS
    assert min(map(len, items)) >= 1
    assert any(len(set(tracks)) < len(tracks) for tracks in items)
    documents_per_user = [row["user_id"] for row in documents]
    counts = {documents_per_user.count(user) for (user,) in default_days[-1]["users"]}
    assert {0, 1, 2, 3} <= counts
    assert max(counts) < 0.1 * len(documents)


def test_documents_stop_growing_when_they_are_full():
    documents = snapshot(TINY, 90).listen_history
    assert max(len(row["items"] or []) for row in documents) == MAX_ITEMS


def test_people_listen_within_a_few_genres_and_to_a_few_hits(default_days):
    day = default_days[0]
    genres_of = {key: row["genres"].upper() for (key,), row in day["tracks"].items()}
    own = foreign = 0
    plays = dict.fromkeys(genres_of, 0)
    for row in day["listen_history"].values():
        favourites = day["users"][(row["user_id"],)]["favorite_genres"].upper().split(", ")
        for track in row["items"] or []:
            plays[track] += 1
            if any(genre in genres_of[track] for genre in favourites):
                own += 1
            else:
                foreign += 1
    assert own > 2 * foreign
    top_fifth = sorted(plays.values(), reverse=True)[: len(plays) // 5]
    assert 0.5 < sum(top_fifth) / sum(plays.values()) < 0.9


def test_users_and_tracks_resemble_the_real_ones(default_days):
    for row in default_days[-1]["users"].values():
        assert re.fullmatch(r"[a-z0-9.]+@example\.(com|net|org)", row["email"])
        assert set(row["favorite_genres"].split(", ")) <= set(GENRES)
    tracks = default_days[-1]["tracks"].values()
    for row in tracks:
        assert re.fullmatch(r"[0-5]\d:[0-5]\d", row["duration"])
        genres = [genre.strip().upper() for genre in row["genres"].split(",") if genre.strip()]
        assert 1 <= len(genres) <= 3
        assert set(genres) <= {genre.upper() for genre in GENRES}
    odd = [row for row in tracks if not set(row["genres"].split(", ")) <= set(GENRES)]
    assert 0.02 < len(odd) / len(tracks) < 0.12


@pytest.mark.parametrize("table", ["users", "tracks"])
def test_a_few_rows_were_updated_before_they_were_created(default_days, table):
    rows = default_days[0][table].values()
    assert 10 < sum(row["updated_at"] < row["created_at"] for row in rows) < 60


def test_the_order_of_remaining_rows_is_stable(default_days):
    for before, after in pairs(default_days):
        for table in TABLES:
            stayed = [key for key in before[table] if key in after[table]]
            assert [key for key in after[table] if key in before[table]] == stayed


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": -1},
        {"users": 0},
        {"start": date(1, 1, 1)},
    ],
)
def test_impossible_worlds_are_refused(wrong):
    with pytest.raises(ValueError, match=r"world|documents"):
        World(**wrong)


@pytest.mark.parametrize("day", [-1, 10_000_000])
def test_impossible_days_are_refused(day):
    with pytest.raises(ValueError, match="day"):
        snapshot(TINY, day)
