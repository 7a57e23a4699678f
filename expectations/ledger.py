"""The gate's ledger in Postgres schema `gate`: what was judged, what is held back, what was published.

States of a load, per table: pending -> accepted | accepted_with_quarantine | blocked; a blocked load is later
superseded (a newer load of the table was judged), or released or rejected by a person.
"""

from collections import defaultdict

import psycopg

from expectations.judgement import Batch

TABLES = """
create schema if not exists gate;

create table if not exists gate.loads (
    load_id text not null,
    table_name text not null,
    state text not null check (
        state in (
            'pending', 'accepted', 'accepted_with_quarantine', 'blocked', 'superseded', 'released', 'rejected'
        )
    ),
    rows_read bigint not null,
    rows_landed bigint not null,
    rows_removed bigint not null,
    rows_quarantined bigint not null default 0,
    verdict jsonb,
    judged_at timestamptz,
    decided_by text,
    reason text,
    primary key (load_id, table_name)
);

create table if not exists gate.quarantined_rows (
    load_id text not null,
    table_name text not null,
    key text not null,
    dlt_id text not null,
    rule text not null,
    detail text,
    quarantined_at timestamptz not null default now(),
    closed_at timestamptz,
    outcome text,
    primary key (dlt_id, rule),
    foreign key (load_id, table_name) references gate.loads
);
create index if not exists quarantined_rows_open
    on gate.quarantined_rows (table_name, key) where closed_at is null;

create table if not exists gate.publications (
    seq bigint generated always as identity primary key,
    load_id text not null,
    table_name text not null,
    kind text not null,
    published_at timestamptz not null default now(),
    foreign key (load_id, table_name) references gate.loads
);
create index if not exists publications_load on gate.publications (load_id, table_name);
-- a load is published once; what is published of it later is the work of a decision, and has another kind
create unique index if not exists publications_once
    on gate.publications (load_id, table_name) where kind = 'load';
"""

# Never published, and no later night may take them for delivered: blocked, or blocked once and passed by.
DISREGARDED = "('blocked', 'superseded', 'rejected')"


def ensure(connection: psycopg.Connection) -> None:
    """Create the ledger's schema and tables where they are missing."""
    missing = connection.execute("select to_regclass('gate.publications_once') is null").fetchone()[0]
    if missing:
        connection.execute(TABLES)


def disregarded_loads(connection: psycopg.Connection) -> dict[str, set[str]]:
    """Per table, the ids of loads whose rows were never let through, so that extraction lands those keys again."""
    loads: dict[str, set[str]] = defaultdict(set)
    for table, load_id in connection.execute(
        f"select table_name, load_id from gate.loads where state in {DISREGARDED}"
    ):
        loads[table].add(load_id)
    return dict(loads)


def blocked_loads(connection: psycopg.Connection) -> set[str]:
    """The ids of loads that are blocked for some table."""
    return {load_id for (load_id,) in connection.execute("select load_id from gate.loads where state = 'blocked'")}


def register_pending(connection: psycopg.Connection) -> None:
    """Enter each complete load that the ledger does not know, and forget the pending ones that were withdrawn. A load
    without its row in dlt's own ledger was left by a crash; it is not a load."""
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


def pending(connection: psycopg.Connection) -> list[tuple[Batch, bool]]:
    """What waits for a verdict, in landing order, each with whether its scan is quiet: it adds up, and brought nothing
    that was not known."""
    rows = connection.execute("""
        select
            loads.load_id, loads.table_name, loads.rows_read, loads.rows_landed, loads.rows_removed,
            scans.rows_unreadable,
            scans.rows_landed = 0 and scans.rows_removed = 0 and scans.rows_read = scans.total
            and scans.rows_read = scans.rows_unchanged + scans.rows_unreadable
            and (scans.rows_read > 0 or scans.keys_known = 0)
        from gate.loads
        inner join staging.scans on loads.load_id = scans._dlt_load_id and loads.table_name = scans.table_name
        where loads.state = 'pending'
        order by scans.version_seq
    """)
    return [(Batch(*batch), is_quiet) for *batch, is_quiet in rows]
