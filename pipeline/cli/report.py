"""Define `report`, which writes the newest runs as one page."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from pipeline.cli.options import database_url_option, retraining_options, timezone_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.operations import report
from pipeline.settings import Settings


@click.command("report")
@database_url_option
@timezone_option
@click.option(
    "--output",
    envvar="REPORT_OUTPUT",
    show_envvar=True,
    type=click.Path(path_type=Path),
    show_default="reports/nights.html",
    help="File to write.",
)
@retraining_options
def make_report(
    database_url: str | None, timezone: ZoneInfo, output: Path | None, every: dt.timedelta, volume: float
) -> None:
    """Write a report of the newest runs as one page."""
    settings = Settings(database_url=database_url)
    with connect_for_reading(find_warehouse(settings)) as connection:
        page = report.make(settings, connection, timezone, output, retrain_every=every, retrain_volume=volume)
    click.echo(f"the report is written; open in a browser: {page}")
