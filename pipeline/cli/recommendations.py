"""Define `recommendations`, which shows the published recommendations, and takes a release back."""

import click

from pipeline.cli.options import database_url_option, reason_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse, find_warehouse_to_change
from pipeline.console.terminal import console
from pipeline.operations import recommendations as operations
from pipeline.settings import Settings


def _check_id(context: click.Context, argument: click.Parameter, text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = None
    if found is None or not -(2**63) <= found < 2**63:
        raise click.BadParameter(f"it must be the number of a user, not {text!r}")
    return found


@click.group("recommendations")
def recommendations() -> None:
    """Show the published recommendations, list the releases, or take one back."""


@recommendations.command("show")
@database_url_option
@click.option("--limit", type=click.IntRange(1, 50), default=10, help="Maximum number of tracks per list.")
@click.argument("user_id", metavar="USER_ID", callback=_check_id)
def show_user(database_url: str | None, user_id: int, limit: int) -> None:
    """Show the published lists of the user USER_ID, with reasons."""
    with connect_for_reading(find_warehouse(Settings(database_url=database_url))) as connection:
        operations.show(connection, console(), user_id, limit)


@recommendations.command("releases")
@database_url_option
@click.option("--limit", type=click.IntRange(1, 1000), default=10, help="Maximum number of releases.")
def list_releases(database_url: str | None, limit: int) -> None:
    """List the newest releases, and which one readers see."""
    with connect_for_reading(find_warehouse(Settings(database_url=database_url))) as connection:
        operations.list_releases(connection, console(), limit)


@recommendations.command("rollback")
@database_url_option
@reason_option("recommendations.release_history")
def roll_back(database_url: str | None, reason: str) -> None:
    """Let readers see the release before the published one again, at once."""
    warehouse = find_warehouse_to_change(Settings(database_url=database_url))
    click.echo(operations.roll_back(warehouse, reason))
