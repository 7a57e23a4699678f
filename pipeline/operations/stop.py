"""Stop the embedded Postgres, but not during a run."""

import contextlib
from pathlib import Path

from pipeline.records import run_ledger
from warehouse import database, embedded_postgres, locks
from warehouse.errors import CommandError, ExitCode

CONNECT_SECONDS = 5


def stop_embedded_postgres(folder: Path, *, is_forced: bool) -> bool:
    """Stop the server of `folder`. Return False if it was not running.

    Raises CommandError(ALREADY_RUNNING) while a run is in progress, unless `is_forced`.
    """
    with contextlib.ExitStack() as stack:
        if not is_forced:
            # A server that accepts no connection has no run, and must still be stoppable.
            with contextlib.suppress(embedded_postgres.PostgresUnavailableError):
                if url := embedded_postgres.url(folder):
                    _hold_run_lock(stack, url)
        return embedded_postgres.stop(folder)


def _hold_run_lock(stack: contextlib.ExitStack, url: str) -> None:
    """Hold the run lock until the server has stopped, so that no run starts before."""
    try:
        connection = stack.enter_context(
            database.connect(url, application_name=locks.LOCK_APPLICATION, connect_timeout=CONNECT_SECONDS)
        )
    except CommandError:
        return
    if not locks.try_run_lock(connection):
        run_id = run_ledger.current_run_id(connection)
        user = f"run {run_id} is" if run_id else "another command is"
        raise CommandError(
            ExitCode.ALREADY_RUNNING,
            f"{user} using the embedded Postgres; wait for it, or stop the server anyway with: make stop ARGS=--force",
        )
