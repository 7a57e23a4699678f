"""Keep the load ledger in Postgres schema `gate`: verdicts, quarantined rows, publications, decisions, erasures.

States of a load, per table: pending -> accepted | accepted_with_quarantine | blocked. A blocked load is superseded
when a newer load of the table is checked. `decisions.py` says which of them an operator may release or reject.
"""

import getpass
import os
from collections import defaultdict
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from expectations.verdicts import Batch
from warehouse.names import DISREGARDED, PUBLISHED


def disregarded_loads(connection: psycopg.Connection) -> dict[str, set[str]]:
    """Return per table the ids of loads that were not published, so that extraction lands their keys again."""
    loads: dict[str, set[str]] = defaultdict(set)
    for table, load_id in connection.execute(
        "select table_name, load_id from gate.loads where state = any(%s)", [list(DISREGARDED)]
    ):
        loads[table].add(load_id)
    return dict(loads)


def publish(connection: psycopg.Connection, load_id: str, table: str, kind: str) -> None:
    """Record a publication: readers then see the changed state of the load."""
    connection.execute(
        "insert into gate.publications (load_id, table_name, kind) values (%s, %s, %s)", [load_id, table, kind]
    )


def settle_quarantine(connection: psycopg.Connection, load_id: str, table: str) -> None:
    """Update the quarantined rows of the load's keys to the published state.

    A row is closed once a published load has a newer version of its key, or its own load is superseded or rejected.
    When that is undone, it is open again. A row that a decision freed stays free.
    """
    connection.execute(
        sql.SQL("""
            with settled as (
                select
                    quarantined.dlt_id,
                    quarantined.rule,
                    case
                        when loads.state in ('superseded', 'rejected') then loads.state
                        when exists (
                            select 1
                            from {landing_table} as newer
                            inner join gate.loads as newer_load
                                on newer._dlt_load_id = newer_load.load_id and newer_load.table_name = %(table)s
                            where
                                newer.key = version.key and newer.version_seq > version.version_seq
                                and newer._dlt_load_id <> version._dlt_load_id
                                and newer_load.state = any(%(published)s)
                        ) then 'superseded'
                    end as outcome
                from gate.quarantined_rows as quarantined
                inner join gate.loads
                    on quarantined.load_id = loads.load_id and quarantined.table_name = loads.table_name
                inner join {landing_table} as version on quarantined.dlt_id = version._dlt_id
                where
                    quarantined.table_name = %(table)s and quarantined.outcome is distinct from 'freed'
                    and quarantined.key in (select key from {landing_table} where _dlt_load_id = %(load_id)s)
            )
            update gate.quarantined_rows as quarantined
            set outcome = settled.outcome, closed_at = case when settled.outcome is not null then now() end
            from settled
            where
                quarantined.dlt_id = settled.dlt_id and quarantined.rule = settled.rule
                and quarantined.outcome is distinct from settled.outcome
        """).format(landing_table=sql.Identifier("staging", table)),
        {"load_id": load_id, "table": table, "published": list(PUBLISHED)},
    )


def count_quarantined_rows(connection: psycopg.Connection) -> dict[str, int]:
    """Count by table the rows that are in quarantine now."""
    rows = connection.execute(
        "select table_name, count(distinct dlt_id) from gate.quarantined_rows where closed_at is null group by 1"
    )
    return dict(rows.fetchall())


def record_decision(
    connection: psycopg.Connection,
    verb: str,
    reason: str,
    *,
    load_id: str | None = None,
    table: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Record an operator's decision, in the same transaction as its effects."""
    connection.execute(
        """
        insert into gate.decisions (verb, load_id, table_name, operator, reason, details)
        values (%s, %s, %s, %s, %s, %s)
        """,
        [verb, load_id, table, _operator(), reason, Jsonb(details or {})],
    )


def record_erasure(connection: psycopg.Connection, tombstone: str, aliases: list[str], key_check: str) -> None:
    """Record an erased user; for a recorded one, keep the time and add the aliases."""
    connection.execute(
        """
        insert into gate.erasures as known (tombstone, aliases, key_check)
        values (%s, %s, %s)
        on conflict (tombstone) do update
        set aliases = array(select unnest(known.aliases) union select unnest(excluded.aliases))
        """,
        [tombstone, aliases, key_check],
    )


def erasures(connection: psycopg.Connection) -> dict[str, tuple[list[str], str]]:
    """Return tombstone -> (aliases, key check) of all erased users."""
    rows = connection.execute("select tombstone, aliases, key_check from gate.erasures")
    return {tombstone: (aliases, key_check) for tombstone, aliases, key_check in rows}


def pending_loads(connection: psycopg.Connection) -> list[str]:
    """Return the ids of complete loads without a verdict, registered by the gate or not."""
    rows = connection.execute("""
        select distinct scans._dlt_load_id
        from staging.scans
        inner join staging._dlt_loads as complete on scans._dlt_load_id = complete.load_id and complete.status = 0
        left join gate.loads on scans._dlt_load_id = loads.load_id and scans.table_name = loads.table_name
        where loads.load_id is null or loads.state = 'pending'
        order by 1
    """)
    return [load_id for (load_id,) in rows]


def has_loads(connection: psycopg.Connection) -> bool:
    """Return whether any load was registered."""
    return connection.execute("select exists (select from gate.loads)").fetchone()[0]


def blocked_loads(connection: psycopg.Connection) -> set[str]:
    """Return the ids of loads that are blocked for some table."""
    return {load_id for (load_id,) in connection.execute("select load_id from gate.loads where state = 'blocked'")}


def register_pending(connection: psycopg.Connection) -> None:
    """Register each complete load that the load ledger does not know, and delete the pending ones that were withdrawn.

    A load without its row in dlt's ledger is the rest of a crash, and does not count.
    """
    with connection.transaction():
        connection.execute("""
            delete from gate.loads
            where
                state = 'pending'
                and not exists (
                    select 1
                    from staging.scans
                    inner join staging._dlt_loads as complete
                        on scans._dlt_load_id = complete.load_id and complete.status = 0
                    where scans._dlt_load_id = loads.load_id and scans.table_name = loads.table_name
                )
        """)
        connection.execute("""
            insert into gate.loads (load_id, table_name, state, rows_read, rows_landed, rows_removed)
            select _dlt_load_id, table_name, 'pending', rows_read, rows_landed, rows_removed
            from staging.scans
            inner join staging._dlt_loads as complete
                on scans._dlt_load_id = complete.load_id and complete.status = 0
            on conflict do nothing
        """)


def pending_batches(connection: psycopg.Connection) -> list[tuple[Batch, bool]]:
    """Return the pending batches in landing order, each with whether its scan is quiet: it adds up, and nothing is new,
    changed or removed."""
    rows = connection.execute("""
        select
            loads.load_id, loads.table_name, loads.rows_read, loads.rows_landed, loads.rows_removed,
            scans.rows_unreadable,
            scans.rows_landed = 0 and scans.rows_removed = 0
            -- a source without totals: the scan went by the last page
            and scans.rows_read = coalesce(scans.total, scans.rows_read)
            and scans.rows_read = scans.rows_unchanged + scans.rows_unreadable
            and (scans.rows_read > 0 or scans.keys_known = 0)
        from gate.loads
        inner join staging.scans on loads.load_id = scans._dlt_load_id and loads.table_name = scans.table_name
        where loads.state = 'pending'
        order by scans.version_seq
    """)
    return [(Batch(*batch), is_quiet) for *batch, is_quiet in rows]


def _operator() -> str:
    """Return the name of the account that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"
