"""`make status` shows the state of the warehouse, and ends with the next step."""

import io

import psycopg
import pytest
from psycopg.types.json import Jsonb
from rich.console import Console

from expectations import ledger
from extract.erasures import key_check, tombstone
from pipeline.operations import status
from pipeline.records import run_ledger
from pipeline.settings import Settings
from tests.command import command
from warehouse.errors import ExitCode
from warehouse.locks import RUN_LOCK

KEY = "a key of the tests, long enough to be one"
SITUATIONS = {
    "nothing; everything is up to date": "select 1",
    "load new data, because the last load is more than a day old: make run": (
        "update staging._dlt_loads set inserted_at = now() - interval '27 hours'"
    ),
    'see the quarantined rows: make gate ARGS="show"': """
        insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule)
        select load_id, table_name, '[1]', 'a', 'email_is_an_address' from gate.loads where table_name = 'users' limit 1
    """,
    "build the published rows: make build": (
        "insert into gate.publications (load_id, table_name, kind) select load_id, table_name, 'again' from gate.loads"
    ),
    "check and build pending loads: make run": "update gate.loads set state = 'pending'",
    "fix the error that the last run reports, then: make run": (
        "insert into ops.runs (run_id, command, status, exit_code, message) values ('r', 'run', 'failed', 5, 'oh')"
    ),
    "the last run was killed; the next run recovers from that: make run": (
        "insert into ops.runs (run_id, command) values ('r', 'run')"
    ),
    'erase of run r was not completed; repeat it: make erase ARGS="..."': (
        "insert into ops.runs (run_id, command) values ('r', 'erase')"
    ),
    'prune of run r was not completed; repeat it: make prune ARGS="..."': """
        insert into ops.runs (run_id, command, status) values ('r', 'prune', 'failed'), ('s', 'run', 'succeeded')
    """,
    'release of run r was not completed; repeat it: make gate ARGS="release ..."': """
        insert into ops.runs (run_id, command, status) values ('r', 'gate release build', 'failed')
    """,
    "fix the error that the last run reports, then: make build": """
        insert into ops.runs (run_id, command, status) values ('r', 'gate release build', 'failed');
        insert into ops.steps (run_id, step, status) values ('r', 'release', 'succeeded'), ('r', 'build', 'failed')
    """,
}


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.mark.parametrize("next_step", SITUATIONS)
def test_the_next_step_fits_the_situation(next_step, built_database_url, connection):
    connection.execute(SITUATIONS[next_step])
    ended = command("status", DATABASE_URL=built_database_url)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == f"next: {next_step}"


def test_a_repeated_command_counts_as_completed(built_database_url, connection):
    connection.execute("""
        insert into ops.runs (run_id, command, status) values ('r', 'erase', 'failed'), ('s', 'erase', 'succeeded');
        insert into ops.steps (run_id, step, status) values ('s', 'erase', 'succeeded')
    """)
    assert command("status", DATABASE_URL=built_database_url).out.endswith("next: nothing; everything is up to date\n")


def test_the_order_of_runs_does_not_depend_on_the_clock(built_database_url, connection):
    """Case 33: the clock was set back by a day after the previous runs."""
    for table in ("ops.runs", "ops.steps"):
        connection.execute(f"update {table} set started_at = started_at + interval '1 day'")
    connection.execute(SITUATIONS["build the published rows: make build"])
    assert "next: build the published rows: make build\n" in command("status", DATABASE_URL=built_database_url).out

    connection.execute("insert into ops.runs (run_id, command, status, sample_day) values ('r', 'run', 'failed', 7)")
    connection.execute("insert into ops.steps (run_id, step, status) values ('r', 'extract', 'succeeded')")
    assert "next: fix the error" in command("status", DATABASE_URL=built_database_url).out
    assert not run_ledger.has_read_real_api(connection)


