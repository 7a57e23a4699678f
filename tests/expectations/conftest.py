"""A warehouse with staging tables and views and nothing in it, into which a test lands loads by hand."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

import extract
from pipeline import runs
from sample_api.server import serve
from tests.databases import copied
from tests.expectations.warehouse import Warehouse
from tests.nights import run_dbt

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def staged_template(postgres_url, tmp_path_factory) -> Iterator[str]:
    """Name of a database with all the tables and views the gate needs, and no rows; copied, never changed."""
    name = "staged"
    url = postgres_url.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"create database {name}")
    with psycopg.connect(url, autocommit=True) as connection:
        runs.prepare(connection)
    with serve({}) as server:
        extract.run(url, server.url, working_folder=tmp_path_factory.mktemp("dlt"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("truncate staging.scans, staging._dlt_loads")
    assert run_dbt(url, "run", "--select", "path:models/staging").succeeded
    yield name


@pytest.fixture(scope="session")
def new_warehouse(staged_template, postgres_url) -> Callable[[], AbstractContextManager[Warehouse]]:
    """A context manager: one more `Warehouse` of one's own."""

    @contextmanager
    def make() -> Iterator[Warehouse]:
        with (
            copied(postgres_url, staged_template, f"gate_{next(_numbers)}") as url,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            yield Warehouse(url, connection)

    return make


@pytest.fixture
def warehouse(new_warehouse) -> Iterator[Warehouse]:
    with new_warehouse() as made:
        yield made
