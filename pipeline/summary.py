"""The end of a night on one screen: what came, what was held back, how long it took, what to do next."""

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import runs
from pipeline.exits import Exit
from pipeline.night import Night

STATE_STYLE = {
    "accepted": "green",
    "accepted_with_quarantine": "yellow",
    "blocked": "red",
    "pending": "red",
}


def show(night: Night, connection: psycopg.Connection, output: Console) -> None:
    """Print the tables of the night; the closing line is `closing_line`'s."""
    if night.extraction and night.extraction.recovery.sentence:
        output.print(f"[yellow]recovered:[/] {escape(night.extraction.recovery.sentence)}")
    if night.extraction or night.judgements:
        output.print(_tables(night))
    for judgement in night.judgements:
        for failed in judgement.failed_rules:
            style = {"critical": "red", "warning": "yellow"}.get(failed.severity, "dim")
            examples = ", ".join(
                str(example.get("key") or next(iter(example.values()))) for example in failed.examples[:3]
            )
            output.print(
                f"[{style}]{failed.severity:>8}[/] {judgement.batch.table}: {failed.rule}, {failed.rows:,} rows,"
                f" such as {escape(examples)}"
            )
        if judgement.broken:
            output.print(f"[red]could not run[/] {judgement.batch.table}: {escape(judgement.broken)}")
    if night.build:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(night.build.counts.items()))
        output.print(f"dbt: {counts}")
        for failure in night.build.failures:
            output.print(f"[red]   failed[/] {escape(failure)}")
    steps = runs.steps_of(connection, night.run_id)
    output.print("seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, _, seconds in steps))


def _tables(night: Night) -> Table:
    table = Table(title=f"run {night.run_id}", title_justify="left")
    table.add_column("table")
    table.add_column("load")
    for name in ("read", "changed", "removed", "unreadable", "quarantined"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    judged = {(judgement.batch.load_id, judgement.batch.table): judgement for judgement in night.judgements}
    rows = list(judged)
    if night.extraction:
        rows += [
            (night.extraction.load_id, name)
            for name in night.extraction.scans
            if (night.extraction.load_id, name) not in judged
        ]
    for load_id, name in rows:
        tonight = night.extraction is not None and load_id == night.extraction.load_id
        scan = night.extraction.scans[name] if tonight else None
        judgement = judged.get((load_id, name))
        figures = scan or judgement.batch
        state = judgement.state if judgement else "pending"
        table.add_row(
            name,
            load_id,
            f"{figures.rows_read:,}",
            f"{figures.rows_landed:,}",
            f"{figures.rows_removed:,}",
            f"{scan.rows_unreadable:,}" if scan else "",
            f"{judgement.rows_quarantined:,}" if judgement else "",
            f"[{STATE_STYLE.get(state, 'default')}]{state}[/]",
        )
    return table


def closing_line(night: Night) -> str:
    """One line: what happened and what to do next."""
    if night.exit_code == Exit.PUBLISHED:
        quarantined = sum(judgement.rows_quarantined for judgement in night.judgements)
        if quarantined:
            return f'all published but {quarantined:,} quarantined rows; look at them with: make gate ARGS="show"'
        return "all published; ask the warehouse with: make psql"
    return night.message
