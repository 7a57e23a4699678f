"""Measure the gate: Great Expectations against one hand-written aggregate per table with the same checks."""

import itertools
import time
from collections.abc import Iterator

import psycopg

from benchmarks.databases import database
from benchmarks.dbt_runs import run_dbt
from benchmarks.history import add_pending_load, create_inputs
from benchmarks.measuring import measure
from benchmarks.targets import Figure
from expectations import gate

CHECKS = """
count(*),
count(*) - count(distinct key),
count(absent_fields),
count(mistyped_fields),
count(*) filter (where created_at is null),
count(*) filter (where created_at > scans.finished_at + interval '1 day'),
count(*) filter (where updated_at is null),
count(*) filter (where updated_at > scans.finished_at + interval '1 day'),
count(*) filter (where updated_at < created_at),
count(unknown_fields)
"""
CHECKS_OF = {
    "users": r"""
        count(id),
        count(*) filter (
            where email_raw !~ '^"[^@[:space:]"\\]+@([^@[:space:]"\\.]+\.)+[^@[:space:]"\\.]+"$'
        ),
        count(first_name), count(last_name), count(gender), count(favorite_genres)
    """,
    "tracks": "count(id), count(duration), count(name), count(artist), count(songwriters), count(genres), count(album)",
    "listen_history": """
        count(user_id),
        count(items),
        count(*) filter (
            where user_id is not null and not exists (
                select 1 from staging.users where users.key = '[' || rows.user_id || ']'
            )
        ),
        count(*) filter (
            where exists (
                select 1
                from jsonb_array_elements(rows.items) as items (track_id)
                where not exists (
                    select 1 from staging.tracks where tracks.key = '[' || (items.track_id #>> '{}') || ']'
                )
            )
        )
    """,
}
HAND_WRITTEN = """
select {checks}, {checks_of_table}
from prep.stg_moovitamix__{table} as rows
inner join staging.scans on rows._load_id = scans._dlt_load_id and scans.table_name = '{table}'
where rows._load_id = 'pending' and not rows.is_removal
"""


def figures(server_url: str, rows: int) -> Iterator[Figure]:
    """Measure the gate's targets per table; `server_url` is a database on the Postgres server for the benchmarks."""
    with database(server_url) as url:
        create_inputs(url)
        measure(run_dbt, url, "run", "--select", "staging")
        with psycopg.connect(url, autocommit=True) as connection:
            add_pending_load(connection, rows)
            connection.execute("vacuum analyze")
            hand_written = {table: min(_reference_seconds(connection, table) for _ in range(2)) for table in CHECKS_OF}
        run = measure(check, url)
    for table, seconds in run.answer.items():
        yield Figure(f"check {rows:,} {table} vs one hand-written aggregate", 2, seconds / hand_written[table])
    yield Figure("peak memory of the gate", None, run.peak_mb, unit=" MB")


def check(database_url: str) -> dict[str, float]:
    """Check the pending load, and return seconds per table."""
    # imported before the measurement, and only here, because other benchmarks measure memory
    import great_expectations  # noqa: F401

    began: list[tuple[str, float]] = []
    verdicts = gate.check_pending(database_url, lambda load, table: began.append((table, time.perf_counter())))
    if any(verdict.state != "accepted" for verdict in verdicts):
        raise RuntimeError(verdicts)
    ends = itertools.chain((start for _, start in began[1:]), [time.perf_counter()])
    return {table: end - start for (table, start), end in zip(began, ends, strict=True)}


def _reference_seconds(connection: psycopg.Connection, table: str) -> float:
    query = HAND_WRITTEN.format(checks=CHECKS, checks_of_table=CHECKS_OF[table], table=table)
    started = time.perf_counter()
    connection.execute(query).fetchone()
    return time.perf_counter() - started
