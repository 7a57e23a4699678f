"""Create a database for a benchmark."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Yield the URL of an empty database on the server, dropped at the end."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute("drop database if exists bench with (force)")
        server.execute("create database bench")
    try:
        yield server_url.rsplit("/", 1)[0] + "/bench"
    finally:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute("drop database bench with (force)")
