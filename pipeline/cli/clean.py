"""Define `clean`, which removes generated files."""

import click

from pipeline.cli.stop import stop
from pipeline.operations import generated_files
from pipeline.settings import Settings


@click.command()
@click.pass_context
def clean(context: click.Context) -> None:
    """Remove the embedded warehouse and all generated files.

    Keeps the erasure key and the environments.
    """
    context.invoke(stop)
    generated_files.remove(Settings())
