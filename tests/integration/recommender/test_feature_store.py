"""`features`: features as of a moment, stored and shown, follow decisions and harm nobody."""

import datetime as dt

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from recommender import feature_store
from tests.command import command
from tests.databases import new_database
from tests.forks import forked
from tests.integration.expectations.warehouse import document, track, user
from tests.runs import render, run_pipeline_on
from warehouse.errors import ExitCode

USERS = [user(number, favorite_genres="Rock, jazz") for number in range(1, 9)]
NIGHTS = (
    {"users": USERS[:7], "tracks": [track(1, genres="Rock"), track(2, genres="Jazz")]},
    {"users": USERS, "tracks": [track(1, genres="Metal"), track(2, genres="Jazz")]},
)
HEARD = document(1, items=[1], updated_at="2026-01-06T10:00:00")
HEARD_MORE = document(1, items=[1, 2, 2], updated_at="2026-01-07T10:00:00")
OTHER = document(2, items=[2], updated_at="2026-01-07T11:00:00")
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
RECENT = document(3, items=[1, 2], updated_at=f"{YESTERDAY:%Y-%m-%dT%H:%M:%S}")


def features(url, *arguments, **environment):
    return command("features", *arguments, DATABASE_URL=url, **environment)


def take_snapshot(url, *arguments, **environment):
    """Take a snapshot, and return its row of features.snapshots."""
    ended = features(url, "snapshot", *arguments, **environment)
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, ""), ended
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute("select * from features.snapshots order by snapshot_id desc limit 1").fetchone()


def features_in(url, snapshot):
    """Return the features by user."""
    with psycopg.connect(url) as connection:
        query = "select user_id, features from features.user_snapshots where snapshot_id = %s"
        return dict(connection.execute(query, [snapshot["snapshot_id"]]).fetchall())


def two_moments(connection):
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
    """Name of a database after two nights: a genre changes, user 8 and five listens come."""
    with new_database(postgres_url, "two_nights") as url:
        for rows, documents in zip(NIGHTS, ([HEARD], [HEARD_MORE, OTHER, RECENT]), strict=True):
            assert run_pipeline_on(url, {**rows, "listen_history": documents}).exit_code == ExitCode.PUBLISHED
        yield "two_nights"


@pytest.fixture
def url(postgres_url, template):
    with new_database(postgres_url, "looking_back", f"template {template}") as url:
        yield url


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_a_snapshot_has_what_was_known_then(url, warehouse):
    between, after = two_moments(warehouse)
    early, late = take_snapshot(url, "--as-of", between), take_snapshot(url, "--as-of", after)

    assert (early["users"], early["listens"]) == (7, 1)
    assert (late["users"], late["listens"]) == (8, 6)
    assert early["until_seq"] == late["until_seq"] == 6
    assert features_in(url, early)[1]["genre_listens"] == {"rock": 1}
    assert features_in(url, late)[1]["genre_listens"] == {"metal": 1, "jazz": 2}
    assert features_in(url, late)[8]["listens"] == 0


def test_the_newest_snapshot_equals_the_views(url, warehouse):
    now = features_in(url, take_snapshot(url))
    cursor = warehouse.cursor(row_factory=dict_row)
    for row in cursor.execute("select to_jsonb(p) as profile from features.user_profile as p").fetchall():
        profile = row["profile"]
        for name in now[profile["user_id"]].keys() & profile.keys():
            assert now[profile["user_id"]][name] == pytest.approx(profile[name], abs=1e-3), name
    rows = warehouse.execute("select user_id, genre, listens, affinity from features.user_genre_affinity").fetchall()
    assert len(rows) == 5
    for user_id, genre, listens, affinity in rows:
        assert now[user_id]["genre_listens"][genre] == listens
        assert now[user_id]["genre_affinities"][genre] == pytest.approx(affinity, abs=1e-6)


def test_the_same_moment_gives_the_same_snapshot_and_another_one_another(url, warehouse):
    between, after = two_moments(warehouse)
    first = take_snapshot(url, "--as-of", after)
    warehouse.execute("vacuum full marts.listen_history, marts.users, staging.users")
    second = take_snapshot(url, "--as-of", after)
    assert first["fingerprint"] == second["fingerprint"] != take_snapshot(url, "--as-of", between)["fingerprint"]
    assert features_in(url, first) == features_in(url, second)


