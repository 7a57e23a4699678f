"""`make status` says what is the matter, and ends with the next thing to do."""

import psycopg
import pytest

from pipeline import status
from pipeline.warehouse import RUN_LOCK
from tests.pipeline.command import command

SITUATIONS = {
    "nothing; all is well": "select 1",
    "the warehouse is older than a day: make run": (
        "update staging._dlt_loads set inserted_at = now() - interval '27 hours'"
    ),
    'look at the quarantined rows: make gate ARGS="show"': """
        insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule)
        select load_id, table_name, '[1]', 'a', 'email_is_an_address' from gate.loads where table_name = 'users' limit 1
    """,
    "build what is published: make build": (
        "insert into gate.publications (load_id, table_name, kind) select load_id, table_name, 'again' from gate.loads"
    ),
    "judge and build what is pending: make run": "update gate.loads set state = 'pending'",
    "mend what the last run's message says, then: make run": (
        "insert into ops.runs (run_id, command, status, exit_code, message) values ('r', 'run', 'failed', 5, 'oh')"
    ),
    "the last run was killed; the next one clears up after it: make run": (
        "insert into ops.runs (run_id, command) values ('r', 'run')"
    ),
}


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.mark.parametrize("next_step", SITUATIONS)
def test_the_next_thing_to_do_fits_the_situation(next_step, built_database_url, connection):
    connection.execute(SITUATIONS[next_step])
    ended = command("status", DATABASE_URL=built_database_url)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == f"next: {next_step}"


def test_what_landed_and_was_never_judged_is_an_open_load(built_database_url, connection):
    connection.execute("create temporary table copied as select * from staging.scans limit 1")
    connection.execute("update copied set _dlt_load_id = 'new one', _dlt_id = 'new one', version_seq = 1000")
    connection.execute("insert into staging.scans select * from copied")
    unfinished = command("status", DATABASE_URL=built_database_url).out
    assert "new one" not in unfinished, "a load that dlt has not completed is none"
    connection.execute("insert into staging._dlt_loads (load_id, status, inserted_at) values ('new one', 0, now())")
    assert "new one" in command("status", DATABASE_URL=built_database_url).out


def test_a_blocked_load_is_named_with_its_reason(built_database_url, connection):
    connection.execute("update gate.loads set state = 'blocked', reason = 'too many' where table_name = 'users'")
    newest = connection.execute("select max(load_id) from gate.loads").fetchone()[0]
    out = command("status", DATABASE_URL=built_database_url).out
    assert "too many" in out
    assert out.splitlines()[-1] == f'next: see why the load was blocked: make gate ARGS="show {newest}"'


def test_a_run_at_work_is_told_from_a_killed_one_by_its_lock(built_database_url, connection):
    connection.execute("insert into ops.runs (run_id, command) values ('r', 'run')")
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK])
    assert "next: a run is at work" in command("status", DATABASE_URL=built_database_url).out
    connection.execute("select pg_advisory_unlock_all()")
    assert "crashed" in command("status", DATABASE_URL=built_database_url).out


def test_a_long_message_is_cut(built_database_url, connection):
    connection.execute(
        "insert into ops.runs (run_id, command, status, exit_code, message) values ('r', 'run', 'failed', 5, %s)",
        ["§" * 500],
    )
    assert command("status", DATABASE_URL=built_database_url).out.count("§") == status.LONGEST_MESSAGE - 1


def test_an_empty_database_has_no_runs_yet(database_url):
    assert command("status", DATABASE_URL=database_url).out == "no run yet; start one with: make run\n"
