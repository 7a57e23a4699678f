"""Generate a long history inside the database: two years of published loads."""

import tempfile
import zlib
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from extract import extraction
from pipeline.run.preparation import lock_for_writing
from sample_api.server import serve
from warehouse import database

LISTENS_PER_DOCUMENT = 5
DAYS = 730
SHARE_OF_CHANGED_PROFILES = 0.01

# Few users listen much, many a little; the same for tracks. A track has one to three of thirty genres.
FUNCTIONS = """
select setseed(%(seed)s);
create function pg_temp.long_tailed(n bigint) returns bigint language sql as $$
    select 1 + floor(n * random() ^ 2)::bigint
$$;
create function pg_temp.genres(seed bigint) returns text language sql immutable as $$
    select string_agg(distinct 'Genre ' || (seed * n * 7919 %% 30), ', ') from generate_series(1, 1 + seed %% 3) as n
$$;
"""

PROFILES = """
insert into staging.users (key, payload, content_hash, _dlt_load_id, _dlt_id)
select
    '[' || id || ']',
    jsonb_build_object(
        'id', id, 'first_name', %(load)s || id, 'last_name', 'Brown', 'email', id || '@example.org', 'gender', 'Female',
        'favorite_genres', pg_temp.genres(id), 'created_at', '2024-01-01T00:00:00', 'updated_at', '2024-01-01T00:00:00'
    ),
    'user' || id,
    %(load)s,
    %(load)s || 'user' || id
from generate_series(1, %(profiles)s, %(step)s) as id;

insert into staging.tracks (key, payload, content_hash, _dlt_load_id, _dlt_id)
select
    '[' || id || ']',
    jsonb_build_object(
        'id', id, 'name', %(load)s || id, 'artist', 'Band', 'songwriters', 'Writer', 'duration', '04:42',
        'genres', pg_temp.genres(id), 'album', 'Album',
        'created_at', '2024-01-01T00:00:00', 'updated_at', '2024-01-01T00:00:00'
    ),
    'track' || id,
    %(load)s,
    %(load)s || 'track' || id
from generate_series(1, %(profiles)s, %(step)s) as id;
"""

DOCUMENTS = f"""
insert into staging.listen_history (key, payload, content_hash, _dlt_load_id, _dlt_id)
select
    format('[%%s,"%%s"]', user_id, created_at),
    jsonb_build_object(
        'user_id', user_id, 'items', items, 'created_at', created_at,
        'updated_at', to_char(listened_at, 'YYYY-MM-DD"T"HH24:MI:SS.US')
    ),
    'document' || n,
    %(load)s,
    %(load)s || 'document' || n
from (
    select
        n,
        coalesce(%(user)s::bigint, pg_temp.long_tailed(%(profiles)s)) as user_id,
        to_char(listened_at - interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS.US') as created_at,
        listened_at,
        (
            -- depends on n, otherwise all documents would share one list
            select jsonb_agg(pg_temp.long_tailed(%(profiles)s) + (n + item) * 0)
            from generate_series(1, {LISTENS_PER_DOCUMENT}) as item
        ) as items
    from (
        select
            n,
            %(day)s::timestamp + interval '1 day' * %(days)s * n / (%(documents)s + 1) as listened_at
        from generate_series(1, %(documents)s) as n
    ) as times
) as documents
"""

DELIVERY = """
insert into staging._dlt_loads (load_id, status, inserted_at) values (%(load)s, 0, now());
insert into staging.scans
select (jsonb_populate_record(
    null::staging.scans,
    to_jsonb(before) || jsonb_build_object(
        '_dlt_load_id', %(load)s, '_dlt_id', %(load)s || before.table_name,
        'version_seq', nextval('staging.scans_version_seq_seq')
    ) || %(scan)s::jsonb
)).*
from staging.scans as before
where before._dlt_load_id = 'before';
"""

PUBLICATION = """
insert into gate.loads (load_id, table_name, state, rows_read, rows_landed, rows_removed)
select %(load)s, name, 'accepted', 0, 0, 0 from unnest(array['users', 'tracks', 'listen_history']) as name;
insert into gate.publications (load_id, table_name, kind)
select %(load)s, name, 'load' from unnest(array['users', 'tracks', 'listen_history']) as name;
"""


def create_inputs(database_url: str) -> None:
    """Prepare the warehouse, and land an empty load."""
    with lock_for_writing(database.find(database_url, "bench")):
        pass
    with serve({}) as server, tempfile.TemporaryDirectory() as folder:
        extraction.run(database_url, server.url, working_folder=Path(folder))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("truncate staging._dlt_loads")
        connection.execute("update staging.scans set _dlt_load_id = 'before'")


def add_history(connection: psycopg.Connection, profiles: int, listens: int) -> None:
    """Add this many users and tracks, and their listens up to yesterday, as weekly loads."""
    weeks = DAYS // 7
    for week in range(weeks):
        days_ago = DAYS + 1 - 7 * week
        _add_load(connection, f"week {week:03}", profiles, listens // weeks, days_ago, 7, step=0 if week else 1)
    connection.execute("vacuum analyze")


def add_listens_of(connection: psycopg.Connection, user_id: int, profiles: int, listens: int) -> None:
    """Add a load with this many listens of one user, spread over the history."""
    _add_load(connection, f"user {user_id}", profiles, listens, DAYS + 1, DAYS, step=0, user_id=user_id)


def add_daily_load(connection: psycopg.Connection, number: int, profiles: int, listens: int) -> str:
    """Add a load with this many listens of yesterday and some changed profiles; return its id."""
    load = f"night {number}"
    _add_load(connection, load, profiles, listens, 1, 1, step=round(1 / SHARE_OF_CHANGED_PROFILES))
    return load


def add_pending_load(connection: psycopg.Connection, rows: int) -> None:
    """Add a pending load with this many rows of each table."""
    scan = {"total": rows, "rows_read": rows, "rows_landed": rows, "keys_known": 0}
    with connection.transaction():
        _deliver(connection, "pending", rows, rows, days_ago=8, days=7, step=1, scan=scan)


def _add_load(
    connection: psycopg.Connection,
    load: str,
    profiles: int,
    listens: int,
    days_ago: int,
    days: int,
    step: int,
    user_id: int | None = None,
) -> None:
    with psycopg.ClientCursor(connection) as cursor, connection.transaction():
        _deliver(connection, load, profiles, listens // LISTENS_PER_DOCUMENT, days_ago, days, step, {}, user_id)
        cursor.execute(PUBLICATION, {"load": load})


def _deliver(
    connection: psycopg.Connection,
    load: str,
    profiles: int,
    documents: int,
    days_ago: int,
    days: int,
    step: int,
    scan: dict[str, int],
    user_id: int | None = None,
) -> None:
    """Deliver each `step`th user and track (0: none), and documents of these days; `scan` holds counts of the scan.

    `user_id`: all documents are of this user.
    """
    values = {
        "load": load,
        "profiles": profiles,
        "documents": documents,
        "days": days,
        "step": step,
        "user": user_id,
        "scan": Jsonb(scan),
    }
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute("drop function if exists pg_temp.long_tailed, pg_temp.genres")
        # another seed per load, otherwise each would repeat the documents of the previous one
        cursor.execute(FUNCTIONS, {"seed": zlib.crc32(load.encode()) / 2**32})
        cursor.execute("select now()::date - %s::int", [days_ago])
        values["day"] = cursor.fetchone()[0]
        if step:
            cursor.execute(PROFILES, values)
        cursor.execute(DOCUMENTS, values)
        cursor.execute(DELIVERY, values)
