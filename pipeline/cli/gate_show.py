"""Define `gate show`, which prints the rule failures of a load."""

import click

from pipeline.cli.gate import closest_settings
from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.console.terminal import console
from pipeline.operations import gate_report
from pipeline.settings import Settings


@click.command("show")
@database_url_option
@click.option("--show-rows", is_flag=True, help="Print the first failing rows too; they contain personal data.")
@click.argument("load", required=False)
@click.pass_obj
def gate_show(settings: Settings, database_url: str | None, show_rows: bool, load: str | None) -> None:
    """Show the rule failures of LOAD.

    By default the newest load that is blocked, has quarantined rows or warnings; else the newest.
    """
    with connect_for_reading(find_warehouse(closest_settings(settings, database_url))) as connection:
        gate_report.show(connection, load, console(), shows_rows=show_rows)
