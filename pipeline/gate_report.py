"""`gate show`: what the gate found in a load, rule by rule, with the first offending rows as the API sent them, and the
first of those that could not even land."""

from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.text import Text

from expectations.judgement import FEW_CHANGES
from pipeline import runs, warehouse
from pipeline.exits import Exit, Stop
from pipeline.terminal import inert

ROWS_ARE_READABLE = "rows_are_readable"
ROWS_PER_RULE = 3
LONGEST_KEY = 100
LONGEST_PAYLOAD = 400


def show(connection: psycopg.Connection, load_id: str | None, output: Console) -> None:
    """Print one load; without an id, the newest that is blocked, holds rows back or is worth a look, else the newest.

    Raises Stop(WRONG_SETTINGS) for a load the gate does not know.
    """
    if not _has_loads(connection):
        raise Stop(Exit.WRONG_SETTINGS, "the gate has not judged anything yet; start a night with: make run")
    load_id = load_id or _most_interesting(connection)
    loads = connection.execute(
        """
        select table_name, state, reason, rows_read, rows_landed, rows_removed, rows_quarantined, verdict
        from gate.loads
        where load_id = %s
        order by table_name
        """,
        [load_id],
    ).fetchall()
    if not loads:
        raise Stop(Exit.WRONG_SETTINGS, f"the gate knows no load {inert(load_id)}; see the open ones with: make status")
    for table, state, reason, rows_read, rows_landed, rows_removed, rows_quarantined, verdict in loads:
        output.print(
            Text.assemble(
                (table, "bold"), f" load {load_id}: ", (state, "bold"), f", {inert(reason or 'waits for the gate')}"
            ),
            soft_wrap=True,
        )
        output.print(
            f"  {rows_read:,} read, {rows_landed:,} changed, {rows_removed:,} removed, {rows_quarantined:,} quarantined"
        )
        for failed in (verdict or {}).get("failed_rules", []):
            _print_rule(connection, table, failed, output)
            if failed["rule"] == ROWS_ARE_READABLE:
                _print_unreadable(connection, load_id, table, output)
    broken = {
        (table, failed["rule"]) for table, *_, verdict in loads for failed in (verdict or {}).get("failed_rules", [])
    }
    next_step = _next_step(connection, load_id, [(table, state) for table, state, *_ in loads], broken)
    output.print(f"next: {next_step}", soft_wrap=True)


def _has_loads(connection: psycopg.Connection) -> bool:
    if not (warehouse.has(connection, "gate.loads") and warehouse.has(connection, "staging.scans")):
        return False
    return connection.execute("select exists (select from gate.loads)").fetchone()[0]


def _most_interesting(connection: psycopg.Connection) -> str:
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
                from gate.quarantined_rows as held
                where
                    held.load_id = loads.load_id and held.table_name = loads.table_name and held.closed_at is null
            ) desc,
            scans.version_seq desc nulls last
        limit 1
    """).fetchone()[0]


def _print_rule(connection: psycopg.Connection, table: str, failed: dict[str, Any], output: Console) -> None:
    of_rows = [example["dlt_id"] for example in failed["examples"] if "dlt_id" in example]
    figures = [f"{name} {value}" for example in failed["examples"] for name, value in example.items()]
    found = f"{failed['rows']:,} rows" if of_rows else ", ".join(figures)
    output.print(Text.assemble("  ", (failed["severity"], "bold"), f" {failed['rule']}: {found}"), soft_wrap=True)
    for dlt_id in of_rows[:ROWS_PER_RULE]:
        row = connection.execute(
            sql.SQL("""
                select staged.key, staged.payload::text, held.dlt_id is not null, held.detail, held.outcome
                from {} as staged
                left join gate.quarantined_rows as held on staged._dlt_id = held.dlt_id and held.rule = %s
                where staged._dlt_id = %s
            """).format(sql.Identifier("staging", table)),
            [failed["rule"], dlt_id],
        ).fetchone()
        if row:
            key, payload, is_held, detail, outcome = row
            what = f" {'absent' if detail is None else inert(detail)}" if is_held else ""
            what += f" ({outcome} since)" if outcome else ""
            # as Text: square brackets in a value are no markup
            output.print(Text(f"    {inert(key, LONGEST_KEY)}{what}"), soft_wrap=True)
            output.print(Text(f"      {inert(payload, LONGEST_PAYLOAD)}", style="dim"), soft_wrap=True)


def _print_unreadable(connection: psycopg.Connection, load_id: str, table: str, output: Console) -> None:
    """The first rows of the load that could not land; a text is kept with the load that had it first."""
    if not warehouse.has(connection, "staging.unreadable_rows"):
        return
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
        named = inert(key, LONGEST_KEY) if key else "without a key"
        output.print(Text(f"    {named} {inert(reason, LONGEST_KEY)}{since}"), soft_wrap=True)
        output.print(Text(f"      {inert(raw, LONGEST_PAYLOAD)}", style="dim"), soft_wrap=True)


def _next_step(
    connection: psycopg.Connection, load_id: str, loads: list[tuple[str, str]], broken: set[tuple[str, str]]
) -> str:
    """The commands that fit the first table that needs one. `broken`: (table, rule)."""
    tables = {state: [table for table, of_table in loads if of_table == state] for _, state in loads}
    if "blocked" in tables:
        table = tables["blocked"][0]
        return (
            f"{', '.join(tables['blocked'])} of this load stays out; mend the source, or wait for it, then: make run;"
            f" or publish it as it is: {decision('release', load_id, table)}"
        )
    if "pending" in tables:
        return f"{', '.join(tables['pending'])} of this load waits for a verdict: make run"
    missing = [table for missing_load, table in runs.waiting_to_land_again(connection) if missing_load == load_id]
    if missing:
        return f"what {', '.join(sorted(missing))} of this load brought is missing until it lands again: make run"
    if _has_open_rows(connection, load_id):
        return (
            "a quarantined row is replaced when its source sends a better one; if a rule was wrong and is mended now:"
            f" {REPLAY}"
        )
    if "superseded" in tables or "rejected" in tables:
        return "nothing: later nights landed what this load had brought"
    changed = sorted(table for table, rule in broken if rule == FEW_CHANGES)
    if changed:
        return (
            f"see whether the source means it, most of {', '.join(changed)} has changed; if it does not:"
            f" {decision('reject', load_id, changed[0])}"
        )
    unreadable = sorted(table for table, rule in broken if rule == ROWS_ARE_READABLE)
    if unreadable:
        return (
            f"tell the owner of the source which rows of {', '.join(unreadable)} cannot be read; until they can,"
            " readers see what these records held before"
        )
    return f"nothing; if this load should not have been let through: {decision('reject', load_id, loads[0][0])}"


REPLAY = """make gate ARGS="replay --reason '...'\""""


def decision(verb: str, load_id: str, table: str) -> str:
    """The command for a decision about a load."""
    return f"""make gate ARGS="{verb} {load_id} {table} --reason '...'\""""


def _has_open_rows(connection: psycopg.Connection, load_id: str) -> bool:
    return connection.execute(
        "select exists (select from gate.quarantined_rows where load_id = %s and closed_at is null)", [load_id]
    ).fetchone()[0]
