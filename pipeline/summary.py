"""The end of a night on one screen: what came, what was held back, how long it took, what to do next."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from expectations.gate import RuleResult
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
SEVERITY_STYLE = {"critical": "red", "warning": "yellow", "info": "dim"}
EXAMPLES_SHOWN = 3


def show(night: Night, output: Console) -> None:
    """Print what the night did. What to do next is `closing_line`'s, or the last line of a night that failed."""

    def line(text: str) -> None:
        output.print(text, soft_wrap=True)

    if night.recovery.sentence:
        line(f"[yellow]recovered:[/] {escape(night.recovery.sentence)}")
    if night.extraction or night.judgements:
        output.print(_tables(night))
    for judgement in night.judgements:
        for failed in judgement.failed_rules:
            style = SEVERITY_STYLE[failed.severity]
            line(f"[{style}]{failed.severity:>8}[/] {judgement.batch.table}: {failed.rule}, {escape(_found(failed))}")
        if judgement.broken:
            line(f"[red]could not run[/] {judgement.batch.table}: {escape(inert(judgement.broken))}")
    for table, keys, share in _many_removals(night):
        line(
            f"[yellow]{table}: {keys:,} keys are gone from the source, {share:.0%} of all that were known."
            " If it was not set up anew, tell its owner; what comes back is alive again.[/]"
        )
    for scan in night.extraction.scans.values() if night.extraction else ():
        if scan.keys_unsettled:
            line(
                f"[yellow]{scan.table_name}: {scan.keys_unsettled:,} known keys were not seen, and not proven to be"
                " gone: they stay alive until the source stands still, tells all keys and has none twice.[/]"
            )
    if night.build:
        line("dbt: " + ", ".join(f"{count} {status}" for status, count in sorted(night.build.counts.items())))
        for failure in night.build.lines:
            line(f"[red]  failed[/] {escape(failure)}")
    line("seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in night.seconds.items()))


def _found(failed: RuleResult) -> str:
    """A row rule shows keys; a rule about the whole load, the figure it looked at."""
    keys = [inert(example["key"], LONGEST_KEY) for example in failed.examples[:EXAMPLES_SHOWN] if "key" in example]
    if keys:
        return f"{failed.rows:,} rows, such as {', '.join(keys)}"
    return ", ".join(f"{name} {value}" for example in failed.examples for name, value in example.items())


def _many_removals(night: Night) -> list[tuple[str, int, float]]:
    """(table, keys that are gone, their share of those known) where the gate found many."""
    return [
        (judgement.batch.table, judgement.batch.rows_removed, float(failed.examples[0]["removed_share"]))
        for judgement in night.judgements
        for failed in judgement.failed_rules
        if failed.rule == "few_removals"
    ]


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
            f"[{STATE_STYLE[state]}]{state}[/]",
        )
    return table


def closing_line(night: Night) -> str:
    """One line for a night without problems: what happened and what to do next."""
    quarantined = sum(judgement.rows_quarantined for judgement in night.judgements)
    worth_a_look = [f"{quarantined:,} rows quarantined"] if quarantined else []
    worth_a_look += [
        f"{keys:,} keys of {table} are gone from the source ({share:.0%} of those known)"
        for table, keys, share in _many_removals(night)
    ]
    if worth_a_look:
        return f'{night.message}, but {" and ".join(worth_a_look)}; look at them with: make gate ARGS="show"'
    if night.build:
        return f"{night.message}; ask the warehouse with: make psql"
    if night.judgements:
        return f"{night.message}; the next step: make build"
    if night.extraction:
        return f"{night.message}; the next step: make gate"
    return f"{night.message}; a whole night is: make run"
