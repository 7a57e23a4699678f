"""Run a Postgres server as Debian packages it, beside the suite's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.servers import address, initialize, running, servers_folder

DEBIANS_POSTGRES = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def debian_postgres() -> Iterator[tuple[Path, int]]:
    """Start Postgres 15 as Debian packages it, and yield the folder of its socket and its port."""
    if not DEBIANS_POSTGRES.exists():
        pytest.skip(f"no {DEBIANS_POSTGRES}")
    with servers_folder() as root:
        initialize(DEBIANS_POSTGRES, root / "data")
        with running(DEBIANS_POSTGRES, root / "data", "synchronous_commit=off") as server:
            yield server


@contextmanager
def debian_database(how: str = "") -> Iterator[str]:
    """Yield the address of a database with these options on a separate server."""
    with debian_postgres() as (folder, port):
        with psycopg.connect(address(folder, port), autocommit=True) as server:
            server.execute(f"create database options_of_its_own {how}")
        yield address(folder, port, dbname="options_of_its_own")
