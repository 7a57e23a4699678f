"""Databases of a test's own on the session's server."""

import contextlib
from collections.abc import Iterator

import psycopg


@contextlib.contextmanager
def copied(postgres_url: str, template: str, name: str) -> Iterator[str]:
    """URL of a copy of the template that is dropped at the end."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"create database {name} template {template}")
        try:
            yield postgres_url.rsplit("/", 1)[0] + f"/{name}"
        finally:
            server.execute(f"drop database {name} with (force)")
