"""Define `grant`, which creates the roles of the warehouse."""

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.console.terminal import console
from pipeline.operations import grants
from pipeline.run.preparation import lock_for_writing
from pipeline.settings import Settings
from warehouse import database


@click.command()
@database_url_option
@click.option("--dry-run", is_flag=True, help="Print the SQL statements and change nothing.")
def grant(database_url: str | None, dry_run: bool) -> None:
    """Create roles with least privileges for each step and reader."""
    warehouse = find_warehouse(Settings(database_url=database_url))
    if dry_run:
        with connect_for_reading(warehouse) as connection:
            click.echo(grants.script(connection))
    else:
        with lock_for_writing(warehouse, prepares=False) as connection, database.translate_database_errors(warehouse):
            grants.grant(connection)
            grants.show(connection, console())
