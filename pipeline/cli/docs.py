"""Define `docs` and `docs-serve`, which make and serve the dbt docs."""

import contextlib

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import find_warehouse
from pipeline.operations import docs
from pipeline.settings import Settings


@click.command("docs")
@database_url_option
def make_docs(database_url: str | None) -> None:
    """Generate the dbt docs as one static page."""
    page = docs.make(find_warehouse(Settings(database_url=database_url)))
    click.echo(f"the dbt docs are written; open in a browser: {page}")


@click.command("docs-serve")
@database_url_option
@click.option(
    "--port",
    envvar="DOCS_PORT",
    show_envvar=True,
    type=click.IntRange(0, 65535),
    default=8080,
    help="Port on 127.0.0.1; 0 takes any free one.",
)
def serve_docs(database_url: str | None, port: int) -> None:
    """Generate and serve the dbt docs until Ctrl-C."""
    with docs.server(port) as server:
        docs.make(find_warehouse(Settings(database_url=database_url)))
        with contextlib.suppress(KeyboardInterrupt):
            click.echo(f"the dbt docs are served at http://{docs.HOST}:{server.server_port}/ until Ctrl-C")
            server.serve_forever()
