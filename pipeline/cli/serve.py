"""Define `serve`, which answers the app with recommendations."""

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import check_cache
from pipeline.settings import Settings, secret
from warehouse import database, embedded_postgres


@click.command("serve")
@database_url_option
@click.option("--host", envvar="SERVICE_HOST", show_envvar=True, default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port",
    envvar="SERVICE_PORT",
    show_envvar=True,
    type=click.IntRange(0, 65535),
    default=8090,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--workers",
    envvar="SERVICE_WORKERS",
    show_envvar=True,
    type=click.IntRange(1, 64),
    default=1,
    help="Number of processes; each one holds the models in its memory.",
)
def serve(database_url: str | None, host: str, port: int, workers: int) -> None:
    """Answer requests for recommendations until Ctrl-C, with a page to try it."""
    from recommender.service import server
    from recommender.service.settings import ServiceSettings

    check_cache()
    settings = Settings(database_url=database_url)
    if database_url:
        database.parameters_in(database_url)
    else:
        embedded_postgres.start(settings.postgres_folder, settings.postgres_port)
    server.serve(
        ServiceSettings(
            host=host,
            port=port,
            workers=workers,
            postgres_folder=settings.postgres_folder,
            database_url=database_url,
            redis_url=secret("REDIS_URL"),
            api_key=secret("API_KEY"),
            artefact_folder=secret("ARTIFACT_FOLDER"),
        )
    )
