"""A third night, after the two of `built_template`, with some bad rows: to be disturbed, and compared with a twin."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from expectations import ledger
from pipeline.exits import Exit
from sample_api.server import SampleServer, serve
from sample_api.world import World, snapshot
from tests import debians_postgres as packed
from tests.databases import copied
from tests.marts import contents
from tests.nights import run_night

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_template`
NEXT_DAY = 2


@pytest.fixture(scope="session")
def third_night() -> Iterator[SampleServer]:
    """The API on that night."""
    with serve(snapshot(WORLD, NEXT_DAY), ["bad_rows=0.1/1"]) as server:
        yield server


@pytest.fixture(scope="session")
def judged_template(postgres_url, built_template, third_night) -> Iterator[str]:
    """Name of a database in which the third night has landed and been judged; copied, never changed."""
    with copied(postgres_url, built_template, "judged") as url:
        assert run_night(url, third_night.url, ("extract", "gate")).exit_code == Exit.PUBLISHED
        yield "judged"


@pytest.fixture(scope="session")
def uninterrupted_twin(postgres_url, judged_template, third_night) -> dict[str, list[tuple]]:
    """The marts after a third night that nobody disturbed."""
    with copied(postgres_url, judged_template, "twin") as url:
        assert run_night(url, third_night.url, ("build",)).exit_code == Exit.PUBLISHED
        return contents(url)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of what a run keeps, for this test alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MOOVITAMIX_HOME", str(folder))
    return folder


@pytest.fixture
def debians_postgres() -> Iterator[tuple[Path, int]]:
    """Folder (of a socket) and port of a Postgres 15."""
    with packed.debians_postgres() as place:
        yield place


def check_ledger(connection: psycopg.Connection) -> set[str]:
    """A verdict, its quarantine and its publication are there together or not at all; returns the states there are."""
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
                select count(distinct dlt_id) from gate.quarantined_rows as held
                where held.load_id = loads.load_id and held.table_name = loads.table_name
            )
        from gate.loads
    """).fetchall()
    for state, has_rows, rows_quarantined, publications, quarantined in loads:
        is_published = has_rows and state in ledger.PUBLISHED
        assert (publications, quarantined) == (int(is_published), rows_quarantined), loads
    return {state for state, *_ in loads}
