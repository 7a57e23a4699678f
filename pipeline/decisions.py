"""The verbs of the gate: a person decides, the ledger changes, and a build brings it to the readers."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from rich.console import Console
from rich.text import Text

from expectations import decisions
from expectations.decisions import Standing, Undecidable
from expectations.judgement import GateBroken
from pipeline import night, summary, warehouse
from pipeline.exits import Exit, Stop
from pipeline.terminal import inert
from pipeline.warehouse import Warehouse

DRY_RUN = "dry run: nothing was changed; without --dry-run, this is what happens"


@dataclass(frozen=True)
class Verb:
    """A decision to carry out: its `name`, why, and whether only to show what it would do."""

    name: str
    reason: str
    is_dry_run: bool


def about_a_load(verb: Verb, place: Warehouse, output: Console, load_id: str, table: str) -> str:
    """Release or reject a table's load; returns the closing line. Raises Stop."""
    decide = {"release": decisions.release, "reject": decisions.reject}[verb.name]

    def carry_out(connection: psycopg.Connection) -> str:
        decision = decide(connection, load_id, table, verb.reason, is_dry_run=verb.is_dry_run)
        _print_standing("before", decision.before, output)
        _print_standing("after", decision.after, output)
        if verb.name == "reject" and decision.before.only_here:
            output.print(
                f"  {decision.before.only_here:,} records have no other version: readers lose them until a night lands"
                " them again; what the source no longer has stays gone",
                soft_wrap=True,
            )
        return f'{table} of load {load_id} is {decision.after.state}; see it with: make gate ARGS="show {load_id}"'

    return _decided_and_built(verb, place, output, carry_out)


def about_held_rows(verb: Verb, place: Warehouse, output: Console, table: str | None, rule: str | None) -> str:
    """Replay the rules on held rows; returns the closing line. Raises Stop."""
    from expectations.replay import replay

    def carry_out(connection: psycopg.Connection) -> str:
        outcomes = replay(
            place.at_work("gate").conninfo, verb.reason, table=table, rule=rule, is_dry_run=verb.is_dry_run
        )
        for outcome in outcomes:
            output.print(
                f"{outcome.table}: {outcome.looked_at:,} held rows looked at, {outcome.freed:,} pass all rules now,"
                f" {outcome.looked_at - outcome.freed:,} stay held"
            )
        freed = sum(outcome.freed for outcome in outcomes)
        return f"{freed:,} rows freed; see what is still held with: make status"

    return _decided_and_built(verb, place, output, carry_out)


def _decided_and_built(
    verb: Verb, place: Warehouse, output: Console, carry_out: Callable[[psycopg.Connection], str]
) -> str:
    with night.alone(place) as connection:
        if connection.execute("select to_regclass('staging.scans') is null").fetchone()[0]:
            raise Stop(Exit.WRONG_SETTINGS, "nothing has landed here yet; start a night with: make run")
        try:
            with warehouse.failures_explained(place):
                closing_line = carry_out(connection)
        except Undecidable as misfit:
            raise Stop(Exit.WRONG_SETTINGS, inert(str(misfit))) from None
        except GateBroken as broken:
            message = warehouse.redacted(broken, place.conninfo)
            raise Stop(
                Exit.GATE_BROKEN, f"the rules could not be run again ({message}); nothing was changed in that table"
            ) from None
        if verb.is_dry_run:
            return DRY_RUN
        built = night.build_after(f"gate {verb.name}", place, connection, output)
    summary.show(built, output)
    if built.problems:
        raise Stop(built.exit_code, f"{closing_line.partition(';')[0]}, but {built.message}")
    return closing_line


def _print_standing(when: str, load: Standing, output: Console) -> None:
    shown = f"{load.published:,} published"
    if load.overtaken:
        shown += f" ({load.overtaken:,} of them older than a version that is published already, which stays)"
    output.print(
        Text.assemble(
            f"{when}: {load.table} of load {load.load_id} is ", (load.state, "bold"), f", {inert(load.reason)}"
        ),
        soft_wrap=True,
    )
    output.print(f"  {load.versions:,} versions, {shown}, {load.held:,} held by row rules", soft_wrap=True)
