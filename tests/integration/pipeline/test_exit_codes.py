"""Failed runs, each from a real cause: the exit code, the message, and the state that readers see."""

import sys
import types

import great_expectations as gx
import psycopg
import pytest

from expectations import batch_tables
from extract.limits import Limits
from extract.source_tables import SOURCE_TABLES, SourceTable
from pipeline.run import pipeline_run
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command, last_run
from tests.runs import run_pipeline
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_database_url`
NEXT_DAY = 2
WORLD_USER = snapshot(WORLD, NEXT_DAY).users[0]
ELSEWHERE = "redirect=http://127.0.0.1:1/"  # refused at once, where other faults would be tried again


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.fixture
def api():
    with serve(snapshot(WORLD, NEXT_DAY)) as server:
        yield server


@pytest.fixture
def settings(built_database_url, api):
    return {"DATABASE_URL": built_database_url, "API_BASE_URL": api.url}


def published_loads(connection, table):
    return [
        load_id
        for (load_id,) in connection.execute(
            "select load_id from gate.publications where table_name = %s order by seq", [table]
        )
    ]


def loads_in(connection, table):
    """The loads whose rows a reader finds in the mart."""
    return {load_id for (load_id,) in connection.execute(f"select distinct _load_id from marts.{table}")}


def newest_load(connection):
    return connection.execute("select load_id from staging._dlt_loads order by inserted_at desc limit 1").fetchone()[0]


def test_a_failed_source_loads_nothing_and_pending_loads_are_published(settings, api, connection):
    assert command("extract", **settings).code == ExitCode.PUBLISHED
    pending = newest_load(connection)
    api.faults.add(ELSEWHERE)
    before = alive(connection)

    line = command("run", **settings).only_line(ExitCode.SOURCE_FAILED)

    assert "redirects" in line and line.count("othing was landed") == 1
    assert newest_load(connection) == pending
    for table in ("users", "tracks", "listen_history"):
        assert pending in loads_in(connection, table)
    assert last_run(connection)[:2] == ("failed", ExitCode.SOURCE_FAILED)

    # an error before the first row is not "no rows": nobody is taken for removed
    scans = connection.execute("select count(*) from staging.scans").fetchone()
    assert command("extract", **settings).code == ExitCode.SOURCE_FAILED
    assert connection.execute("select count(*) from staging.scans").fetchone() == scans
    assert len(alive(connection)) >= len(before) - 5


def test_a_failed_run_also_reports_recovery_and_waiting_removals(settings, api, connection):
    def leave_a_row_behind():
        connection.execute(
            "insert into staging.tracks (key, content_hash, _dlt_load_id, _dlt_id) values ('[0]', 'x', 'crashed', 'y')"
        )

    leave_a_row_behind()
    api.faults.add(ELSEWHERE)
    failed = command("extract", **settings)
    failed.only_line(ExitCode.SOURCE_FAILED)
    assert "recovered: Deleted 1 row of incomplete loads." in failed.out

    leave_a_row_behind()
    api.faults.clear()
    world = snapshot(WORLD, NEXT_DAY)
    # a known user is not seen, and a row without a key could be that user
    api.set_rows({**world.tables(), "users": [*world.users[1:], b'{"id":1,"id":1}']})
    good = command("extract", **settings)
    assert good.code == ExitCode.PUBLISHED
    assert good.out.count("recovered: Deleted 1 row of incomplete loads.") == 1
    (unsettled,) = connection.execute(
        "select keys_unsettled from ops.run_tables inner join ops.runs using (run_id)"
        " where table_name = 'users' order by run_seq desc limit 1"
    ).fetchone()
    were = "known key was" if unsettled == 1 else "known keys were"
    assert unsettled > 0 and f"users: {unsettled} {were} not seen" in good.out


def alive(connection):
    return connection.execute("select id from marts.users where deleted_at is null").fetchall()


def test_an_unreachable_source_fails_after_a_few_tries(settings, connection, monkeypatch):
    limits = Limits(attempts=3, first_wait_seconds=0.01)
    monkeypatch.setattr(pipeline_run, "limits_from_environment", lambda environ: limits)
    line = command("extract", **settings | {"API_BASE_URL": "http://127.0.0.1:9"}).only_line(ExitCode.SOURCE_FAILED)
    assert "127.0.0.1:9" in line and "3 times in a row: Failed to establish a new connection" in line
    assert connection.execute("select count(*) from staging._dlt_loads").fetchone() == (2,)


def test_a_silent_source_fails_within_minutes():
    limits = Limits()
    pauses = sum(
        min(limits.longest_wait_seconds, limits.first_wait_seconds * 2**number) for number in range(limits.attempts - 1)
    )
    assert limits.attempts * limits.attempt_seconds + pauses < 240


def test_a_blocked_table_is_unchanged_and_the_others_are_published(settings, api, connection):
    before = loads_in(connection, "users")
    api.faults.add("bad_rows@users=0.5/1")
    api.faults.add("bulk_removal@tracks=0.25")

    ended = command("run", **settings)

    newest = newest_load(connection)
    line = ended.only_line(ExitCode.BLOCKED)
    assert "users" in line and "tracks" not in line and f'make gate ARGS="show {newest}"' in line
    assert "few_removals, removed_share 0." in ended.out
    assert "tracks: 11 keys are gone from the source, 28% of the known keys" in ended.out
    assert loads_in(connection, "users") == before
    assert newest in loads_in(connection, "tracks") and newest in loads_in(connection, "listen_history")
    assert command("gate", "show", newest, DATABASE_URL=settings["DATABASE_URL"]).code == ExitCode.PUBLISHED
    status = command("status", DATABASE_URL=settings["DATABASE_URL"]).out
    assert "blocked" in status and f'next: see why the load was blocked: make gate ARGS="show {newest}"' in status


def test_a_failed_model_leaves_the_models_before_it_published(settings, connection):
    connection.execute("alter table marts.tracks add constraint no_more check (id is null) not valid")
    before = {table: loads_in(connection, table) for table in ("tracks", "listen_history")}

    ended = command("run", **settings)

    line = ended.only_line(ExitCode.BUILD_FAILED)
    assert 'dbt failed: tracks: new row for relation "tracks" violates check constraint "no_more"' in line
    assert "compiled code" not in line and "Failing row" not in line and "make run" in line
    newest = newest_load(connection)
    assert newest in loads_in(connection, "users")
    assert {table: loads_in(connection, table) for table in before} == before
    connection.execute("alter table marts.tracks drop constraint no_more")
    assert command("build", DATABASE_URL=settings["DATABASE_URL"]).code == ExitCode.PUBLISHED
    assert newest in loads_in(connection, "tracks") and newest in loads_in(connection, "listen_history")


@pytest.mark.parametrize(
    ("step", "table", "condition", "code"),
    [
        ("extract", "staging.users", "key <> '[990099]'", ExitCode.WAREHOUSE_UNAVAILABLE),
        ("gate", "gate.quarantined_rows", "key <> '[990099]'", ExitCode.GATE_BROKEN),
        ("build", "marts.users", "id <> 990099", ExitCode.BUILD_FAILED),
    ],
)
def test_a_database_error_is_reported_without_the_row(step, table, condition, code, settings, api, connection):
    email = "planted\nsecret" if step == "gate" else "planted@example.org"
    planted = {**WORLD_USER, "id": 990099, "first_name": "planted\nsecret", "email": email}
    world = snapshot(WORLD, NEXT_DAY)
    api.set_rows({**world.tables(), "users": [*world.users, planted]})
    connection.execute(f"alter table {table} add constraint no_more check ({condition}) not valid")

    ended = command("run", **settings)

    line = ended.only_line(code)
    output = [line, ended.out, *connection.execute("select message from ops.runs union select message from ops.steps")]
    assert 'check constraint "no_more"' in line
    assert "planted" not in str(output) and "secret" not in str(output)


def test_a_failing_check_keeps_its_table_pending_and_publishes_the_others(settings, connection, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("expectations.tracks.suite", lambda: gx.ExpectationSuite(name="tracks", expectations=[]))
        line = command("run", **settings).only_line(ExitCode.GATE_BROKEN)
    newest = newest_load(connection)
    assert "could not check tracks" in line and "it stays pending" in line
    assert newest in published_loads(connection, "users") and newest not in published_loads(connection, "tracks")
    assert newest not in loads_in(connection, "tracks")

    assert run_pipeline(*settings.values()).exit_code == ExitCode.PUBLISHED
    assert newest in loads_in(connection, "tracks")


def test_pending_loads_of_a_table_are_named_with_their_load(settings, api, connection, monkeypatch):
    load_ids = []
    for day in (NEXT_DAY, NEXT_DAY + 1):
        api.set_rows(snapshot(WORLD, day).tables())
        assert command("extract", **settings).code == ExitCode.PUBLISHED
        load_ids.append(newest_load(connection))
    monkeypatch.setattr("expectations.tracks.suite", lambda: gx.ExpectationSuite(name="tracks", expectations=[]))
    api.faults.add(ELSEWHERE)

    line = command("run", **settings).only_line(ExitCode.SOURCE_FAILED)

    first, second = load_ids
    assert f"the correct address; the gate could not check tracks of load {first}, tracks of load {second} (" in line


def test_a_field_missing_in_all_rows_blocks_only_its_table(settings, api, connection):
    before = loads_in(connection, "users")
    world = snapshot(WORLD, NEXT_DAY).tables()
    without = [{name: value for name, value in row.items() if name != "gender"} for row in world["users"]]
    api.set_rows({**world, "users": without})

    ended = command("run", **settings)

    line = ended.only_line(ExitCode.BLOCKED)
    assert "users" in line and "tracks" not in line
    assert "users: required_fields_are_present" in ended.out and "gender" in ended.out
    assert loads_in(connection, "users") == before
    assert newest_load(connection) in loads_in(connection, "tracks")


def test_a_blocked_table_is_named_beside_one_that_could_not_be_checked(settings, connection, api, monkeypatch):
    api.faults.add("bad_rows@users=0.5")
    monkeypatch.setattr("expectations.tracks.suite", lambda: gx.ExpectationSuite(name="tracks", expectations=[]))
    line = command("run", **settings).only_line(ExitCode.GATE_BROKEN)
    assert line.index("could not check tracks") < line.index("blocked: users (")
    load_id = newest_load(connection)
    assert f"release {load_id} users" in line
    status = command("status", DATABASE_URL=settings["DATABASE_URL"])
    assert f'\n  next: make gate ARGS="show {load_id}"' in status.out


def test_the_verdicts_before_a_lost_connection_are_recorded(settings, connection, gate_losing_its_connection):
    command("run", **settings).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    recorded = connection.execute(
        "select table_name, state from ops.run_loads where load_id = %s", [newest_load(connection)]
    ).fetchall()
    assert recorded == [("users", "accepted")]


def test_a_new_source_table_waits_until_it_has_a_suite(settings, connection, monkeypatch):
    """The recipe of extract/README.md, step by step."""
    more = (*SOURCE_TABLES, SourceTable("songs", "/tracks", ("id",)))
    for module in ("extraction", "recovery"):
        monkeypatch.setattr(f"extract.{module}.SOURCE_TABLES", more)

    monkeypatch.setitem(batch_tables.ROWS, "songs", "gate.batch_songs")
    monkeypatch.setattr(batch_tables, "NAMES", (*batch_tables.NAMES, "gate.batch_songs"))
    connection.execute("create table staging.songs (like staging.users including all)")
    connection.execute("""
        create view prep.stg_moovitamix__songs as
        select
            key, payload is null as is_removal, _dlt_load_id as _load_id, _dlt_id, null::text as unknown_fields,
            payload ->> 'name' as name
        from staging.songs
    """)

    line = command("run", **settings).only_line(ExitCode.GATE_BROKEN)

    assert "could not check songs" in line and "there is no suite for songs" in line
    newest = newest_load(connection)
    assert newest in loads_in(connection, "tracks"), "nothing else waits"
    name_is_known = gx.expectations.ExpectColumnValuesToNotBeNull(
        column="name", severity="warning", meta={"rule": "name_is_known", "shows": "key"}
    )
    module = types.ModuleType("expectations.songs")
    module.suite = lambda: gx.ExpectationSuite(name="songs", expectations=[name_is_known])
    monkeypatch.setitem(sys.modules, "expectations.songs", module)
    assert command("gate", **settings).code == ExitCode.PUBLISHED
    assert published_loads(connection, "songs") == [newest]


def test_the_first_of_several_failures_gives_the_code_and_all_are_reported(settings, api, connection):
    assert command("extract", **settings).code == ExitCode.PUBLISHED
    connection.execute("alter table marts.tracks add constraint no_more check (id is null) not valid")
    api.faults.add(ELSEWHERE)

    line = command("run", **settings).only_line(ExitCode.SOURCE_FAILED)

    assert line.index("redirects") < line.index("dbt failed: tracks")
    steps = connection.execute(
        "select step, steps.status from ops.steps inner join ops.runs using (run_id)"
        " where exit_code = 3 order by steps.started_at"
    ).fetchall()
    assert steps == [("extract", "failed"), ("gate", "succeeded"), ("build", "failed")]
