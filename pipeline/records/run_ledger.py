"""Keep the run ledger in Postgres schema `ops`. A row is written before its work starts, unless it is beside a run."""

import datetime as dt
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from pipeline.records import table_sizes
from pipeline.records.resource_usage import Measures
from pipeline.settings import PROJECT
from warehouse import database, schema
from warehouse.errors import CommandError
from warehouse.names import FULL_RUNS

# Messages of runs that did not reach their end.
INTERRUPTED = "interrupted"
KILLED = "the process was killed"

# Measures of a run and of each step. NULL while running, after a crash, and if the machine cannot measure them.
MEASURES = (
    "rows",
    "bytes",
    "cpu_seconds",
    "database_cpu_seconds",
    "peak_memory_bytes",
    "disk_read_bytes",
    "disk_written_bytes",
    "network_received_bytes",
    "network_sent_bytes",
    "disk_free_bytes",
    "disk_size_bytes",
)
SET_MEASURES = ", ".join(f"{name} = %({name})s" for name in MEASURES)
LONGEST_COUNT = "10s"


def current_run_id(connection: psycopg.Connection) -> str | None:
    """Return the id of the run in progress. Return None if there is none, or if it is not recorded."""
    if not schema.is_current(connection):
        return None
    row = connection.execute(
        "select run_id from ops.current_runs where status = 'running' order by run_seq desc limit 1"
    ).fetchone()
    return row and row[0]


def start_run(connection: psycopg.Connection, command: str) -> str:
    """Record a new run and return its id. The caller holds the run lock, so any row that is 'running' has crashed."""
    for table in ("runs", "steps"):
        connection.execute(
            f"update ops.{table} set status = 'crashed', message = %s where status = 'running'", [KILLED]
        )
    run_id = uuid.uuid4().hex[:12]
    connection.execute("insert into ops.runs (run_id, command) values (%s, %s)", [run_id, command])
    return run_id


def finish_run(
    connection: psycopg.Connection,
    run_id: str,
    exit_code: int,
    message: str,
    *,
    error_type: str | None,
    measures: Measures,
) -> None:
    """Record the end of the run and the sizes of the tables. A step that could not record its own end ends too."""
    connection.execute(
        "update ops.steps set finished_at = clock_timestamp(), status = 'failed', error_type = %s, message = %s"
        " where run_id = %s and status = 'running'",
        [error_type, message, run_id],
    )
    connection.execute(
        f"""
        update ops.runs
        set
            finished_at = clock_timestamp(), status = %(status)s, exit_code = %(exit_code)s,
            error_type = %(error_type)s, message = %(message)s, {SET_MEASURES}
        where run_id = %(run_id)s
        """,
        {
            "run_id": run_id,
            "status": "succeeded" if exit_code == 0 else "failed",
            "exit_code": exit_code,
            "error_type": error_type,
            "message": message,
            **_all_measures(measures),
        },
    )
    # another session may lock a table, and a run that has ended must not wait for it
    connection.execute(f"set statement_timeout = '{LONGEST_COUNT}'")
    insert_rows(connection, "run_relations", run_id, table_sizes.measure_tables(connection))


def record_ended(
    connection: psycopg.Connection,
    run_id: str,
    command: str,
    started_at: dt.datetime,
    exit_code: int,
    message: str,
    *,
    error_type: str | None,
    figures: Mapping[str, Any],
    measures: Measures,
) -> None:
    """Record a command of one step that has ended, and that did not hold the run lock for itself."""
    ending = {
        "run_id": run_id,
        "started_at": started_at,
        "finished_at": dt.datetime.now(dt.UTC),
        "status": "succeeded" if exit_code == 0 else "failed",
        "error_type": error_type,
        "message": message or None,
        **_all_measures(measures),
    }
    with connection.transaction():
        for table, own in (
            ("runs", {"command": command, "exit_code": exit_code}),
            ("steps", {"step": command, "figures": Jsonb(dict(figures))}),
        ):
            row = {**ending, **own}
            names, places = ", ".join(row), ", ".join(["%s"] * len(row))
            connection.execute(f"insert into ops.{table} ({names}) values ({places})", list(row.values()))


def start_step(connection: psycopg.Connection, run_id: str, step: str) -> None:
    """Record the start of the step."""
    connection.execute("insert into ops.steps (run_id, step) values (%s, %s)", [run_id, step])


def finish_step(
    connection: psycopg.Connection,
    run_id: str,
    step: str,
    *,
    error_type: str | None,
    message: str,
    figures: dict[str, Any],
    measures: Measures,
) -> None:
    """Record the end of the step. A step with an `error_type` has failed."""
    connection.execute(
        f"""
        update ops.steps
        set
            finished_at = clock_timestamp(), status = %(status)s, error_type = %(error_type)s,
            message = %(message)s, figures = %(figures)s, {SET_MEASURES}
        where run_id = %(run_id)s and step = %(step)s
        """,
        {
            "run_id": run_id,
            "step": step,
            "status": "failed" if error_type else "succeeded",
            "error_type": error_type,
            "message": message or None,
            "figures": Jsonb(figures),
            **_all_measures(measures),
        },
    )


