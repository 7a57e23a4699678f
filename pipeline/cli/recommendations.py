"""Define `recommend`, which publishes recommendations, and `recommendations`, which shows them."""

from typing import Any

import click

from pipeline.cli.connecting import connect_for_reading, find_warehouse, find_warehouse_to_change
from pipeline.cli.options import database_url_option, reason_option
from pipeline.console.terminal import console
from pipeline.operations import recommendations as operations
from pipeline.settings import Settings, secret


@click.command("recommend")
@database_url_option
@click.option(
    "--artist-cap",
    envvar="ARTIST_CAP",
    type=click.IntRange(1, 50),
    default=3,
    help="Maximum number of tracks of one artist in a list.",
)
@click.option(
    "--budget",
    envvar="TRAIN_BUDGET",
    type=click.FloatRange(0, 86_400),
    default=60,
    help="Seconds for tuning, where a list has no model yet.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Seed of all random draws.")
@click.option("--train", "trains", is_flag=True, help="Train new models, even if there are some.")
def recommend(database_url: str | None, **options: Any) -> None:
    """Make lists of recommendations for all users, and publish them whole."""
    warehouse = find_warehouse_to_change(Settings(database_url=database_url))
    operations.recommend(warehouse, console(), redis_url=secret("REDIS_URL"), **options)


@click.group("recommendations")
def recommendations() -> None:
    """Show the published recommendations, list the releases, or take one back."""


@recommendations.command("show")
@database_url_option
@click.option("--limit", type=click.IntRange(1, 50), default=10, help="Maximum number of tracks per list.")
@click.argument("user_id", metavar="USER_ID", type=click.IntRange(-(2**63), 2**63 - 1))
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
