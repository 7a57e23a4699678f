"""Write the report of the newest runs as one page, with the action items of `make status`."""

import datetime as dt
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from monitoring import recommendations, run_history
from monitoring.report import ActionItems, OpenLoad, page
from pipeline.operations import model_status, status
from pipeline.run import message_parts
from pipeline.settings import Settings
from warehouse import schema
from warehouse.errors import CommandError, ExitCode
from warehouse.redaction import sanitize

DEFAULT_FILE = Path("reports") / "nights.html"
# The page that `evaluate` writes to the same folder.
EVALUATION = "evaluation.html"


def make(
    settings: Settings,
    connection: psycopg.Connection,
    zone: ZoneInfo,
    file: Path | None,
    *,
    retrain_every: dt.timedelta,
    retrain_volume: float,
) -> Path:
    """Write the current report with times in the zone, and return its path. Raises CommandError.

    `file` None: DEFAULT_FILE in the project's home. `retrain_every`, `retrain_volume`: when a retraining is due. Works
    on an empty database too.
    """
    read = run_history.read(connection, is_current=schema.is_current(connection))
    # after the history, so that a run that has just ended is at worst shown as still running
    action_items = _action_items(status.read(settings, connection))
    file = file or settings.home / DEFAULT_FILE
    models = []
    if schema.is_current(connection):
        models = model_status.read(connection, read.now, retrain_every, retrain_volume)
    text = page(
        read,
        action_items,
        zone=zone,
        zone_name=zone.key,
        stale_after=status.STALE_AFTER,
        sanitize=sanitize,
        without_blocked_advice=message_parts.without_blocked_advice,
        recommendations=recommendations.read(connection),
        models=models,
        evaluation=EVALUATION if os.path.exists(file.parent / EVALUATION) else None,
    )
    write_page(file, text)
    return file


def _action_items(now: status.Status) -> ActionItems:
    open_loads = [
        OpenLoad(load.load_id, load.table, load.state, load.reason or "waits for the gate", _commands(load))
        for load in now.open_loads
    ]
    warned = [(warning.load_id, warning.text) for warning in now.warnings]
    return ActionItems(now.next_step, open_loads, now.quarantine, warned, now.parked_listens)


def _commands(load: status.OpenLoad) -> list[tuple[str, str]]:
    if load.state == "pending":
        return [("check and build it:", "make run")]
    return [
        ("see why:", f'make gate ARGS="show {load.load_id}"'),
        ("publish it as it is:", message_parts.decision_command("release", load.load_id, load.table)),
        ("or leave it out; the next run loads its rows again:", "make run"),
    ]


def write_page(file: Path, text: str) -> None:
    """Replace the file atomically, because an open page reloads at any moment. Raises CommandError(WRONG_SETTINGS)."""
    # replace the target of a link, not the link
    file = file.resolve()
    if not file.name or (file.exists() and not file.is_file()):
        raise CommandError(ExitCode.WRONG_SETTINGS, f"{file} is not a regular file; name another file with --output")
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(text, "utf-8")
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"the page cannot be written to {file} ({error.strerror}); name another file with --output",
        ) from None