def test_a_warehouse_of_another_release_is_named_with_the_command_that_helps(built_database_url, connection):
    connection.execute("update ops.alembic_version set version_num = '0001'")
    assert command("status", DATABASE_URL=built_database_url).out.splitlines()[1:] == [
        "next: the warehouse must be upgraded for this release: make migrate"
    ]
    connection.execute("update ops.alembic_version set version_num = '9999'")
    line = command("status", DATABASE_URL=built_database_url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "migration 9999" in line and "Update the project" in line


@pytest.mark.parametrize("key", ["", KEY[::-1]], ids=["no key", "another key"])
def test_a_missing_erasure_key_is_the_next_step(key, built_database_url, connection):
    made = tombstone(KEY, "1")
    ledger.record_erasure(connection, made, [], key_check(KEY, made))
    last = command("status", DATABASE_URL=built_database_url, ERASURE_KEY=key).out.splitlines()[-1]
    assert last.startswith("next: ERASURE_KEY is not ") and "set ERASURE_KEY to the original key" in last
    good = command("status", DATABASE_URL=built_database_url, ERASURE_KEY=KEY)
    assert good.out.endswith("next: nothing; everything is up to date\n")


def test_a_load_that_was_never_checked_is_open(built_database_url, connection):
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
    assert out.splitlines()[-1] == (
        f'next: see why the load was blocked: make gate ARGS="show {newest}"; if the source is right, release it:'
        f""" make gate ARGS="release {newest} users --reason '...'\""""
    )


NEWEST = "_dlt_load_id = (select max(_dlt_load_id) from staging.scans)"
MASS_CHANGE = "30 of the 40 known users (75 %, more than MAX_CHANGED_SHARE 50 %)"


def break_rule(connection, table, rule, **example):
    failed = [{"rule": rule, "severity": "info", "rows": 1, "examples": [example]}]
    connection.execute(
        "update gate.loads set verdict = %s, state = 'accepted'"
        " where table_name = %s and load_id = (select max(load_id) from gate.loads)",
        [Jsonb({"failed_rules": failed}), table],
    )


def test_warnings_of_the_newest_loads_are_shown_and_are_the_next_step(built_database_url, connection):
    newest = connection.execute("select max(load_id) from gate.loads").fetchone()[0]
    connection.execute("update staging.scans set rows_unreadable = 12 where table_name = 'users'")
    connection.execute(f"update staging.scans set rows_unreadable = 1 where table_name = 'tracks' and {NEWEST}")
    break_rule(connection, "users", "few_changes", mass_change=MASS_CHANGE)
    break_rule(connection, "listen_history", "few_removals", removed_share="0.25")
    out = command("status", DATABASE_URL=built_database_url).out
    removed = connection.execute(
        f"select rows_removed from staging.scans where table_name = 'listen_history' and {NEWEST}"
    ).fetchone()[0]
    assert out.splitlines()[-1] == (
        f"next: {removed} keys of listen_history are gone from the source (25% of the known keys),"
        f" 1 row of tracks is unreadable, {MASS_CHANGE} have changed and 12 rows of users are unreadable;"
        f' see the details: make gate ARGS="show {newest}"'
    )
    assert "warnings of the newest loads" in out

    # what somebody decided about was checked, and rows that cannot be read are still not there
    connection.execute("update gate.loads set state = 'released'")
    assert command("status", DATABASE_URL=built_database_url).out.splitlines()[-1] == (
        "next: 1 row of tracks is unreadable and 12 rows of users are unreadable;"
        f' see the details: make gate ARGS="show {newest}"'
    )
    connection.execute(f"update staging.scans set rows_unreadable = 0 where {NEWEST}")
    assert command("status", DATABASE_URL=built_database_url).out.endswith(
        "next: nothing; everything is up to date\n"
    ), "it is over"


def test_waiting_listens_are_counted_if_the_login_may_read_them(built_database_url, connection):
    connection.execute("delete from prep.parked_listens")
    assert "wait" not in command("status", DATABASE_URL=built_database_url).out
    connection.execute("""
        insert into prep.parked_listens (id, user_id, track_id, is_user_unknown, is_track_unknown)
        values (1, 1, 99, false, true)
    """)
    out = command("status", DATABASE_URL=built_database_url).out
    assert "1 listen waits for a user or track that has not been loaded yet\n" in out
    assert out.endswith("next: nothing; everything is up to date\n"), "for information only"


def test_the_lock_distinguishes_a_running_run_from_a_killed_one(built_database_url, connection):
    connection.execute("insert into ops.runs (run_id, command) values ('r', 'run')")
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK])
    assert "next: a run is in progress" in command("status", DATABASE_URL=built_database_url).out
    connection.execute("select pg_advisory_unlock_all()")
    assert "crashed" in command("status", DATABASE_URL=built_database_url).out


@pytest.mark.parametrize("columns", [80, 100])
def test_the_status_fits_a_narrow_terminal_and_shows_whole_load_ids(columns, built_database_url, connection):
    connection.execute("update gate.loads set state = 'blocked', reason = %s", ["many removals " * 8])
    connection.execute("update staging.scans set rows_unreadable = 12")
    connection.execute("""
        insert into ops.runs (run_id, command, status, exit_code, message)
        values ('0123456789ab', 'gate release build', 'failed', 5, repeat('message ', 20))
    """)
    output = Console(file=io.StringIO(), width=columns, highlight=False)
    status.show(Settings(database_url=built_database_url), connection, output)
    *lines, next_step = output.file.getvalue().splitlines()
    assert next_step.startswith("next: ") and max(map(len, lines)) <= columns
    for (load_id,) in connection.execute("select distinct load_id from gate.loads"):
        assert sum(line.startswith(f"{load_id} ") for line in lines) >= 3


def test_a_long_message_is_cut(built_database_url, connection):
    connection.execute(
        "insert into ops.runs (run_id, command, status, exit_code, message) values ('r', 'run', 'failed', 5, %s)",
        ["§" * 500],
    )
    assert command("status", DATABASE_URL=built_database_url).out.count("§") == status.LONGEST_MESSAGE - 1


def test_an_empty_database_has_no_runs_yet(database_url):
    _, line = command("status", DATABASE_URL=database_url).out.splitlines()
    assert line == "no run yet; start one with: make run"
