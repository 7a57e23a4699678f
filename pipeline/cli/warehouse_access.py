"""Find the warehouse that a command uses, and connect to it; check the address of the cache."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import click
import psycopg

from pipeline.console import header
from pipeline.settings import Settings, secret
from warehouse import database, embedded_postgres, locks
from warehouse.database import Warehouse


def find_warehouse(settings: Settings, application_name: str = "moovitamix") -> Warehouse:
    """Return the warehouse of the settings and export its connection for dbt. Starts the embedded Postgres."""
    warehouse = connect_by_settings(settings, application_name)
    database.export(warehouse)
    if settings.database_url:
        return warehouse
    return replace(warehouse, server=embedded_postgres.process_id(settings.postgres_folder))


def find_warehouse_to_change(settings: Settings) -> Warehouse:
    """Return the warehouse for a command that changes it, and print which one it is."""
    warehouse = find_warehouse(settings, locks.RUN_APPLICATION)
    click.echo(header.describe(header.describe_warehouse(settings, warehouse)))
    return warehouse


def connect_by_settings(settings: Settings, application_name: str) -> Warehouse:
    """Return the warehouse of the settings. Starts the embedded Postgres if DATABASE_URL is not set."""
    if settings.database_url:
        return database.find(settings.database_url, application_name)
    return database.find(embedded_postgres.start(settings.postgres_folder, settings.postgres_port), application_name)


def check_cache() -> None:
    """Raise CommandError(WRONG_SETTINGS) if REDIS_URL is set and is not an address of Redis."""
    if url := secret("REDIS_URL"):
        # a client that most commands do not need
        from recommender import cache

        cache.check_address(url)


@contextlib.contextmanager
def connect_for_reading(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """Yield a connection. Raises CommandError(WAREHOUSE_UNAVAILABLE)."""
    with warehouse.connect() as connection, database.translate_database_errors(warehouse):
        yield connection
