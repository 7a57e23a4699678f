"""Print a summary of the DAG as JSON. Run with Airflow's Python, a folder of DAGs and settings."""

import datetime as dt
import importlib.util
import json
import os
import sys
from pathlib import Path
from unittest import mock

import pendulum
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import DataInterval, TimeRestriction

PROJECT = Path(__file__).resolve().parents[3]
FILE = PROJECT / "orchestration" / "dags" / "moovitamix_night.py"
NO_END = TimeRestriction(earliest=None, latest=None, catchup=True)


def summarize_dag(folder: str, settings: dict[str, str]) -> dict:
    """Summarize the DAG with these settings, or return its import errors."""
    with mock.patch.dict(os.environ, settings):
        bag = DagBag(dag_folder=folder)
    if bag.import_errors:
        return {"import_errors": list(bag.import_errors.values())}
    (dag,) = bag.dags.values()
    return {
        "dag_id": dag.dag_id,
        "tasks": {
            task.task_id: {
                "trigger_rule": task.trigger_rule,
                "after": sorted(task.upstream_task_ids),
                "retries": task.retries,
                "retry_minutes": task.retry_delay / dt.timedelta(minutes=1),
                "commands": task.expand_input.value["command"] if task.is_mapped else [],
            }
            for task in dag.tasks
        },
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "is_paused_upon_creation": dag.is_paused_upon_creation,
        "cron": dag.timetable.expression,
        "zone": dag.timetable.timezone.name,
        "project": str(sys.modules[type(dag.get_task("extract")).__module__].PROJECT),
    }


def summarize_retraining() -> dict:
    """Summarize the DAG of trainings."""
    bag = DagBag(dag_folder=str(FILE.with_name("moovitamix_retraining.py")))
    (dag,) = bag.dags.values()
    tasks = {task.task_id: (sorted(task.upstream_task_ids), task.bash_command) for task in dag.tasks}
    endings = {}
    for code in (*range(10), 137):
        stage = dag.get_task("prepare")
        stage.bash_command = f"exit {code}"
        try:
            stage.execute({})
            endings[code] = ""
        except Exception as error:
            endings[code] = type(error).__name__
    return {
        "tasks": tasks,
        "endings": endings,
        "assets": [asset.name for asset in dag.timetable.asset_condition.objects],
    }


def runs_after(timetable: object, moment: str, count: int) -> list[str]:
    """Return the next runs after one at that moment (UTC), in the timetable's time zone."""
    found = []
    last = pendulum.parse(moment)
    for _ in range(count):
        last = timetable.next_dagrun_info(
            last_automated_data_interval=DataInterval.exact(last), restriction=NO_END
        ).run_after
        found.append(f"{last.in_timezone(timetable._timezone):%m-%d %H:%M %z}")
    return found


def first_run(timetable: object, now: str) -> str:
    """Return the first run when the DAG is first parsed now (UTC)."""
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    with mock.patch("airflow.timetables.trigger.utcnow", lambda: pendulum.parse(now)):
        info = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    return f"{info.run_after:%m-%d %H:%M}"


def ending(module: object, exit_code: int) -> list[str]:
    """Return class and message of the exception for a step with this exit code; empty for none."""
    try:
        module.check(exit_code, "its last line")
    except Exception as error:
        return [type(error).__name__, str(error)]
    return []


def main(folder: str, *settings: str) -> None:
    spec = importlib.util.spec_from_file_location("night", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    half_past_two = coerce_to_core_timetable(module.timetable("02:30", "America/Montreal"))
    half_past_one = coerce_to_core_timetable(module.timetable("01:30", "America/Montreal"))
    midnight = coerce_to_core_timetable(module.timetable("00:00", "UTC"))
    with mock.patch.dict(os.environ, {"_AIRFLOW_PROCESS_CONTEXT": "server", "DATABASE_URL": "a setting"}):
        environment = module.environment()
    files = (getattr(loaded, "__file__", None) for loaded in list(sys.modules.values()))
    of_project = sorted(
        {str(Path(file).relative_to(PROJECT)) for file in files if file and Path(file).is_relative_to(PROJECT)}
    )
    found = {
        "retraining": summarize_retraining(),
        "outlets": [asset.name for asset in module.dag.get_task("build").outlets],
        "dags": [summarize_dag(folder, json.loads(text)) for text in settings],
        "spring": runs_after(half_past_two, "2026-03-07T07:30:00Z", 2),
        "autumn": runs_after(half_past_one, "2026-10-31T05:30:00Z", 2),
        "first": {now: first_run(midnight, now) for now in ("2026-07-01T12:00:00Z", "2026-07-02T00:01:00Z")},
        "endings": {code: ending(module, code) for code in (*range(10), -9)},
        "environment": sorted(name for name in environment if "AIRFLOW" in name or name == "DATABASE_URL"),
        "modules": [file for file in of_project if not file.startswith(".airflow/")],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
