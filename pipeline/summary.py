"""The end of a night, on one screen or as events: what came, what was held back, how long it took, what to do next."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from expectations.gate import Judgement, RuleResult
from pipeline import attention, event_log
from pipeline.gate_report import LONGEST_KEY
from pipeline.night import Night
from pipeline.terminal import inert

STATE_STYLE = {
    "accepted": "green",
    "accepted_with_quarantine": "yellow",
    "blocked": "red",
    "pending": "red",
    # not verdicts of the gate: somebody decided while it judged
    "released": "green",
    "rejected": "yellow",
    "superseded": "yellow",
}
SEVERITY_LEVEL = {"critical": "error", "warning": "warning", "info": "info"}
LEVEL_STYLE = {"error": "red", "warning": "yellow", "info": "dim"}
EXAMPLES_SHOWN = 3


class Notice(NamedTuple):
    """One thing about a night that is worth a line; `level`: info, warning or error.

    `keys`: some of the rows it is about. For a terminal alone, because no erasure would find them in a log.
    """

    level: str
    label: str
    message: str
    keys: tuple[str, ...] = ()


class LoadFigures(NamedTuple):
    """What came of one table's load; None where this run did not read it, or the gate did not judge it."""

    table: str
    load_id: str
    rows_read: int
    rows_landed: int
    rows_removed: int
    rows_unreadable: int | None
    rows_quarantined: int | None
    state: str


def show(night: Night, output: Console) -> None:
    """Print what the night did. What to do next is `closing_line`'s, or the last line of a night that failed."""
    if figures := loads(night):
        output.print(_table(night.run_id, figures))
    for notice in notices(night):
        style = LEVEL_STYLE[notice.level]
        message = escape(", such as ".join(filter(None, (notice.message, ", ".join(notice.keys)))))
        line = f"[{style}]{notice.label:>8}[/] {message}" if notice.label else f"[{style}]{message}[/]"
        output.print(line, soft_wrap=True)
    if night.build:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(night.build.counts.items()))
        output.print(f"dbt: {counts}", soft_wrap=True)
    seconds = ", ".join(f"{step} {seconds:.1f}" for step, seconds in night.seconds.items())
    output.print(f"seconds: {seconds}", soft_wrap=True)


def tell(night: Night) -> None:
    """Write the same to the event log, and how the run ended."""
    for figures in loads(night):
        event_log.tell("table", night.run_id, **figures._asdict())
    for notice in notices(night):
        message = f"{notice.label} {notice.message}".strip()
        event_log.tell("notice", night.run_id, level=notice.level, message=message)
    event_log.tell(
        "run_ended",
        night.run_id,
        status="failed" if night.problems else "succeeded",
        exit_code=int(night.exit_code),
        message=night.message if night.problems else closing_line(night),
        seconds={step: round(seconds, 3) for step, seconds in night.seconds.items()},
        dbt=dict(sorted(night.build.counts.items())) if night.build else None,
    )


def notices(night: Night) -> Iterator[Notice]:
    """What is worth a line, in the order in which it happened."""
    if night.recovery.sentence:
        yield Notice("warning", "recovered:", night.recovery.sentence)
    for judgement in night.judgements:
        for failed in judgement.failed_rules:
            keys = tuple(inert(example["key"], LONGEST_KEY) for example in failed.examples if "key" in example)
            found = f"{failed.rows:,} rows" if keys else _looked_at(failed)
            message = f"{judgement.batch.table}: {failed.rule}, {found}"
            yield Notice(SEVERITY_LEVEL[failed.severity], failed.severity, message, keys[:EXAMPLES_SHOWN])
        if judgement.broken:
            yield Notice("error", "could not run", f"{judgement.batch.table}: {inert(judgement.broken)}")
    for warned in attention.in_night(night):
        if warned.kind != "quarantined rows":  # of which there is a line per rule
            yield Notice("warning", "", warned.advice)
    for scan in night.extraction.scans.values() if night.extraction else ():
        if scan.keys_unsettled:
            yield Notice(
                "warning",
                "",
                f"{scan.table_name}: {scan.keys_unsettled:,} known keys were not seen, and not proven to be"
                " gone: they stay alive until the source stands still, tells all keys and has none twice.",
            )
    for failure in night.build.lines if night.build else ():
        yield Notice("error", "failed", failure)


def _looked_at(failed: RuleResult) -> str:
    """The figures that a rule about the whole load has looked at."""
    return ", ".join(f"{name} {value}" for example in failed.examples for name, value in example.items())


def loads(night: Night) -> list[LoadFigures]:
    """What the run judged, and what it landed and did not judge."""
    judged = {(judgement.batch.load_id, judgement.batch.table): judgement for judgement in night.judgements}
    rows = list(judged)
    if night.extraction:
        landed = [(night.extraction.load_id, name) for name in night.extraction.scans]
        rows += [row for row in landed if row not in judged]
    return [_load_figures(night, load_id, name, judged.get((load_id, name))) for load_id, name in rows]


def _load_figures(night: Night, load_id: str, name: str, judgement: Judgement | None) -> LoadFigures:
    tonight = night.extraction is not None and load_id == night.extraction.load_id
    scan = night.extraction.scans[name] if tonight else None
    figures = scan or judgement.batch
    return LoadFigures(
        name,
        load_id,
        figures.rows_read,
        figures.rows_landed,
        figures.rows_removed,
        rows_unreadable=scan.rows_unreadable if scan else None,
        rows_quarantined=judgement.rows_quarantined if judgement else None,
        state=judgement.state if judgement else "pending",
    )


def _table(run_id: str, figures: list[LoadFigures]) -> Table:
    table = Table(title=f"run {run_id}", title_justify="left")
    table.add_column("table")
    table.add_column("load")
    for name in ("read", "changed", "removed", "unreadable", "quarantined"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for name, load_id, *counts, state in figures:
        shown = ["" if count is None else f"{count:,}" for count in counts]
        table.add_row(name, load_id, *shown, f"[{STATE_STYLE[state]}]{state}[/]")
    return table


def closing_line(night: Night) -> str:
    """One line for a night without problems: what happened and what to do next."""
    message = night.message
    if worth_a_look := attention.in_night(night):
        message += f", but {attention.listed(worth_a_look)}"
        if night.judgements:
            return f'{message}; look at them with: make gate ARGS="show"'
    if night.build:
        return f"{message}; ask the warehouse with: make psql"
    if night.judgements:
        return f"{message}; the next step: make build"
    if night.extraction:
        return f"{message}; the next step: make gate"
    return f"{message}; a whole night is: make run"
