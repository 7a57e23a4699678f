"""Run the night as an Apache Airflow DAG: each step is a task, and each task runs `python -m pipeline STEP`.

This file runs in Airflow's environment, which does not contain the project; the command runs in the project's `.venv`.
Settings come from the environment of Airflow's processes; the command also reads the project's `.env`. A setting that
this file cannot parse is an import error of the DAG.

The steps run in the order of `make run`. After a failed source, pending loads are still checked and built. `recommend`
does not run after a failed build, and RECOMMEND=false leaves it out of every night. With RECOMMEND_SHARDS=8, eight
tasks make the lists of an eighth of the users each, on any worker, and `recommend` publishes them; if one failed,
`recommend` makes all lists. `outcome` fails when a step failed; otherwise a night whose last step succeeded would be
green. `notify` sends one alert about the whole night to ALERT_URLS, if one is due.
"""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, Asset, BaseOperator, Context, CronTriggerTimetable, TaskInstance, TriggerRule, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# A link to this file, in the DAGs folder of another Airflow, leads here too.
PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv" / "bin" / "python"
# Exit codes of permanent failures: wrong settings, a blocked table, a failed model or test, a gate that could not run,
# recommendations that could not be made. The others are retried; 6 (another run holds the lock) is retried like a
# failed source.
PERMANENT_FAILURES = (2, 4, 5, 8, 9)
RETRIES = 3
# What a step leaves for `notify`: when its last attempt began, and how it ended.
END = "end"
# How long after its time the first night may still begin. Until there is a night, Airflow computes the first one each
# time it parses this file: without this, parsing just after the time would postpone it by a day.
LATE = timedelta(minutes=10)


class Step(BaseOperator):
    """Run a command, by default the step with the name of the task.

    Its output is the task's log; the last line explains a failure.
    """

    def __init__(self, *, command: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.command = command

    @cached_property
    def _process(self) -> SubprocessHook:
        return SubprocessHook()

    def execute(self, context: Context) -> None:
        """Run the command. Raises AirflowFailException for a permanent failure, AirflowException for others."""
        began_at = datetime.now(UTC)
        command = pipeline(*(self.command or (self.task_id,)))
        exit_code, last_line = self._process.run_command(command, env=environment(), cwd=str(PROJECT))
        end = {"began_at": began_at.isoformat(), "exit_code": exit_code, "last_line": last_line}
        context["ti"].xcom_push(END, end)
        check(exit_code, last_line)

    def on_kill(self) -> None:
        """Send SIGTERM to the step; it records that it was interrupted."""
        self._process.send_sigterm()


def pipeline(*command: str) -> list[str]:
    """Return the command line of the project's command. Raises AirflowFailException if it is not installed."""
    if not PYTHON.exists():
        raise AirflowFailException(f"{PYTHON} is missing; create it with: make setup")
    return [str(PYTHON), "-m", "pipeline", *command]


def check(exit_code: int, last_line: str) -> None:
    """Raise Airflow's exception for the end of a step. `exit_code` is negative when a signal killed it."""
    if exit_code == 0:
        return
    if exit_code < 0:
        raise AirflowException(f"killed by signal {-exit_code}; its last line was: {last_line}")
    if exit_code in PERMANENT_FAILURES:
        raise AirflowFailException(last_line)
    raise AirflowException(last_line)


def environment() -> dict[str, str]:
    """Return this process's environment without Airflow's variables: the pipeline must not get the address of its
    database."""
    return {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith("AIRFLOW")}


def timetable(runtime: str, zone: str) -> CronTriggerTimetable:
    """Schedule a daily run at `runtime` (HH:MM) in `zone` (an IANA name). Raises ValueError for invalid values."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", runtime):
        raise ValueError(f"PIPELINE_RUNTIME must be a time from 00:00 to 23:59, not {runtime!r}")
    hour, minute = runtime.split(":")
    try:
        time_zone = pendulum.timezone(zone)
    except ValueError:
        raise ValueError(f"TIMEZONE: there is no time zone {zone!r}; use a name such as America/Montreal") from None
    return CronTriggerTimetable(f"{int(minute)} {int(hour)} * * *", timezone=time_zone, run_immediately=LATE)


def recommends(text: str) -> bool:
    """Parse RECOMMEND like the project's command line. Raises ValueError for an invalid value."""
    if text.lower() in ("1", "true", "t", "yes", "y", "on"):
        return True
    if text.lower() in ("0", "false", "f", "no", "n", "off"):
        return False
    raise ValueError(f"RECOMMEND must be true or false, not {text!r}")


def shard_count(text: str) -> int:
    """Parse RECOMMEND_SHARDS. Raises ValueError for an invalid value."""
    if not re.fullmatch(r"[1-9][0-9]{0,2}|1000", text):
        raise ValueError(f"RECOMMEND_SHARDS must be a number from 1 to 1000, not {text!r}")
    return int(text)


@task(trigger_rule=TriggerRule.ONE_FAILED, retries=0)
def outcome() -> None:
    """Fail when a step failed; skipped after a successful night."""
    raise AirflowFailException("a step of this night failed; the end of its log says why, and what to do next")


@task(trigger_rule=TriggerRule.ALL_DONE)
def notify(steps: list[str], ti: TaskInstance | None = None) -> None:
    """Send the alert about the night: the steps and their retries send none. A step without an end was killed."""
    ends = {step: ti.xcom_pull(task_ids=step, key=END) for step in steps}
    ended = subprocess.run(
        pipeline("notify"),
        input=json.dumps(ends),
        env=environment(),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(ended.stdout, end="")
    check(ended.returncode, "".join(ended.stdout.splitlines()[-1:]))


with DAG(
    dag_id="moovitamix_night",
    description="Reads the MooVitamix API, checks the delivery, builds the warehouse, and makes recommendations",
    schedule=timetable(os.environ.get("PIPELINE_RUNTIME") or "00:00", os.environ.get("TIMEZONE") or "UTC"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    # the delay is Airflow's own setting: 5 minutes by default
    default_args={"owner": "moovitamix", "retries": RETRIES},
    tags=["moovitamix"],
    doc_md=__doc__,
) as dag:
    extract = Step(task_id="extract")
    gate = Step(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)
    # the DAG moovitamix_retraining follows it
    build = Step(task_id="build", trigger_rule=TriggerRule.ALL_DONE, outlets=[Asset("moovitamix_marts")])
    extract >> gate >> build
    steps, shards = [extract, gate, build], []
    if recommends(os.environ.get("RECOMMEND") or "true"):
        # A gate that blocked a load failed, but not the build after it. After a failed build, no shard succeeds either;
        # lists of a failed shard are made here.
        recommend = Step(task_id="recommend", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
        count = shard_count(os.environ.get("RECOMMEND_SHARDS") or "1")
        commands = [("recommend", "--shard", f"{number}/{count}") for number in range(1, count + 1)]
        if count > 1:
            shard = Step.partial(task_id="shard", map_index_template="{{ task.command[-1] }}")
            shards.append(shard.expand(command=commands))
        build >> [*shards, recommend]
        shards >> recommend
        steps.append(recommend)
    [*steps, *shards] >> outcome()
    steps >> notify([step.task_id for step in steps])
