"""Summarize a run on one screen or as log events: counts, verdicts, warnings, recommendations and durations."""

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from expectations.gate import RuleResult, Verdict
from monitoring.recommendations import shares
from pipeline.console import event_log
from pipeline.operations.gate_report import LONGEST_KEY
from pipeline.run import run_warnings
from pipeline.run.pipeline_run import PipelineRun
from pipeline.run.recommending import RecommendResult
from warehouse.counts import count
from warehouse.names import ITEM_SOURCES, LISTS
from warehouse.redaction import sanitize

STATE_STYLE = {
    "accepted": "green",
    "accepted_with_quarantine": "yellow",
    "blocked": "red",
    "pending": "red",
    # decided by a person while the gate was checking
    "released": "green",
    "rejected": "yellow",
    "superseded": "yellow",
}
SEVERITY_LEVEL = {"critical": "error", "warning": "warning", "info": "info"}
LEVEL_STYLE = {"error": "red", "warning": "yellow", "info": "dim"}
NOTHING_TO_BUILD = "nothing to build, because nothing changed since the previous build"
EXAMPLES_SHOWN = 3
# On a narrower terminal, the longest verdict takes two lines.
WIDTH_OF_ONE_LINE = 90
NARROW_VERDICT = len("accepted_with_")


class Notice(NamedTuple):
    """Describe one event of a run in one line; `level`: info, warning or error.

    `keys`: some of the affected rows. They are shown only on a terminal, because no erasure would search a log.
    """

    level: str
    label: str
    message: str
    keys: tuple[str, ...] = ()


class LoadFigures(NamedTuple):
    """Hold the counts of one table's load; None if this run did not read the table, or the gate did not check it."""

    table: str
    load_id: str
    rows_read: int
    rows_landed: int
    rows_removed: int
    rows_unreadable: int | None
    rows_quarantined: int | None
    state: str


def show(this_run: PipelineRun, output: Console) -> None:
    """Print the summary of a run. The next command follows in `closing_line`, or in the error of a failed run."""
    output.print(f"run {this_run.run_id}")
    figures = loads(this_run)
    for load_id in dict.fromkeys(each.load_id for each in figures):
        output.print(f"load {load_id}")
        output.print(_table([each for each in figures if each.load_id == load_id], output.width))
    for notice in notices(this_run):
        style = LEVEL_STYLE[notice.level]
        message = escape(", such as ".join(filter(None, (notice.message, ", ".join(notice.keys)))))
        line = f"[{style}]{notice.label:>8}[/] {message}" if notice.label else f"[{style}]{message}[/]"
        output.print(line, soft_wrap=True)
    if this_run.build:
        counts = ", ".join(f"{number:,} {status}" for status, number in sorted(this_run.build.counts.items()))
        output.print(f"dbt: {counts or NOTHING_TO_BUILD}", soft_wrap=True)
    if this_run.recommendations:
        _show_recommendations(this_run.recommendations, output)
    seconds = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in this_run.seconds.items())
    output.print(f"duration: {seconds}", soft_wrap=True)


def log_summary(this_run: PipelineRun) -> None:
    """Write the same as log events, and how the run ended."""
    for figures in loads(this_run):
        event_log.log_event("table", this_run.run_id, **figures._asdict())
    for notice in notices(this_run):
        message = f"{notice.label} {notice.message}".strip()
        event_log.log_event("notice", this_run.run_id, level=notice.level, message=message)
    if made := this_run.recommendations:
        event_log.log_event(
            "recommendations",
            this_run.run_id,
            message=made.message,
            popularity=made.popularity or None,
            **made.figures,
        )
    event_log.log_event(
        "run_ended",
        this_run.run_id,
        status="failed" if this_run.problems else "succeeded",
        exit_code=int(this_run.exit_code),
        message=this_run.message if this_run.problems else closing_line(this_run),
        seconds={step: round(seconds, 3) for step, seconds in this_run.seconds.items()},
        dbt=dict(sorted(this_run.build.counts.items())) if this_run.build else None,
    )


