"""Keep the run ledger in Postgres schema `ops`. A row is written before its work starts."""

import contextlib
import datetime as dt
import traceback
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from expectations import ledger
from pipeline.records import table_sizes
from pipeline.records.resource_usage import Measures, Meter
from pipeline.settings import PROJECT, Settings
from warehouse import database, locks, normalization, ownership
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode
from warehouse.names import STEP_ROLES

FULL_RUN = " ".join(STEP_ROLES)
INTERRUPTED = "interrupted"

# Measures of a run and of each step. NULL while running, after a crash, and if the machine cannot measure them.
MEASURES = {
    "rows": "bigint",
    "bytes": "bigint",
    "cpu_seconds": "double precision",
    "database_cpu_seconds": "double precision",
    "peak_memory_bytes": "bigint",
    "disk_read_bytes": "bigint",
    "disk_written_bytes": "bigint",
    "network_received_bytes": "bigint",
    "network_sent_bytes": "bigint",
    "disk_free_bytes": "bigint",
    "disk_size_bytes": "bigint",
}
SET_MEASURES = ", ".join(f"{name} = %({name})s" for name in MEASURES)
_MEASURE_COLUMNS = ", ".join(f"add column if not exists {name} {kind}" for name, kind in MEASURES.items())

_STATUS_NOW = f"case when status = 'running' and not {locks.IS_RUNNING} then 'crashed' else status end"

LONGEST_COUNT = "10s"

# Idempotent for a ledger of any version that numbers its runs.
TABLES = f"""
create schema if not exists ops;

create table if not exists ops.runs (
    run_id text primary key,
    -- the order in which runs started: a clock can be set back
    run_seq bigint generated always as identity unique,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed', 'crashed')),
    exit_code integer,
    message text,
    command text not null,
    sample_day integer
);
alter table ops.runs add column if not exists error_type text, {_MEASURE_COLUMNS};

create table if not exists ops.steps (
    run_id text not null references ops.runs,
    step text not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed', 'crashed')),
    message text,
    figures jsonb,
    primary key (run_id, step)
);
alter table ops.steps add column if not exists error_type text, {_MEASURE_COLUMNS};

-- what an extraction read and landed, by table
create table if not exists ops.run_tables (
    run_id text not null references ops.runs,
    table_name text not null,
    load_id text,
    requests bigint not null,
    requests_failed bigint not null,
    bytes_received bigint not null,
    rows_read bigint,
    rows_unchanged bigint,
    rows_landed bigint,
    rows_removed bigint,
    rows_unreadable bigint,
    keys_unsettled bigint,
    bytes_landed bigint,
    primary key (run_id, table_name)
);
alter table ops.run_tables add column if not exists keys_changed bigint;

-- nulls and missing fields of the rows read; the fields are those of the API's contract
create table if not exists ops.run_columns (
    run_id text not null references ops.runs,
    table_name text not null,
    column_name text not null,
    rows bigint not null,
    nulls bigint not null,
    absent bigint not null,
    primary key (run_id, table_name, column_name)
);

-- the loads that the gate checked in a run, also those of earlier runs
create table if not exists ops.run_loads (
    run_id text not null references ops.runs,
    load_id text not null,
    table_name text not null,
    state text not null,
    rows_quarantined bigint not null,
    primary key (run_id, load_id, table_name)
);

-- models and tests of dbt
create table if not exists ops.run_nodes (
    run_id text not null references ops.runs,
    node text not null,
    step text not null,
    resource_type text not null,
    status text not null,
    seconds double precision not null,
    rows_affected bigint,
    failures bigint,
    primary key (run_id, step, node)
);

-- sizes of the warehouse's tables at the end of a run
create table if not exists ops.run_relations (
    run_id text not null references ops.runs,
    relation text not null,
    rows bigint,
    bytes bigint not null,
    primary key (run_id, relation)
);

create or replace view ops.current_runs as
select
    run_id, run_seq, started_at, finished_at,
    {_STATUS_NOW} as status,
    exit_code, error_type, message, command, sample_day, {", ".join(MEASURES)}
from ops.runs;

create or replace view ops.current_steps as
select
    run_id, step, started_at, finished_at,
    {_STATUS_NOW} as status,
    error_type, message, figures, {", ".join(MEASURES)}
from ops.steps;

create or replace view ops.run_rules as
select
    run_loads.run_id, run_loads.load_id, run_loads.table_name,
    failed.rule, failed.severity, failed.rows as rows_failed
from ops.run_loads
inner join gate.loads using (load_id, table_name)
cross join jsonb_to_recordset(loads.verdict -> 'failed_rules') as failed (rule text, severity text, rows bigint);

create or replace view ops.run_growth as
select
    sized.run_id, sized.relation, sized.rows, sized.bytes,
    good.run_id as run_id_before, earlier.rows as rows_before, earlier.bytes as bytes_before
from (
    select
        run_relations.*,
        max(runs.run_seq) filter (where runs.status = 'succeeded') over (
            partition by relation order by runs.run_seq rows between unbounded preceding and 1 preceding
        ) as good_seq
    from ops.run_relations
    inner join ops.runs using (run_id)
) as sized
left join ops.runs as good on sized.good_seq = good.run_seq
left join ops.run_relations as earlier on good.run_id = earlier.run_id and sized.relation = earlier.relation;
"""

