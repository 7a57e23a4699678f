"""Check the quarantined rows again after a rule was fixed, and publish those that pass now."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from expectations import batch_tables, ledger, rule_failures
from expectations.decisions import DecisionError
from expectations.session import fail_closed, open_session
from expectations.validation import Validator
from warehouse.names import DISREGARDED, PUBLISHED

ROWS_TO_REPLAY = "pg_temp.rows_to_replay"


@dataclass(frozen=True)
class ReplayResult:
    """Count a table's quarantined rows: of those `checked`, `freed` pass all rules now."""

    table: str
    checked: int
    freed: int


def replay(
    database_url: str, reason: str, *, table: str | None = None, rule: str | None = None, is_dry_run: bool
) -> list[ReplayResult]:
    """Check the quarantined rows of published loads that are still the newest of their key.

    With `table` or `rule`, only on rows of that table or quarantined by that rule. One transaction per table. Raises
    DecisionError when no row fits, GateError when a rule cannot run.
    """
    with open_session(database_url) as (connection, validator):
        tables = [
            name
            for (name,) in connection.execute(
                "select distinct table_name from gate.quarantined_rows where closed_at is null order by 1"
            )
        ]
        replayed = [
            _replay(connection, validator, name, rule, reason, is_dry_run) for name in tables if table in (None, name)
        ]
    replayed = [outcome for outcome in replayed if outcome.checked]
    if not replayed:
        which = (f" of {table}" if table else "") + (f" under rule {rule}" if rule else "")
        raise DecisionError(
            f"no quarantined row{which} is the newest of its key in a published load;"
            " see the quarantined rows with: make status"
        )
    return replayed


def _replay(
    connection: psycopg.Connection, validator: Validator, table: str, rule: str | None, reason: str, is_dry_run: bool
) -> ReplayResult:
    checked = _find_rows_to_replay(connection, table, rule)
    if not checked:
        return ReplayResult(table, 0, 0)
    with fail_closed(connection):
        batch_tables.stage_rows(connection, table, ROWS_TO_REPLAY)
        rule_failures.check_rows(connection, validator, table)
        with connection.transaction(force_rollback=is_dry_run):
            _quarantine_and_free(connection, table)
            freed = _publish_freed(connection, table)
            details = {"rule": rule, "looked_at": checked, "freed": freed}
            ledger.record_decision(connection, "replay", reason, table=table, details=details)
    return ReplayResult(table, checked, freed)


def _find_rows_to_replay(connection: psycopg.Connection, table: str, rule: str | None) -> int:
    """List the rows that may be freed: those without a newer version, checked or not."""
    connection.execute(f"drop table if exists {ROWS_TO_REPLAY}")
    return connection.execute(
        sql.SQL("""
            create temporary table rows_to_replay as
            select version._dlt_id as dlt_id, version._dlt_load_id as load_id, version.key
            from {landing_table} as version
            inner join gate.loads on version._dlt_load_id = loads.load_id and loads.table_name = {table}
            where
                loads.state = any({published})
                and version._dlt_id in (
                    select quarantined.dlt_id
                    from gate.quarantined_rows as quarantined
                    where
                        quarantined.table_name = {table} and quarantined.closed_at is null
                        and ({rule} is null or quarantined.rule = {rule})
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
            published=sql.Literal(list(PUBLISHED)),
            disregarded=sql.Literal(list(DISREGARDED)),
        )
    ).rowcount


def _quarantine_and_free(connection: psycopg.Connection, table: str) -> None:
    """Quarantine each replayed row under exactly the rules that it fails now."""
    connection.execute(
        f"""
        update gate.quarantined_rows as quarantined
        set outcome = 'freed', closed_at = now()
        from {ROWS_TO_REPLAY} as replayed
        where
            quarantined.dlt_id = replayed.dlt_id and quarantined.closed_at is null
            and not exists (
                select 1
                from {rule_failures.BAD_ROWS} as bad
                where bad.dlt_id = quarantined.dlt_id and bad.rule = quarantined.rule and bad.severity = 'warning'
            )
        """
    )
    connection.execute(
        f"""
        insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule, detail)
        select replayed.load_id, %s, bad.key, bad.dlt_id, bad.rule, bad.detail
        from {rule_failures.BAD_ROWS} as bad
        inner join {ROWS_TO_REPLAY} as replayed on bad.dlt_id = replayed.dlt_id
        where bad.severity = 'warning'
        on conflict (dlt_id, rule) do update
        set detail = excluded.detail, outcome = null, closed_at = null
        """,
        [table],
    )


def _publish_freed(connection: psycopg.Connection, table: str) -> int:
    """Publish the loads of the replayed rows that are freed from all rules; return the number of these rows."""
    loads = connection.execute(
        f"""
        select replayed.load_id, count(*)
        from {ROWS_TO_REPLAY} as replayed
        where not exists (
            select 1
            from gate.quarantined_rows as quarantined
            where quarantined.dlt_id = replayed.dlt_id and quarantined.outcome is distinct from 'freed'
        )
        group by replayed.load_id
        order by replayed.load_id
        """
    ).fetchall()
    for load_id, _ in loads:
        ledger.publish(connection, load_id, table, "replay")
    return sum(rows for _, rows in loads)
