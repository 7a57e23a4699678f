"""Create and copy databases on the session's server for a single test."""

import contextlib
import time
from collections.abc import Iterator

import psycopg

from pipeline.records import owned_names
from pipeline.run.preparation import lock_for_writing
from warehouse import database, schema
from warehouse.database import Warehouse

# options of `create database`; the second only where the server was built with ICU, as Debian's is
LOCALE_C = "template template0 encoding 'UTF8' locale_provider 'libc' locale 'C'"
LOCALE_TURKISH = "template template0 encoding 'UTF8' locale_provider 'icu' icu_locale 'tr-TR' locale 'C'"
ENDING_SECONDS = 0.05


@contextlib.contextmanager
def new_database(postgres_url: str, name: str, how: str = "") -> Iterator[str]:
    """Create a database with these options, yield its URL, and drop it at the end."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        # copied files cost less than the log of their copy, because this server writes nothing through to a disk
        server.execute(f"create database {name} {how} strategy file_copy")
        try:
            yield postgres_url.rsplit("/", 1)[0] + f"/{name}"
        finally:
            drop(server, name)


def drop(server: psycopg.Connection, name: str) -> None:
    """Drop the database, and end its sessions.

    Sessions that are already ending get a moment: for them Postgres would wait 100 ms.
    """
    deadline = time.monotonic() + ENDING_SECONDS
    while server.execute("select from pg_stat_activity where datname = %s", [name]).rowcount:
        if time.monotonic() > deadline:
            break
        time.sleep(0.002)
    server.execute(f"drop database {name} with (force)")


def database_copy(postgres_url: str, template: str, name: str) -> contextlib.AbstractContextManager[str]:
    """Copy the template, yield the URL of the copy, and drop it at the end."""
    return new_database(postgres_url, name, f"template {template}")


def other_encoding(postgres_url: str, encoding: str) -> contextlib.AbstractContextManager[str]:
    """Create an empty database that is not encoded in UTF8, yield its URL, and drop it at the end."""
    how = f"template template0 encoding '{encoding}' locale 'C' locale_provider 'libc'"
    return new_database(postgres_url, f"in_{encoding.lower()}", how)


def prepare(database_url: str) -> None:
    """Prepare the database as the first run does."""
    with lock_for_writing(database.find(database_url, "test"), say=lambda message: None):
        pass


def migrate_url(database_url: str) -> None:
    """Apply the migrations to the database, without the parts that need dbt."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        migrate(connection)


def migrate(connection: psycopg.Connection) -> None:
    """Apply the migrations to the connected database, without the parts that need dbt."""
    info = connection.info
    parameters = {**info.get_parameters(), "password": info.password or "none-needed", "options": info.options}
    schema.upgrade(Warehouse(parameters), owned_names.names())
