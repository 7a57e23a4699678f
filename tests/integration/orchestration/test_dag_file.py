"""Test the DAG file as Airflow parses it, without a run."""

import json
import subprocess

import pytest

from tests.command import PROJECT
from warehouse.errors import ExitCode

pytestmark = pytest.mark.airflow

FOLDER = PROJECT / "orchestration" / "dags"
SCRIPT = PROJECT / "tests" / "integration" / "orchestration" / "dag_summary.py"
SETTINGS = (
    {},
    {"PIPELINE_RUNTIME": "23:05", "TIMEZONE": "America/Montreal"},
    {"PIPELINE_RUNTIME": "24:00"},
    {"TIMEZONE": "America/Montreall"},
    {"RECOMMEND": "no"},
    {"RECOMMEND": "perhaps"},
    {"PIPELINE_RUNTIME": "", "TIMEZONE": "", "RECOMMEND": "", "RECOMMEND_SHARDS": ""},
    {"RECOMMEND_SHARDS": "2"},
    {"RECOMMEND_SHARDS": "0"},
)


@pytest.fixture(scope="module")
def summary(airflows_python, tmp_path_factory):
    """Return the output of `dag_summary.py` for a folder with a link to the file."""
    folder = tmp_path_factory.mktemp("dags")
    (folder / "night.py").symlink_to(FOLDER / "moovitamix_night.py")
    return json.loads(airflows_python(SCRIPT, folder, *map(json.dumps, SETTINGS)).splitlines()[-1])


def test_the_dag_has_a_task_per_step_in_order(summary):
    dag = summary["dags"][0]
    assert dag["dag_id"] == "moovitamix_night"
    assert {name: (task["after"], task["trigger_rule"]) for name, task in dag["tasks"].items()} == {
        "extract": ([], "all_success"),
        "gate": (["extract"], "all_done"),
        "build": (["gate"], "all_done"),
        "recommend": (["build"], "all_done_min_one_success"),
        "outcome": (["build", "extract", "gate", "recommend"], "one_failed"),
        "notify": (["build", "extract", "gate", "recommend"], "all_done"),
    }
    without = summary["dags"][4]["tasks"]
    assert set(without) == set(dag["tasks"]) - {"recommend"}
    assert without["notify"]["after"] == without["outcome"]["after"] == ["build", "extract", "gate"]
    assert (dag["catchup"], dag["max_active_runs"], dag["is_paused_upon_creation"]) == (False, 1, False)


def test_shards_of_users_are_mapped_tasks_between_build_and_recommend(summary):
    default, sharded = summary["dags"][0]["tasks"], summary["dags"][7]["tasks"]
    assert set(sharded) - set(default) == {"shard"} and summary["dags"][6]["tasks"] == default
    shard = sharded["shard"]
    assert (shard["after"], shard["trigger_rule"], shard["retries"]) == (["build"], "all_success", 3)
    assert shard["commands"] == [["recommend", "--shard", "1/2"], ["recommend", "--shard", "2/2"]]
    assert sharded["recommend"]["after"] == ["build", "shard"]
    assert "shard" in sharded["outcome"]["after"] and "shard" not in sharded["notify"]["after"]


def test_the_dag_runs_at_the_time_and_time_zone_of_the_settings(summary):
    default, given, *_, empty, _, _ = summary["dags"]
    assert (default["cron"], default["zone"]) == (empty["cron"], empty["zone"]) == ("0 0 * * *", "UTC")
    assert (given["cron"], given["zone"]) == ("5 23 * * *", "America/Montreal")


def test_an_invalid_setting_is_an_import_error(summary):
    errors = [summary["dags"][number]["import_errors"] for number in (2, 3, 5, 8)]
    (time,), (zone_error,), (switch,), (shards,) = errors
    assert "RECOMMEND_SHARDS must be a number from 1 to 1000, not '0'" in shards
    assert "RECOMMEND must be true or false, not 'perhaps'" in switch
    assert "PIPELINE_RUNTIME must be a time from 00:00 to 23:59, not '24:00'" in time
    assert "there is no time zone 'America/Montreall'" in zone_error


def test_steps_are_retried_after_a_delay(summary):
    tries = {name: (task["retries"], task["retry_minutes"]) for name, task in summary["dags"][0]["tasks"].items()}
    assert tries == {**dict.fromkeys(("extract", "gate", "build", "recommend", "notify"), (3, 5)), "outcome": (0, 5)}


def test_a_clock_change_neither_skips_nor_doubles_a_night(summary):
    assert summary["spring"] == ["03-08 03:30 -0400", "03-09 02:30 -0400"]
    assert summary["autumn"] == ["11-01 01:30 -0500", "11-02 01:30 -0500"]


def test_the_first_night_waits_for_its_time_and_is_not_lost_when_the_file_is_parsed_late(summary):
    assert summary["first"] == {"2026-07-01T12:00:00Z": "07-02 00:00", "2026-07-02T00:01:00Z": "07-02 00:00"}


@pytest.mark.parametrize("code", ExitCode)
def test_only_temporary_failures_are_retried(summary, code):
    final = {"WRONG_SETTINGS", "BLOCKED", "BUILD_FAILED", "GATE_BROKEN", "RECOMMENDATIONS_FAILED"}
    wanted = "AirflowFailException" if code.name in final else "AirflowException"
    assert summary["endings"][str(int(code))] == ([] if code == ExitCode.PUBLISHED else [wanted, "its last line"])


def test_a_killed_step_is_retried(summary):
    kind, message = summary["endings"]["-9"]
    assert kind == "AirflowException" and "signal 9" in message


def test_the_dag_imports_nothing_of_the_project_and_passes_no_airflow_settings(summary):
    assert summary["modules"] == [str(SCRIPT.relative_to(PROJECT))]
    assert summary["environment"] == ["DATABASE_URL"]


def test_a_link_to_the_dag_file_finds_the_project(summary):
    assert summary["dags"][0]["project"] == str(PROJECT)


def test_the_retraining_follows_the_build_with_a_task_per_stage(summary):
    retraining = summary["retraining"]
    assert retraining["assets"] == summary["outlets"] == ["moovitamix_marts"]
    assert {name: after for name, (after, _) in retraining["tasks"].items()} == {
        "prepare": [],
        "tune": ["prepare"],
        "evaluate": ["tune"],
        "promote": ["evaluate"],
    }
    permanent = {"2": "AirflowFailException", "9": "AirflowFailException", "0": ""}
    assert retraining["endings"] == {code: permanent.get(code, "AirflowException") for code in retraining["endings"]}
    for name, (_, text) in retraining["tasks"].items():
        assert text.endswith(f"; exec .venv/bin/python -m pipeline train {name} --if-due")
        setup = text.partition("; exec")[0]
        shown = subprocess.run(
            ("bash", "-c", f"{setup}; env"),
            env={"AIRFLOW__DATABASE": "secret", "_AIRFLOW_CONTEXT": "server", "DATABASE_URL": "kept"},
            capture_output=True,
            text=True,
        ).stdout
        assert "AIRFLOW" not in shown and "DATABASE_URL=kept" in shown
