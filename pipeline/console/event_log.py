"""Log the events of a run without a terminal: one JSON object per line, with the time and the run id."""

import contextlib
import datetime as dt
import json
import time
from collections.abc import Iterator

from pipeline.console.terminal import SECONDS_BETWEEN_LINES
from pipeline.records import run_ledger
from pipeline.run.progress import Progress
from warehouse.errors import CommandError, ExitCode


def log_event(event: str, run_id: str | None = None, **fields: object) -> None:
    """Write one event; fields that are None are left out."""
    line = {"time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), "event": event, "run_id": run_id}
    line |= fields
    # ASCII: text from the API can neither end the line nor control a terminal
    print(json.dumps({name: value for name, value in line.items() if value is not None}), flush=True)


def notice(message: str) -> None:
    """Log a message outside a run."""
    log_event("notice", level="info", message=message)


@contextlib.contextmanager
def run(run_id: str, **fields: object) -> Iterator[None]:
    """Log the start of the run, and its end after an error; `summary.log_summary` logs any other end.

    `fields`: the warehouse and the API.
    """
    log_event("run_started", run_id, **fields)
    try:
        yield
    except BaseException as error:
        message, error_type = run_ledger.describe_error(error)
        code = error.code if isinstance(error, CommandError) else ExitCode.UNEXPECTED_ERROR
        log_event("run_ended", run_id, status="failed", exit_code=int(code), error_type=error_type, message=message)
        raise


@contextlib.contextmanager
def step(run_id: str, name: str) -> Iterator[Progress]:
    """Log the start of the step, its progress from time to time, and its end."""
    log_event("step_started", run_id, step=name)
    started = last_logged = time.monotonic()

    def show(what: str, done: int | None = None, total: int | None = None) -> None:
        nonlocal last_logged
        if time.monotonic() - last_logged >= SECONDS_BETWEEN_LINES:
            last_logged = time.monotonic()
            log_event("progress", run_id, step=name, what=what, done=done, total=total)

    ending: dict[str, object] = {"status": "succeeded"}
    try:
        yield show
    except BaseException as error:
        message, error_type = run_ledger.describe_error(error)
        ending = {"status": "failed", "error_type": error_type, "message": message}
        raise
    finally:
        log_event("step_ended", run_id, step=name, seconds=round(time.monotonic() - started, 3), **ending)
