"""Prune superseded versions of users and tracks that are older than a given age. The marts do not change."""

import datetime as dt
import re

import psycopg
from psycopg import sql
from rich.console import Console

from expectations import ledger
from pipeline.operations.deletion import identifier, per_load, show_counts, vacuum
from pipeline.run.pipeline_run import record_locked_command
from pipeline.run.preparation import lock_for_writing
from warehouse import database
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.names import PUBLISHED

# Not listen_history: listens are computed from every version of a document.
TABLES = ("users", "tracks")
DAYS = {"d": 1, "w": 7}

# Of the versions of a key, the marts show the newest published one, and after a removal the newest before it. A version
# that was ever quarantined is kept and supersedes no other, because it may be quarantined again. A version that no
# build has processed supersedes no other either: the build compares it with the previous version.
SUPERSEDED = """
    create temporary table superseded on commit drop as
    with

    published_loads as (
        select
            publications.load_id,
            max(publications.known_at) as known_at
        from (
            -- the clock can be set back
            select *, max(published_at) over (order by seq) as known_at from gate.publications
        ) as publications
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
            published_loads.known_at
        from {landing_table} as versions
        inner join published_loads on versions._dlt_load_id = published_loads.load_id
        where
            not exists (
                select 1 from gate.quarantined_rows as quarantined
                where quarantined.dlt_id = versions._dlt_id and quarantined.table_name = {table}
            )
    ),

    dated as (
        select
            *,
            min(known_at) filter (where payload is not null) over newer as superseded_at
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


def parse_age(text: str) -> dt.timedelta:
    """Parse a time such as 90d or 12w. Raises ValueError unless it is at least a day."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([dw])", text)
    if match is None:
        raise ValueError("give a number of days or weeks, such as 90d or 12w, and at least 1d")
    return dt.timedelta(days=int(match[1]) * DAYS[match[2]])


def prune(warehouse: Warehouse, keep: dt.timedelta, reason: str, output: Console, *, is_dry_run: bool) -> str:
    """Delete the versions that were superseded longer ago than `keep`, and return the next step."""
    with (
        lock_for_writing(warehouse, prepares=False) as connection,
        database.translate_database_errors(warehouse),
        # this connection has the application name of a run: the next run ends it if this process is killed
        warehouse.connect() as work,
    ):
        with work.transaction(force_rollback=True):
            versions = {f"staging.{name}": _count(work, f"staging.{name}") for name in TABLES}
            deleted = {f"staging.{name}": _delete(work, name, keep)[0] for name in TABLES}
        title = f"superseded more than {count(keep.days, 'day')} ago"
        show_counts(title, {"versions": versions, "to prune": deleted}, output)
        if is_dry_run:
            return "nothing was changed; repeat the command without --dry-run to delete these versions permanently"
        with record_locked_command(warehouse, connection, "prune") as figures:
            with work.transaction():
                per_table = {}
                for name in TABLES:
                    deleted[f"staging.{name}"], per_table[name] = _delete(work, name, keep)
                if any(deleted.values()):
                    (horizon,) = work.execute("select now() - %s", [keep]).fetchone()
                    details = {
                        "keep": count(keep.days, "day"),
                        # what was known before it cannot be computed any more
                        "horizon": horizon.isoformat(),
                        "deleted": deleted,
                        "rows": per_table,
                    }
                    ledger.record_decision(work, "prune", reason, details=details)
            figures |= deleted
            vacuum(work, deleted, output)
    output.print(
        "deleted: " + ", ".join(f"{count(rows, 'row')} of {relation}" for relation, rows in deleted.items()),
        soft_wrap=True,
    )
    return "nothing; the marts have not changed, and the next run compares with the remaining versions"


def _built_seq(connection: psycopg.Connection) -> int | None:
    """Return the publication up to which all marts and totals are built; None before the first build."""
    return connection.execute("select min(seq) from prep.builds").fetchone()[0]


def _count(connection: psycopg.Connection, relation: str) -> int:
    return connection.execute(sql.SQL("select count(*) from {}").format(identifier(relation))).fetchone()[0]


def _delete(connection: psycopg.Connection, name: str, keep: dt.timedelta) -> tuple[int, dict[str, dict[str, int]]]:
    """Delete superseded versions of the table, and return their number in total and by load."""
    landing_table = identifier(f"staging.{name}")
    connection.execute(
        sql.SQL(SUPERSEDED).format(
            table=sql.Literal(name),
            landing_table=landing_table,
            published=sql.Literal(list(PUBLISHED)),
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