@pytest.mark.slow
def test_a_rejected_load_was_never_known_and_a_stored_snapshot_stays(url, warehouse):
    _, after = two_moments(warehouse)
    before = take_snapshot(url, "--as-of", after)
    kept = features_in(url, before)
    (load,) = warehouse.execute("select max(load_id) from gate.loads").fetchone()
    assert command("gate", "reject", load, "listen_history", "--reason", "wrong", DATABASE_URL=url).code == 0

    now = take_snapshot(url, "--as-of", after)

    assert now["listens"] == 1 and features_in(url, now)[1]["genre_listens"] == {"metal": 1}
    assert now["until_seq"] > before["until_seq"]
    assert features_in(url, before) == kept


@pytest.mark.slow
def test_an_erased_user_is_in_no_snapshot_and_each_one_says_so(url, warehouse):
    first, second = take_snapshot(url), take_snapshot(url)
    ended = command("erase", "1", "--reason", "as requested", DATABASE_URL=url, ERASURE_KEY="k" * 32)
    assert ended.code == ExitCode.PUBLISHED
    assert "2 rows of features.user_snapshots" in ended.out
    assert 1 not in features_in(url, first) and 1 not in features_in(url, second)
    assert warehouse.execute("select distinct users, erased_users from features.snapshots").fetchall() == [(8, 1)]
    later = take_snapshot(url)
    assert (later["users"], later["erased_users"]) == (7, 0)


