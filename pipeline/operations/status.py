"""Read the last runs, open loads, quarantine, freshness and release, and choose the next command: `make status`."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from expectations import ledger
from monitoring import nights
from pipeline.console import header
from pipeline.records import run_ledger
from pipeline.run import run_warnings, runbooks
from pipeline.run.message_parts import (
    append_when_fixed,
    decision_command,
    show_command,
)
from pipeline.run.run_warnings import RunWarning
from pipeline.settings import Settings
from recommender import releases
from recommender.releases import Release
from warehouse import database, schema
from warehouse.errors import CommandError, ExitCode

RUNS_SHOWN = 7
STALE_AFTER = dt.timedelta(hours=26)
RECOMMEND = "make recommend"
NO_RUN = "no run yet; start one with: make run"
# Steps that only a person starts, and no nightly run repeats -> the command that repeats them.
REPEAT_COMMANDS = {
    **{verb: f'make gate ARGS="{verb} ..."' for verb in ("release", "reject", "replay")},
    **{verb: f'make {verb} ARGS="..."' for verb in ("erase", "prune")},
    "snapshot": "make features ARGS=snapshot",
    "drop snapshot": 'make features ARGS="drop ..."',
    "train": "make train",
}


@dataclass(frozen=True)
class Run:
    """Describe a run in the run ledger. `done`: its successful steps. `blocked`: the loads (load, table) it blocked."""

    run_id: str
    command: str
    started_at: dt.datetime
    finished_at: dt.datetime | None
    status: str
    exit_code: int | None
    message: str | None
    done: list[str]
    blocked: Sequence[tuple[str, str]] = ()

    @property
    def is_bad(self) -> bool:
        return self.status in ("crashed", "failed")

    @property
    def verb(self) -> str | None:
        """Return the step that a person started; None for a nightly run and its steps."""
        steps = (self.command, *self.command.split())
        return next((step for step in steps if step in REPEAT_COMMANDS), None)

    @property
    def is_undone(self) -> bool:
        """Return whether a step that a person started has not been completed."""
        return self.verb is not None and self.is_bad and self.verb not in self.done

    @property
    def again(self) -> str:
        """Return the command that does what the run has left undone, apart from a decision: that is only built."""
        if self.command in ("recommend", "shard") or self.exit_code == ExitCode.RECOMMENDATIONS_FAILED:
            return RECOMMEND
        return "make build" if self.verb else "make run"


@dataclass(frozen=True)
class OpenLoad:
    """Describe a load that is blocked or pending for this table."""

    load_id: str
    table: str
    state: str
    reason: str | None


@dataclass(frozen=True)
class Status:
    """Hold the state of the warehouse. `now`: the warehouse's clock.

    `last_runs`: empty if there was no run yet, or in a warehouse of an earlier version. `quarantine`: (table, rule,
    rows, time of the oldest). `fresh_as_of`: by table, readers see the source as of this time. `warnings`: those of the
    newest load of each table, except quarantined rows. `parked_listens`: their user or track is not published; None
    if this login may not count them. `release`: of recommendations, the one that readers see; None if there is none, or
    if this login may not read it.
    """

    next_step: str
    now: dt.datetime
    last_runs: Sequence[Run] = ()
    open_loads: Sequence[OpenLoad] = ()
    quarantine: Sequence[tuple[str, str, int, dt.datetime]] = ()
    fresh_as_of: Mapping[str, dt.datetime] = field(default_factory=dict)
    warnings: Sequence[RunWarning] = ()
    parked_listens: int | None = None
    release: Release | None = None


def next_api(settings: Settings, connection: psycopg.Connection) -> str:
    """Return the API that the next run would read. Works on an empty database too."""
    is_named = settings.api_base_url or settings.sample
    if not is_named and schema.is_current(connection) and run_ledger.has_read_real_api(connection):
        return header.NOT_SET  # the run would be refused
    return header.describe_api(settings)


def read(settings: Settings, connection: psycopg.Connection) -> Status:
    """Read the current status and the next command. Works on an empty database too."""
    now = dt.datetime.now(dt.UTC)
    if not database.has(connection, "ops.runs"):
        return Status(NO_RUN, now)
    if not schema.is_current(connection):
        return Status(schema.NOT_PREPARED, now)
    last_runs = _last_runs(connection)
    if not last_runs:
        return Status(NO_RUN, now)
    open_loads = _open_loads(connection)
    quarantine = _quarantine(connection)
    warnings = run_warnings.find_in_warehouse(connection)
    loaded_at, now = _last_load(connection)
    may_read = _may_read_releases(connection)
    next_step = _next_step(
        connection,
        last_runs,
        open_loads,
        key_problem=_key_problem(settings, connection),
        has_quarantine=bool(quarantine),
        warnings=warnings,
        are_lists_behind=may_read and _are_lists_behind(connection),
        is_stale=loaded_at is None or now - loaded_at > STALE_AFTER,
    )
    fresh_as_of = dict(
        connection.execute(f"{nights.FRESH} select table_name, started_at from fresh", nights.PARAMETERS).fetchall()
    )
    parked = _count_parked_listens(connection)
    release = releases.read_published(connection) if may_read else None
    return Status(next_step, now, last_runs, open_loads, quarantine, fresh_as_of, warnings, parked, release)


def _next_step(
    connection: psycopg.Connection,
    last_runs: list[Run],
    open_loads: list[OpenLoad],
    *,
    key_problem: str | None,
    has_quarantine: bool,
    warnings: Sequence[RunWarning],
    are_lists_behind: bool,
    is_stale: bool,
) -> str:
    last_run = last_runs[0]
    if last_run.status == "running":
        return "a run is in progress; wait for it"
    if key_problem:
        return key_problem
    newest = {run.verb: run for run in reversed(last_runs) if run.verb}
    undone = [run for run in newest.values() if run.is_undone]
    if last_run in undone:
        return _repeat(last_run)
    if last_run.status == "crashed":
        return f"the last run was killed; the next run recovers from that: {last_run.again}"
    blocked = [load for load in open_loads if load.state == "blocked"]
    if blocked:
        load = blocked[-1]
        return (
            f"see why the load was blocked: {show_command(load.load_id)};"
            f" if the source is right, release it: {decision_command('release', load.load_id, load.table)}"
        )
    if last_run.status == "failed":
        return f"fix the error that the last run reports, then: {last_run.again}"
    if open_loads:
        return "check and build pending loads: make run"
    if not _is_built(connection):
        return "build the published rows: make build"
    if undone:
        return _repeat(undone[0])
    if run_ledger.rejected_and_not_landed(connection):
        return "load the rows of a rejected load again: make run"
    if are_lists_behind:
        return f"recommend from the rows that were published since the newest release: {RECOMMEND}"
    if is_stale:
        return "load new data, because the last load is more than a day old: make run"
    if warnings:
        load_ids = {warning.load_id for warning in warnings}
        load = f" {load_ids.pop()}" if len(load_ids) == 1 else ""
        return f'{run_warnings.join(warnings)}; see the details: make gate ARGS="show{load}"'
    if has_quarantine:
        return 'see the quarantined rows: make gate ARGS="show"'
    return "nothing; everything is up to date"


def _repeat(run: Run) -> str:
    return f"{run.verb} of run {run.run_id} was not completed; repeat it: {REPEAT_COMMANDS[run.verb]}"


def _key_problem(settings: Settings, connection: psycopg.Connection) -> str | None:
    """Return why the next extraction by this user would be refused. Return None for users who extract nothing."""
    may_extract = connection.execute("""
        select
            exists (select from pg_namespace where nspname = 'staging' and has_schema_privilege(oid, 'create'))
            and has_table_privilege(to_regclass('gate.erasures'), 'select')
    """).fetchone()[0]
    if not may_extract or not ledger.erasures(connection):
        return None
    # imports dlt, which takes seconds
    from pipeline.run import erasure_key

    try:
        erasure_key.load_erasures(settings, connection)
    except CommandError as refusal:
        return str(refusal)
    return None


def _last_runs(connection: psycopg.Connection) -> list[Run]:
    rows = connection.execute(
        """
        select
            run_id, command, started_at, finished_at, status, exit_code, message,
            array(
                select step from ops.steps
                where steps.run_id = runs.run_id and steps.status = 'succeeded'
            )
        from ops.current_runs as runs
        -- a night may have many
        where command <> 'shard'
        order by run_seq desc
        limit %s
        """,
        [RUNS_SHOWN],
    ).fetchall()
    blocked: dict[str, list[tuple[str, str]]] = {run_id: [] for run_id, *_ in rows}
    for run_id, load_id, table in connection.execute(
        "select run_id, load_id, table_name from ops.run_loads where state = 'blocked' and run_id = any(%s)",
        [list(blocked)],
    ):
        blocked[run_id].append((load_id, table))
    return [Run(*row, blocked[row[0]]) for row in rows]


def _open_loads(connection: psycopg.Connection) -> list[OpenLoad]:
    rows = connection.execute("""
        select load_id, table_name, state, reason
        from gate.loads
        where state in ('pending', 'blocked')
        union all
        select scans._dlt_load_id, scans.table_name, 'pending', null
        from staging.scans
        inner join staging._dlt_loads as loads on scans._dlt_load_id = loads.load_id and loads.status = 0
        where not exists (select 1 from gate.loads as known where known.load_id = loads.load_id)
        order by 1, 2
    """)
    return [OpenLoad(*row) for row in rows]


def _quarantine(connection: psycopg.Connection) -> list[tuple[str, str, int, dt.datetime]]:
    """Return (table, rule, rows, time of the oldest)."""
    return connection.execute("""
        select table_name, rule, count(*), min(quarantined_at)
        from gate.quarantined_rows
        where closed_at is null
        group by table_name, rule
        order by table_name, rule
    """).fetchall()


def _count_parked_listens(connection: psycopg.Connection) -> int | None:
    may_count = connection.execute("""
        select coalesce(bool_or(has_table_privilege(relations.oid, 'select')), false)
        from pg_namespace as schemas
        inner join pg_class as relations on schemas.oid = relations.relnamespace
        where
            schemas.nspname = 'prep' and relations.relname = 'parked_listens'
            and has_schema_privilege(schemas.oid, 'usage')
    """).fetchone()[0]
    if not may_count:
        return None
    return connection.execute("select count(*) from prep.parked_listens").fetchone()[0]


def _last_load(connection: psycopg.Connection) -> tuple[dt.datetime | None, dt.datetime]:
    """Return the time of the last complete load, and the warehouse's clock."""
    return connection.execute(
        "select max(inserted_at) filter (where status = 0), now() from staging._dlt_loads"
    ).fetchone()


