"""Define `status`, which shows the state of the warehouse and the next command to run."""

from typing import Any

import click

from pipeline.cli.options import api_base_url_option, database_url_option, sample_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.console import header, status_view
from pipeline.console.terminal import console
from pipeline.operations import status
from pipeline.settings import Settings
from warehouse import embedded_postgres


@click.command("status")
@database_url_option
@api_base_url_option
@sample_option
def show_status(**options: Any) -> None:
    """Show the last runs, open loads, and the next command to run."""
    settings = Settings(**options)
    if not settings.database_url and not embedded_postgres.is_running(settings.postgres_folder):
        click.echo("the embedded Postgres is not running and starts now; to stop it: make stop")
    warehouse = find_warehouse(settings)
    with connect_for_reading(warehouse) as connection:
        api = status.next_api(settings, connection)
        click.echo(header.describe(header.describe_warehouse(settings, warehouse), api))
        status_view.show(status.read(settings, connection), console())
