"""Runs after ones that were killed, interrupted, started twice or cut off from the warehouse."""

import contextlib
import json
import signal

import psycopg
import pytest

from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command, last_run, step_is_running, until, until_unlocked
from tests.forks import forked
from tests.marts import contents
from tests.runs import run_pipeline
from warehouse import database, locks
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_database_url`
OURS = [locks.RUN_APPLICATION, locks.LOCK_APPLICATION]


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.fixture
def api(third_run_api):
    """Serve the API of the third run, with its own faults."""
    with serve(third_run_api.rows) as server:
        yield server


@pytest.fixture
def settings(built_database_url, api):
    return {"DATABASE_URL": built_database_url, "API_BASE_URL": api.url}


@contextlib.contextmanager
def table_locked(database_url, table):
    """Lock the table during the block, or until the yielded function is called."""
    with psycopg.connect(database_url, application_name="test") as locker:
        locker.execute(f"lock table {table}")
        yield locker.rollback


def waits_for_a_lock(connection):
    return connection.execute(
        "select exists (select 1 from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock' and application_name = any (%s))",
        [OURS],
    ).fetchone()[0]


@contextlib.contextmanager
def run_stuck_in(step, settings, api, connection):
    """Start a run as a process that stops half-way through the step. Yield it, and a function that lets it go on."""
    with contextlib.ExitStack() as stack:
        if step == "extract":
            api.faults.add("hang@listen_history=1")
            let_go = api.faults.clear
        else:
            run_pipeline(*settings.values(), ("extract", "gate"))
            let_go = stack.enter_context(table_locked(settings["DATABASE_URL"], "marts.tracks"))
        process = stack.enter_context(forked(step, **settings))
        until(lambda: step_is_running(connection, step))
        if step == "extract":
            until(lambda: api.requests.in_flight)
        else:
            until(lambda: waits_for_a_lock(connection))
        yield process, let_go
    api.faults.clear()


@pytest.mark.parametrize("step", ["extract", "build"])
def test_a_killed_run_shows_as_crashed_and_the_next_run_repairs_it(step, settings, api, connection, uninterrupted_twin):
    before = contents(settings["DATABASE_URL"])
    with run_stuck_in(step, settings, api, connection) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.finish()
        until_unlocked(connection)
        status = command("status", DATABASE_URL=settings["DATABASE_URL"])
        assert "crashed" in status.out and "the last run was killed" in status.out
        for table in ("runs", "steps"):
            newest = f"select status from ops.{{}}{table} order by started_at desc limit 1"
            assert connection.execute(newest.format("")).fetchone() == ("running",), "nobody has written since"
            assert connection.execute(newest.format("current_")).fetchone() == ("crashed",)
        if step == "extract":
            assert contents(settings["DATABASE_URL"]) == before
        else:
            assert waits_for_a_lock(connection), "its statement should have outlived it"
            with locks.run_lock(database.find(settings["DATABASE_URL"], locks.RUN_APPLICATION)):
                assert not waits_for_a_lock(connection), "it could still commit into the next run's work"

    assert command("run", **settings).code == ExitCode.PUBLISHED

    assert contents(settings["DATABASE_URL"]) == uninterrupted_twin
    ended = connection.execute("select status, exit_code from ops.runs order by run_seq desc limit 2").fetchall()
    assert ended == [("succeeded", 0), ("crashed", None)]
    steps = connection.execute("select step, status from ops.steps where status <> 'succeeded'").fetchall()
    assert steps == [(step, "crashed")]


@pytest.mark.parametrize(("step", "number"), [("extract", signal.SIGTERM), ("build", signal.SIGINT)])
def test_an_interrupted_run_is_reported_in_one_line_and_in_the_ledger(step, number, settings, api, connection):
    with run_stuck_in(step, settings, api, connection) as (process, let_go):
        process.send_signal(number)
        until(lambda: not step_is_running(connection, step))
        let_go()  # else the end of the run waits 10 seconds to count the rows
        ended = process.finish()
    assert "interrupted" in ended.only_line(ExitCode.UNEXPECTED_ERROR)
    closed = json.loads(ended.out.splitlines()[-1])
    assert (closed["event"], closed["exit_code"], closed["message"]) == (
        "run_ended",
        ExitCode.UNEXPECTED_ERROR,
        "interrupted",
    )
    assert last_run(connection) == ("failed", ExitCode.UNEXPECTED_ERROR, "interrupted")
    assert connection.execute("select step, message from ops.steps where status = 'failed'").fetchall() == [
        (step, "interrupted")
    ]


def test_a_second_run_is_refused_at_once_and_writes_nothing(settings, api, connection):
    with run_stuck_in("extract", settings, api, connection):
        before = ledger_and_loads(connection)

        line = command("run", **settings).only_line(ExitCode.ALREADY_RUNNING)

        assert "another run is using" in line and "make status" in line
        assert ledger_and_loads(connection) == before
        assert "a run is in progress" in command("status", **settings).out
        assert "running" in command("status", **settings).out
        # somebody who only looks never takes the lock, not even for a moment
        assert command("gate", DATABASE_URL=settings["DATABASE_URL"]).code == ExitCode.ALREADY_RUNNING


def ledger_and_loads(connection):
    return [
        connection.execute(f"select count(*), max({what}::text) from {table}").fetchone()
        for table, what in {"ops.runs": "xmin", "ops.steps": "xmin", "staging.scans": "_dlt_load_id"}.items()
    ]


def test_of_two_simultaneous_first_runs_one_is_refused(database_url):
    with serve(snapshot(WORLD, 0), ["hang@tracks=1"]) as server:
        settings = {"DATABASE_URL": database_url, "API_BASE_URL": server.url}
        with forked("extract", **settings) as one, forked("extract", **settings) as other:
            until(lambda: not (one.is_alive() and other.is_alive()))
            refused, working = (other, one) if one.is_alive() else (one, other)
            assert "another run is using" in refused.finish().only_line(ExitCode.ALREADY_RUNNING)
            until(lambda: server.requests.in_flight)
            server.faults.clear()
            working.send_signal(signal.SIGTERM)
            working.finish().only_line(ExitCode.UNEXPECTED_ERROR)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from ops.runs").fetchone() == (1,)


@pytest.mark.parametrize("step", ["extract", "gate", "build"])
def test_a_run_that_loses_its_warehouse_reports_it_and_the_next_one_succeeds(
    step, settings, api, connection, uninterrupted_twin, monkeypatch
):
    def cut_off():
        connection.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            " where datname = current_database() and application_name = any (%s)",
            [OURS],
        )

    with monkeypatch.context() as patch:
        at_moment(step, cut_off, patch)
        line = command("run", **settings).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)

    assert "run again" in line
    status, exit_code, message = last_run(connection)
    assert (status, exit_code) == ("failed", ExitCode.WAREHOUSE_UNAVAILABLE) and message in line
    assert connection.execute("select step from ops.steps where status = 'failed'").fetchall() == [(step,)]
    assert run_pipeline(settings["DATABASE_URL"], settings["API_BASE_URL"]).exit_code == ExitCode.PUBLISHED
    assert contents(settings["DATABASE_URL"]) == uninterrupted_twin


def at_moment(step, act, patch):
    """Do it once, in the middle of the step, with the step's own connections open."""
    from expectations import gate
    from extract import landing
    from pipeline.run.dbt import Dbt

    place, name = {"extract": (landing, "load"), "gate": (gate, "_record_verdict"), "build": (Dbt, "invoke")}[step]
    real = getattr(place, name)
    done = []

    def acting(*arguments, **options):
        if not done and (step != "build" or "build" in arguments):
            done.append(True)
            act()
        return real(*arguments, **options)

    patch.setattr(place, name, acting)


def test_an_interrupted_run_does_not_wait_for_the_sample_api(built_database_url, connection):
    with (
        table_locked(built_database_url, "gate.loads") as unlock,  # read when the sample API serves already
        forked("extract", "--sample", DATABASE_URL=built_database_url) as process,
    ):
        until(lambda: waits_for_a_lock(connection))
        process.send_signal(signal.SIGTERM)
        until(lambda: not step_is_running(connection, "extract"))
        unlock()
        process.finish().only_line(ExitCode.UNEXPECTED_ERROR)
