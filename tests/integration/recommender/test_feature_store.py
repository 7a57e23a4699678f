"""`features`: what was known at a moment, stored and shown, follows decisions and harms nobody."""

import psycopg
import pytest
from psycopg.rows import dict_row

from recommender import feature_store
from tests.command import command
from tests.databases import created
from tests.integration.expectations.warehouse import document, track, user
from tests.runs import run_pipeline_on
from warehouse.errors import ExitCode

USERS = [user(number, favorite_genres="Rock, jazz") for number in range(1, 9)]
NIGHTS = (
    {"users": USERS[:7], "tracks": [track(1, genres="Rock"), track(2, genres="Jazz")]},
    {"users": USERS, "tracks": [track(1, genres="Metal"), track(2, genres="Jazz")]},
)
HEARD = document(1, items=[1], updated_at="2026-01-06T10:00:00")
HEARD_MORE = document(1, items=[1, 2, 2], updated_at="2026-01-07T10:00:00")
OTHER = document(2, items=[2], updated_at="2026-01-07T11:00:00")


def features(url, *arguments, **environment):
    return command("features", *arguments, DATABASE_URL=url, **environment)


def taken(url, *arguments, **environment):
    """Take a snapshot, and return its row of features.snapshots."""
    ended = features(url, "snapshot", *arguments, **environment)
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, ""), ended
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute("select * from features.snapshots order by snapshot_id desc limit 1").fetchone()


def stored(url, snapshot):
    """Return the features by user."""
    with psycopg.connect(url) as connection:
        query = "select user_id, features from features.user_snapshots where snapshot_id = %s"
        return dict(connection.execute(query, [snapshot["snapshot_id"]]).fetchall())


def moments(connection):
    """Return a time after the first night and before the second, and one after both, in ISO format."""
    first, second = (
        time
        for (time,) in connection.execute(
            "select published_at from gate.publications where table_name = 'users' order by seq"
        )
    )
    return (first + (second - first) / 2).isoformat(), connection.execute("select now()").fetchone()[0].isoformat()


@pytest.fixture(scope="module")
def template(postgres_url):
    """Name of a database after two nights: a genre changes, user 8 and three listens come."""
    with created(postgres_url, "two_nights") as url:
        for rows, documents in zip(NIGHTS, ([HEARD], [HEARD_MORE, OTHER]), strict=True):
            assert run_pipeline_on(url, {**rows, "listen_history": documents}).exit_code == ExitCode.PUBLISHED
        yield "two_nights"


@pytest.fixture
def url(postgres_url, template):
    with created(postgres_url, "looking_back", f"template {template}") as url:
        yield url


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_a_snapshot_has_what_was_known_then(url, warehouse):
    between, after = moments(warehouse)
    early, late = taken(url, "--as-of", between), taken(url, "--as-of", after)

    assert (early["users"], early["listens"]) == (7, 1)
    assert (late["users"], late["listens"]) == (8, 4)
    assert early["until_seq"] == late["until_seq"] == 6
    assert stored(url, early)[1]["genre_listens"] == {"rock": 1}
    assert stored(url, late)[1]["genre_listens"] == {"metal": 1, "jazz": 2}
    assert stored(url, late)[8]["listens"] == 0


def test_the_newest_snapshot_equals_the_views(url, warehouse):
    now = stored(url, taken(url))
    cursor = warehouse.cursor(row_factory=dict_row)
    for row in cursor.execute("select to_jsonb(p) as profile from features.user_profile as p").fetchall():
        profile = row["profile"]
        for name in now[profile["user_id"]].keys() & profile.keys():
            assert now[profile["user_id"]][name] == pytest.approx(profile[name], abs=1e-3), name
    rows = warehouse.execute("select user_id, genre, listens, affinity from features.user_genre_affinity").fetchall()
    assert len(rows) == 3
    for user_id, genre, listens, affinity in rows:
        assert now[user_id]["genre_listens"][genre] == listens
        assert now[user_id]["genre_affinities"][genre] == pytest.approx(affinity, abs=1e-6)


def test_the_same_moment_gives_the_same_snapshot_and_another_one_another(url, warehouse):
    between, after = moments(warehouse)
    first = taken(url, "--as-of", after)
    warehouse.execute("vacuum full marts.listen_history, marts.users, staging.users")
    second = taken(url, "--as-of", after)
    assert first["fingerprint"] == second["fingerprint"] != taken(url, "--as-of", between)["fingerprint"]
    assert stored(url, first) == stored(url, second)


@pytest.mark.slow
def test_a_rejected_load_was_never_known_and_a_stored_snapshot_stays(url, warehouse):
    _, after = moments(warehouse)
    before = taken(url, "--as-of", after)
    kept = stored(url, before)
    (load,) = warehouse.execute("select max(load_id) from gate.loads").fetchone()
    assert command("gate", "reject", load, "listen_history", "--reason", "wrong", DATABASE_URL=url).code == 0

    now = taken(url, "--as-of", after)

    assert now["listens"] == 1 and stored(url, now)[1]["genre_listens"] == {"metal": 1}
    assert now["until_seq"] > before["until_seq"]
    assert stored(url, before) == kept


