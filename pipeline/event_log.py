"""What a run says where nobody watches: one JSON object per line, with its time and the run's id."""

import contextlib
import datetime as dt
import json
import time
from collections.abc import Iterator

from pipeline import runs
from pipeline.exits import Exit, Stop
from pipeline.terminal import SECONDS_BETWEEN_LINES, Progress


def tell(event: str, run_id: str | None = None, **fields: object) -> None:
    """Write one event; fields that are None are left out."""
    line = {"time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), "event": event, "run_id": run_id}
    line |= fields
    # ASCII: nothing that an API sends can end the line, or make a terminal obey
    print(json.dumps({name: value for name, value in line.items() if value is not None}), flush=True)


@contextlib.contextmanager
def run(run_id: str, **fields: object) -> Iterator[None]:
    """Tell that the run begins, and how it ends where that was unforeseen; of any other end there is more to tell.

    `fields`: what it works on.
    """
    tell("run_started", run_id, **fields)
    try:
        yield
    except BaseException as error:
        message, error_type = runs.told(error)
        code = error.code if isinstance(error, Stop) else Exit.UNFORESEEN
        tell("run_ended", run_id, status="failed", exit_code=int(code), error_type=error_type, message=message)
        raise


@contextlib.contextmanager
def step(run_id: str, name: str) -> Iterator[Progress]:
    """Tell that the step begins, how far it is now and then, and how it ends."""
    tell("step_started", run_id, step=name)
    started = last_told = time.monotonic()

    def progress(what: str, done: int | None = None, total: int | None = None) -> None:
        nonlocal last_told
        if time.monotonic() - last_told >= SECONDS_BETWEEN_LINES:
            last_told = time.monotonic()
            tell("progress", run_id, step=name, what=what, done=done, total=total)

    ending: dict[str, object] = {"status": "succeeded"}
    try:
        yield progress
    except BaseException as error:
        message, error_type = runs.told(error)
        ending = {"status": "failed", "error_type": error_type, "message": message}
        raise
    finally:
        tell("step_ended", run_id, step=name, seconds=round(time.monotonic() - started, 3), **ending)
