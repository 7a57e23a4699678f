"""How large the tables of the warehouse are."""

from collections.abc import Iterator

import psycopg
from psycopg import sql

from pipeline.warehouse import SCHEMAS

# What is larger is not counted, or a night without news would cost what the history does.
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
    -- neither dlt's own, nor what a killed gate had laid out
    and tables.relname not like '\_dlt%%' and tables.relpersistence = 'p'
order by 1, 2
"""


def of_tables(connection: psycopg.Connection) -> Iterator[dict[str, object]]:
    """By table: `relation` ("schema.name"), `rows` (None where the user may not read it), `bytes` with its indexes.

    Of a large table the rows are Postgres' estimate.
    """
    for schema, name, size, own_bytes, estimate, may_read in connection.execute(TABLES, [list(SCHEMAS)]).fetchall():
        rows = estimate if own_bytes > LARGEST_COUNTED_BYTES else None
        if may_read and rows is None:
            counting = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
            (rows,) = connection.execute(counting).fetchone()
        yield {"relation": f"{schema}.{name}", "rows": rows, "bytes": size}
