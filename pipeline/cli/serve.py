"""Define `serve`, which answers the app with recommendations."""

import click

from pipeline.cli.options import database_url_option
from pipeline.settings import Settings, secret
from warehouse import database, embedded_postgres
from warehouse.errors import CommandError, ExitCode


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

    settings = Settings(database_url=database_url)
    if database_url:
        database.parameters_in(database_url)
    else:
        embedded_postgres.start(settings.postgres_folder, settings.postgres_port)
    redis_url = secret("REDIS_URL")
    if redis_url:
        _check_redis(redis_url)
    server.serve(
        ServiceSettings(
            host=host,
            port=port,
            workers=workers,
            postgres_folder=settings.postgres_folder,
            database_url=database_url,
            redis_url=redis_url,
            api_key=secret("API_KEY"),
            artefact_folder=secret("ARTIFACT_FOLDER"),
        )
    )


def _check_redis(url: str) -> None:
    """Raise CommandError(WRONG_SETTINGS) if this is not an address of Redis. The message does not quote it."""
    from recommender import cache

    try:
        cache.connect(url)
    except ValueError:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "REDIS_URL is not an address of Redis; it must look like redis://:password@host:6379/0, or rediss:// or"
            " unix://",
        ) from None
