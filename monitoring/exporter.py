"""Serve the metrics of monitoring/metrics.py for Prometheus, read at each scrape: `python -m pipeline metrics`.

It starts without a warehouse and never starts one; while the warehouse is unavailable, `records_readable` is 0.
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
from monitoring.listen_errors import translate_listen_errors
from warehouse import database, redaction
from warehouse.embedded_postgres import PostgresUnavailableError
from warehouse.errors import CommandError, ExitCode

APPLICATION = "moovitamix metrics"
# Together below the 10 seconds that Prometheus waits by default.
CONNECT_SECONDS = 3
READ_SECONDS = 5


class Records(Collector):
    """Read the records at each scrape, over a new connection, one scrape at a time.

    `find_address` returns the warehouse's current address, because a password may change; None while the embedded
    Postgres does not run.
    """

    def __init__(self, find_address: Callable[[], str | None]) -> None:
        self._find_address = find_address
        self._lock = threading.Lock()
        self._last_problem: str | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, or only `records_readable` with value 0. Never raises."""
        with self._lock:
            try:
                families = self._read()
            except (CommandError, PostgresUnavailableError, metrics.RecordVersionError) as problem:
                families = self._unreadable(str(problem))
            except Exception as error:
                families = self._unreadable(f"unexpected {type(error).__name__}")
            else:
                self._log_change(None)
        yield from families

    def _read(self) -> list[Metric]:
        address = self._find_address()
        if address is None:
            raise CommandError(
                ExitCode.WAREHOUSE_UNAVAILABLE, "the embedded Postgres does not run; a run starts it: make run"
            )
        with contextlib.closing(database.connect_for_monitoring(address, APPLICATION, CONNECT_SECONDS)) as connection:
            try:
                with disconnect_after(READ_SECONDS, connection):
                    return metrics.families(connection)
            except psycopg.errors.InsufficientPrivilege as error:
                advice = "if `make grant` was run, the user needs the role moovitamix_monitor"
                raise _read_error(error, address, advice) from None
            except psycopg.Error as error:
                raise _read_error(error, address, "the next scrape tries again") from None

    def _unreadable(self, problem: str) -> list[Metric]:
        self._log_change(problem)
        return [metrics.records_readable(False)]

    def _log_change(self, problem: str | None) -> None:
        """Log a problem when it begins, changes or ends: a scrape comes every few seconds."""
        if problem != self._last_problem:
            self._last_problem = problem
            _log(f"unavailable: {problem}" if problem else "available again")


@contextlib.contextmanager
def disconnect_after(seconds: float, connection: psycopg.Connection) -> Iterator[None]:
    """Cut the connection if the block takes longer: a hanging server would block it for ever, and its own timeouts
    would not help."""

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


def serve(host: str, port: int, find_address: Callable[[], str | None]) -> None:
    """Serve /metrics until Ctrl-C, on any free port when `port` is 0. Raises CommandError(WRONG_SETTINGS)."""
    registry = CollectorRegistry(support_collectors_without_names=True)
    registry.register(Records(find_address))
    with translate_listen_errors(host, port, "--host and --port, or METRICS_HOST and METRICS_PORT"):
        server, thread = start_http_server(port, host, registry)
    with contextlib.suppress(KeyboardInterrupt):
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"the metrics are at http://{shown}:{server.server_port}/metrics until Ctrl-C")
        thread.join()
    server.shutdown()
    server.server_close()


def _read_error(error: psycopg.Error, address: str, advice: str) -> CommandError:
    reason = redaction.redact(error, address)
    return CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, f"the records cannot be read: {reason}; {advice}")


def _log(line: str) -> None:
    click.echo(f"metrics: {' '.join(line.split())}")
