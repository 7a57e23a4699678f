"""Define `metrics`, which serves metrics to Prometheus."""

import click

from monitoring import exporter
from pipeline.cli.options import database_url_option, export_options
from pipeline.settings import Settings, secret
from warehouse import database, embedded_postgres


@click.command("metrics")
@database_url_option
@click.option("--host", envvar="METRICS_HOST", show_envvar=True, default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port",
    envvar="METRICS_PORT",
    show_envvar=True,
    type=click.IntRange(0, 65535),
    default=9464,
    help="Port to listen on; 0 takes any free one.",
)
@click.pass_context
def serve_metrics(context: click.Context, database_url: str | None, host: str, port: int) -> None:
    """Serve metrics to Prometheus, at /metrics, until Ctrl-C."""
    if database_url:
        database.parameters_in(database_url)
    export_options(context, context.command.params)
    exporter.serve(host, port, lambda: secret("DATABASE_URL") or embedded_postgres.url(Settings().postgres_folder))
