"""The DAG file as Airflow reads it, without a run."""

import json

import pytest

from pipeline.exits import Exit
from tests.pipeline.command import PROJECT

pytestmark = pytest.mark.airflow

FOLDER = PROJECT / "orchestration" / "dags"
SCRIPT = PROJECT / "tests" / "orchestration" / "told_dag.py"
SETTINGS = (
    {},
    {"PIPELINE_RUNTIME": "23:05", "TIMEZONE": "America/Montreal"},
    {"PIPELINE_RUNTIME": "24:00"},
    {"TIMEZONE": "America/Montreall"},
    {"PIPELINE_RUNTIME": "", "TIMEZONE": ""},
)


@pytest.fixture(scope="module")
def told(airflows_python, tmp_path_factory):
    """What `told_dag.py` tells, of a folder that holds a link to the file."""
    folder = tmp_path_factory.mktemp("dags")
    (folder / "night.py").symlink_to(FOLDER / "moovitamix_night.py")
    return json.loads(airflows_python(SCRIPT, folder, *map(json.dumps, SETTINGS)).splitlines()[-1])


def test_it_has_a_task_per_step_in_the_order_of_the_night(told):
    dag = told["dags"][0]
    assert dag["dag_id"] == "moovitamix_night"
    assert {name: (task["after"], task["trigger_rule"]) for name, task in dag["tasks"].items()} == {
        "extract": ([], "all_success"),
        "gate": (["extract"], "all_done"),
        "build": (["gate"], "all_done"),
        "outcome": (["build", "extract", "gate"], "one_failed"),
    }
    assert (dag["catchup"], dag["max_active_runs"], dag["is_paused_upon_creation"]) == (False, 1, False)


def test_it_runs_at_the_time_and_place_of_the_settings(told):
    default, given, *_, empty = told["dags"]
    assert (default["cron"], default["zone"]) == (empty["cron"], empty["zone"]) == ("0 0 * * *", "UTC")
    assert (given["cron"], given["zone"]) == ("5 23 * * *", "America/Montreal")


def test_a_time_or_a_place_that_is_none_is_told_by_airflow(told):
    (time,), (place,) = told["dags"][2]["import_errors"], told["dags"][3]["import_errors"]
    assert "PIPELINE_RUNTIME must be a time from 00:00 to 23:59, not '24:00'" in time
    assert "there is no time zone 'America/Montreall'" in place


def test_steps_are_tried_again_after_a_while(told):
    tries = {name: (task["retries"], task["retry_minutes"]) for name, task in told["dags"][0]["tasks"].items()}
    assert tries == {**dict.fromkeys(("extract", "gate", "build"), (3, 5)), "outcome": (0, 5)}


def test_a_night_is_neither_lost_nor_doubled_when_the_clocks_change(told):
    assert told["spring"] == ["03-08 03:30 -0400", "03-09 02:30 -0400"]
    assert told["autumn"] == ["11-01 01:30 -0500", "11-02 01:30 -0500"]


def test_the_first_night_waits_for_its_time_and_is_not_lost_to_a_look_just_after_it(told):
    assert told["first"] == {"2026-07-01T12:00:00Z": "07-02 00:00", "2026-07-02T00:01:00Z": "07-02 00:00"}


@pytest.mark.parametrize("code", Exit)
def test_only_what_may_pass_is_tried_again(told, code):
    final = (Exit.WRONG_SETTINGS, Exit.BLOCKED, Exit.BUILD_FAILED, Exit.GATE_BROKEN)
    wanted = "AirflowFailException" if code in final else "AirflowException"
    assert told["endings"][str(int(code))] == ([] if code == Exit.PUBLISHED else [wanted, "its last line"])


def test_a_step_that_was_killed_is_tried_again(told):
    kind, message = told["endings"]["-9"]
    assert kind == "AirflowException" and "signal 9" in message


def test_it_needs_nothing_of_the_project_and_hands_over_nothing_of_airflow(told):
    assert told["modules"] == [str(SCRIPT.relative_to(PROJECT))]
    assert told["environment"] == ["DATABASE_URL"]


def test_a_link_to_it_leads_to_the_project(told):
    assert told["dags"][0]["project"] == str(PROJECT)
