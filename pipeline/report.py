"""`make report`: the newest nights as one page, with what `make status` says is to be done."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from monitoring import record
from monitoring.report import OpenLoad, Standing, page
from pipeline import gate_report, runs, status
from pipeline.exits import Exit, Stop
from pipeline.settings import Settings
from pipeline.terminal import inert

PLACE = Path("reports") / "nights.html"


def make(settings: Settings, connection: psycopg.Connection, zone: ZoneInfo, file: Path | None) -> Path:
    """Write the page as of now, with times on the clocks of the zone; returns where it is. Raises Stop.

    `file` None: in the folder of what the project keeps. Works on an empty database too.
    """
    read = record.read(connection, is_current=runs.is_current(connection))
    # after the record, so that a run that has ended since is at worst told of as still at work
    standing = _standing(status.read(settings, connection))
    text = page(read, standing, zone=zone, zone_name=zone.key, stale_after=status.STALE_AFTER, inert=inert)
    file = file or settings.home / PLACE
    _write(file, text)
    return file


def _standing(now: status.Status) -> Standing:
    open_loads = [
        OpenLoad(load.load_id, load.table, load.state, load.reason or "waits for the gate", _commands(load))
        for load in now.open_loads
    ]
    warned = [(each.load_id, each.text) for each in now.warned]
    return Standing(now.next_step, open_loads, now.quarantine, warned, now.listens_waiting)


def _commands(load: status.OpenLoad) -> list[tuple[str, str]]:
    if load.state == "pending":
        return [("judge and build it:", "make run")]
    return [
        ("see why:", f'make gate ARGS="show {load.load_id}"'),
        ("publish it as it is:", gate_report.decision("release", load.load_id, load.table)),
        ("or leave it out, the next night lands its rows anew:", "make run"),
    ]


def _write(file: Path, text: str) -> None:
    """Whole or not at all: who has the page open loads it anew at any moment."""
    # what a link leads to is replaced, and not the link
    file = file.resolve()
    if not file.name or (file.exists() and not file.is_file()):
        raise Stop(
            Exit.WRONG_SETTINGS, f"{file} is not a file that a report can replace; name another file with --output"
        )
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(text, "utf-8")
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"the report cannot be written to {file} ({error.strerror}); name another file with --output",
        ) from None
