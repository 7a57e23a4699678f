"""Define `model`, which shows the registered models, and promotes one or takes a promotion back."""

import click

from pipeline.cli.options import artist_cap_option, database_url_option, reason_option
from pipeline.cli.warehouse_access import check_cache, connect_for_reading, find_warehouse, find_warehouse_to_change
from pipeline.console.terminal import console
from pipeline.operations import models as operations
from pipeline.operations.recommendations import QUESTIONS
from pipeline.settings import Settings, secret

list_option = click.option("--list", "list_name", type=click.Choice(list(QUESTIONS)), help="Only this list.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
version_argument = {"type": click.IntRange(1, 2**63 - 1)}


@click.group("model")
def models() -> None:
    """Show the models, promote one, or take a promotion back."""


@models.command("list")
@database_url_option
@click.option("--limit", type=click.IntRange(1, 1000), default=10, help="Maximum number of models.")
def list_models(database_url: str | None, limit: int) -> None:
    """List the newest models, and which ones are champions."""
    with connect_for_reading(find_warehouse(Settings(database_url=database_url))) as connection:
        operations.list_models(connection, console(), limit)


@models.command("show")
@database_url_option
@click.argument("version", metavar="VERSION", **version_argument)
def show(database_url: str | None, version: int) -> None:
    """Show the model VERSION: its recipe, its training, and the decisions about it."""
    with connect_for_reading(find_warehouse(Settings(database_url=database_url))) as connection:
        operations.show(connection, console(), version)


@models.command("compare")
@database_url_option
@click.argument("one", metavar="A", **version_argument)
@click.argument("other", metavar="B", **version_argument)
def compare(database_url: str | None, one: int, other: int) -> None:
    """Compare the models A and B on what users heard after both were trained."""
    with connect_for_reading(find_warehouse(Settings(database_url=database_url))) as connection:
        operations.compare(connection, console(), one, other, secret("ARTIFACT_FOLDER"))


@models.command("promote")
@database_url_option
@reason_option("recommendations.aliases")
@dry_run_option
@artist_cap_option
@click.option("--later", "is_later", is_flag=True, help="Leave the lists to the next run.")
@click.argument("version", metavar="VERSION", **version_argument)
def promote(
    database_url: str | None, version: int, reason: str, dry_run: bool, artist_cap: int, is_later: bool
) -> None:
    """Make the model VERSION the champion of its list, and publish its lists."""
    check_cache()
    warehouse = find_warehouse_to_change(Settings(database_url=database_url))
    operations.promote(
        warehouse,
        console(),
        version,
        reason,
        is_dry_run=dry_run,
        is_later=is_later,
        artist_cap=artist_cap,
    )


@models.command("rollback")
@database_url_option
@reason_option("recommendations.aliases")
@dry_run_option
@list_option
def roll_back(database_url: str | None, reason: str, dry_run: bool, list_name: str | None) -> None:
    """Make the previous champion the champion again, at once, with its last lists if they are kept."""
    warehouse = find_warehouse_to_change(Settings(database_url=database_url))
    operations.roll_back(warehouse, console(), reason, is_dry_run=dry_run, list_name=list_name)
