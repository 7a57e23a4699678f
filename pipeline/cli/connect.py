"""Define `connect`, which prints how to read the warehouse with other programs."""

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.operations import connection_settings
from pipeline.settings import Settings


@click.command()
@database_url_option
def connect(database_url: str | None) -> None:
    """Print host, port, user and settings for Metabase, DBeaver, psql and SQLAlchemy."""
    settings = Settings(database_url=database_url)
    warehouse = find_warehouse(settings)
    with connect_for_reading(warehouse) as connection:
        for name, value in connection_settings.describe(settings, warehouse, connection):
            click.echo(f"{name:<11} {value}")
