"""Draw the status of the warehouse: tables, messages, freshness, and the next command."""

import datetime as dt
import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.console.terminal import minute
from pipeline.operations.status import NO_RUN, OpenLoad, Run, Status, step_after
from pipeline.records import run_ledger
from pipeline.run.message_parts import ALL_PUBLISHED, without_blocked_advice
from pipeline.run.run_warnings import RunWarning
from recommender.releases import Release
from warehouse.counts import count
from warehouse.names import LISTS, SOURCE_TABLE_NAMES
from warehouse.redaction import sanitize

LONGEST_MESSAGE = 300
STATUS_STYLE = {"succeeded": "green", "running": "yellow"}


def show(status: Status, output: Console) -> None:
    """Print the status."""
    if status.next_step == NO_RUN:
        output.print(NO_RUN)
        return
    if status.last_runs:
        _print_table("last runs", _runs_table(status.last_runs), output)
        for line in _messages(status.last_runs, status.open_loads, output.width):
            output.print(Text(line), soft_wrap=True)
        if status.open_loads:
            _print_table("open loads", _open_loads_table(status.open_loads), output)
        if status.quarantine:
            _print_table("open quarantine", _quarantine_table(status.quarantine), output)
        if status.warnings:
            _print_table("warnings of the newest loads", _warnings_table(status.warnings), output)
        output.print()
        if status.parked_listens:
            their = "its" if status.parked_listens == 1 else "their"
            parked = count(status.parked_listens, "parked listen")
            output.print(f"{parked}: {their} user or track has not been loaded yet")
        for line in _freshness(status):
            output.print(line)
        if status.release:
            output.print(_describe_release(status.release), soft_wrap=True)
    output.print(f"next: {status.next_step}", soft_wrap=True)


def _describe_release(release: Release) -> str:
    models = ", ".join(
        f"{name}: {release.figures['by_list'][name]['model']} v{release.model_versions[name]}" for name in LISTS
    )
    return (
        f"recommendations: release {release.release_id} of {minute(release.released_at)} UTC,"
        f" {count(release.users, 'user')}, {models}"
    )


def _freshness(status: Status) -> Iterator[str]:
    """Yield how old the data is that readers see: one line for all tables, or one for each if they differ."""
    if not status.fresh_as_of:
        yield "freshness: readers see nothing yet"
        return
    times = [status.fresh_as_of.get(table) for table in SOURCE_TABLE_NAMES]
    if len(set(times)) == 1 and not status.open_loads:
        yield f"freshness: readers see the source as of {_ago(times[0], status.now)}"
        return
    yield "freshness: readers see the source"
    width = max(map(len, SOURCE_TABLE_NAMES))
    for table, time in zip(SOURCE_TABLE_NAMES, times, strict=True):
        states = {load.state for load in status.open_loads if load.table == table}
        why = "; newer load blocked" if "blocked" in states else "; newer load pending" if states else ""
        yield f"  {table:{width}}  {f'as of {_ago(time, status.now)}' if time else 'not at all yet'}{why}"


def _ago(time: dt.datetime, now: dt.datetime) -> str:
    return f"{minute(time)} UTC, {(now - time).total_seconds() / 3600:.1f} h ago"


def _print_table(title: str, table: Table, output: Console) -> None:
    output.print(f"\n{title}", style="bold")
    output.print(table)


def _messages(runs: Sequence[Run], open_loads: Sequence[OpenLoad], width: int) -> Iterator[str]:
    """Yield what happened in each run, the newest first, and after a run without success the next step and its runbook.

    A message is wrapped at the width. The command of the next step is not, so that it can be copied.
    """
    blocked_now = {(load.load_id, load.table) for load in open_loads if load.state == "blocked"}
    for number, run in enumerate(runs):
        if run.is_bad:
            message = without_blocked_advice(run.message or run_ledger.KILLED)
            yield _wrap(f"{run.run_id}: {_shorten(message)}", width)
            step, runbook = step_after(run, runs[:number], blocked_now)
            line = f"  next: {step}; runbook: {runbook}"
            yield line if len(line) <= width else line.replace("; runbook: ", "\n  runbook: ")
        elif run.message and run.message != ALL_PUBLISHED:
            yield _wrap(f"{run.run_id}: {_shorten(run.message)}", width)


def _shorten(message: str) -> str:
    """Return the message on one line, cut between words: an id is shown as a whole or not at all."""
    if len(message) > LONGEST_MESSAGE:
        start = message[: LONGEST_MESSAGE - 1]
        message = f"{start.rpartition(' ')[0] or start}…"
    return sanitize(message)


def _wrap(text: str, width: int) -> str:
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _runs_table(runs: Sequence[Run]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("run", "steps", "started (UTC)", "seconds", "status", "exit"):
        # only the steps give way on a narrow terminal
        table.add_column(
            name, no_wrap=name != "steps", justify="right" if name in ("seconds", "exit") else "left", overflow="fold"
        )
    for run in runs:
        table.add_row(
            run.run_id,
            run.command,
            minute(run.started_at),
            f"{(run.finished_at - run.started_at).total_seconds():,.0f}" if run.finished_at else "",
            Text(run.status, style=STATUS_STYLE.get(run.status, "red")),
            "" if run.exit_code is None else str(run.exit_code),
        )
    return table


def _open_loads_table(loads: Sequence[OpenLoad]) -> Table:
    table = _table_with_text("load", "table", "state", text="reason")
    for load in loads:
        reason = sanitize(load.reason or "waits for the gate", LONGEST_MESSAGE)
        table.add_row(load.load_id, load.table, load.state, Text(reason))
    return table


def _quarantine_table(quarantine: Sequence[tuple[str, str, int, dt.datetime]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("table", no_wrap=True)
    table.add_column("rule", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("oldest (UTC)", no_wrap=True)
    for table_name, rule, rows, oldest in quarantine:
        table.add_row(table_name, rule, f"{rows:,}", minute(oldest))
    return table


def _warnings_table(warnings: Sequence[RunWarning]) -> Table:
    table = _table_with_text("load", "table", text="warning")
    for warning in warnings:
        table.add_row(warning.load_id, warning.table, Text(sanitize(warning.text)))
    return table


def _table_with_text(*columns: str, text: str) -> Table:
    """Make a table whose last column holds text and takes as many lines as it needs."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(name, no_wrap=True)
    table.add_column(text, overflow="fold")
    return table
