"""Define `erase` and `prune`, which delete rows permanently."""

import datetime as dt
import re

import click

from pipeline.cli.options import check_age, decision_options
from pipeline.cli.warehouse_access import check_cache, find_warehouse_to_change
from pipeline.console.terminal import console
from pipeline.operations import erasure, pruning
from pipeline.settings import Settings


class _IdCommand(click.Command):
    """Take an argument such as -5 for an id, and not for an option: no option begins with a digit."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        options = [option for option in self.params if isinstance(option, click.Option) and not option.is_flag]
        awaiting_a_value = {name for option in options for name in option.opts}
        end = arguments.index("--") if "--" in arguments else len(arguments)
        ids = [
            position
            for position in range(end)
            if re.match(r"-\.?\d", arguments[position])
            and (position == 0 or arguments[position - 1] not in awaiting_a_value)
        ]
        others = [arguments[position] for position in range(end) if position not in ids]
        if others and others[-1] in awaiting_a_value:
            # its value is missing, and it would take the `--`: without the ids, click says what is wrong
            arguments = others
        elif ids:
            arguments = [*others, "--", *(arguments[position] for position in ids), *arguments[end + 1 :]]
        return super().parse_args(context, arguments)


@click.command(cls=_IdCommand)
@decision_options
@click.argument("user_id")
def erase(database_url: str | None, reason: str, dry_run: bool, user_id: str) -> None:
    """Delete all data of USER_ID permanently.

    Later runs skip this user. Put -- before an id such as -x, which looks like an option; -5 is an id.
    Needs ERASURE_KEY if DATABASE_URL is set.
    """
    check_cache()
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
