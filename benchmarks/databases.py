"""Create a database for a benchmark."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pipeline.records import owned_names
from warehouse import database as warehouses
from warehouse import schema


@contextmanager
def database(server_url: str, name: str = "bench") -> Iterator[str]:
    """Yield the URL of an empty database on the server, dropped at the end."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"drop database if exists {name} with (force)")
        server.execute(f"create database {name}")
    try:
        yield server_url.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute(f"drop database {name} with (force)")


@contextmanager
def migrated_database(server_url: str) -> Iterator[str]:
    """Yield the URL of a database that has the tables of the project, without rows."""
    with database(server_url) as url:
        schema.upgrade(warehouses.find(url, "bench"), owned_names.names())
        yield url