@pytest.mark.slow
def test_a_moment_before_the_horizon_of_prune_is_refused(url, warehouse):
    _, after = two_moments(warehouse)
    warehouse.execute("update gate.publications set published_at = published_at - interval '3 days'")
    assert command("prune", "--keep", "1d", "--reason", "space", DATABASE_URL=url).code == ExitCode.PUBLISHED
    line = features(url, "snapshot", "--as-of", "2d").only_line(ExitCode.WRONG_SETTINGS)
    assert "were pruned" in line and "features list" in line
    assert take_snapshot(url, "--as-of", after)["listens"] == 6
    assert warehouse.execute("select count(*) from features.snapshots").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("snapshot", "--as-of", "2999-01-01"), "in the future"),
        (("snapshot", "--as-of", "soon"), "or a time ago such as 7d"),
        (("snapshot", "--as-of", ""), "or a time ago such as 7d"),
        (("snapshot", "--as-of", "99999999999d"), "is before 1900"),
        (("snapshot", "--as-of", "0001-01-01T00:00+14:00"), "is before 1900"),
        (("show",), "give a SNAPSHOT, or --user"),
        (("show", "1", "--user", "1", "--as-of", "1d"), "has its own moment"),
        (("show", "999"), "there is no snapshot 999"),
        (("show", "--user", "-1"), "there is no user -1 as known now"),
        (("drop", "999"), "there is no snapshot 999"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(arguments, words, url):
    assert words in features(url, *arguments).only_line(ExitCode.WRONG_SETTINGS)


@pytest.mark.parametrize(
    "change",
    [
        "update prep.builds set seq = seq - 1 where model = 'marts.users'",
        "update prep.builds set fingerprint = 'of another version' where model = 'marts.users'",
        "delete from prep.builds where model = 'marts.listen_history'",
    ],
)
def test_marts_that_are_not_built_up_to_the_newest_publication_are_refused(change, url, warehouse):
    warehouse.execute(change)
    assert "run: make build" in features(url, "snapshot").only_line(ExitCode.WRONG_SETTINGS)
    assert warehouse.execute("select count(*) from features.snapshots").fetchone() == (0,)
    assert command("build", DATABASE_URL=url).code == ExitCode.PUBLISHED
    assert features(url, "snapshot").code == ExitCode.PUBLISHED


def test_a_warehouse_without_a_run_says_what_to_do(database_url):
    for arguments in (("snapshot",), ("list",), ("show", "--user", "1")):
        assert "make run" in features(database_url, *arguments).only_line(ExitCode.WRONG_SETTINGS)


def test_snapshots_are_listed_shown_and_dropped_and_only_the_newest_stay(url, warehouse):
    assert "no snapshots" in features(url, "list").out
    between, _ = two_moments(warehouse)
    numbers = [take_snapshot(url, "--as-of", between, SNAPSHOTS_KEPT="2")["snapshot_id"] for _ in range(3)]
    lines = [line.split() for line in features(url, "list").out.splitlines()[1:]]
    assert [line[0] for line in lines] == [str(number) for number in reversed(numbers[1:])]
    assert "jazz, rock" in features(url, "show", str(numbers[2]), "--user", "1").out
    assert "until_seq" in features(url, "show", str(numbers[2])).out
    assert f"dropped snapshot {numbers[2]} with the features of 7 users" in features(url, "drop", str(numbers[2])).out
    assert warehouse.execute("select distinct snapshot_id from features.user_snapshots").fetchall() == [(numbers[1],)]


def test_showing_the_past_of_a_user_changes_nothing(url, warehouse):
    views = "select pg_get_viewdef(oid) from pg_class where relnamespace = 'features'::regnamespace and relkind = 'v'"
    before = warehouse.execute(views).fetchall()
    between, _ = two_moments(warehouse)
    ended = features(url, "show", "--user", "1", "--as-of", between)
    assert ended.out.startswith("user 1, as known at ") and "rock" in ended.out and "metal" not in ended.out
    assert warehouse.execute(views).fetchall() == before
    assert warehouse.execute("select count(*) from features.snapshots").fetchone() == (0,)


def test_a_snapshot_that_fails_leaves_nothing(url, warehouse, monkeypatch):
    monkeypatch.setattr(feature_store, "DESCRIBE", "select 1 / 0")
    assert features(url, "snapshot").code == ExitCode.UNEXPECTED_ERROR
    assert warehouse.execute("select count(*) from features.user_snapshots").fetchone() == (0,)


def test_names_of_genres_are_printed_as_they_are(url, warehouse):
    by_genre = {"[/x] rock": 1}
    features_of_one = {"genre_listens": by_genre, "genre_affinities": by_genre, "top_genre": "[/x] rock"}
    snapshot = take_snapshot(url)["snapshot_id"]
    warehouse.execute("update features.user_snapshots set features = %s where user_id = 1", [Jsonb(features_of_one)])
    ended = features(url, "show", str(snapshot), "--user", "1")
    assert ended.code == ExitCode.PUBLISHED and ended.out.count("[/x] rock") == 2


@pytest.mark.parametrize("feature", ["user_track_affinity", "track_profile", "genre_popularity"])
def test_features_as_known_now_equal_the_views(feature, url, warehouse):
    as_known = render(url, f'{feature}("now()")')
    with warehouse.transaction():  # one now() for both
        view = warehouse.execute(f"select * from features.{feature} order by 1, 2").fetchall()
        assert warehouse.execute(f"select * from ({as_known}) as known order by 1, 2").fetchall() == view
    assert len(view) >= 2


@pytest.mark.slow
def test_a_snapshot_depends_on_no_process_and_no_time_zone(url, warehouse):
    _, after = two_moments(warehouse)
    # the next day in Berlin
    warehouse.execute("update marts.listen_history set listened_at = '2026-01-07 23:30Z' where user_id = 2")
    first = take_snapshot(url, "--as-of", after)
    name = warehouse.info.dbname
    warehouse.execute(f"alter database {name} set timezone = 'Europe/Berlin'")
    with forked("features", "snapshot", "--as-of", after, DATABASE_URL=url) as process:
        assert process.finish().code == ExitCode.PUBLISHED
    (second,) = warehouse.execute("select max(snapshot_id) from features.snapshots").fetchone()
    fingerprints = "select count(*), count(distinct fingerprint) from features.snapshots"
    assert warehouse.execute(fingerprints).fetchone() == (2, 1)
    assert features_in(url, first) == features_in(url, {"snapshot_id": second})


@pytest.mark.slow
def test_pruning_changes_nothing_that_was_known_after_its_horizon(url, warehouse):
    warehouse.execute("update gate.publications set published_at = published_at - interval '3 days'")
    a_day_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    before = take_snapshot(url, "--as-of", a_day_ago.isoformat())
    assert command("prune", "--keep", "1d", "--reason", "space", DATABASE_URL=url).code == ExitCode.PUBLISHED
    (horizon,) = warehouse.execute("select known_from from features.known_range").fetchone()
    after = take_snapshot(url, "--as-of", (horizon + dt.timedelta(seconds=1)).isoformat())
    genres = [{user: row["genre_listens"] for user, row in features_in(url, each).items()} for each in (before, after)]
    assert genres[0] == genres[1] and genres[0][1] == {"metal": 1}