def notices(this_run: PipelineRun) -> Iterator[Notice]:
    """Yield the notable events of a run, in the order in which they happened."""
    if this_run.recovery.sentence:
        yield Notice("warning", "recovered:", this_run.recovery.sentence)
    if this_run.sample_day and this_run.sample_day.is_repeated:
        tomorrow = this_run.sample_day.date + dt.timedelta(days=1)
        yield Notice(
            "info",
            "",
            f"the sample world has reached today: it brings nothing new before {tomorrow} 00:00 UTC;"
            " for more days at once, begin a new warehouse with an earlier SAMPLE_START",
        )
    for verdict in this_run.verdicts:
        for failed in verdict.failed_rules:
            keys = tuple(sanitize(example["key"], LONGEST_KEY) for example in failed.examples if "key" in example)
            found = count(failed.rows, "row") if keys else _checked_figures(failed)
            message = f"{verdict.batch.table}: {failed.rule}, {found}"
            yield Notice(SEVERITY_LEVEL[failed.severity], failed.severity, message, keys[:EXAMPLES_SHOWN])
        if verdict.error:
            yield Notice("error", "could not run", f"{verdict.batch.table}: {sanitize(verdict.error)}")
    for warning in run_warnings.find_in_run(this_run):
        if warning.kind != "quarantined rows":  # those have one line per rule
            yield Notice("warning", "", warning.advice)
    for scan in this_run.extraction.scans.values() if this_run.extraction else ():
        if scan.keys_unsettled:
            were = "was" if scan.keys_unsettled == 1 else "were"
            yield Notice(
                "warning",
                "",
                f"{scan.table_name}: {count(scan.keys_unsettled, 'known key')} {were} not seen, but the removal is not"
                " proven. These rows are kept until a scan is complete: the API must not change during the scan, and"
                " must return each key exactly once.",
            )
    for failure in this_run.build.lines if this_run.build else ():
        yield Notice("error", "failed", failure)
    made = this_run.recommendations
    if made and made.quality_problem:
        yield Notice(
            "warning",
            "",
            f"the quality of earlier releases was not computed: {made.quality_problem}; the next release does it",
        )
    if made and made.cache_problem:
        yield Notice(
            "warning",
            "",
            f"the lists are not in the cache of REDIS_URL, so they are read from Postgres: {made.cache_problem}",
        )
    if made and (old := made.kept_too_long):
        numbers = ", ".join(map(str, old))
        yield Notice("warning", "", f"somebody reads lists of old releases ({numbers}); the next release drops them")


def _checked_figures(failed: RuleResult) -> str:
    """Return the figures that a rule about the whole load has checked."""
    return ", ".join(f"{name} {value}" for example in failed.examples for name, value in example.items())


def loads(this_run: PipelineRun) -> list[LoadFigures]:
    """Return the loads that the run has checked, and those that it loaded without checking them."""
    verdicts = {(verdict.batch.load_id, verdict.batch.table): verdict for verdict in this_run.verdicts}
    rows = list(verdicts)
    if this_run.extraction:
        landed = [(this_run.extraction.load_id, name) for name in this_run.extraction.scans]
        rows += [row for row in landed if row not in verdicts]
    return [_load_figures(this_run, load_id, name, verdicts.get((load_id, name))) for load_id, name in rows]


def _load_figures(this_run: PipelineRun, load_id: str, name: str, verdict: Verdict | None) -> LoadFigures:
    is_own_load = this_run.extraction is not None and load_id == this_run.extraction.load_id
    scan = this_run.extraction.scans[name] if is_own_load else None
    figures = scan or verdict.batch
    return LoadFigures(
        name,
        load_id,
        figures.rows_read,
        figures.rows_landed,
        figures.rows_removed,
        rows_unreadable=scan.rows_unreadable if scan else None,
        rows_quarantined=verdict.rows_quarantined if verdict else None,
        state=verdict.state if verdict else "pending",
    )


def _table(figures: list[LoadFigures], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("table", no_wrap=True)
    for name in ("read", "changed", "removed", "unreadable", "quarantined"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold", max_width=None if width >= WIDTH_OF_ONE_LINE else NARROW_VERDICT)
    for name, _, *counts, state in figures:
        shown = ["" if number is None else f"{number:,}" for number in counts]
        table.add_row(name, *shown, Text(state, style=STATE_STYLE[state]))
    return table


def _show_recommendations(made: RecommendResult, output: Console) -> None:
    """Print what was recommended: a row per list, and why popularity is served where it is."""
    output.print(f"recommendations: {made.message}", soft_wrap=True)
    if made.release is None or not made.release.lists:
        return
    release = made.release
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("list", "model"):
        table.add_column(name, no_wrap=True)
    for name in ("users", *ITEM_SOURCES, "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in LISTS:
        each = release.figures["by_list"][name]
        shown = [f"{share:.0%}" for share in shares(each).values()]
        model = f"{each['model']} v{release.model_versions[name]}"
        table.add_row(name, model, f"{each['lists']:,}", *shown, f"{each['coverage']:.0%}")
    output.print(table)
    cold = release.figures["cold_users"]
    output.print(
        f"{count(release.users, 'user')} with lists, {cold:,} without listens; made in {release.seconds:.1f} s"
    )
    for name, why in made.popularity.items():
        output.print(f"{name}: popular tracks are served, because {why}", soft_wrap=True, markup=False)


def closing_line(this_run: PipelineRun) -> str:
    """Return the last line for a run without problems: its result and the next command."""
    message = this_run.message
    if found := run_warnings.find_in_run(this_run):
        message += f", but {run_warnings.join(found)}"
        if this_run.verdicts:
            return f'{message}; see the details with: make gate ARGS="show"'
    if this_run.build:
        return f"{message}; query the warehouse with: make psql"
    if made := this_run.recommendations:
        if made.release is None:
            return f"{message}; start a whole run with: make run"
        return f"{message}; look at a user's lists with: make recommendations ARGS='show USER_ID'"
    if this_run.verdicts:
        return f"{message}; next: make build"
    if this_run.extraction:
        return f"{message}; next: make gate"
    return f"{message}; start a whole run with: make run"
