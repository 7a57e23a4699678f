"""Define `stop` and `clean`, which stop the embedded Postgres and remove generated files."""

import click

from pipeline.operations import generated_files, server
from pipeline.settings import Settings


@click.command()
@click.option("--force", is_flag=True, help="Stop the server even during a run, which then fails.")
def stop(force: bool) -> None:
    """Stop the embedded Postgres; its data stays. Refused during a run."""
    stopped = server.stop(Settings().postgres_folder, is_forced=force)
    click.echo("the embedded Postgres is stopped" if stopped else "the embedded Postgres was not running")


@click.command()
@click.pass_context
def clean(context: click.Context) -> None:
    """Remove the embedded warehouse and all generated files.

    Keeps the erasure key and the environments.
    """
    context.invoke(stop)
    generated_files.remove(Settings())
