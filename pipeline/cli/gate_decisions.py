"""Define `gate release`, `gate reject` and `gate replay`, with which a person overrides the gate."""

from typing import Any

import click

from pipeline.cli.gate import closest_settings
from pipeline.cli.options import decision_options
from pipeline.cli.warehouse_access import find_warehouse_to_change
from pipeline.console.terminal import console
from pipeline.operations import decisions
from pipeline.settings import Settings


@click.command("release")
@click.argument("load")
@click.argument("table")
@decision_options
@click.pass_obj
def gate_release(settings: Settings, load: str, table: str, **options: Any) -> None:
    """Publish the blocked TABLE of LOAD, and build.

    Quarantined rows stay quarantined.
    """
    _decide_load("release", settings, load, table, **options)


@click.command("reject")
@click.argument("load")
@click.argument("table")
@decision_options
@click.pass_obj
def gate_reject(settings: Settings, load: str, table: str, **options: Any) -> None:
    """Withdraw TABLE of LOAD, and build.

    The next run loads its rows again.
    """
    _decide_load("reject", settings, load, table, **options)


@click.command("replay")
@click.option("--table", help="Only rows of this table.")
@click.option("--rule", help="Only rows that this rule quarantined.")
@decision_options
@click.pass_obj
def gate_replay(
    settings: Settings, database_url: str | None, table: str | None, rule: str | None, reason: str, dry_run: bool
) -> None:
    """Check quarantined rows again, publish those that pass, and build."""
    verb = decisions.Verb("replay", reason, dry_run)
    warehouse = find_warehouse_to_change(closest_settings(settings, database_url))
    click.echo(decisions.replay_quarantined_rows(verb, warehouse, console(), table, rule))


def _decide_load(
    name: str, settings: Settings, load: str, table: str, database_url: str | None, reason: str, dry_run: bool
) -> None:
    warehouse = find_warehouse_to_change(closest_settings(settings, database_url))
    click.echo(decisions.decide_load(decisions.Verb(name, reason, dry_run), warehouse, console(), load, table))
