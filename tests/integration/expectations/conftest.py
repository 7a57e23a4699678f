"""Provide a warehouse with staging tables and views but without rows; tests land their own loads."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

from tests.databases import database_copy
from tests.integration.expectations.warehouse import Warehouse

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def new_warehouse(prepared_template, postgres_url) -> Callable[[], AbstractContextManager[Warehouse]]:
    """Return a context manager that yields another `Warehouse`."""

    @contextmanager
    def make() -> Iterator[Warehouse]:
        with (
            database_copy(postgres_url, prepared_template, f"gate_{next(_numbers)}") as url,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            yield Warehouse(url, connection)

    return make


@pytest.fixture
def warehouse(new_warehouse) -> Iterator[Warehouse]:
    with new_warehouse() as made:
        yield made
