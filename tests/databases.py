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


@contextlib.contextmanager
def other_encoding(postgres_url: str, encoding: str) -> Iterator[str]:
    """URL of an empty database in another encoding than UTF8, dropped at the end."""
    name = f"in_{encoding.lower()}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(
            f"create database {name} template template0 encoding '{encoding}' locale 'C' locale_provider 'libc'"
        )
        try:
            yield postgres_url.rsplit("/", 1)[0] + f"/{name}"
        finally:
            server.execute(f"drop database {name} with (force)")
