"""Define `migrate`, which prepares the warehouse for this version."""

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.console import header
from pipeline.run import preparation
from pipeline.settings import Settings
from warehouse import locks, schema


@click.command()
@database_url_option
@click.option("--dry-run", is_flag=True, help="Print the SQL of missing migrations and change nothing.")
def migrate(database_url: str | None, dry_run: bool) -> None:
    """Prepare the warehouse for this version: tables, typed views, privileges.

    A run does this itself if its login owns the schemas.
    """
    settings = Settings(database_url=database_url)
    warehouse = find_warehouse(settings, locks.RUN_APPLICATION)
    if dry_run:
        with connect_for_reading(warehouse) as connection:
            click.echo(preparation.script(connection))
        return
    click.echo(header.describe(header.describe_warehouse(settings, warehouse)))
    with preparation.lock_for_writing(warehouse):
        click.echo(f"the warehouse is prepared for this version: migration {schema.LATEST}")
