"""A build leaves out what would not change: views that are as they were, and everything if nothing was published."""

import psycopg
import pytest

from pipeline.run import build_state
from pipeline.run.build_state import WHOLE_BUILD, WITHOUT_VIEWS
from sample_api.world import snapshot
from tests.integration.pipeline.conftest import NEXT_DAY, WORLD
from tests.runs import run_pipeline, run_pipeline_on
from warehouse.errors import ExitCode

NO_API = "http://127.0.0.1:9"


@pytest.fixture
def warehouse(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as connection:
        yield connection


def choice(connection):
    return build_state.choose_build(connection, build_state.read_inputs(connection))


def test_a_night_builds_no_view_and_a_night_without_changes_builds_nothing(built_database_url, warehouse):
    def views():
        return warehouse.execute("select oid, xmin from pg_class where relkind = 'v' order by 1").fetchall()

    before = views()
    changed = run_pipeline_on(built_database_url, snapshot(WORLD, NEXT_DAY))
    again = run_pipeline_on(built_database_url, snapshot(WORLD, NEXT_DAY))

    assert changed.message == again.message == "all published"
    assert changed.build.counts["pass"] == 3
    built = {node.node for node in changed.build.nodes}
    assert {"listen_history", "users", "int_build_window"} <= built
    assert not built & {"user_profile", "daily_tracks", "stg_moovitamix__users"}
    assert views() == before
    assert again.build.nodes == ()


CHANGES = {
    "a view was dropped": ("drop view features.user_profile cascade", WHOLE_BUILD),
    "a view was replaced": (
        "create or replace view features.known_range as select now() as known_from, 1::bigint as built_seq,"
        " 1::bigint as published_seq",
        WHOLE_BUILD,
    ),
    "a table was dropped": ("drop table prep.int_listens", WHOLE_BUILD),
    "a column was dropped": ("alter table marts.tracks drop column name cascade", WHOLE_BUILD),
    "readers lost a right": ("revoke all on marts.users from current_user", WHOLE_BUILD),
    "the previous build failed": (
        "update ops.steps set status = 'failed' where step = 'build' and started_at ="
        " (select max(started_at) from ops.steps where step = 'build')",
        WHOLE_BUILD,
    ),
    "the previous version recorded less": (
        """update ops.steps set figures = '{"published_seq": 6}' where step = 'build'""",
        WHOLE_BUILD,
    ),
    "another day": (
        """update ops.steps set figures = figures || '{"day": "2026-01-01"}' where step = 'build'""",
        WITHOUT_VIEWS,
    ),
    "something was published": (
        "insert into gate.publications (load_id, table_name, kind) select load_id, table_name, 'replay'"
        " from gate.publications limit 1",
        WITHOUT_VIEWS,
    ),
    "something was decided": (
        "insert into gate.decisions (verb, operator, reason) values ('prune', 'somebody', 'a test')",
        WITHOUT_VIEWS,
    ),
    "a mart was analyzed": ("analyze marts.users", None),
    "nothing": ("select 1", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_decides_what_is_built(warehouse, change):
    statement, expected = CHANGES[change]
    assert choice(warehouse) is None
    warehouse.execute(statement)
    assert choice(warehouse) == expected


def test_another_target_or_file_of_the_project_leads_to_a_whole_build(warehouse, monkeypatch, tmp_path):
    with monkeypatch.context() as patched:
        patched.setenv("DBT_TARGET", "other")
        assert choice(warehouse) == WHOLE_BUILD
    (tmp_path / "macro.sql").write_text("-- new")
    monkeypatch.setattr(build_state, "PROJECT", tmp_path)
    monkeypatch.setattr(build_state, "SOURCES", ())
    monkeypatch.setattr(build_state, "FOLDERS", (tmp_path,))
    assert choice(warehouse) == WHOLE_BUILD


def test_a_dropped_view_is_back_after_the_next_run(built_database_url, warehouse):
    warehouse.execute("drop view features.user_profile cascade")
    assert run_pipeline(built_database_url, NO_API, ("build",)).exit_code == ExitCode.PUBLISHED
    assert warehouse.execute("select count(*) > 0 from features.user_profile").fetchone()[0]
    assert choice(warehouse) is None
