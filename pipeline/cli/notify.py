"""Define `notify`, with which a task scheduler sends the alert about a night that it has run step by step."""

import sys

import click

from pipeline.alerts import messages, step_night
from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_by_settings
from pipeline.settings import Settings


@click.command()
@database_url_option
def notify(database_url: str | None) -> None:
    """Send one alert about a night of single steps to ALERT_URLS, if one is due.

    For task schedulers such as Airflow. Standard input says how each step has ended, as JSON.
    """
    ends = step_night.parse("" if sys.stdin.isatty() else sys.stdin.read())
    step_night.send_alert(ends, lambda: connect_by_settings(Settings(database_url=database_url), "moovitamix"))
    # last, so that the valid addresses get the alert
    messages.check_addresses()
