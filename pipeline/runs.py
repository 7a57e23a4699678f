"""The run ledger in Postgres schema `ops`: the row is written first, then the work is done."""

import contextlib
import datetime as dt
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from expectations import ledger
from pipeline import warehouse
from pipeline.exits import Exit, Stop
from pipeline.settings import PROJECT
from pipeline.warehouse import Warehouse

WHOLE_NIGHT = " ".join(warehouse.STEP_ROLES)
INTERRUPTED = "interrupted"

TABLES = """
create schema if not exists ops;

create table if not exists ops.runs (
    run_id text primary key,
    -- the order in which they began: a clock can be set back
    run_seq bigint generated always as identity unique,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed', 'crashed')),
    exit_code integer,
    message text,
    command text not null,
    sample_day integer
);

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
"""

# The version before went by the clock.
FROM_THE_VERSION_BEFORE = """
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
    """Make the schemas and ledgers that are missing, and bring those of the version before up to date.

    The caller holds the run lock. Raises Stop(WAREHOUSE_UNAVAILABLE) when the user may not make the schemas.
    """
    warehouse.create_schemas(connection)
    ledger.ensure(connection)
    if not warehouse.has(connection, "ops.steps"):
        connection.execute(TABLES)
    elif not is_current(connection):
        connection.execute(FROM_THE_VERSION_BEFORE)


def is_current(connection: psycopg.Connection) -> bool:
    """Whether the run ledger is there, and of this version."""
    return connection.execute(
        "select exists (select from pg_attribute where attrelid = to_regclass('ops.runs') and attname = 'run_seq')"
    ).fetchone()[0]


def start_run(connection: psycopg.Connection, command: str) -> str:
    """Enter a run and return its id. The caller holds the run lock, so whatever still says 'running' has crashed."""
    for table in ("runs", "steps"):
        connection.execute(
            f"update ops.{table} set status = 'crashed', message = 'ended without a word' where status = 'running'"
        )
    run_id = uuid.uuid4().hex[:12]
    connection.execute("insert into ops.runs (run_id, command) values (%s, %s)", [run_id, command])
    return run_id


def finish_run(connection: psycopg.Connection, run_id: str, exit_code: int, message: str) -> None:
    """Enter how the run ended; a step that could not tell its own end any more ended with it."""
    connection.execute(
        "update ops.steps set finished_at = clock_timestamp(), status = 'failed', message = %s"
        " where run_id = %s and status = 'running'",
        [message, run_id],
    )
    connection.execute(
        """
        update ops.runs
        set finished_at = clock_timestamp(), status = %s, exit_code = %s, message = %s
        where run_id = %s
        """,
        ["succeeded" if exit_code == 0 else "failed", exit_code, message, run_id],
    )


def start_step(connection: psycopg.Connection, run_id: str, step: str) -> None:
    connection.execute("insert into ops.steps (run_id, step) values (%s, %s)", [run_id, step])


def finish_step(
    connection: psycopg.Connection,
    run_id: str,
    step: str,
    *,
    failed: bool,
    message: str,
    figures: dict[str, Any],
) -> None:
    connection.execute(
        """
        update ops.steps
        set finished_at = clock_timestamp(), status = %s, message = %s, figures = %s
        where run_id = %s and step = %s
        """,
        ["failed" if failed else "succeeded", message or None, Jsonb(figures), run_id, step],
    )


@contextlib.contextmanager
def recorded(place: Warehouse, connection: psycopg.Connection, command: str) -> Iterator[dict[str, Any]]:
    """Enter a command that is one step, and how it ended; database errors become Stops.

    Yields the step's figures, which are also the message of a run that went well.
    """
    figures: dict[str, Any] = {}
    code, message = Exit.PUBLISHED, ""
    run_id = start_run(connection, command)
    try:
        with warehouse.failures_explained(place):
            start_step(connection, run_id, command)
            yield figures
    except BaseException as error:
        code, message = (error.code, str(error)) if isinstance(error, Stop) else (Exit.UNFORESEEN, ended_by(error))
        raise
    finally:
        told = message or ", ".join(f"{name} {figure}" for name, figure in figures.items())
        # over a new connection: the run's own may be gone
        with contextlib.suppress(Stop, psycopg.Error), place.connect() as fresh:
            finish_step(fresh, run_id, command, failed=bool(message), message=message, figures=figures)
            finish_run(fresh, run_id, code, told)


def ended_by(error: BaseException) -> str:
    """For the ledger; the text of an error that nobody foresaw may hold anything, so only its kind and place."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.name} line {frame.lineno}" for frame in frames if frame.filename.startswith(str(PROJECT))]
    return f"unforeseen {type(error).__name__} in {places[-1]}" if places else f"unforeseen {type(error).__name__}"


@dataclass(frozen=True)
class Nights:
    """Whole nights that began in a span of time; `is_over`: one of them came to an end of its own, good or bad.

    `newest_age`: since the newest night of all began; None when there was none yet.
    """

    newest_age: dt.timedelta | None
    begun: int
    is_over: bool


def nights_since(connection: psycopg.Connection, age: dt.timedelta) -> Nights:
    """The whole nights that are no older than `age`, looked at while no run is at work. Works on an empty database."""
    if not warehouse.has(connection, "ops.runs"):
        return Nights(None, 0, False)
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
        {"age": age, "interrupted": INTERRUPTED, "command": WHOLE_NIGHT},
    ).fetchone()
    return Nights(*row)


def has_read_the_real_api(connection: psycopg.Connection) -> bool:
    """Whether the newest extraction that succeeded read something else than the sample API."""
    newest = connection.execute("""
        select runs.sample_day is null
        from ops.runs
        inner join ops.steps on runs.run_id = steps.run_id and steps.step = 'extract' and steps.status = 'succeeded'
        order by runs.run_seq desc
        limit 1
    """).fetchone()
    return newest is not None and newest[0]


def waiting_to_land_again(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """(load, table) of what was rejected since the newest extraction that succeeded: the next one lands its keys."""
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
                from ops.steps as pull
                inner join ops.runs as later on pull.run_id = later.run_id
                where pull.step = 'extract' and pull.status = 'succeeded' and later.run_seq > runs.run_seq
            )
    """)
    return set(rows)


def next_sample_day(connection: psycopg.Connection, run_id: str) -> tuple[int, dt.date]:
    """Take the next day of the sample world for this run; returns it with the date of the first run that used it."""
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
