"""`gate show`: what the gate found in a load, rule by rule, with the first offending rows as the API sent them."""

import json

import psycopg
from psycopg import sql
from rich.console import Console
from rich.markup import escape

from pipeline.exits import Exit, Stop

ROWS_PER_RULE = 3
LONGEST_PAYLOAD = 400


def show(connection: psycopg.Connection, load_id: str | None, output: Console) -> None:
    """Print one load; without an id, the newest that was blocked or had rows quarantined, else the newest.

    Raises Stop(WRONG_SETTINGS) for a load the gate does not know.
    """
    if connection.execute("select to_regclass('gate.loads') is null").fetchone()[0]:
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
        raise Stop(Exit.WRONG_SETTINGS, f"the gate knows no load {load_id}; see the open ones with: make status")
    blocked = []
    for table, state, reason, rows_read, rows_landed, rows_removed, rows_quarantined, verdict in loads:
        output.print(
            f"[bold]{table}[/] load {load_id}: [bold]{state}[/], {escape(reason or 'waits for the gate')}\n"
            f"  {rows_read:,} read, {rows_landed:,} changed, {rows_removed:,} removed, {rows_quarantined:,} quarantined"
        )
        for failed in (verdict or {}).get("failed_rules", []):
            output.print(f"  [bold]{failed['severity']}[/] {failed['rule']}: {failed['rows']:,} rows")
            if failed["severity"] == "critical":
                output.print(f"    {escape(json.dumps(failed['examples'][0]))}")
            else:
                _print_rows(connection, load_id, table, failed["examples"], output)
        if state == "blocked":
            blocked.append(table)
    if blocked:
        output.print(
            f"next: {', '.join(blocked)} of this load stays out, and the next night reads the source again:"
            " mend the source, or wait for it, then: make run"
        )
    else:
        output.print("next: nothing to decide here; a quarantined row is replaced when its source sends a better one")


def _most_interesting(connection: psycopg.Connection) -> str | None:
    row = connection.execute("""
        select load_id
        from gate.loads
        order by state = 'blocked' desc, rows_quarantined > 0 desc, judged_at desc nulls last
        limit 1
    """).fetchone()
    return row and row[0]


def _print_rows(
    connection: psycopg.Connection, load_id: str, table: str, examples: list[dict[str, str]], output: Console
) -> None:
    for example in examples[:ROWS_PER_RULE]:
        payload = connection.execute(
            sql.SQL("select payload::text from {} where _dlt_load_id = %s and key = %s limit 1").format(
                sql.Identifier("staging", table)
            ),
            [load_id, example["key"]],
        ).fetchone()
        detail = "absent" if example["detail"] is None else example["detail"]
        output.print(f"    {escape(example['key'])} {escape(detail)}")
        output.print(f"      {escape(((payload and payload[0]) or '')[:LONGEST_PAYLOAD])}", style="dim")
