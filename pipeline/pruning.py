"""`prune`: versions of users and tracks that have long been superseded go. The marts do not show them, and stay."""

import datetime as dt
import re

import psycopg
from psycopg import sql
from rich.console import Console

from expectations import ledger
from pipeline import runs, warehouse
from pipeline.deletion import identifier, per_load, show_counts, vacuum
from pipeline.warehouse import Warehouse

# Not listen_history: every version of a document counts for its listens.
TABLES = ("users", "tracks")
DAYS = {"d": 1, "w": 7}

# Of the versions of a key the marts show the newest that is published, and after a removal the newest before it. One
# that was ever in quarantine does not go, and supersedes no other: whoever freed it may hold it again. Nor does one
# that no build has seen yet: by the version before it the build sees what it has to change.
SUPERSEDED = """
    create temporary table superseded on commit drop as
    with

    published_loads as (
        select
            publications.load_id,
            max(publications.published_at) as published_at
        from gate.publications
        inner join gate.loads
            on publications.load_id = loads.load_id and publications.table_name = loads.table_name
        where
            loads.table_name = {table} and loads.state = any({published})
            and publications.seq <= coalesce({built_seq}, publications.seq)
        group by 1
    ),

    published_versions as (
        select
            versions._dlt_id,
            versions._dlt_load_id,
            versions.key,
            versions.version_seq,
            versions.payload,
            published_loads.published_at
        from {landing_table} as versions
        inner join published_loads on versions._dlt_load_id = published_loads.load_id
        where
            not exists (
                select 1 from gate.quarantined_rows as held
                where held.dlt_id = versions._dlt_id and held.table_name = {table}
            )
    ),

    dated as (
        select
            *,
            min(published_at) filter (where payload is not null) over newer as superseded_at
        from published_versions
        window newer as (
            partition by key order by version_seq rows between 1 following and unbounded following
        )
    )

    select
        _dlt_id,
        _dlt_load_id,
        payload is null as is_removal
    from dated
    where superseded_at < now() - {keep}
"""


def age(text: str) -> dt.timedelta:
    """The time in a text such as 90d or 12w. Raises ValueError unless it is at least a day."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([dw])", text)
    if match is None:
        raise ValueError("give a number of days or weeks, such as 90d or 12w, and at least 1d")
    return dt.timedelta(days=int(match[1]) * DAYS[match[2]])


def prune(place: Warehouse, keep: dt.timedelta, reason: str, output: Console, *, is_dry_run: bool) -> str:
    """Delete the versions that were superseded longer ago than `keep`; returns what to do next."""
    with (
        runs.run_lock(place) as connection,
        warehouse.failures_explained(place),
        # a connection of the run's name: the next run ends what a killed one leaves of it
        place.connect() as work,
    ):
        with work.transaction(force_rollback=True):
            runs.prepare(work)
            tables = [name for name in TABLES if warehouse.has(work, f"staging.{name}")]
            versions = {f"staging.{name}": _count(work, f"staging.{name}") for name in tables}
            gone = {f"staging.{name}": _delete(work, name, keep)[0] for name in tables}
        show_counts(f"superseded more than {keep.days} days ago", {"versions": versions, "to prune": gone}, output)
        if is_dry_run:
            return "nothing was changed; the same command without --dry-run makes these versions go for good"
        runs.prepare(work)
        with runs.recorded(place, connection, "prune") as figures:
            with work.transaction():
                per_table = {}
                for name in tables:
                    gone[f"staging.{name}"], per_table[name] = _delete(work, name, keep)
                if any(gone.values()):
                    details = {"keep": f"{keep.days} days", "deleted": gone, "rows": per_table}
                    ledger.record_decision(work, "prune", reason, details=details)
            figures |= gone
            vacuum(work, gone, output)
    output.print("gone: " + ", ".join(f"{rows:,} of {relation}" for relation, rows in gone.items()))
    return "nothing; the marts show what they showed, and the next night compares with what is left"


def _built_seq(connection: psycopg.Connection) -> int | None:
    """The publication up to which all of the marts and totals are built; None before the first build."""
    if not warehouse.has(connection, "prep.builds"):
        return None
    return connection.execute("select min(seq) from prep.builds").fetchone()[0]


def _count(connection: psycopg.Connection, relation: str) -> int:
    return connection.execute(sql.SQL("select count(*) from {}").format(identifier(relation))).fetchone()[0]


def _delete(connection: psycopg.Connection, name: str, keep: dt.timedelta) -> tuple[int, dict[str, dict[str, int]]]:
    """How many versions of the table went, and how many of each load."""
    landing_table = identifier(f"staging.{name}")
    connection.execute(
        sql.SQL(SUPERSEDED).format(
            table=sql.Literal(name),
            landing_table=landing_table,
            published=sql.Literal(ledger.PUBLISHED),
            built_seq=sql.Literal(_built_seq(connection)),
            keep=sql.Literal(keep),
        )
    )
    loads = per_load(
        connection.execute("""
            select _dlt_load_id, count(*) filter (where not is_removal), count(*) filter (where is_removal)
            from superseded
            group by 1
            order by 1
        """)
    )
    rows = connection.execute(
        sql.SQL("delete from {} where _dlt_id in (select _dlt_id from superseded)").format(landing_table)
    ).rowcount
    connection.execute("drop table superseded")
    return rows, loads
