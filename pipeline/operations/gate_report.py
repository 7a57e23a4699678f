"""Show the rule failures of a load, with examples of the failing rows and of the unreadable rows: `gate show`."""

from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.text import Text

from expectations import ledger
from expectations.verdicts import FEW_CHANGES
from pipeline.records import run_ledger
from pipeline.run.message_parts import REPLAY, decision_command
from warehouse import schema
from warehouse.counts import count
from warehouse.errors import CommandError, ExitCode
from warehouse.redaction import sanitize

ROWS_ARE_READABLE = "rows_are_readable"
ROWS_PER_RULE = 3
LONGEST_KEY = 100
LONGEST_PAYLOAD = 400


def show(connection: psycopg.Connection, load_id: str | None, output: Console, *, shows_rows: bool) -> None:
    """Print one load, the blocked tables first. Rows contain personal data: they are printed with `shows_rows` only.

    Without an id: the newest load that is blocked, has quarantined rows or warnings; else the newest. Raises
    CommandError(WRONG_SETTINGS) for an unknown load.
    """
    if not _has_loads(connection):
        raise CommandError(ExitCode.WRONG_SETTINGS, "the gate has not checked any load yet; start a run with: make run")
    load_id = load_id or _default_load(connection)
    loads = connection.execute(
        """
        select table_name, state, reason, rows_read, rows_landed, rows_removed, rows_quarantined, verdict
        from gate.loads
        where load_id = %s
        order by state <> 'blocked', table_name
        """,
        [load_id],
    ).fetchall()
    if not loads:
        raise CommandError(
            ExitCode.WRONG_SETTINGS, f"there is no load {sanitize(load_id)}; see the open loads with: make status"
        )
    for table, state, reason, rows_read, rows_landed, rows_removed, rows_quarantined, verdict in loads:
        output.print(
            Text.assemble(
                (table, "bold"), f" load {load_id}: ", (state, "bold"), f", {sanitize(reason or 'waits for the gate')}"
            ),
            soft_wrap=True,
        )
        output.print(
            f"  {rows_read:,} read, {rows_landed:,} changed, {rows_removed:,} removed, {rows_quarantined:,} quarantined"
        )
        for failed in (verdict or {}).get("failed_rules", []):
            _print_rule(connection, table, failed, output, shows_rows)
            if shows_rows and failed["rule"] == ROWS_ARE_READABLE:
                _print_unreadable(connection, load_id, table, output)
    failures = {
        (table, failed["rule"]) for table, *_, verdict in loads for failed in (verdict or {}).get("failed_rules", [])
    }
    if failures and not shows_rows:
        rows_command = f'make gate ARGS="show {load_id} --show-rows"'
        output.print(f"the rows, which contain personal data: {rows_command}", soft_wrap=True)
    next_step = _next_step(connection, load_id, [(table, state) for table, state, *_ in loads], failures)
    output.print(f"next: {next_step}", soft_wrap=True)


def _has_loads(connection: psycopg.Connection) -> bool:
    schema.check_is_readable(connection)
    return schema.is_current(connection) and ledger.has_loads(connection)


def _default_load(connection: psycopg.Connection) -> str:
    return connection.execute("""
        select loads.load_id
        from gate.loads
        left join staging.scans on loads.load_id = scans._dlt_load_id and loads.table_name = scans.table_name
        left join (
            select table_name, max(version_seq) as version_seq from staging.scans group by table_name
        ) as newest on scans.table_name = newest.table_name and scans.version_seq = newest.version_seq
        order by
            state = 'blocked' desc,
            (
                newest.version_seq is not null
                and loads.verdict @? '$.failed_rules[*] ? (@.rule == "rows_are_readable" || @.rule == "few_changes")'
            ) is true
            or
            exists (
                select 1
                from gate.quarantined_rows as quarantined
                where
                    quarantined.load_id = loads.load_id and quarantined.table_name = loads.table_name
                    and quarantined.closed_at is null
            ) desc,
            scans.version_seq desc nulls last
        limit 1
    """).fetchone()[0]


