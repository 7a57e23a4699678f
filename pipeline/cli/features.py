"""Define `features`, which stores and shows the features of users as of a moment."""

import datetime as dt
from typing import Any

import click

from pipeline.cli.options import as_of_option, database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse, find_warehouse_to_change
from pipeline.console.terminal import console
from pipeline.operations import features as operations
from pipeline.settings import Settings


@click.group("features")
def features() -> None:
    """Store, list, show and drop snapshots of the features of users."""


@features.command("snapshot")
@database_url_option
@as_of_option
@click.option(
    "--keep",
    envvar="SNAPSHOTS_KEPT",
    type=click.IntRange(1, 100_000),
    default=30,
    help="Drop the oldest snapshots beyond this number.",
)
def take_snapshot(database_url: str | None, as_of: dt.datetime | None, keep: int) -> None:
    """Store the features of all users as known at a moment."""
    warehouse = find_warehouse_to_change(Settings(database_url=database_url))
    click.echo(operations.take_snapshot(warehouse, as_of, keep))


@features.command("list")
@database_url_option
def list_snapshots(database_url: str | None) -> None:
    """List the stored snapshots, the newest first."""
    with connect_for_reading(find_warehouse(Settings(database_url=database_url))) as connection:
        operations.list_snapshots(connection, console())


@features.command("show")
@database_url_option
@as_of_option
@click.option("--user", "user_id", type=int, help="Show the features of this user.")
@click.argument("snapshot_id", metavar="[SNAPSHOT]", type=int, required=False)
def show_features(database_url: str | None, snapshot_id: int | None, **what: Any) -> None:
    """Show a stored SNAPSHOT, or the features of a user: those in SNAPSHOT, or as known at a moment.

    Stores nothing, and changes nothing that others read.
    """
    if snapshot_id is None and what["user_id"] is None:
        raise click.UsageError("give a SNAPSHOT, or --user, or both")
    if snapshot_id is not None and what["as_of"]:
        raise click.UsageError("a snapshot has its own moment; leave out SNAPSHOT or --as-of")
    warehouse = find_warehouse(Settings(database_url=database_url))
    with connect_for_reading(warehouse) as connection:
        if snapshot_id is None:
            operations.show_user(warehouse, connection, console(), **what)
        else:
            operations.show_snapshot(connection, console(), snapshot_id, what["user_id"])


@features.command("drop")
@database_url_option
@click.argument("snapshot_id", metavar="SNAPSHOT", type=int)
def drop_snapshot(database_url: str | None, snapshot_id: int) -> None:
    """Delete a stored SNAPSHOT permanently."""
    warehouse = find_warehouse_to_change(Settings(database_url=database_url))
    click.echo(operations.drop_snapshot(warehouse, snapshot_id))