@pytest.mark.slow
def test_an_erased_user_is_in_no_snapshot_and_each_one_says_so(url, warehouse):
    first, second = taken(url), taken(url)
    ended = command("erase", "1", "--reason", "as requested", DATABASE_URL=url, ERASURE_KEY="k" * 32)
    assert ended.code == ExitCode.PUBLISHED
    assert "2 rows of features.user_snapshots" in ended.out
    assert 1 not in stored(url, first) and 1 not in stored(url, second)
    assert warehouse.execute("select distinct users, erased_users from features.snapshots").fetchall() == [(8, 1)]
    later = taken(url)
    assert (later["users"], later["erased_users"]) == (7, 0)


@pytest.mark.slow
def test_a_moment_before_the_horizon_of_prune_is_refused(url, warehouse):
    _, after = moments(warehouse)
    warehouse.execute("update gate.publications set published_at = published_at - interval '3 days'")
    assert command("prune", "--keep", "1d", "--reason", "space", DATABASE_URL=url).code == ExitCode.PUBLISHED
    line = features(url, "snapshot", "--as-of", "2d").only_line(ExitCode.WRONG_SETTINGS)
    assert "were pruned" in line and "features list" in line
    assert taken(url, "--as-of", after)["listens"] == 4
    assert warehouse.execute("select count(*) from features.snapshots").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("snapshot", "--as-of", "2999-01-01"), "in the future"),
        (("snapshot", "--as-of", "soon"), "or a time ago such as 7d"),
        (("snapshot", "--as-of", "99999999999d"), "before the calendar begins"),
        (("show",), "give a SNAPSHOT, or --user"),
        (("show", "1", "--user", "1", "--as-of", "1d"), "has its own moment"),
        (("show", "999"), "there is no snapshot 999"),
        (("show", "--user", "-1"), "there is no user -1 as known now"),
        (("drop", "999"), "there is no snapshot 999"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(arguments, words, url):
    assert words in features(url, *arguments).only_line(ExitCode.WRONG_SETTINGS)


def test_marts_that_are_behind_the_decisions_are_not_looked_at(url, warehouse):
    warehouse.execute("update prep.builds set seq = seq - 1")
    assert "first run: make build" in features(url, "snapshot").only_line(ExitCode.WRONG_SETTINGS)
    assert warehouse.execute("select count(*) from features.snapshots").fetchone() == (0,)


def test_a_warehouse_without_a_run_says_what_to_do(database_url):
    for arguments in (("snapshot",), ("list",), ("show", "--user", "1")):
        assert "make run" in features(database_url, *arguments).only_line(ExitCode.WRONG_SETTINGS)


def test_snapshots_are_listed_shown_and_dropped_and_only_the_newest_stay(url, warehouse):
    assert "no snapshots" in features(url, "list").out
    between, _ = moments(warehouse)
    numbers = [taken(url, "--as-of", between, SNAPSHOTS_KEPT="2")["snapshot_id"] for _ in range(3)]
    lines = [line.split() for line in features(url, "list").out.splitlines()[1:]]
    assert [line[0] for line in lines] == [str(number) for number in reversed(numbers[1:])]
    assert "jazz, rock" in features(url, "show", str(numbers[2]), "--user", "1").out
    assert "until_seq" in features(url, "show", str(numbers[2])).out
    assert f"dropped snapshot {numbers[2]} with the features of 7 users" in features(url, "drop", str(numbers[2])).out
    assert warehouse.execute("select distinct snapshot_id from features.user_snapshots").fetchall() == [(numbers[1],)]


def test_showing_the_past_of_a_user_changes_nothing(url, warehouse):
    views = "select pg_get_viewdef(oid) from pg_class where relnamespace = 'features'::regnamespace and relkind = 'v'"
    before = warehouse.execute(views).fetchall()
    between, _ = moments(warehouse)
    ended = features(url, "show", "--user", "1", "--as-of", between)
    assert ended.out.startswith("user 1, as known at ") and "rock" in ended.out and "metal" not in ended.out
    assert warehouse.execute(views).fetchall() == before
    assert warehouse.execute("select count(*) from features.snapshots").fetchone() == (0,)


def test_a_snapshot_that_fails_leaves_nothing(url, warehouse, monkeypatch):
    monkeypatch.setattr(feature_store, "DESCRIBE", "select 1 / 0")
    assert features(url, "snapshot").code == ExitCode.UNEXPECTED_ERROR
    assert warehouse.execute("select count(*) from features.user_snapshots").fetchone() == (0,)