def insert_rows(connection: psycopg.Connection, table: str, run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows about the run into the table of `ops`."""
    rows = [{"run_id": run_id, **row} for row in rows]
    if rows:
        names = list(rows[0])
        statement = sql.SQL("insert into {} ({}) values ({})").format(
            sql.Identifier("ops", table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join(map(sql.Placeholder, names)),
        )
        connection.cursor().executemany(statement, rows)


def _all_measures(known: Measures) -> dict[str, float | None]:
    return {name: known.get(name) for name in MEASURES}


def describe_error(error: BaseException) -> tuple[str, str]:
    """Return message and type of an error, for the ledger."""
    if isinstance(error, CommandError):
        return str(error), error.code.name
    return describe_unexpected_error(error), type(error).__name__


def describe_unexpected_error(error: BaseException) -> str:
    """Return kind and place of an unexpected error, without its text, which may contain personal data."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.name} line {frame.lineno}" for frame in frames if frame.filename.startswith(str(PROJECT))]
    kind = f"unexpected error {type(error).__name__}"
    return f"{kind} in {places[-1]}" if places else kind


@dataclass(frozen=True)
class FullRuns:
    """Count the full runs that started in a span of time. `is_over`: one of them ended, and was not interrupted.

    `newest_age`: time since the newest full run of all started, None if there was none.
    """

    newest_age: dt.timedelta | None
    begun: int
    is_over: bool


def full_runs_since(connection: psycopg.Connection, age: dt.timedelta) -> FullRuns:
    """Return the full runs that are no older than `age`. Call it while no run is in progress; `ops` may be missing."""
    if not database.has(connection, "ops.runs"):
        return FullRuns(None, 0, False)
    row = connection.execute(
        """
        select
            clock_timestamp() - max(started_at),
            count(*) filter (where started_at >= clock_timestamp() - %(age)s),
            coalesce(
                bool_or(status in ('succeeded', 'failed') and message is distinct from %(interrupted)s)
                filter (where started_at >= clock_timestamp() - %(age)s),
                false
            )
        from ops.runs
        where command = any(%(commands)s)
        """,
        {"age": age, "interrupted": INTERRUPTED, "commands": list(FULL_RUNS)},
    ).fetchone()
    return FullRuns(*row)


@dataclass(frozen=True)
class UnsuccessfulRun:
    """Describe a full run that did not succeed; `exit_code` is None after a crash."""

    started_at: dt.datetime
    status: str
    exit_code: int | None


@dataclass(frozen=True)
class Streak:
    """Hold the unsuccessful full runs since the last success, in order, and the end of that success (None: never)."""

    last_success: dt.datetime | None
    bad: tuple[UnsuccessfulRun, ...]


def streak_before(connection: psycopg.Connection, run_id: str) -> Streak:
    """Return the unsuccessful full runs before this run. Call it while no other run is in progress."""
    rows = connection.execute(
        """
        with full_runs as (
            select started_at, finished_at, status, exit_code, run_seq
            from ops.current_runs
            where command = any(%(commands)s) and run_seq < (select run_seq from ops.runs where run_id = %(run_id)s)
        ),
        good as (select max(run_seq) as run_seq from full_runs where status = 'succeeded')
        select full_runs.started_at, full_runs.finished_at, full_runs.status, full_runs.exit_code
        from full_runs
        cross join good
        where full_runs.run_seq >= coalesce(good.run_seq, 0)
        order by full_runs.run_seq
        """,
        {"commands": list(FULL_RUNS), "run_id": run_id},
    ).fetchall()
    last_success = next((finished_at for _, finished_at, status, _ in rows if status == "succeeded"), None)
    bad = [UnsuccessfulRun(started_at, status, code) for started_at, _, status, code in rows if status != "succeeded"]
    return Streak(last_success, tuple(bad))


def has_read_real_api(connection: psycopg.Connection) -> bool:
    """Return whether the newest successful extraction read a real API instead of the sample API."""
    newest = connection.execute("""
        select runs.sample_day is null
        from ops.runs
        inner join ops.steps on runs.run_id = steps.run_id and steps.step = 'extract' and steps.status = 'succeeded'
        order by runs.run_seq desc
        limit 1
    """).fetchone()
    return newest is not None and newest[0]


def rejected_and_not_landed(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """Return (load, table) rejected since the newest successful extraction: the next one loads their rows again."""
    if not schema.is_current(connection):
        return set()
    rows = connection.execute("""
        select loads.load_id, loads.table_name
        from ops.steps
        inner join ops.runs on steps.run_id = runs.run_id
        inner join gate.loads
            on steps.figures ->> 'load_id' = loads.load_id and steps.figures ->> 'table' = loads.table_name
        where
            steps.step = 'reject' and steps.status = 'succeeded' and loads.state = 'rejected'
            and not exists (
                select 1
                from ops.steps as extraction
                inner join ops.runs as later on extraction.run_id = later.run_id
                where
                    extraction.step = 'extract' and extraction.status = 'succeeded' and later.run_seq > runs.run_seq
            )
    """)
    return set(rows)


def newest_sample_day(connection: psycopg.Connection) -> tuple[dt.date | None, int] | None:
    """Return the start of the sample world and the day that was read last; None if no run has read any.

    The start is None in a warehouse that an earlier version filled.
    """
    return connection.execute(
        "select sample_start, sample_day from ops.runs where sample_day is not null order by run_seq desc limit 1"
    ).fetchone()


def record_sample_day(connection: psycopg.Connection, run_id: str, start: dt.date, day: int) -> None:
    """Record which day of the sample world this run reads."""
    connection.execute("update ops.runs set sample_start = %s, sample_day = %s where run_id = %s", [start, day, run_id])
