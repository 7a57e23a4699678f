"""Define `stop`, which stops the embedded Postgres."""

import click

from pipeline.operations.stop import stop_embedded_postgres
from pipeline.settings import Settings


@click.command()
@click.option("--force", is_flag=True, help="Stop the server even during a run, which then fails.")
def stop(force: bool) -> None:
    """Stop the embedded Postgres; its data stays. Refused during a run."""
    was_running = stop_embedded_postgres(Settings().postgres_folder, is_forced=force)
    click.echo("the embedded Postgres is stopped" if was_running else "the embedded Postgres was not running")
