"""Whole nights in the test's own process: dlt, Great Expectations and dbt are loaded once for all of them."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any
from unittest import mock

from rich.console import Console

from pipeline import night, runs, warehouse
from pipeline.dbt import Dbt, DbtOutcome
from pipeline.night import Night
from pipeline.settings import Settings
from pipeline.terminal import StepDisplay
from sample_api.server import serve


def run_night(database_url: str, api_base_url: str, steps: tuple[str, ...] = night.STEPS) -> Night:
    """One night on the test's database, as `python -m pipeline run` does it."""
    settings = Settings(api_base_url=api_base_url, database_url=database_url)
    place = warehouse.find(database_url, warehouse.RUN_APPLICATION)
    with mock.patch.dict(os.environ):  # the next test has a database of its own
        warehouse.export(place)
        return night.run(settings, place, partial(StepDisplay, Console(quiet=True)), steps)


def run_night_on(
    database_url: str, rows: Any, faults: tuple[str, ...] = (), steps: tuple[str, ...] = night.STEPS
) -> Night:
    """One night on an API that serves these rows (a snapshot of the sample world, or rows by table)."""
    with serve(rows, faults) as server:
        return run_night(database_url, server.url, steps)


def run_dbt(database_url: str, *arguments: str) -> DbtOutcome:
    """A dbt command on the test's database, as `python -m pipeline dbt` does it."""
    place = warehouse.find(database_url, "test")
    with place.connect() as connection:
        runs.prepare(connection)
    with mock.patch.dict(os.environ):
        warehouse.export(place)
        return Dbt("--no-write-json").invoke(*arguments)


def states(finished: Night) -> Mapping[str, str]:
    """The gate's verdict on each table of the night."""
    return {judgement.batch.table: judgement.state for judgement in finished.judgements}
