"""Execute whole runs in the test's own process, which loads dlt, Great Expectations and dbt only once."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from unittest import mock

import psycopg
from rich.console import Console

from pipeline.console.terminal import StepDisplay
from pipeline.run import pipeline_run
from pipeline.run.dbt import Dbt, DbtOutcome
from pipeline.run.pipeline_run import PipelineRun
from pipeline.run.preparation import lock_for_writing
from pipeline.settings import Settings
from sample_api.server import serve
from sample_api.world import World
from warehouse import database, locks, names

# Without the recommendations, as the tests' environment sets it for commands.
STEPS = names.STEPS[:-1]


def run_pipeline(database_url: str, api_base_url: str, steps: tuple[str, ...] = STEPS) -> PipelineRun:
    """Execute a run on the test's database, like `python -m pipeline run`."""
    settings = Settings(api_base_url=api_base_url, database_url=database_url, budget=0)
    warehouse = database.find(database_url, locks.RUN_APPLICATION)
    with mock.patch.dict(os.environ):  # the next test has a database of its own
        database.export(warehouse)
        return pipeline_run.run(settings, warehouse, partial(StepDisplay, Console(quiet=True)), steps)


def run_pipeline_on(
    database_url: str, rows: Any, faults: tuple[str, ...] = (), steps: tuple[str, ...] = STEPS
) -> PipelineRun:
    """Execute a run on an API that serves these rows (a snapshot of the sample data, or rows by table)."""
    with serve(rows, faults) as server:
        return run_pipeline(database_url, server.url, steps)


def forget_builds(database_url: str) -> None:
    """Let the next build be a whole one, although nothing has changed."""
    with psycopg.connect(database_url) as connection:
        connection.execute("update ops.steps set figures = figures - 'relations' where step = 'build'")


def run_dbt(database_url: str, *arguments: str) -> DbtOutcome:
    """Execute a dbt command on the test's database, like `python -m pipeline dbt`."""
    warehouse = database.find(database_url, "test")
    with mock.patch.dict(os.environ), lock_for_writing(warehouse, say=lambda message: None):
        database.export(warehouse)
        return Dbt("--no-write-json").invoke(*arguments)


def render(database_url: str, expression: str) -> str:
    """Return the SQL that a call of a dbt macro renders."""
    with mock.patch.dict(os.environ):
        warehouse = database.find(database_url, "test")
        database.export(warehouse)
        return Dbt("--no-write-json").render(expression, warehouse)


def small_sample_world() -> AbstractContextManager:
    """Let commands without an API_BASE_URL read a world of an eighth of the size, within the block."""
    return mock.patch("sample_api.world.World", partial(World, users=120, tracks=120, documents=120))


def states(finished: PipelineRun) -> Mapping[str, str]:
    """Return the gate's verdict on each table of the run."""
    return {verdict.batch.table: verdict.state for verdict in finished.verdicts}
