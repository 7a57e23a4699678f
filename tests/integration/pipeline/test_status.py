"""`make status` shows the state of the warehouse, and ends with the next step."""

import io
import re

import psycopg
import pytest
from psycopg.types.json import Jsonb
from rich.console import Console

from expectations import ledger
from extract.erasures import hash_user_id, key_check
from pipeline.console import status_view
from pipeline.console.terminal import minute
from pipeline.operations import status
from pipeline.records import run_ledger
from pipeline.run.message_parts import blocked_advice, without_blocked_advice
from pipeline.settings import Settings
from sample_api.world import snapshot
from tests.command import PROJECT, command
from tests.integration.pipeline.conftest import NEXT_DAY, WORLD
from tests.runs import run_pipeline_on
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


def test_a_warehouse_of_another_version_is_named_with_the_command_that_helps(built_database_url, connection):
    connection.execute("update ops.alembic_version set version_num = '0001'")
    assert command("status", DATABASE_URL=built_database_url).out.splitlines()[1:] == [
        "next: the warehouse must be upgraded for this version: make migrate"
    ]
    connection.execute("update ops.alembic_version set version_num = '9999'")
    line = command("status", DATABASE_URL=built_database_url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "migration 9999" in line and "Update the project" in line


@pytest.mark.parametrize("key", ["", KEY[::-1]], ids=["no key", "another key"])
def test_a_missing_erasure_key_is_the_next_step(key, built_database_url, connection):
    made = hash_user_id(KEY, "1")
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


def test_parked_listens_are_counted_if_the_login_may_read_them(built_database_url, connection):
    connection.execute("delete from prep.parked_listens")
    assert "parked" not in command("status", DATABASE_URL=built_database_url).out
    connection.execute("""
        insert into prep.parked_listens (id, user_id, track_id, is_user_unknown, is_track_unknown)
        values (1, 1, 99, false, true)
    """)
    out = command("status", DATABASE_URL=built_database_url).out
    assert "1 parked listen: its user or track has not been loaded yet\n" in out
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
        values
            ('0123456789ab', 'gate release build', 'failed', 5, repeat('message ', 20)),
            ('123456789abc', 'extract gate build and another step', 'failed', 5, 'oh')
    """)
    *lines, next_step = status_lines(connection, built_database_url, columns)
    assert next_step.startswith("next: ") and max(map(len, lines)) <= columns
    for (load_id,) in connection.execute("select distinct load_id from gate.loads"):
        assert sum(line.startswith(f"{load_id} ") for line in lines) >= 3
    for run_id in ("0123456789ab", "123456789abc"):
        assert [line.partition(run_id)[2][:1] for line in lines if run_id in line] == [" ", ":"]


def status_lines(connection, url, columns):
    """Return the lines of the status on a terminal of this width."""
    output = Console(file=io.StringIO(), width=columns, highlight=False)
    status_view.show(status.read(Settings(database_url=url), connection), output)
    return output.file.getvalue().splitlines()


def lines_of(run_id, lines):
    """Return the lines below the table of the runs about this run."""
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{run_id}: "))
    end = next(number for number, line in enumerate(lines[start + 1 :], start + 1) if not line.startswith("  "))
    return lines[start:end]


@pytest.mark.parametrize(
    ("code", "message", "step", "runbook"),
    [
        (1, "unexpected error KeyError in _gate line 7", "MOOVITAMIX_TRACEBACK=1 make run", "failed-run.md"),
        (1, run_ledger.INTERRUPTED, "make run", "failed-run.md"),
        (2, "BATCH_SIZE is too large", "make run, when that is fixed", "failed-run.md"),
        (3, "page 3 of users failed", "make run, when that is fixed", "failed-source.md"),
        (5, "dbt failed", "make run, when that is fixed", "failed-run.md"),
        (None, "the process was killed", "make run", "crashed-run.md"),
    ],
)
def test_a_run_without_success_has_two_lines_what_happened_and_the_next_step(
    code, message, step, runbook, built_database_url, connection
):
    connection.execute(
        """
        insert into ops.runs (run_id, command, status, exit_code, message)
        values ('0123456789ab', 'extract gate build', %s, %s, %s)
        """,
        ["failed", code, message] if code else ["running", None, None],  # nobody holds the lock: it was killed
    )
    assert lines_of("0123456789ab", status_lines(connection, built_database_url, 80)) == [
        f"0123456789ab: {message}",
        f"  next: {step}; runbook: docs/runbooks/{runbook}",
    ]
    assert (PROJECT / "docs" / "runbooks" / runbook).is_file()


@pytest.mark.parametrize(
    ("command_", "step", "runbook"),
    [
        ("erase", 'make erase ARGS="..."', "erasure-request.md"),
        ("gate release build", 'make gate ARGS="release ..."', "failed-run.md"),
        ("train", "make train", "failed-run.md"),
        ("snapshot", "make features ARGS=snapshot", "failed-run.md"),
        ("drop snapshot", 'make features ARGS="drop ..."', "failed-run.md"),
    ],
)
def test_a_decision_without_success_is_repeated(command_, step, runbook, built_database_url, connection):
    connection.execute(
        "insert into ops.runs (run_id, command, status, exit_code, message) values ('r', %s, 'failed', 7, 'the disk')",
        [command_],
    )
    assert lines_of("r", status_lines(connection, built_database_url, 80)) == [
        "r: the disk",
        f"  next: {step}; runbook: docs/runbooks/{runbook}",
    ]
    connection.execute(
        "insert into ops.runs (run_id, command, status, exit_code) values ('s', %s, 'succeeded', 0)", [command_]
    )
    assert "  next: nothing, it was repeated" in lines_of("r", status_lines(connection, built_database_url, 80))[1]


def test_a_run_that_a_later_one_made_up_for_needs_nothing(built_database_url, connection):
    connection.execute("""
        insert into ops.runs (run_id, command, status, exit_code, message)
        values ('r', 'extract gate build', 'failed', 3, 'page 3 failed'), ('s', 'gate', 'succeeded', 0, 'checked');
        insert into ops.steps (run_id, step, status)
        values ('r', 'gate', 'succeeded'), ('r', 'build', 'succeeded'), ('s', 'gate', 'succeeded')
    """)
    assert "  next: make run, when" in lines_of("r", status_lines(connection, built_database_url, 80))[1], (
        "nothing was loaded"
    )
    connection.execute("""
        insert into ops.runs (run_id, command, status) values ('t', 'extract', 'succeeded');
        insert into ops.steps (run_id, step, status) values ('t', 'extract', 'succeeded')
    """)
    assert lines_of("r", status_lines(connection, built_database_url, 80))[1:] == [
        "  next: nothing, a later run did it; runbook: docs/runbooks/failed-source.md"
    ]


def test_a_blocked_run_names_its_load_until_it_is_decided(built_database_url, connection):
    world = snapshot(WORLD, NEXT_DAY)
    assert run_pipeline_on(built_database_url, world, ("bad_rows@users=0.6/2",)).exit_code == ExitCode.BLOCKED
    run_id, load_id = connection.execute(
        "select run_id, load_id from ops.run_loads where state = 'blocked' and table_name = 'users'"
    ).fetchone()
    what, *after = lines_of(run_id, status_lines(connection, built_database_url, 100))
    assert re.fullmatch(
        rf"{run_id}: blocked: users \(\d+ bad rows are \d+(\.\d+)? % of the \d+ rows read \(.*\)\)", what
    )
    assert after == [f'  next: make gate ARGS="show {load_id}"; runbook: docs/runbooks/blocked-load.md']
    narrow = lines_of(run_id, status_lines(connection, built_database_url, 80))
    assert narrow[-2:] == [f'  next: make gate ARGS="show {load_id}"', "  runbook: docs/runbooks/blocked-load.md"]

    decided = command("gate", "release", load_id, "users", "--reason", "it is right", DATABASE_URL=built_database_url)
    assert decided.code == ExitCode.PUBLISHED
    assert (
        "  next: nothing, it is not blocked any more"
        in lines_of(run_id, status_lines(connection, built_database_url, 100))[1]
    )


def test_the_message_of_a_blocked_run_keeps_what_else_failed(built_database_url):
    advice = blocked_advice([("17.5", "users"), ("17.5", "tracks")])
    message = f"page 3 failed; blocked: users (bad), tracks (bad){advice}; dbt failed"
    assert without_blocked_advice(message) == "page 3 failed; blocked: users (bad), tracks (bad); dbt failed"


@pytest.mark.parametrize(
    ("message", "kept"),
    [("§" * 500, "§" * (status_view.LONGEST_MESSAGE - 1)), ("17.1234567890 " * 30, "17.1234567890 " * 21)],
    ids=["one word", "words"],
)
def test_a_long_message_is_cut_between_words(message, kept, built_database_url, connection):
    connection.execute(
        "insert into ops.runs (run_id, command, status, exit_code, message) values ('r', 'run', 'failed', 5, %s)",
        [message],
    )
    *lines, _ = lines_of("r", status_lines(connection, built_database_url, 100))
    # a line ends between two words, or in a word that is longer than a line
    assert "".join(lines).replace(" ", "") == f"r:{kept}…".replace(" ", "")


def test_freshness_is_that_of_the_published_data_and_by_table_where_they_differ(built_database_url, connection):
    connection.execute("""
        update ops.steps
        set started_at = now() - case run_seq when 1 then interval '53 hours' else interval '29 hours' end
        from ops.runs
        where steps.run_id = runs.run_id and steps.step = 'extract'
    """)
    first, newest = (
        f"{minute(time)} UTC, {hours}.0 h ago"
        for hours, (time,) in zip(
            (53, 29),
            connection.execute("select started_at from ops.steps where step = 'extract' order by 1"),
            strict=True,
        )
    )

    def freshness():
        lines = status_lines(connection, built_database_url, 80)
        start = next(number for number, line in enumerate(lines) if line.startswith("freshness: "))
        return lines[start:-1]

    assert freshness() == [f"freshness: readers see the source as of {newest}"]
    connection.execute(
        "update gate.loads set state = 'blocked'"
        " where table_name = 'users' and load_id = (select max(load_id) from gate.loads)"
    )
    assert freshness() == [
        "freshness: readers see the source",
        f"  users           as of {first}; newer load blocked",
        f"  tracks          as of {newest}",
        f"  listen_history  as of {newest}",
    ]
    connection.execute("update gate.loads set state = 'blocked' where table_name = 'users'")
    assert freshness()[1] == "  users           not at all yet; newer load blocked"
    connection.execute("update gate.loads set state = 'pending'")
    assert freshness() == ["freshness: readers see nothing yet"]


def test_an_empty_database_has_no_runs_yet(database_url):
    _, line = command("status", DATABASE_URL=database_url).out.splitlines()
    assert line == "no run yet; start one with: make run"
