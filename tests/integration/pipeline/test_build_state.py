"""A build leaves out what would not change: views that are as they were, and everything if nothing was published."""

import psycopg
import pytest

from pipeline.run import build_state
from pipeline.run.build_state import BUILD_WITHOUT_VIEWS, WHOLE_BUILD
from sample_api.world import snapshot
from tests.databases import database_copy
from tests.integration.pipeline.conftest import NEXT_DAY, WORLD
from tests.runs import forget_builds, run_pipeline, run_pipeline_on
from warehouse.errors import ExitCode

NO_API = "http://127.0.0.1:9"


# The template may have been built yesterday.
BUILT_TODAY = """
update ops.steps set figures = figures || jsonb_build_object('day', (now() at time zone 'UTC')::date)
where step = 'build'
"""


@pytest.fixture
def warehouse(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as connection:
        connection.execute(BUILT_TODAY)
        yield connection


@pytest.fixture(scope="module")
def built_once(postgres_url, built_template):
    """Return a connection to a built warehouse, for changes that are rolled back."""
    with (
        database_copy(postgres_url, built_template, "built_once") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
    ):
        connection.execute(BUILT_TODAY)
        yield connection


def choice(connection):
    return build_state.choose_build(connection, build_state.read_inputs(connection))


def test_a_night_builds_no_view_and_a_night_without_changes_builds_nothing(built_database_url, warehouse):
    def views():
        return warehouse.execute("select oid, xmin from pg_class where relkind = 'v' order by 1").fetchall()

    before = views()
    changed = run_pipeline_on(built_database_url, snapshot(WORLD, NEXT_DAY))
    warehouse.execute(BUILT_TODAY)
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
    "a column was renamed": ("alter table marts.tracks rename column name to title", WHOLE_BUILD),
    "the progress of a model was deleted": ("delete from prep.builds where model = 'marts.users'", WHOLE_BUILD),
    "a model was built with other variables": (
        "update prep.builds set fingerprint = 'another' where model = 'marts.users'",
        WHOLE_BUILD,
    ),
    "the warehouse was prepared again": (
        "insert into ops.preparations (revision, fingerprint) values ('9999', 'another')",
        WHOLE_BUILD,
    ),
    "the previous build was killed": (
        "update ops.steps set status = 'crashed' where step = 'build' and started_at ="
        " (select max(started_at) from ops.steps where step = 'build')",
        WHOLE_BUILD,
    ),
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
    "the previous version did not record decisions": (
        "update ops.steps set figures = figures - 'decision_seq' where step = 'build'",
        BUILD_WITHOUT_VIEWS,
    ),
    "another day": (
        """update ops.steps set figures = figures || '{"day": "2026-01-01"}' where step = 'build'""",
        BUILD_WITHOUT_VIEWS,
    ),
    "something was published": (
        "insert into gate.publications (load_id, table_name, kind) select load_id, table_name, 'replay'"
        " from gate.publications limit 1",
        BUILD_WITHOUT_VIEWS,
    ),
    "something was decided": (
        "insert into gate.decisions (verb, operator, reason) values ('prune', 'somebody', 'a test')",
        BUILD_WITHOUT_VIEWS,
    ),
    "a mart was analyzed": ("analyze marts.users", None),
    "nothing": ("select 1", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_decides_what_is_built(built_once, change):
    statement, expected = CHANGES[change]
    assert choice(built_once) is None
    with built_once.transaction(force_rollback=True):
        built_once.execute(statement)
        assert choice(built_once) == expected


def test_another_target_leads_to_a_whole_build(warehouse, monkeypatch):
    monkeypatch.setenv("DBT_TARGET", "other")
    assert choice(warehouse) == WHOLE_BUILD


def test_each_file_of_the_project_is_part_of_its_digest(monkeypatch, tmp_path):
    files = [*build_state.FILES, *(path for folder in build_state.FOLDERS for path in folder.rglob("*"))]
    names = {path.name for path in files}
    assert {"users.sql", "_marts.yml", "known.sql", "view.sql", "requirements.lock", "dbt_project.yml"} <= names
    assert {"assert_shares_sum_to_one_per_user.sql", "profiles.yml.example"} <= names

    (tmp_path / "models").mkdir()
    model, profile = tmp_path / "models" / "one.sql", tmp_path / "profile"
    monkeypatch.setattr(build_state, "FILES", (profile,))
    monkeypatch.setattr(build_state, "FOLDERS", (tmp_path / "models",))
    found = set()
    for model_text, profile_text in (("1", "1"), ("2", "1"), ("1", "2"), ("11", "")):
        model.write_text(model_text)
        profile.write_text(profile_text)
        found.add(build_state.digest_project())
    assert len(found) == 4


def test_a_file_that_changes_during_a_build_is_built_by_the_next_one(built_database_url, warehouse, monkeypatch):
    forget_builds(built_database_url)
    digests = iter(["when the build began", "when it ended"])
    monkeypatch.setattr(build_state, "digest_project", lambda: next(digests))
    assert run_pipeline(built_database_url, NO_API, ("build",)).exit_code == ExitCode.PUBLISHED
    assert choice(warehouse) == WHOLE_BUILD


def test_a_dropped_view_is_back_after_the_next_run(built_database_url, warehouse):
    warehouse.execute("drop view features.user_profile cascade")
    assert run_pipeline(built_database_url, NO_API, ("build",)).exit_code == ExitCode.PUBLISHED
    assert warehouse.execute("select count(*) > 0 from features.user_profile").fetchone()[0]
    assert choice(warehouse) is None