def _print_rule(
    connection: psycopg.Connection, table: str, failed: dict[str, Any], output: Console, shows_rows: bool
) -> None:
    of_rows = [example["dlt_id"] for example in failed["examples"] if "dlt_id" in example]
    figures = [f"{name} {value}" for example in failed["examples"] for name, value in example.items()]
    found = count(failed["rows"], "row") if of_rows else ", ".join(figures)
    output.print(Text.assemble("  ", (failed["severity"], "bold"), f" {failed['rule']}: {found}"), soft_wrap=True)
    for dlt_id in of_rows[:ROWS_PER_RULE] if shows_rows else ():
        row = connection.execute(
            sql.SQL("""
                select
                    staged.key, staged.payload::text,
                    quarantined.dlt_id is not null, quarantined.detail, quarantined.outcome
                from {} as staged
                left join gate.quarantined_rows as quarantined
                    on staged._dlt_id = quarantined.dlt_id and quarantined.rule = %s
                where staged._dlt_id = %s
            """).format(sql.Identifier("staging", table)),
            [failed["rule"], dlt_id],
        ).fetchone()
        if row:
            key, payload, is_quarantined, detail, outcome = row
            what = f" {'absent' if detail is None else sanitize(detail)}" if is_quarantined else ""
            what += f" ({outcome} since)" if outcome else ""
            # as Text, because square brackets in a value are not markup
            output.print(Text(f"    {sanitize(key, LONGEST_KEY)}{what}"), soft_wrap=True)
            output.print(Text(f"      {sanitize(payload, LONGEST_PAYLOAD)}", style="dim"), soft_wrap=True)


def _print_unreadable(connection: psycopg.Connection, load_id: str, table: str, output: Console) -> None:
    """Print the first unreadable rows. A row is stored once, with the load that first contained it."""
    rows = connection.execute(
        """
        select key, reason, raw, _dlt_load_id
        from staging.unreadable_rows as aside
        inner join staging.scans using (_dlt_load_id, table_name)
        where
            table_name = %(table)s
            and scans.version_seq <= (
                select version_seq from staging.scans where _dlt_load_id = %(load_id)s and table_name = %(table)s
            )
        order by scans.version_seq desc, key, aside.content_hash
        limit %(rows)s
        """,
        {"table": table, "load_id": load_id, "rows": ROWS_PER_RULE},
    )
    for key, reason, raw, first_load_id in rows:
        since = "" if first_load_id == load_id else f" (set aside by load {first_load_id})"
        named = sanitize(key, LONGEST_KEY) if key else "without a key"
        output.print(Text(f"    {named} {sanitize(reason, LONGEST_KEY)}{since}"), soft_wrap=True)
        output.print(Text(f"      {sanitize(raw, LONGEST_PAYLOAD)}", style="dim"), soft_wrap=True)


def _next_step(
    connection: psycopg.Connection, load_id: str, loads: list[tuple[str, str]], failures: set[tuple[str, str]]
) -> str:
    """Return the next command for the first table that needs one. `failures`: (table, rule)."""
    tables = {state: [table for table, of_table in loads if of_table == state] for _, state in loads}
    if "blocked" in tables:
        table = tables["blocked"][0]
        return (
            f"{', '.join(tables['blocked'])} of this load is not published; when the source is fixed: make run;"
            f" or publish the load as it is: {decision_command('release', load_id, table)}"
        )
    if "pending" in tables:
        return f"{', '.join(tables['pending'])} of this load is pending; check it with: make run"
    missing = [
        table for missing_load, table in run_ledger.rejected_and_not_landed(connection) if missing_load == load_id
    ]
    if missing:
        return f"the rows of {', '.join(sorted(missing))} in this load are missing; load them again with: make run"
    if _has_open_rows(connection, load_id):
        return (
            "nothing, if the source sends valid versions of the quarantined rows; if a rule was wrong and is now fixed:"
            f" {REPLAY}"
        )
    if "superseded" in tables or "rejected" in tables:
        return "nothing: later runs loaded the rows of this load again"
    changed = sorted(table for table, rule in failures if rule == FEW_CHANGES)
    if changed:
        return (
            f"ask the owner of the source whether it is right that most of {', '.join(changed)} has changed; if not:"
            f" {decision_command('reject', load_id, changed[0])}"
        )
    unreadable = sorted(table for table, rule in failures if rule == ROWS_ARE_READABLE)
    if unreadable:
        return (
            f"inform the owner of the source about the unreadable rows of {', '.join(unreadable)}; until they are"
            " fixed, the marts keep the previous version of these rows"
        )
    return f"nothing; if this load should not be published: {decision_command('reject', load_id, loads[0][0])}"


def _has_open_rows(connection: psycopg.Connection, load_id: str) -> bool:
    return connection.execute(
        "select exists (select from gate.quarantined_rows where load_id = %s and closed_at is null)", [load_id]
    ).fetchone()[0]
