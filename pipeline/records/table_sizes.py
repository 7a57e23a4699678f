"""Measure the sizes of the warehouse's tables."""

from collections.abc import Iterator

import psycopg
from psycopg import sql

from warehouse.names import SCHEMAS

# Larger tables are not counted: the cost of a run without changes must not grow with the history.
LARGEST_COUNTED_BYTES = 256 * 1024 * 1024

TABLES = r"""
select
    schemas.nspname,
    tables.relname,
    sized.bytes,
    sized.own_bytes,
    sized.estimated_rows,
    has_schema_privilege(schemas.oid, 'usage') and has_table_privilege(tables.oid, 'select')
from pg_class as tables
inner join pg_namespace as schemas on tables.relnamespace = schemas.oid
cross join lateral (
    select
        sum(pg_total_relation_size(part.oid)) as bytes,
        sum(pg_relation_size(part.oid)) as own_bytes,
        sum(greatest(part.reltuples, 0))::bigint as estimated_rows
    from (select tables.oid as relid union select relid from pg_partition_tree(tables.oid)) as tree
    inner join pg_class as part on tree.relid = part.oid
) as sized
where
    schemas.nspname = any(%s) and tables.relkind in ('r', 'p') and not tables.relispartition
    -- neither dlt's own tables, nor batch tables that a killed gate left behind
    and tables.relname not like '\_dlt%%' and tables.relpersistence = 'p'
order by 1, 2
"""


def measure_tables(connection: psycopg.Connection) -> Iterator[dict[str, object]]:
    """Yield by table: `relation` ("schema.name"), `rows` (None if the user may not read it), `bytes` with indexes.

    For a large table, `rows` is the estimate of Postgres.
    """
    for schema, name, size, own_bytes, estimate, may_read in connection.execute(TABLES, [list(SCHEMAS)]).fetchall():
        rows = estimate if own_bytes > LARGEST_COUNTED_BYTES else None
        if may_read and rows is None:
            counting = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
            (rows,) = connection.execute(counting).fetchone()
        yield {"relation": f"{schema}.{name}", "rows": rows, "bytes": size}
