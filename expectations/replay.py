"""The rules once more on rows that are held back: after a rule was mended, what passes now goes free."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from expectations import findings, judged, ledger
from expectations.decisions import Undecidable
from expectations.session import failing_closed, judging
from expectations.validation import Validator

WAITING_ROWS = "pg_temp.waiting_rows"


@dataclass(frozen=True)
class Replayed:
    """What came of a table's held rows: of those `looked_at`, `freed` pass all rules now."""

    table: str
    looked_at: int
    freed: int


def replay(
    database_url: str, reason: str, *, table: str | None = None, rule: str | None = None, is_dry_run: bool
) -> list[Replayed]:
    """Re-run the rules on the held rows of published loads that are still the newest of their key.

    With `table` or `rule`, only on rows of that table or held by that rule. One transaction per table. Raises
    Undecidable when no row fits, GateBroken when a rule cannot run.
    """
    with judging(database_url) as (connection, validator):
        held_tables = [
            name
            for (name,) in connection.execute(
                "select distinct table_name from gate.quarantined_rows where closed_at is null order by 1"
            )
        ]
        replayed = [
            _replay(connection, validator, name, rule, reason, is_dry_run)
            for name in held_tables
            if table in (None, name)
        ]
    replayed = [outcome for outcome in replayed if outcome.looked_at]
    if not replayed:
        which = " ".join([*(["of " + table] if table else []), *(["held by " + rule] if rule else [])])
        raise Undecidable(
            f"no row {which + ' ' if which else ''}waits that is the newest of its key in a published load;"
            " see what is held back with: make status"
        )
    return replayed


def _replay(
    connection: psycopg.Connection, validator: Validator, table: str, rule: str | None, reason: str, is_dry_run: bool
) -> Replayed:
    looked_at = _find_waiting(connection, table, rule)
    if not looked_at:
        return Replayed(table, 0, 0)
    with failing_closed(connection):
        judged.lay_out_rows(connection, table, WAITING_ROWS)
        findings.about_the_rows(connection, validator, table)
        with connection.transaction(force_rollback=is_dry_run):
            _hold_and_free(connection, table)
            freed = _publish_freed(connection, table)
            details = {"rule": rule, "looked_at": looked_at, "freed": freed}
            ledger.record_decision(connection, "replay", reason, table=table, details=details)
    return Replayed(table, looked_at, freed)


def _find_waiting(connection: psycopg.Connection, table: str, rule: str | None) -> int:
    """Note the rows that may go free; a newer version, judged or not, makes them history."""
    connection.execute(f"drop table if exists {WAITING_ROWS}")
    return connection.execute(
        sql.SQL("""
            create temporary table waiting_rows as
            select version._dlt_id as dlt_id, version._dlt_load_id as load_id, version.key
            from {landing_table} as version
            inner join gate.loads on version._dlt_load_id = loads.load_id and loads.table_name = {table}
            where
                loads.state = any({published})
                and version._dlt_id in (
                    select held.dlt_id
                    from gate.quarantined_rows as held
                    where
                        held.table_name = {table} and held.closed_at is null
                        and ({rule} is null or held.rule = {rule})
                )
                and not exists (
                    select 1
                    from {landing_table} as newer
                    inner join staging._dlt_loads as complete
                        on newer._dlt_load_id = complete.load_id and complete.status = 0
                    left join gate.loads as newer_load
                        on newer._dlt_load_id = newer_load.load_id and newer_load.table_name = {table}
                    where
                        newer.key = version.key and newer.version_seq > version.version_seq
                        and newer._dlt_load_id <> version._dlt_load_id
                        and coalesce(newer_load.state, 'pending') <> all({disregarded})
                )
        """).format(
            landing_table=sql.Identifier("staging", table),
            table=sql.Literal(table),
            rule=sql.SQL("{}::text").format(sql.Literal(rule)),
            published=sql.Literal(ledger.PUBLISHED),
            disregarded=sql.Literal(ledger.DISREGARDED),
        )
    ).rowcount


def _hold_and_free(connection: psycopg.Connection, table: str) -> None:
    """Each waiting row is held by the rules that it breaks now, and by no other."""
    connection.execute(
        f"""
        update gate.quarantined_rows as held
        set outcome = 'freed', closed_at = now()
        from {WAITING_ROWS} as waiting
        where
            held.dlt_id = waiting.dlt_id and held.closed_at is null
            and not exists (
                select 1
                from {findings.BAD_ROWS} as bad
                where bad.dlt_id = held.dlt_id and bad.rule = held.rule and bad.severity = 'warning'
            )
        """
    )
    connection.execute(
        f"""
        insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule, detail)
        select waiting.load_id, %s, bad.key, bad.dlt_id, bad.rule, bad.detail
        from {findings.BAD_ROWS} as bad
        inner join {WAITING_ROWS} as waiting on bad.dlt_id = waiting.dlt_id
        where bad.severity = 'warning'
        on conflict (dlt_id, rule) do update
        set detail = excluded.detail, outcome = null, closed_at = null
        """,
        [table],
    )


def _publish_freed(connection: psycopg.Connection, table: str) -> int:
    """Publish the loads of the waiting rows that nothing holds any more; returns how many rows these are."""
    loads = connection.execute(
        f"""
        select waiting.load_id, count(*)
        from {WAITING_ROWS} as waiting
        where not exists (
            select 1
            from gate.quarantined_rows as held
            where held.dlt_id = waiting.dlt_id and held.outcome is distinct from 'freed'
        )
        group by waiting.load_id
        order by waiting.load_id
        """
    ).fetchall()
    for load_id, _ in loads:
        ledger.publish(connection, load_id, table, "replay")
    return sum(rows for _, rows in loads)
