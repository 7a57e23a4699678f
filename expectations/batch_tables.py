"""Stage a batch for Great Expectations: the load's rows, typed once, and the counts of its scan, in two tables.

The tables are permanent, because Great Expectations reads them over connections of its own. They are empty between
batches.
"""

from decimal import Decimal
from pathlib import Path

import psycopg
from psycopg import sql

from expectations.verdicts import Batch, GateError, Shares
from warehouse.counts import count
from warehouse.names import SOURCE_TABLE_NAMES

ROWS = {table: f"gate.batch_{table}" for table in SOURCE_TABLE_NAMES}
"""By source table, the batch table for its rows: the columns of its typed view, `latest_plausible_at`, `new_fields`."""

SCAN = "gate.batch_scan"
SOURCE = Path(__file__)
NAMES = (*ROWS.values(), SCAN)

# A small table may lose or change most of its rows.
LEAST_MASS_ROWS = 20
# Documents change every night, and a removed document removes no listen.
TABLES_WITHOUT_MASS_RULES = ("listen_history",)

# Well below the size limit of an index entry.
LONGEST_FIELD_NAME = 200


def create(connection: psycopg.Connection) -> None:
    """Create the batch tables with the columns that the typed views have now, and drop the previous ones."""
    connection.execute(f"drop table if exists {', '.join(NAMES)}")
    queries = {ROWS[table]: _rows_query(table, sql.SQL("true")) for table in ROWS}
    queries[SCAN] = _scan_query(Batch("", "users", 0, 0, 0), Shares())
    # not analyzed as a whole: the planner's statistics would keep values of rows that are gone, also of erased users
    made = sql.SQL("create unlogged table {} with (autovacuum_enabled = false) as {} with no data")
    for name, query in queries.items():
        connection.execute(made.format(sql.SQL(name), query))


def stage_batch(connection: psycopg.Connection, batch: Batch, shares: Shares) -> None:
    """Fill the batch tables. Raises GateError when rows or the scan are missing."""
    clear_batch(connection)
    are_wanted = sql.SQL("staged._load_id = {}").format(sql.Literal(batch.load_id))
    _fill_rows(connection, batch.table, are_wanted)
    connection.execute(sql.SQL("insert into {} {}").format(sql.SQL(SCAN), _scan_query(batch, shares)))
    _check_nothing_is_missing(connection, batch.table)


def _scan_query(batch: Batch, shares: Shares) -> sql.Composable:
    return sql.SQL("""
        with counted as (
            select
                scans.*,
                -- NULL in scans of versions that did not count them
                coalesce(scans.keys_delivered, scans.keys_known) as known,
                coalesce(scans.keys_lost, scans.rows_removed) as lost,
                scans.keys_changed as changed
            from staging.scans
            where scans._dlt_load_id = {load_id} and scans.table_name = {table}
        ),
        scans as (select counted.*, {mass_removal} as mass_removal, {mass_change} as mass_change from counted)
        select
            scans.*,
            scans.rows_read = 0 and scans.keys_known > 0 as read_nothing_though_keys_are_known,
            -- NULL, and no failure: the source gave no total, and the scan went by the last page
            scans.total - scans.rows_read as rows_missing_of_total,
            scans.rows_read - scans.rows_unchanged - scans.rows_landed - scans.rows_unreadable
                as rows_unaccounted_for,
            scans.rows_landed - found.rows_landed as landed_rows_missing,
            scans.rows_removed - found.rows_removed as removals_missing,
            case
                when scans.mass_removal is null then scans.lost::float8 / nullif(scans.known, 0)
            end as removed_share
        from scans
        cross join (
            select
                count(*) filter (where payload is not null) as rows_landed,
                count(*) filter (where payload is null) as rows_removed
            from {landing_table}
            where _dlt_load_id = {load_id}
        ) as found
    """).format(
        landing_table=sql.Identifier("staging", batch.table),
        load_id=sql.Literal(batch.load_id),
        table=sql.Literal(batch.table),
        mass_removal=_describe_excess(batch.table, "lost", shares.max_removed, "MAX_REMOVED_SHARE"),
        mass_change=_describe_excess(batch.table, "changed", shares.max_changed, "MAX_CHANGED_SHARE"),
    )


