"""Create a database for a benchmark."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


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
