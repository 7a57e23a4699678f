"""Provide a third run with some bad rows, after the two of `built_template`, and its undisturbed twin."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from expectations import batch_tables
from sample_api.server import SampleServer, serve
from sample_api.world import World, snapshot
from tests import debian_postgres as packed
from tests.databases import database_copy
from tests.marts import contents
from tests.runs import run_pipeline
from warehouse.errors import ExitCode
from warehouse.names import PUBLISHED

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_template`
NEXT_DAY = 2


@pytest.fixture(scope="session")
def third_run_api() -> Iterator[SampleServer]:
    """Serve the API of the third run."""
    with serve(snapshot(WORLD, NEXT_DAY), ["bad_rows=0.1/1"]) as server:
        yield server


@pytest.fixture(scope="session")
def checked_template(postgres_url, built_template, third_run_api) -> Iterator[str]:
    """Return the name of a template database in which the third load is checked, but not built."""
    with database_copy(postgres_url, built_template, "checked") as url:
        assert run_pipeline(url, third_run_api.url, ("extract", "gate")).exit_code == ExitCode.PUBLISHED
        yield "checked"


@pytest.fixture(scope="session")
def uninterrupted_twin(postgres_url, checked_template, third_run_api) -> dict[str, list[tuple]]:
    """Return the marts after an undisturbed third run."""
    with database_copy(postgres_url, checked_template, "twin") as url:
        assert run_pipeline(url, third_run_api.url, ("build",)).exit_code == ExitCode.PUBLISHED
        return contents(url)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Set MOOVITAMIX_HOME to a folder of this test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MOOVITAMIX_HOME", str(folder))
    return folder


@pytest.fixture
def debian_postgres() -> Iterator[tuple[Path, int]]:
    """Yield the folder of the socket and the port of a Postgres 15."""
    with packed.debian_postgres() as server:
        yield server


@pytest.fixture
def gate_losing_its_connection(monkeypatch) -> None:
    """End the session of the gate when it first checks tracks, after users."""
    stage, lost = batch_tables.stage_batch, []

    def stage_or_lose(connection, batch, shares):
        if batch.table == "tracks" and not lost:
            lost.append(batch)
            connection.execute("select pg_terminate_backend(pg_backend_pid())")
        stage(connection, batch, shares)

    monkeypatch.setattr(batch_tables, "stage_batch", stage_or_lose)


def check_ledger(connection: psycopg.Connection) -> set[str]:
    """Check that verdict, quarantine and publication exist together or not at all; return the states."""
    loads = connection.execute("""
        select
            state,
            rows_landed + rows_removed > 0,
            rows_quarantined,
            (
                select count(*) from gate.publications
                where publications.load_id = loads.load_id and publications.table_name = loads.table_name
            ),
            (
                select count(distinct dlt_id) from gate.quarantined_rows as quarantined
                where quarantined.load_id = loads.load_id and quarantined.table_name = loads.table_name
            )
        from gate.loads
    """).fetchall()
    for state, has_rows, rows_quarantined, publications, quarantined in loads:
        is_published = has_rows and state in PUBLISHED
        assert (publications, quarantined) == (int(is_published), rows_quarantined), loads
    return {state for state, *_ in loads}
