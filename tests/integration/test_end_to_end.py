"""Three runs on the sample data, from HTTP to features, match `WorldModel` row by row."""

import datetime as dt
import math

import psycopg
import pytest
from psycopg.rows import dict_row

from sample_api.world import World, snapshot
from tests.databases import database_copy
from tests.marts import contents
from tests.runs import run_pipeline_on, states
from tests.world_model import Row, WorldModel, utc
from warehouse.errors import ExitCode

WORLD = World(seed=15, users=60, tracks=60, documents=60, start=dt.date(2026, 1, 1))
RUNS = range(3)


@pytest.fixture
def database_url(prepared_url):
    return prepared_url


def rows(connection: psycopg.Connection, query: str) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def test_three_runs_give_the_expected_marts(database_url, connection):
    model = WorldModel()
    removals = 0
    for day in RUNS:
        world = snapshot(WORLD, day)
        model.night(world.users, world.tracks, world.listen_history)

        night = run_pipeline_on(database_url, world)

        assert night.exit_code == ExitCode.PUBLISHED, night.message
        assert set(states(night).values()) == {"accepted"}
        check_users(connection, model)
        check_tracks(connection, model)
        check_listens(connection, model)
        check_features(connection, model)
        removals += len(model.gone_users | model.gone_tracks)
    assert removals, "a world in which nothing goes proves nothing about removals"


def check_users(connection, model):
    found = {row["id"]: row for row in rows(connection, "select * from marts.users")}
    assert found.keys() == model.users.keys()
    for user_id, row in found.items():
        expected = model.users[user_id]
        for column in ("first_name", "last_name", "email", "gender", "favorite_genres"):
            assert row[column] == expected[column]
        assert row["created_at"] == utc(expected["created_at"])
        assert row["updated_at"] == utc(expected["updated_at"])
    assert {user_id for user_id, row in found.items() if row["deleted_at"]} == model.gone_users


def check_tracks(connection, model):
    found = {row["id"]: row for row in rows(connection, "select * from marts.tracks")}
    assert found.keys() == model.tracks.keys()
    for track_id, row in found.items():
        expected = model.tracks[track_id]
        for column in ("name", "artist", "songwriters", "genres", "album"):
            assert row[column] == expected[column]
        minutes, seconds = expected["duration"].split(":")
        assert row["duration"] == dt.timedelta(minutes=int(minutes), seconds=int(seconds))
    assert {track_id for track_id, row in found.items() if row["deleted_at"]} == model.gone_tracks
    genres = {(row["track_id"], row["genre"]) for row in rows(connection, "select * from marts.track_genres")}
    assert genres == {(track_id, genre) for track_id in model.tracks for genre in model.genres_of(track_id)}


def check_listens(connection, model):
    def listens(table: str) -> dict[int, tuple]:
        return {
            row["id"]: (row["user_id"], row["track_id"], row["listened_at"], row["created_at"])
            for row in rows(connection, f"select * from {table}")
        }

    kept = model.kept_listens()
    assert listens("marts.listen_history") == kept
    assert listens("prep.parked_listens") == {
        listen_id: listen for listen_id, listen in model.listens().items() if listen_id not in kept
    }


def check_features(connection, model):
    with connection.transaction():  # one now() for all
        (now,) = connection.execute("select now()").fetchone()
        affinities = rows(connection, "select * from features.user_genre_affinity")
        profiles = rows(connection, "select * from features.user_profile")
    expected = model.affinities(now)
    assert_same_rows({(row.pop("user_id"), row.pop("genre")): row for row in affinities}, expected)
    expected = {user_id: row for user_id, row in model.profiles(now).items() if user_id not in model.gone_users}
    assert_same_rows({row.pop("user_id"): row for row in profiles}, expected)


