"""Define `erase` and `prune`, which delete rows permanently."""

import datetime as dt

import click

from pipeline.cli.connecting import find_warehouse_to_change
from pipeline.cli.options import check_age, decision_options
from pipeline.console.terminal import console
from pipeline.operations import erasure, pruning
from pipeline.settings import Settings


@click.command()
@decision_options
@click.argument("user_id")
def erase(database_url: str | None, reason: str, dry_run: bool, user_id: str) -> None:
    """Delete all data of USER_ID permanently.

    Later runs skip this user. Needs ERASURE_KEY if DATABASE_URL is set.
    """
    settings = Settings(database_url=database_url)
    warehouse = find_warehouse_to_change(settings)
    click.echo(f"next: {erasure.erase(settings, warehouse, user_id, reason, console(), is_dry_run=dry_run)}")


@click.command()
@decision_options
@click.option(
    "--keep", required=True, callback=check_age, help="Delete versions superseded longer ago than this: 90d, 12w ..."
)
def prune(database_url: str | None, reason: str, dry_run: bool, keep: dt.timedelta) -> None:
    """Delete old superseded versions of users and tracks.

    The marts do not change.
    """
    warehouse = find_warehouse_to_change(Settings(database_url=database_url))
    click.echo(f"next: {pruning.prune(warehouse, keep, reason, console(), is_dry_run=dry_run)}")
