"""A server as a distribution packs it, beside the suite's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.servers import address, initialize, running, servers_folder

DEBIANS_POSTGRES = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def debians_postgres() -> Iterator[tuple[Path, int]]:
    """Folder (of a socket) and port of a Postgres 15 as a distribution packs it."""
    if not DEBIANS_POSTGRES.exists():
        pytest.skip(f"no {DEBIANS_POSTGRES}")
    with servers_folder() as root:
        initialize(DEBIANS_POSTGRES, root / "data")
        with running(DEBIANS_POSTGRES, root / "data", "synchronous_commit=off") as place:
            yield place


@contextmanager
def debians_database(how: str) -> Iterator[str]:
    """Address of a database made with these options on a server of its own."""
    with debians_postgres() as (folder, port):
        with psycopg.connect(address(folder, port), autocommit=True) as server:
            server.execute(f"create database options_of_its_own {how}")
        yield address(folder, port, dbname="options_of_its_own")