def assert_same_rows(found, expected):
    assert found.keys() == expected.keys()
    for key, row in found.items():
        for column, value in row.items():
            if isinstance(value, float):
                assert math.isclose(value, expected[key][column], rel_tol=1e-9, abs_tol=1e-12), (key, column)
            else:
                assert value == expected[key][column], (key, column)
        assert row.keys() == expected[key].keys()


def user(user_id: int, **changes: object) -> Row:
    return {
        "id": user_id,
        "first_name": "Ada",
        "last_name": "Brown",
        "email": f"ada{user_id}@example.org",
        "gender": "Female",
        "favorite_genres": "Rock",
        "created_at": "2026-01-01T10:00:00.000001",
        "updated_at": "2026-01-02T10:00:00",
        **changes,
    }


def track(track_id: int, **changes: object) -> Row:
    return {
        "id": track_id,
        "name": "Song",
        "artist": "Band",
        "songwriters": "Writer",
        "duration": "04:42",
        "genres": "Rock, Pop",
        "album": "Album",
        "created_at": "2026-01-01T10:00:00",
        "updated_at": "2026-01-02T10:00:00",
        **changes,
    }


def document(user_id: int, items: list[int] | None, updated_at: str = "2026-02-01T10:00:00") -> Row:
    return {"user_id": user_id, "items": items, "created_at": "2026-01-05T10:00:00.123456", "updated_at": updated_at}


def test_a_listen_waits_for_its_user_and_track_and_enters_when_they_come(database_url, connection):
    good_users = [user(number) for number in range(2, 9)]
    listens = {"listen_history": [document(1, [7]), document(2, [8, 7]), document(3, [7])]}
    quarantined = run_pipeline_on(
        database_url, {"users": [user(1, email="nobody"), *good_users], "tracks": [track(7)], **listens}
    )
    assert states(quarantined)["users"] == "accepted_with_quarantine"
    assert waiting(connection) == [(1, 7, True, False), (2, 8, False, True)]
    assert listen_pairs(connection) == [(2, 7), (3, 7)]

    run_pipeline_on(database_url, {"users": [user(1), *good_users], "tracks": [track(7), track(8)], **listens})

    assert waiting(connection) == []
    assert listen_pairs(connection) == [(1, 7), (2, 7), (2, 8), (3, 7)]
    closed = rows(connection, "select rule, outcome from gate.quarantined_rows")
    assert closed == [{"rule": "email_is_an_address", "outcome": "superseded"}]


def test_removed_rows_stay_marked_and_are_restored_when_they_return(database_url, connection):
    everybody = {"users": [user(1), user(2)], "tracks": [track(7)], "listen_history": [document(1, [7])]}
    run_pipeline_on(database_url, everybody)

    run_pipeline_on(database_url, {**everybody, "users": [user(2)], "listen_history": []})

    gone_at, scanned_at = connection.execute(
        """
        select users.deleted_at, scans.finished_at
        from marts.users
        inner join staging.scans on users._load_id = scans._dlt_load_id and scans.table_name = 'users'
        where users.id = 1
        """
    ).fetchone()
    assert gone_at == scanned_at
    assert listen_pairs(connection) == [(1, 7)], "a vanished document takes no listen with it"
    assert rows(connection, "select user_id from features.user_profile") == [{"user_id": 2}]

    run_pipeline_on(database_url, everybody)

    assert rows(connection, "select id from marts.users where deleted_at is not null") == []
    assert listen_pairs(connection) == [(1, 7)]


def waiting(connection):
    return [
        tuple(row.values())
        for row in rows(
            connection,
            "select user_id, track_id, is_user_unknown, is_track_unknown from prep.parked_listens order by 1, 2",
        )
    ]


def listen_pairs(connection):
    return [
        tuple(row.values())
        for row in rows(connection, "select user_id, track_id from marts.listen_history order by 1, 2")
    ]