def _describe_excess(table: str, rows: str, max_share: float, setting: str) -> sql.Composable:
    """Return an expression over `counted`: a text with the counts when they exceed the setting, else NULL."""
    if table in TABLES_WITHOUT_MASS_RULES:
        return sql.SQL("null::text")
    share = Decimal(str(max_share))
    return sql.SQL("""
        case
            when {rows} >= {least} and {rows} > {max_share} * known
                then to_char({rows}, {number}) || ' of the ' || to_char(known, {number}) || {known_rows}
                    || trim_scale(coalesce(round(100.0 * {rows} / nullif(known, 0), 1), 100)) || {limit}
        end
    """).format(
        rows=sql.Identifier(rows),
        least=sql.Literal(LEAST_MASS_ROWS),
        # exact: 30 % of 70 rows are 21 of them
        max_share=sql.Literal(share),
        number=sql.Literal("FM999,999,999,999,990"),
        known_rows=sql.Literal(f" known {table} ("),
        limit=sql.Literal(f" %, more than {setting} {(100 * share).normalize():f} %)"),
    )


def stage_rows(connection: psycopg.Connection, table: str, wanted: str) -> None:
    """Stage the rows in relation `wanted` (load_id, key, dlt_id), and all other rows of their loads and keys.

    A duplicate key shows only among all of them. Raises GateError when a row is missing.
    """
    clear_batch(connection)
    are_wanted = sql.SQL("(staged._load_id, staged.key) in (select wanted.load_id, wanted.key from {} as wanted)")
    _fill_rows(connection, table, are_wanted.format(sql.SQL(wanted)))
    missing = connection.execute(
        f"select count(*) from {wanted} as wanted where wanted.dlt_id not in (select _dlt_id from {ROWS[table]})"
    ).fetchone()[0]
    if missing:
        raise GateError(f"the staging view does not show {missing:,} of the rows to check")


def clear_batch(connection: psycopg.Connection) -> None:
    """Empty the batch tables. A killed gate leaves rows in them."""
    connection.execute(f"truncate {', '.join(NAMES)}")


def note_new_fields(connection: psycopg.Connection, batch: Batch) -> None:
    """Record the new fields of the batch, so that later loads do not report them again."""
    connection.execute(
        f"""
        insert into gate.known_fields (table_name, field, load_id)
        select distinct %s, fields.name, %s
        from {ROWS[batch.table]}, unnest(string_to_array(new_fields, ', ')) as fields (name)
        on conflict do nothing
        """,
        [batch.table, batch.load_id],
    )


def _rows_query(table: str, are_wanted: sql.Composable) -> sql.Composable:
    return sql.SQL(r"""
            select
                staged.*,
                scans.finished_at + interval '1 day' as latest_plausible_at,
                case
                    when staged.unknown_fields is not null
                        then (
                            select string_agg(left(fields.name, {longest}), ', ' order by fields.position)
                            from unnest(string_to_array(staged.unknown_fields, ', '))
                                with ordinality as fields (name, position)
                            where
                                left(fields.name, {longest}) not in (
                                    select known.field from gate.known_fields as known where known.table_name = {table}
                                )
                        )
                end as new_fields
            from {staging_view} as staged
            inner join staging.scans on staged._load_id = scans._dlt_load_id and scans.table_name = {table}
            where {are_wanted} and not staged.is_removal
        """).format(
        staging_view=sql.Identifier("prep", f"stg_moovitamix__{table}"),
        table=sql.Literal(table),
        longest=sql.Literal(LONGEST_FIELD_NAME),
        are_wanted=are_wanted,
    )


def _fill_rows(connection: psycopg.Connection, table: str, are_wanted: sql.Composable) -> None:
    query = _rows_query(table, are_wanted)
    connection.execute(sql.SQL("insert into {} {}").format(sql.SQL(ROWS[table]), query))
    # rules are joined by it: without knowing that it is unique, the planner would compare each row with each
    connection.execute(f"analyze {ROWS[table]} (_dlt_id)")


def _check_nothing_is_missing(connection: psycopg.Connection, table: str) -> None:
    """Raise GateError when rows or the scan are missing: rows that are not staged would be published unchecked."""
    scans, rows_landed, rows_staged = connection.execute(f"""
        select count(*), min(rows_landed - landed_rows_missing), (select count(*) from {ROWS[table]}) from {SCAN}
    """).fetchone()
    if scans != 1:
        raise GateError(f"the load has {scans} scans of this table")
    if rows_staged != rows_landed:
        raise GateError(f"the staging view shows {rows_staged:,} of the load's {count(rows_landed, 'row')}")
