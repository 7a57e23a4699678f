"""The verbs of the gate: a person decides, the ledger changes, and a build brings it to the readers."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
from rich.console import Console
from rich.text import Text

from expectations import decisions
from expectations.decisions import Standing, Undecidable
from expectations.judgement import GateBroken
from pipeline import night, runs, summary, warehouse
from pipeline.exits import Exit, Stop
from pipeline.terminal import Progress, StepDisplay, inert
from pipeline.warehouse import Warehouse

DRY_RUN = "dry run: nothing was changed; without --dry-run, this is what happens"


@dataclass(frozen=True)
class Verb:
    """A decision to carry out: its `name`, why, and whether only to show what it would do."""

    name: str
    reason: str
    is_dry_run: bool


@dataclass(frozen=True)
class Outcome:
    """What a decision came to: `shown` line by line, the line that closes the command, and which load it was about."""

    shown: list[Text]
    closing_line: str
    about: dict[str, str] = field(default_factory=dict)


Decide = Callable[[psycopg.Connection, bool], Outcome]
"""Carries a decision out, or only tries it when the second argument says that it is a dry run."""


def about_a_load(verb: Verb, place: Warehouse, output: Console, load_id: str, table: str) -> str:
    """Release or reject a table's load; returns the closing line. Raises Stop."""
    decide = {"release": decisions.release, "reject": decisions.reject}[verb.name]

    def carry_out(connection: psycopg.Connection, is_dry_run: bool) -> Outcome:
        decision = decide(connection, load_id, table, verb.reason, is_dry_run=is_dry_run)
        shown = [*_standing("before", decision.before), *_standing("after", decision.after)]
        if verb.name == "reject" and decision.before.only_here:
            shown.append(
                Text(
                    f"  {decision.before.only_here:,} records have no other version: readers lose them until a night"
                    " lands them again; what the source no longer has stays gone"
                )
            )
        return Outcome(
            shown,
            f'{table} of load {load_id} is {decision.after.state}; see it with: make gate ARGS="show {load_id}"',
            {"load_id": load_id, "table": table},
        )

    return _decided_and_built(verb, place, output, carry_out)


def about_held_rows(verb: Verb, place: Warehouse, output: Console, table: str | None, rule: str | None) -> str:
    """Replay the rules on held rows; returns the closing line. Raises Stop."""
    from expectations.replay import replay

    def carry_out(connection: psycopg.Connection, is_dry_run: bool) -> Outcome:
        outcomes = replay(place.at_work("gate").conninfo, verb.reason, table=table, rule=rule, is_dry_run=is_dry_run)
        shown = [
            Text(
                f"{outcome.table}: {outcome.looked_at:,} held rows looked at, {outcome.freed:,} pass all rules now,"
                f" {outcome.looked_at - outcome.freed:,} stay held"
            )
            for outcome in outcomes
        ]
        freed = sum(outcome.freed for outcome in outcomes)
        return Outcome(shown, f"{freed:,} rows freed; see what is still held with: make status")

    return _decided_and_built(verb, place, output, carry_out)


def _decided_and_built(verb: Verb, place: Warehouse, output: Console, decide: Decide) -> str:
    """A dry run goes first: what does not fit is refused before the run ledger hears of it."""
    done: list[Outcome] = []

    def work(_: Progress, figures: dict[str, Any]) -> None:
        with _refusals_explained(place):
            done.append(decide(connection, False))
        figures |= done[0].about

    with runs.run_lock(place) as connection:
        with warehouse.failures_explained(place):
            if not (warehouse.has(connection, "gate.loads") and warehouse.has(connection, "staging.scans")):
                raise Stop(Exit.WRONG_SETTINGS, "nothing has landed here yet; start a night with: make run")
            with _refusals_explained(place):
                tried = decide(connection, True)
            if verb.is_dry_run:
                _print(tried, output)
                return DRY_RUN
            runs.prepare(connection)
        display = partial(StepDisplay, output)
        decided = night.decide(verb.name, work, place, connection, display, lambda: _print(done[0], output))
    summary.show(decided, output)
    what = tried.closing_line.partition(";")[0]
    if decided.problems:
        raise Stop(decided.exit_code, f"{what}, but {decided.message}" if done else decided.message)
    if decided.build is None:
        return f"{what}, and not built: this login may not; next, by somebody who may: make build"
    return done[0].closing_line


@contextlib.contextmanager
def _refusals_explained(place: Warehouse) -> Iterator[None]:
    try:
        yield
    except Undecidable as misfit:
        raise Stop(Exit.WRONG_SETTINGS, inert(str(misfit))) from None
    except GateBroken as broken:
        message = warehouse.redacted(broken, place.conninfo)
        raise Stop(
            Exit.GATE_BROKEN, f"the rules could not be run again ({message}); nothing was changed in that table"
        ) from None


def _print(outcome: Outcome, output: Console) -> None:
    for line in outcome.shown:
        output.print(line, soft_wrap=True)


def _standing(when: str, load: Standing) -> list[Text]:
    shown = f"{load.published:,} published"
    if load.overtaken:
        shown += f" ({load.overtaken:,} of them older than a version that is published already, which stays)"
    return [
        Text.assemble(
            f"{when}: {load.table} of load {load.load_id} is ", (load.state, "bold"), f", {inert(load.reason)}"
        ),
        Text(f"  {load.versions:,} versions, {shown}, {load.held:,} held by row rules"),
    ]