# Early versions ordered runs by the clock.
NUMBERING = """
alter table ops.runs add column run_seq bigint;
update ops.runs
set run_seq = numbered.run_seq
from (select run_id, row_number() over (order by started_at, run_id) as run_seq from ops.runs) as numbered
where runs.run_id = numbered.run_id;
alter table ops.runs
    alter column run_seq set not null,
    alter column run_seq add generated always as identity,
    add unique (run_seq);
select setval(pg_get_serial_sequence('ops.runs', 'run_seq'), max(run_seq)) from ops.runs;
drop index if exists ops.runs_started_at;

update ops.steps
set figures = figures || jsonb_build_object(
    'published_seq', (select max(seq) from gate.publications where published_at <= steps.started_at)
)
where step = 'build' and status = 'succeeded';
"""


def prepare(connection: psycopg.Connection) -> None:
    """Create missing schemas, ledgers and functions, and upgrade those of an earlier version.

    The caller holds the run lock. Raises CommandError: WRONG_SETTINGS if a relation of another project has a name that
    this project needs, WAREHOUSE_UNAVAILABLE if the user may not create the schemas.
    """
    from pipeline.records import owned_names  # imports this module

    owned_names.check(connection)
    database.create_schemas(connection)
    ownership.claim(connection, owned_names.names())
    ledger.ensure(connection)
    normalization.create_function(connection)
    if is_current(connection):
        return
    with connection.transaction():
        if database.has(connection, "ops.runs") and not _are_numbered(connection):
            connection.execute(NUMBERING)
        connection.execute(TABLES)


@contextlib.contextmanager
def lock_for_writing(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """Hold the run lock on the yielded connection, after checking the ownership of all relations.

    Raises CommandError like `locks.run_lock`, and WRONG_SETTINGS if a relation of another project has a name that this
    project needs.
    """
    from pipeline.records import owned_names

    with locks.run_lock(warehouse) as connection:
        with database.translate_database_errors(warehouse):
            owned_names.check(connection)
        try:
            yield connection
        finally:
            # a claim that remains is harmless: it only names a relation that this project may create
            with contextlib.suppress(psycopg.Error):
                ownership.release_unused(connection)


def is_current(connection: psycopg.Connection) -> bool:
    """Return whether the run ledger exists in this version."""
    # Checks the last addition of each version: a version is created in one transaction.
    return connection.execute("""
        select
            to_regclass('ops.run_growth') is not null
            and exists (
                select from pg_attribute
                where attrelid = to_regclass('ops.run_tables') and attname = 'keys_changed' and not attisdropped
            )
    """).fetchone()[0]


def _are_numbered(connection: psycopg.Connection) -> bool:
    return connection.execute(
        "select exists (select from pg_attribute where attrelid = 'ops.runs'::regclass and attname = 'run_seq')"
    ).fetchone()[0]


def current_run_id(connection: psycopg.Connection) -> str | None:
    """Return the id of the run in progress. Return None if there is none, or if it is not recorded."""
    if not is_current(connection):
        return None
    row = connection.execute(
        "select run_id from ops.current_runs where status = 'running' order by run_seq desc limit 1"
    ).fetchone()
    return row and row[0]


def start_run(connection: psycopg.Connection, command: str) -> str:
    """Record a new run and return its id. The caller holds the run lock, so any row that is 'running' has crashed."""
    for table in ("runs", "steps"):
        connection.execute(
            f"update ops.{table} set status = 'crashed', message = 'the process was killed' where status = 'running'"
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
    enter(connection, "run_relations", run_id, table_sizes.of_tables(connection))


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


def enter(connection: psycopg.Connection, table: str, run_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
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


@contextlib.contextmanager
def record_command(warehouse: Warehouse, connection: psycopg.Connection, command: str) -> Iterator[dict[str, Any]]:
    """Record a command that is one step, and its end. Database errors become CommandError.

    Yields the step's figures, which are also the message of a successful run.
    """
    figures: dict[str, Any] = {}
    code, message, error_type = ExitCode.PUBLISHED, "", None
    run_id = start_run(connection, command)
    meter = Meter(Settings().home, warehouse.server)
    try:
        with database.translate_database_errors(warehouse):
            start_step(connection, run_id, command)
            yield figures
    except BaseException as error:
        code = error.code if isinstance(error, CommandError) else ExitCode.UNEXPECTED_ERROR
        message, error_type = describe_error(error)
        raise
    finally:
        ending = {"error_type": error_type, "measures": meter.measures()}
        # over a new connection: the run's own may be lost
        with contextlib.suppress(CommandError, psycopg.Error), warehouse.connect() as fresh:
            finish_step(fresh, run_id, command, message=message, figures=figures, **ending)
            summary = ", ".join(f"{name} {figure}" for name, figure in figures.items())
            finish_run(fresh, run_id, code, message or summary, **ending)


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
        where command = %(command)s
        """,
        {"age": age, "interrupted": INTERRUPTED, "command": FULL_RUN},
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
            where command = %(command)s and run_seq < (select run_seq from ops.runs where run_id = %(run_id)s)
        ),
        good as (select max(run_seq) as run_seq from full_runs where status = 'succeeded')
        select full_runs.started_at, full_runs.finished_at, full_runs.status, full_runs.exit_code
        from full_runs
        cross join good
        where full_runs.run_seq >= coalesce(good.run_seq, 0)
        order by full_runs.run_seq
        """,
        {"command": FULL_RUN, "run_id": run_id},
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
    if not is_current(connection):
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


def next_sample_day(connection: psycopg.Connection, run_id: str) -> tuple[int, dt.date]:
    """Take the next day of the sample data for this run. Return it with the date of the first run that used any."""
    day, first_run_on = connection.execute(
        """
        select
            coalesce(max(sample_day) + 1, 0),
            (coalesce(min(started_at) filter (where sample_day is not null), now()) at time zone 'UTC')::date
        from ops.runs
        """
    ).fetchone()
    connection.execute("update ops.runs set sample_day = %s where run_id = %s", [day, run_id])
    return day, first_run_on
