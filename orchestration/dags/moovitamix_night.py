"""The night as an Apache Airflow DAG: each step is a task, and each task is `python -m pipeline STEP`.

This file runs in Airflow's environment, which holds nothing of the project; the command runs in the project's own
`.venv`. Settings are those in the environment of Airflow's processes, and for the command those of the project's `.env`
besides. A setting that this file cannot read is an import error of the DAG.

The steps follow each other as in `make run`: a failed source does not keep what is pending from being judged and built.
`outcome` fails when any of them did, because the last step alone would leave a failed night green.
"""

import os
import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import pendulum
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator, Context, CronTriggerTimetable, TriggerRule, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# A link to this file, in the DAGs folder of another Airflow, leads here too.
PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv" / "bin" / "python"
# Exit codes of what is no better a while later: wrong settings, a blocked table, a model or test that failed, a gate
# that could not run. Of the others, 6 is another run at work: its end is waited for as that of a failed source is.
NO_USE_TO_RETRY = (2, 4, 5, 8)
RETRIES = 3
# How long after its time the first night of all still begins. Airflow reads this file again and again, and until there
# is a night it looks for the first anew: without this, a look just after the time would put it off by a day.
LATE = timedelta(minutes=10)


class Step(BaseOperator):
    """The step of the night that the task is named after. What it says is the task's log; its last line is the reason
    when it fails."""

    @cached_property
    def _process(self) -> SubprocessHook:
        return SubprocessHook()

    def execute(self, context: Context) -> None:
        """Raises AirflowFailException when it is no use to try again, AirflowException for other failures."""
        if not PYTHON.exists():
            raise AirflowFailException(f"{PYTHON} is missing; make it with: make setup")
        command = [str(PYTHON), "-m", "pipeline", self.task_id]
        check(*self._process.run_command(command, env=environment(), cwd=str(PROJECT)))

    def on_kill(self) -> None:
        """Tell the step to end; it records that it was interrupted."""
        self._process.send_sigterm()


def check(exit_code: int, last_line: str) -> None:
    """How a step ended, as Airflow wants to hear it. `exit_code` is negative when a signal killed it."""
    if exit_code == 0:
        return
    if exit_code < 0:
        raise AirflowException(f"killed by signal {-exit_code}; its last line was: {last_line}")
    if exit_code in NO_USE_TO_RETRY:
        raise AirflowFailException(last_line)
    raise AirflowException(last_line)


def environment() -> dict[str, str]:
    """That of this process, less what is Airflow's own: the address of its database is nothing to the pipeline."""
    return {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith("AIRFLOW")}


def timetable(runtime: str, zone: str) -> CronTriggerTimetable:
    """Each day at `runtime` (HH:MM) on the clocks of `zone` (an IANA name). Raises ValueError for what is neither."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", runtime):
        raise ValueError(f"PIPELINE_RUNTIME must be a time from 00:00 to 23:59, not {runtime!r}")
    hour, minute = runtime.split(":")
    try:
        place = pendulum.timezone(zone)
    except ValueError:
        raise ValueError(f"TIMEZONE: there is no time zone {zone!r}; name a place, such as America/Montreal") from None
    return CronTriggerTimetable(f"{int(minute)} {int(hour)} * * *", timezone=place, run_immediately=LATE)


@task(trigger_rule=TriggerRule.ONE_FAILED, retries=0)
def outcome() -> None:
    """Fails when a step did; skipped after a good night."""
    raise AirflowFailException("a step of this night failed; the end of its log says why, and what to do next")


with DAG(
    dag_id="moovitamix_night",
    description="Reads the MooVitamix API, judges what came, and builds the warehouse",
    schedule=timetable(os.environ.get("PIPELINE_RUNTIME") or "00:00", os.environ.get("TIMEZONE") or "UTC"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    # the delay is Airflow's own setting: 5 minutes, unless it says otherwise
    default_args={"owner": "moovitamix", "retries": RETRIES},
    tags=["moovitamix"],
    doc_md=__doc__,
) as dag:
    extract = Step(task_id="extract")
    gate = Step(task_id="gate", trigger_rule=TriggerRule.ALL_DONE)
    build = Step(task_id="build", trigger_rule=TriggerRule.ALL_DONE)
    extract >> gate >> build
    [extract, gate, build] >> outcome()
