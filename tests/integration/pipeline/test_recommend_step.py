"""The night ends with recommendations, also while a load is blocked, and says why when it could not make any."""

import json

import psycopg
import pytest

from pipeline.run import pipeline_run
from recommender import publishing
from recommender.releases import LISTS
from sample_api.server import serve
from sample_api.world import snapshot
from tests.command import command
from tests.integration.pipeline.conftest import NEXT_DAY, WORLD
from warehouse.errors import CommandError, ExitCode
from warehouse.names import FULL_RUNS

pytestmark = pytest.mark.slow

TABLES = ("trainings", "model_versions", "aliases", "releases", "release_history", "lists")


@pytest.fixture
def night(built_database_url):
    """Return a function that executes a whole run with recommendations."""

    def run(*faults, **settings):
        with serve(snapshot(WORLD, NEXT_DAY), faults) as api:
            given = {"RECOMMEND": "true", "TRAIN_BUDGET": "0", "API_BASE_URL": api.url} | settings
            return command("run", DATABASE_URL=built_database_url, **given)

    return run


@pytest.fixture
def warehouse(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        yield connection


def event(ended, name):
    (found,) = [line for line in map(json.loads, ended.out.splitlines()) if line["event"] == name]
    return found


def steps(connection):
    """Return status and figures of the steps of the newest run, by step."""
    rows = connection.execute(
        "select step, status, figures from ops.steps"
        " where run_id = (select run_id from ops.runs order by run_seq desc limit 1)"
    )
    return {step: (status, figures) for step, status, figures in rows}


def counts(connection):
    return [connection.execute(f"select count(*) from recommendations.{name}").fetchone()[0] for name in TABLES]


def test_a_night_ends_with_recommendations_and_keeps_them_while_nothing_changes(
    night, warehouse, built_database_url, monkeypatch
):
    def status():
        return command("status", DATABASE_URL=built_database_url).out

    ended = night()
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, ""), ended
    assert event(ended, "run_ended")["message"] == "all published; query the warehouse with: make psql"
    logged = event(ended, "recommendations")
    assert logged["message"] == "release 1 is published" and logged["users"] > 0
    assert set(logged["by_list"]) == set(LISTS)
    assert warehouse.execute("select command from ops.runs order by run_seq desc limit 1").fetchone() == FULL_RUNS[:1]
    state, figures = steps(warehouse)["recommend"]
    assert state == "succeeded" and all(logged.get(name) == value for name, value in figures.items())
    assert {"release_id", "is_new", "users", "lists", "cold_users", "candidates", "seconds"} <= set(figures)
    popular = {name for name, each in logged["by_list"].items() if each["model"] == "popularity"}
    assert set(logged.get("popularity", {})) == popular, "case 48: the reason is said"
    assert "recommendations: release 1 of " in status() and "next: nothing" in status()

    before = counts(warehouse)
    ended = night()
    assert ended.code == ExitCode.PUBLISHED and counts(warehouse) == before
    assert event(ended, "recommendations")["message"] == "nothing has changed since release 1"
    assert steps(warehouse)["recommend"][1]["is_new"] is False

    warehouse.execute("update recommendations.releases set until_seq = until_seq - 1")
    assert status().splitlines()[-1].endswith("since the newest release: make recommend")

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(publishing, "publish", fail)
    ended = night()
    line = ended.err
    assert ended.code == ExitCode.RECOMMENDATIONS_FAILED and "readers keep release 1" in line, ended
    assert steps(warehouse)["build"][0] == "succeeded" and counts(warehouse) == before
    assert status().splitlines()[-1] == "next: fix the error that the last run reports, then: make recommend"
    ended = night(RECOMMEND="false")
    assert ended.code == ExitCode.PUBLISHED and set(steps(warehouse)) == {"extract", "gate", "build"}


def test_a_blocked_load_leads_to_recommendations_and_a_failed_build_does_not(night, warehouse, monkeypatch):
    ended = night("bad_rows@users=0.6/2")
    assert ended.code == ExitCode.BLOCKED
    assert steps(warehouse)["recommend"][0] == "succeeded" and counts(warehouse)[TABLES.index("releases")] == 1

    def fail(*_):
        raise CommandError(ExitCode.BUILD_FAILED, "dbt failed")

    monkeypatch.setattr(pipeline_run, "_build", fail)
    ended = night()
    assert ended.code == ExitCode.BUILD_FAILED and "recommend" not in steps(warehouse)
