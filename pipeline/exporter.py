"""`python -m pipeline metrics`: the metrics of monitoring/metrics.py for a Prometheus, read anew for each scrape.

It needs no warehouse to start with, and starts none: while there is none to read, that is what it tells.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

import click
import psycopg
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.registry import Collector

from monitoring import metrics
from pipeline import embedded_postgres, warehouse
from pipeline.embedded_postgres import PostgresUnavailable
from pipeline.exits import Exit, Stop
from pipeline.serving import listening_explained
from pipeline.settings import Settings

APPLICATION = "moovitamix metrics"
# Together less than the 10 seconds that Prometheus waits by default.
CONNECT_SECONDS = 3
READ_SECONDS = 5


class Records(Collector):
    """Reads the records at each scrape, over a new connection, and one scrape at a time.

    `settings`: as they are then, for a password may have changed since.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._told: str | None = None

    def collect(self) -> Iterator[Metric]:
        """The metrics, or the one that says that there are none. Raises nothing."""
        with self._lock:
            try:
                families = self._read()
            except (Stop, PostgresUnavailable, metrics.OtherRecords) as problem:
                families = self._unreadable(str(problem))
            except Exception as error:
                families = self._unreadable(f"unforeseen {type(error).__name__}")
            else:
                self._tell(None)
        yield from families

    def _read(self) -> list[Metric]:
        settings = self._settings()
        address = settings.database_url or embedded_postgres.url(settings.postgres_folder)
        if address is None:
            raise Stop(Exit.WAREHOUSE_UNAVAILABLE, "the embedded Postgres does not run; a run starts it: make run")
        with contextlib.closing(warehouse.look(address, APPLICATION, CONNECT_SECONDS)) as connection:
            try:
                with cut_off_after(READ_SECONDS, connection):
                    return metrics.families(connection)
            except psycopg.errors.InsufficientPrivilege as error:
                advice = "where `make grant` was run, the user needs the role moovitamix_monitor"
                raise _failed(error, address, advice) from None
            except psycopg.Error as error:
                raise _failed(error, address, "the next scrape tries again") from None

    def _unreadable(self, problem: str) -> list[Metric]:
        self._tell(problem)
        return [metrics.records_readable(False)]

    def _tell(self, problem: str | None) -> None:
        """Once for each turn of events: a scrape comes every few seconds."""
        if problem != self._told:
            self._told = problem
            _say(f"nothing to tell: {problem}" if problem else "the records can be read again")


@contextlib.contextmanager
def cut_off_after(seconds: float, connection: psycopg.Connection) -> Iterator[None]:
    """End the connection if the block takes longer: a server that stands still would hold it for ever, and no timeout
    of its own would help."""

    def cut() -> None:
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(connection.fileno())) as wire,
        ):
            wire.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def serve(host: str, port: int, settings: Callable[[], Settings]) -> None:
    """Serve /metrics until Ctrl-C, on any free port when `port` is 0. Raises Stop(WRONG_SETTINGS)."""
    registry = CollectorRegistry(support_collectors_without_names=True)
    registry.register(Records(settings))
    with listening_explained(host, port, "--host and --port, or METRICS_HOST and METRICS_PORT"):
        server, thread = start_http_server(port, host, registry)
    with contextlib.suppress(KeyboardInterrupt):
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"the metrics are at http://{shown}:{server.server_port}/metrics until Ctrl-C")
        thread.join()
    server.shutdown()
    server.server_close()


def _failed(error: psycopg.Error, address: str, advice: str) -> Stop:
    reason = warehouse.redacted(error, address)
    return Stop(Exit.WAREHOUSE_UNAVAILABLE, f"the records cannot be read: {reason}; {advice}")


def _say(line: str) -> None:
    click.echo(f"metrics: {' '.join(line.split())}")
