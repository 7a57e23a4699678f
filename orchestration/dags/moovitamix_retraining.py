"""Retrain the models of the recommendations as an Apache Airflow DAG, after each night that built the marts.

Each stage is a task that runs `python -m pipeline train STAGE --if-due`: `prepare` starts a training if one is due, and
the other stages do nothing if none is in progress. What a stage found is in the warehouse, so the tasks may run on
different machines. A stage that fails is retried, also while a run or another training holds a lock (exit code 6), but
not after a permanent failure.

This file runs in Airflow's environment, which does not contain the project; the command runs in the project's `.venv`.
"""

from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

# A link to this file, in the DAGs folder of another Airflow, leads here too.
PROJECT = Path(__file__).resolve().parents[2]
STAGES = ("prepare", "tune", "evaluate", "promote")
# The task `build` of the DAG moovitamix_night updates it.
MARTS = Asset("moovitamix_marts")
# The pipeline must not get the address of Airflow's database. Airflow would store and show the operator's `env`.
WITHOUT_AIRFLOW = "unset ${!AIRFLOW@} ${!_AIRFLOW@}"
# Exit codes of permanent failures: wrong settings, and refused data or a model that cannot be stored.
PERMANENT_FAILURES = (2, 9)


class Stage(BashOperator):
    """Run a stage. Its output is the task's log; the last line explains a failure."""

    def execute(self, context: Context) -> None:
        """Run the command. Raises AirflowFailException for a permanent failure, AirflowException for others."""
        try:
            super().execute(context)
        except AirflowSkipException:
            raise AirflowFailException("a permanent failure, which the last line of this log explains") from None


with DAG(
    dag_id="moovitamix_retraining",
    description="Trains the models of the recommendations if that is due, and promotes only better ones",
    schedule=[MARTS],
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={"owner": "moovitamix", "retries": 3},
    tags=["moovitamix"],
    doc_md=__doc__,
) as dag:
    previous = None
    for stage in STAGES:
        task = Stage(
            task_id=stage,
            bash_command=f"{WITHOUT_AIRFLOW}; exec .venv/bin/python -m pipeline train {stage} --if-due",
            cwd=str(PROJECT),
            skip_on_exit_code=PERMANENT_FAILURES,
        )
        if previous:
            previous >> task
        previous = task
