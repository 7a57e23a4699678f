"""Incremental builds find exactly what changed, in cases that the random histories do not cover."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from expectations import decisions
from tests.integration.expectations.warehouse import document, track, user
from tests.runs import render, run_dbt, run_pipeline_on

pytestmark = pytest.mark.slow

WORLD = {"users": [user(1), user(2)], "tracks": [track(1, genres="Rock"), track(2, genres="Jazz")]}


def listens(connection):
    return connection.execute("select track_id, count(*) from marts.listen_history group by 1 order by 1").fetchall()


def build(connection):
    """Return (after_seq, until_seq) of the last build."""
    return connection.execute("select after_seq, until_seq from prep.int_build_window").fetchone()


def land_and_validate(database_url, *documents):
    run_pipeline_on(database_url, {**WORLD, "listen_history": list(documents)}, steps=("extract", "gate"))


def affinities(database_url, at=None):
    """Return the affinities of now, or as known at the moment, which are counted without the totals."""
    relation = (
        f"({render(database_url, f'user_genre_affinity({at!r})')}) as known" if at else "features.user_genre_affinity"
    )
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            f"select user_id, genre, listens, genre_rank, round(affinity::numeric, 6) from {relation} order by 1, 2"
        ).fetchall()


@pytest.fixture
def database_url(prepared_url):
    return prepared_url


@pytest.fixture
def night(database_url):
    def run(*documents, **tables):
        finished = run_pipeline_on(database_url, {**WORLD, "listen_history": list(documents), **tables})
        assert finished.message == "all published"

    return run


def test_a_document_with_another_spelling_of_its_time_is_the_same_document(night, database_url, connection):
    night(document(1, created_at="2026-01-05T10:00:00", items=[1]))
    night(document(1, created_at="2026-01-05 10:00:00.000000Z", items=[1, 2], updated_at="2026-02-02T10:00:00"))
    assert listens(connection) == [(1, 1), (2, 1)]
    night(document(1, created_at="2026-01-05T10:00:00", items=[1, 2, 2], updated_at="2026-02-03T10:00:00"))
    assert listens(connection) == [(1, 1), (2, 2)]


def test_a_build_without_changes_processes_nothing_and_one_with_other_vars_recounts_everything(
    night, database_url, connection
):
    night(document(1, items=[1]))
    assert run_dbt(database_url, "run").succeeded
    after_seq, until_seq = build(connection)
    assert after_seq == until_seq > 0
    for model in ("int_changed_users", "int_changed_tracks", "int_document_versions"):
        assert connection.execute(f"select count(*) from prep.{model}").fetchone() == (0,), model

    assert run_dbt(database_url, "run", "--vars", "{affinity_half_life_days: 15}").succeeded
    assert build(connection) == (0, until_seq)
    assert run_dbt(database_url, "run").succeeded
    assert build(connection) == (0, until_seq)


def test_a_dropped_stateful_table_is_built_again(night, database_url, connection):
    now = datetime.now(UTC)
    old, new = ((now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S") for days in (200, 2))
    night(document(1, items=[1, 2], updated_at=old), document(2, items=[2], updated_at=new))
    before = affinities(database_url)
    connection.execute("drop table prep.user_genre_totals cascade")
    connection.execute("drop table marts.listen_history cascade")
    assert run_dbt(database_url, "run").succeeded
    assert listens(connection) == [(1, 1), (2, 2)]
    assert [row[:4] for row in affinities(database_url)] == [row[:4] for row in before]


def test_a_dropped_column_is_filled_again(night, database_url, connection):
    night(document(1, items=[1]))
    emails = "select id, email from marts.users order by 1"
    before = connection.execute(emails).fetchall()
    connection.execute("alter table marts.users drop column email cascade")
    night(document(1, items=[1]))
    assert connection.execute(emails).fetchall() == before and None not in dict(before).values()


def test_totals_plus_recent_listens_equal_a_full_count(night, database_url, connection):
    now = datetime.now(UTC)
    days = (400, 100, 91, 90, 89, 10, 1)
    documents = [
        document(1, created_at=f"2024-01-{day % 28 + 1:02}T0{day % 9}:00:00", items=[1, 2, 1], updated_at=when)
        for day, when in ((each, (now - timedelta(days=each)).strftime("%Y-%m-%dT%H:%M:%S")) for each in days)
    ]
    night(*documents[:4])
    night(*documents)
    assert connection.execute("select sum(listens) from prep.user_totals").fetchone() == (3 * 3,)
    incremental = affinities(database_url)
    full_count = affinities(database_url, at="now()")
    assert [row[:4] for row in incremental] == [row[:4] for row in full_count]
    assert [float(row[4]) for row in incremental] == pytest.approx([float(row[4]) for row in full_count], abs=1e-4)
    affinities(database_url)


def test_a_late_listen_is_counted_once_when_two_builds_process_it(night, database_url, connection):
    late = document(1, items=[1], updated_at="2026-01-06T10:00:00")
    night()
    night(late)
    for model in ("user_totals", "user_genre_totals", "user_genre_totals"):
        assert run_dbt(database_url, "run", "--select", model).succeeded
    assert connection.execute("select listens from prep.user_genre_totals").fetchall() == [(1,)]
    assert connection.execute("select listens, track_ids from prep.user_totals").fetchall() == [(1, [1])]


@pytest.mark.parametrize("is_rejected_again", [False, True])
def test_a_decision_during_a_build_takes_effect_in_the_next_build(is_rejected_again, night, database_url, connection):
    night(document(1, items=[1], updated_at="2026-01-06T10:00:00"))
    quarantined_document = document(1, items=[1, 2, 2, 2, 2], updated_at="2026-01-07T10:00:00")
    land_and_validate(database_url, quarantined_document, document(2, created_at="never"))
    (load,) = connection.execute("select load_id from gate.loads where state = 'blocked'").fetchone()
    land_and_validate(database_url, document(1, items=[1, 1], updated_at="2026-01-08T10:00:00"))

    assert run_dbt(database_url, "run", "--select", "int_build_window").succeeded
    decisions.release(connection, load, "listen_history", "the rows are correct", is_dry_run=False)
    assert run_dbt(database_url, "run", "--exclude", "int_build_window").succeeded
    assert listens(connection) == [(1, 2)]

    if is_rejected_again:
        decisions.reject(connection, load, "listen_history", "the rows are wrong", is_dry_run=False)
    assert run_dbt(database_url, "run").succeeded
    assert listens(connection) == ([(1, 2)] if is_rejected_again else [(1, 2), (2, 4)])
    heard = sum(count for _, count in listens(connection))
    assert connection.execute("select listens from prep.user_totals").fetchall() == [(heard,)]


def test_features_as_known_at_a_moment_use_the_genres_known_then(night, database_url):
    night(document(1, items=[1], updated_at="2026-01-06T10:00:00"))
    between = datetime.now(UTC).isoformat()
    night(
        document(1, items=[1], updated_at="2026-01-06T10:00:00"),
        tracks=[track(1, genres="Metal", updated_at="2026-02-01T10:00:00"), track(2, genres="Jazz")],
    )
    assert [row[1] for row in affinities(database_url, at=f"'{between}'::timestamptz")] == ["rock"]
    assert [row[1] for row in affinities(database_url)] == ["metal"]
