"""Define `insights`, which writes what people listen to as one page."""

from pathlib import Path

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.operations import insights
from pipeline.settings import Settings


@click.command("insights")
@database_url_option
@click.option(
    "--output",
    envvar="INSIGHTS_OUTPUT",
    show_envvar=True,
    type=click.Path(path_type=Path),
    show_default="reports/listening.html",
    help="File to write.",
)
def make_insights(database_url: str | None, output: Path | None) -> None:
    """Write what people listen to as one page."""
    settings = Settings(database_url=database_url)
    with connect_for_reading(find_warehouse(settings)) as connection:
        page = insights.make(settings, connection, output)
    click.echo(f"the page is written; open in a browser: {page}")