def _is_built(connection: psycopg.Connection) -> bool:
    """Return whether a successful build includes the last publication."""
    return connection.execute("""
        select
            coalesce((select max(seq) from gate.publications), 0)
            <= coalesce(
                (
                    select max((figures ->> 'published_seq')::bigint)
                    from ops.steps
                    where step = 'build' and status = 'succeeded'
                ),
                0
            )
    """).fetchone()[0]


def _may_read_releases(connection: psycopg.Connection) -> bool:
    return connection.execute("""
        select coalesce(bool_and(has_table_privilege(relations.oid, 'select')), false)
        from pg_namespace as schemas
        inner join pg_class as relations on schemas.oid = relations.relnamespace
        where
            schemas.nspname = 'recommendations' and relations.relname in ('releases', 'release_history')
            and has_schema_privilege(schemas.oid, 'usage')
    """).fetchone()[0]


def _are_lists_behind(connection: psycopg.Connection) -> bool:
    """Return whether rows were published since the newest release. Without a release, nobody waits for one."""
    return connection.execute("""
        select coalesce((select max(until_seq) from recommendations.releases) < max(seq), false)
        from gate.publications
    """).fetchone()[0]


def step_after(run: Run, later: Sequence[Run], blocked_now: set[tuple[str, str]]) -> tuple[str, str]:
    """Return the next step after a run without success, and its runbook. `later`: the runs after it."""
    runbook = runbooks.CRASHED_RUN if run.status == "crashed" else runbooks.find_runbook(run.exit_code)
    if run.is_undone:
        if any(other.verb == run.verb for other in later):
            return "nothing, it was repeated", runbook
        return REPEAT_COMMANDS[run.verb], runbooks.ERASURE_REQUEST if run.verb == "erase" else runbook
    has_blocked = run.exit_code == ExitCode.BLOCKED
    still_blocked = [load_id for load_id, table in run.blocked if (load_id, table) in blocked_now]
    if still_blocked and run.exit_code in (ExitCode.BLOCKED, ExitCode.GATE_BROKEN):
        return show_command(still_blocked[0]), runbook
    # a gate that has blocked a load has done its work, and `gate` before a verb is no step
    steps = {run.command} if run.command in REPEAT_COMMANDS else set(run.command.split())
    undone = steps - set(run.done) - ({"gate"} if has_blocked or run.verb else set())
    if later and undone <= {step for other in later for step in other.done}:
        return f"nothing, {'it is not blocked any more' if has_blocked else 'a later run did it'}", runbook
    if run.status == "crashed" or run.message == run_ledger.INTERRUPTED:
        return run.again, runbook
    if run.exit_code == ExitCode.UNEXPECTED_ERROR:
        return f"MOOVITAMIX_TRACEBACK=1 {run.again}", runbook
    return append_when_fixed(run.again), runbook
