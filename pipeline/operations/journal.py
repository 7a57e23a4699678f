"""Log and record a command that may work beside others."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
from rich.console import Console
from rich.markup import escape

from pipeline.console import event_log
from pipeline.console.terminal import StepDisplay
from pipeline.records import run_ledger
from pipeline.records.resource_usage import Meter
from pipeline.run.progress import Progress
from pipeline.settings import Settings
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode


class Journal:
    """Print what happens on a terminal, and log it as JSON lines elsewhere."""

    def __init__(self, output: Console, run_id: str) -> None:
        self.output = output
        self.run_id = run_id
        self.display = partial(StepDisplay, output) if output.is_terminal else event_log.step

    def say(self, event: str, message: str, **fields: Any) -> None:
        """Print the message, or log the event with the message and fields."""
        if self.output.is_terminal:
            self.output.print(escape(message), soft_wrap=True)
        else:
            event_log.log_event(event, self.run_id, message=message, **fields)

    def step(self, stage: str) -> contextlib.AbstractContextManager[Progress]:
        return self.display(self.run_id, stage)


@contextlib.contextmanager
def record_concurrent_command(
    settings: Settings, warehouse: Warehouse, run_id: str, command: str
) -> Iterator[dict[str, Any]]:
    """Record the command in the run ledger when it has ended: others may be in progress beside it.

    Yields its figures, which are also the message of its success.
    """
    meter = Meter(settings.home, warehouse.server)
    started_at = dt.datetime.now(dt.UTC)
    figures: dict[str, Any] = {}
    code, message, error_type = ExitCode.PUBLISHED, "", None
    try:
        yield figures
        message = ", ".join(f"{name} {outcome}" for name, outcome in figures.items()) or "to be continued"
    except BaseException as error:
        code = error.code if isinstance(error, CommandError) else ExitCode.UNEXPECTED_ERROR
        message, error_type = run_ledger.describe_error(error)
        raise
    finally:
        with contextlib.suppress(psycopg.Error, CommandError), warehouse.connect() as connection:
            run_ledger.record_ended(
                connection,
                run_id,
                command,
                started_at,
                code,
                message,
                error_type=error_type,
                figures=figures,
                measures=meter.measures(),
            )
