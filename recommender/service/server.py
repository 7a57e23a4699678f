"""Listen on the address, and run the workers until they are told to stop."""

import contextlib
import os
import socket
import tempfile

import click
import uvicorn
from uvicorn.supervisors import Multiprocess

from recommender.service.settings import ServiceSettings
from warehouse.errors import CommandError, ExitCode

BACKLOG = 2048
# A request that is being answered may end.
GRACEFUL_SECONDS = 10
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
QUIET = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": '{"event": "server", "level": "%(levelname)s", "message": "%(message)s"}'}},
    "handlers": {"output": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stdout"}},
    "loggers": {"uvicorn": {"handlers": ["output"], "level": "WARNING", "propagate": False}},
}


def serve(settings: ServiceSettings) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises CommandError(WRONG_SETTINGS) for an address that cannot be used."""
    if not (settings.is_loopback or settings.api_key):
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"{settings.host} can be reached from other machines, and no key is set; set API_KEY or API_KEY_FILE, or"
            " leave SERVICE_HOST out",
        )
    with _listen(settings) as listener, tempfile.TemporaryDirectory(prefix="moovitamix-service-") as folder:
        settings.export()
        os.environ[METRICS_FOLDER] = folder
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"the service is at http://{shown}:{port}/ until Ctrl-C")
        config = uvicorn.Config(
            "recommender.service.app:create",
            factory=True,
            workers=settings.workers,
            access_log=False,
            log_config=QUIET,
            # the address of the client decides what it may see: no header may change it
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
        server = uvicorn.Server(config)
        with contextlib.suppress(KeyboardInterrupt):
            if settings.workers == 1:
                server.run([listener])
            else:
                Multiprocess(config, [listener]).run()


def _listen(settings: ServiceSettings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
        return listener
    except OSError as error:
        listener.close()
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); name another with --host and"
            " --port, or SERVICE_HOST and SERVICE_PORT",
        ) from None
