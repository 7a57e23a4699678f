"""Read the contents that earlier runs delivered; the rows of this run are compared with them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from extract.changes import Digests, view_digests
from extract.landing import REMOVED, ROW_SCHEMA, SCHEMA

KEY_DIGEST = "substring(sha256(convert_to(key, 'UTF8')) for 16)"
"""Yields the same 16 bytes as `rows.digest_of_key`."""

_BATCH_ROWS = 5_000
_COPY_HEADER_BYTES = 19
_WAITING_BYTES = 1024 * 1024
_COPY_RECORD = np.dtype(
    [("fields", ">i2"), ("size_1", ">i4"), ("key", "<u8", 2), ("size_2", ">i4"), ("content", "<u8", 2)]
)

DIFFERENT_LATER = "0" * 32
"""Content hash that no row has. It marks a key for which a later disregarded load holds a different content."""

# All contents of a key in the load that delivered its newest version: usually one, more for a key that came twice
# with different content. Also the later contents in disregarded loads: a decision may release such a load, and then
# it must not override a key whose content is different now. The index (key, version_seq) gives the order.
_NEWEST = """
    select
        key,
        case when is_disregarded then {different_later} else content_hash end as content_hash
    from (
        select
            key,
            content_hash,
            version_seq,
            is_disregarded,
            _dlt_load_id = first_value(_dlt_load_id) over delivered as is_newest,
            first_value(version_seq) over delivered as newest_seq,
            first_value(is_disregarded) over delivered as is_never_delivered,
            case
                when first_value(is_disregarded) over delivered then {removed}
                else first_value(content_hash) over delivered
            end as newest_content
        from (
            select *, _dlt_load_id = any ({disregarded}) as is_disregarded from {table}
            where _dlt_load_id in (select load_id from {loads} where status = 0)
        ) as complete
        window delivered as (partition by key order by is_disregarded, version_seq desc)
    ) as versions
    where
        case
            when is_disregarded
                then (is_never_delivered or version_seq > newest_seq) and content_hash <> newest_content
            else is_newest and content_hash <> {removed}
        end
"""


def live_contents(connection: psycopg.Connection, table: str, disregarded: Collection[str]) -> Digests:
    """Return the digests of key and content of the live rows in `table`: uint64 (rows, 4).

    Only complete loads count. A key also has the content `DIFFERENT_LATER` if a later load among the `disregarded` ids
    holds a different content. Needs 32 bytes per row, and about 3 seconds per million rows.
    """
    query = sql.SQL(
        f"copy (select {KEY_DIGEST}, decode(content_hash, 'hex') from ({{newest}}) as newest) to stdout (format binary)"
    ).format(newest=_newest(table, disregarded))
    with _sorting_transaction(connection):
        return _copy_digests(connection, query)


def removals(
    connection: psycopg.Connection, table: str, disregarded: Collection[str], digests: np.ndarray
) -> Iterator[pa.RecordBatch]:
    """Yield the removal versions (`ROW_SCHEMA`) of the live keys with these digests (uint64 of shape (keys, 2))."""
    wanted = [digest.tobytes() for digest in np.ascontiguousarray(digests)]
    query = sql.SQL(f"select distinct key from ({{newest}}) as newest where {KEY_DIGEST} = any (%s)").format(
        newest=_newest(table, disregarded)
    )
    with _sorting_transaction(connection), connection.cursor(name="removals") as cursor:
        cursor.execute(query, [wanted])
        while keys := [key for (key,) in cursor.fetchmany(_BATCH_ROWS)]:
            yield pa.record_batch(
                [pa.array(keys), pa.nulls(len(keys), pa.string()), pa.array([REMOVED] * len(keys))],
                schema=ROW_SCHEMA,
            )


def unreadable_contents(connection: psycopg.Connection, table: str) -> Digests:
    """Return the content digest, twice, of each row of `table` that is set aside already: uint64 (rows, 4)."""
    query = sql.SQL(
        "copy (select decode(content_hash, 'hex'), decode(content_hash, 'hex') from {} where table_name = {}"
        " and _dlt_load_id in (select load_id from {} where status = 0)) to stdout (format binary)"
    ).format(sql.Identifier(SCHEMA, "unreadable_rows"), sql.Literal(table), sql.Identifier(SCHEMA, "_dlt_loads"))
    return _copy_digests(connection, query)


def tombstones(connection: psycopg.Connection) -> set[str]:
    """Read the tombstones and aliases of erased users from the load ledger; see `erasures`."""
    rows = connection.execute("select unnest(array[tombstone] || aliases) from gate.erasures")
    return {tombstone for (tombstone,) in rows}


def _copy_digests(connection: psycopg.Connection, query: sql.Composed) -> Digests:
    """Read a binary COPY of two digests per row."""
    waiting, digests = bytearray(), bytearray()
    header_bytes = _COPY_HEADER_BYTES
    with connection.cursor().copy(query) as copy:
        for chunk in copy:
            waiting += memoryview(chunk)[header_bytes:]
            header_bytes = 0
            if len(waiting) >= _WAITING_BYTES:
                _move_records(waiting, digests)
    _move_records(waiting, digests)
    return view_digests(digests)


def _move_records(waiting: bytearray, digests: bytearray) -> None:
    """Move the digests of the whole records in `waiting` to `digests`; less than one record is left."""
    count = len(waiting) // _COPY_RECORD.itemsize
    records = np.frombuffer(bytes(waiting), _COPY_RECORD, count=count)
    digests += np.hstack([records["key"], records["content"]]).tobytes()
    del waiting[: count * _COPY_RECORD.itemsize]


def _newest(table: str, disregarded: Collection[str]) -> sql.Composed:
    return sql.SQL(_NEWEST).format(
        table=sql.Identifier(SCHEMA, table),
        loads=sql.Identifier(SCHEMA, "_dlt_loads"),
        disregarded=sql.SQL("{}::text[]").format(sql.Literal(sorted(disregarded))),
        removed=sql.Literal(REMOVED),
        different_later=sql.Literal(DIFFERENT_LATER),
    )


@contextmanager
def _sorting_transaction(connection: psycopg.Connection) -> Iterator[None]:
    """Open a transaction for one large sorted read."""
    with connection.transaction():
        connection.execute("set local work_mem = '64MB'")
        connection.execute("set local jit = off")
        yield