def test_ids_sent_as_decimals_are_the_same_ids_and_remove_no_user(database_url, connection):
    users = [user(number) for number in range(1, 11)]
    others = {"tracks": [track(7)], "listen_history": [document(1, [7])]}
    run_pipeline_on(database_url, {"users": users, **others})

    night = run_pipeline_on(database_url, {"users": [{**row, "id": float(row["id"])} for row in users], **others})

    assert states(night)["users"] == "accepted"
    assert rows(connection, "select count(*) as gone from marts.users where deleted_at is not null") == [{"gone": 0}]

    night = run_pipeline_on(database_url, {"users": users, **others})

    assert night.exit_code == ExitCode.PUBLISHED
    assert len(rows(connection, "select user_id from features.user_profile")) == 10


def test_a_pending_load_that_is_then_blocked_stays_open_until_the_next_run(database_url, connection, monkeypatch):
    bad = {"users": [user(number, email="nobody") for number in range(1, 5)], "tracks": [], "listen_history": []}
    with monkeypatch.context() as patch:
        patch.setattr("expectations.users.suite", lambda: 1 / 0)
        assert run_pipeline_on(database_url, bad).exit_code == ExitCode.GATE_BROKEN

    assert run_pipeline_on(database_url, bad).exit_code == ExitCode.BLOCKED
    assert rows(connection, "select state from gate.loads where table_name = 'users' order by load_id") == [
        {"state": "blocked"},
        {"state": "accepted"},
    ]

    good = {**bad, "users": [user(number) for number in range(1, 5)]}
    assert run_pipeline_on(database_url, good).exit_code == ExitCode.PUBLISHED
    assert len(rows(connection, "select id from marts.users")) == 4
    assert rows(connection, "select 1 from gate.loads where state = 'blocked'") == []


LATER = "2026-02-02T10:00:00"
GROWN = {
    "users": [user(number, last_name="Grey", updated_at=LATER) for number in range(1, 13)],
    "tracks": [track(number, genres="Jazz", updated_at=LATER) for number in range(1, 6)],
    "listen_history": [document(number, [1, 2, 2], LATER) for number in range(1, 13)],
}
SPOILED = {
    # quarantined: a known key, and one that will never be seen again
    "users": [{**GROWN["users"][0], "email": "nobody"}, {**GROWN["users"][1], "id": "2"}, *GROWN["users"][2:]],
    # blocked, the good one among them too
    "tracks": [GROWN["tracks"][0], *({**row, "duration": "long"} for row in GROWN["tracks"][1:])],
    "listen_history": [
        {**GROWN["listen_history"][0], "items": "none"},
        {**GROWN["listen_history"][1], "created_at": "yesterday"},
        *GROWN["listen_history"][2:],
    ],
}


def test_rows_fixed_at_the_source_give_the_same_marts_as_rows_that_were_always_valid(
    postgres_url,
):
    """Case 27."""
    beginning = {
        "users": [user(number) for number in range(1, 10)],
        "tracks": [track(number) for number in range(1, 6)],
        "listen_history": [document(number, [1]) for number in range(1, 10)],
    }
    spoiled_otherwise = {**SPOILED, "users": [{**row, "created_at": None} for row in GROWN["users"]]}
    verdicts = []

    def marts_after(*nights):
        with database_copy(postgres_url, "template1", "fixed") as url:
            for rows_of_the_night in nights:
                verdicts.append(states(run_pipeline_on(url, rows_of_the_night, steps=("extract", "gate"))))
            assert run_pipeline_on(url, {}, steps=("build",)).exit_code == ExitCode.PUBLISHED
            return contents(url)

    assert marts_after(beginning, SPOILED, spoiled_otherwise, GROWN) == marts_after(beginning, GROWN)

    assert verdicts[1] == {
        "users": "accepted_with_quarantine",
        "tracks": "blocked",
        "listen_history": "accepted_with_quarantine",
    }
    # the documents are bad in the same way as before: nothing new
    assert verdicts[2] == {"users": "blocked", "tracks": "blocked", "listen_history": "accepted"}
