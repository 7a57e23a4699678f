"""Define `gate`, which checks pending loads, and the group of its subcommands."""

import click

from pipeline.cli.lazy import LazyGroup, load_command
from pipeline.cli.options import database_url_option
from pipeline.settings import Settings

COMMANDS = {
    "show": "gate_show:gate_show",
    "release": "gate_decisions:gate_release",
    "reject": "gate_decisions:gate_reject",
    "replay": "gate_decisions:gate_replay",
}


@click.group(cls=LazyGroup, locations=COMMANDS, invoke_without_command=True)
@database_url_option
@click.pass_context
def gate(context: click.Context, database_url: str | None) -> None:
    """Check pending loads; or show, release, reject or replay loads."""
    context.obj = Settings(database_url=database_url)
    if context.invoked_subcommand is None:
        context.invoke(load_command("steps:check_pending"), database_url=database_url)


def closest_settings(settings: Settings, database_url: str | None) -> Settings:
    """Return settings in which the option of the inner command takes precedence over that of the group."""
    return Settings(database_url=database_url) if database_url else settings
