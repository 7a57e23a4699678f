"""Carry out `gate release`, `reject` and `replay`: record the decision, change the load ledger, and build."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
from rich.console import Console
from rich.text import Text

from expectations import decisions, ledger
from expectations.decisions import DecisionError, LoadSummary
from expectations.verdicts import GateError
from pipeline.console import summary
from pipeline.console.terminal import StepDisplay
from pipeline.run import pipeline_run
from pipeline.run.preparation import lock_for_writing
from pipeline.run.progress import Progress
from warehouse import database, redaction, schema
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode
from warehouse.redaction import sanitize

DRY_RUN = "dry run: nothing was changed; to make these changes, repeat the command without --dry-run"


@dataclass(frozen=True)
class Verb:
    """Describe a decision to carry out. `is_dry_run`: only show its effect."""

    name: str
    reason: str
    is_dry_run: bool


@dataclass(frozen=True)
class Outcome:
    """Hold the effect of a decision: the lines to show, the closing line, and the load that it concerns."""

    shown: list[Text]
    closing_line: str
    about: dict[str, str] = field(default_factory=dict)


CarryOut = Callable[[psycopg.Connection, bool], Outcome]
"""Carry out a decision, or only try it if the second argument (dry run) is true."""


def decide_load(verb: Verb, warehouse: Warehouse, output: Console, load_id: str, table: str) -> str:
    """Release or reject the load of a table, and return the closing line. Raises CommandError."""
    apply = {"release": decisions.release, "reject": decisions.reject}[verb.name]

    def carry_out(connection: psycopg.Connection, is_dry_run: bool) -> Outcome:
        decision = apply(connection, load_id, table, verb.reason, is_dry_run=is_dry_run)
        shown = [*_summary_lines("before", decision.before), *_summary_lines("after", decision.after)]
        if verb.name == "reject" and decision.before.only_here:
            shown.append(
                Text(
                    f"  {count(decision.before.only_here, 'row')} without another version: the marts lose"
                    f" {'it' if decision.before.only_here == 1 else 'them'} until the next run loads"
                    f" {'it' if decision.before.only_here == 1 else 'them'} again, if the API still has"
                    f" {'it' if decision.before.only_here == 1 else 'them'}"
                )
            )
        return Outcome(
            shown,
            f'{table} of load {load_id} is {decision.after.state}; see it with: make gate ARGS="show {load_id}"',
            {"load_id": load_id, "table": table},
        )

    return _carry_out_and_build(verb, warehouse, output, carry_out)


def replay_quarantined_rows(
    verb: Verb, warehouse: Warehouse, output: Console, table: str | None, rule: str | None
) -> str:
    """Check quarantined rows again, and return the closing line. Raises CommandError."""
    from expectations.replay import replay

    def carry_out(connection: psycopg.Connection, is_dry_run: bool) -> Outcome:
        outcomes = replay(
            warehouse.at_work("gate").conninfo, verb.reason, table=table, rule=rule, is_dry_run=is_dry_run
        )
        shown = [_replay_line(outcome.table, outcome.checked, outcome.freed) for outcome in outcomes]
        freed = sum(outcome.freed for outcome in outcomes)
        return Outcome(shown, f"{count(freed, 'row')} published; see the remaining quarantine with: make status")

    return _carry_out_and_build(verb, warehouse, output, carry_out)


def _carry_out_and_build(verb: Verb, warehouse: Warehouse, output: Console, carry_out: CarryOut) -> str:
    """Carry out a decision and build. A dry run comes first, so that an invalid decision is never recorded."""
    done: list[Outcome] = []

    def work(_: Progress, figures: dict[str, Any]) -> None:
        with _translate_gate_errors(warehouse):
            done.append(carry_out(connection, False))
        figures |= done[0].about

    with lock_for_writing(warehouse, prepares=False) as connection:
        with database.translate_database_errors(warehouse):
            if not ledger.has_loads(connection):
                raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)
            with _translate_gate_errors(warehouse):
                tried = carry_out(connection, True)
            if verb.is_dry_run:
                _print(tried, output)
                return DRY_RUN
        display = partial(StepDisplay, output)
        decided = pipeline_run.carry_out_decision(
            verb.name, work, warehouse, connection, display, lambda: _print(done[0], output)
        )
    summary.show(decided, output)
    what = tried.closing_line.partition(";")[0]
    if decided.problems:
        raise CommandError(decided.exit_code, f"{what}, but {decided.message}" if done else decided.message)
    if decided.build is None:
        return f"{what}, but not built, because this login may not; with a login that may: make build"
    return done[0].closing_line


@contextlib.contextmanager
def _translate_gate_errors(warehouse: Warehouse) -> Iterator[None]:
    try:
        yield
    except DecisionError as misfit:
        raise CommandError(ExitCode.WRONG_SETTINGS, sanitize(str(misfit))) from None
    except GateError as broken:
        message = redaction.redact(broken, warehouse.conninfo)
        raise CommandError(
            ExitCode.GATE_BROKEN, f"the rules could not be checked ({message}); nothing was changed in that table"
        ) from None


def _replay_line(table: str, checked: int, freed: int) -> Text:
    kept = checked - freed
    return Text(
        f"{table}: {count(checked, 'quarantined row')} checked,"
        f" {freed:,} now {'passes' if freed == 1 else 'pass'} all rules,"
        f" {kept:,} {'remains' if kept == 1 else 'remain'} quarantined"
    )


def _print(outcome: Outcome, output: Console) -> None:
    for line in outcome.shown:
        output.print(line, soft_wrap=True)


def _summary_lines(when: str, load: LoadSummary) -> list[Text]:
    shown = f"{load.published:,} published"
    if load.overtaken:
        shown += f" ({load.overtaken:,} of them older than the version that is already published, which remains)"
    return [
        Text.assemble(
            f"{when}: {load.table} of load {load.load_id} is ", (load.state, "bold"), f", {sanitize(load.reason)}"
        ),
        Text(f"  {count(load.versions, 'version')}, {shown}, {load.quarantined:,} quarantined"),
    ]
