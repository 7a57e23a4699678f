"""`make status`: the last runs, what waits for a decision, how fresh the warehouse is, and the next thing to do."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from expectations import ledger
from pipeline import attention, connections, gate_report, runs, warehouse
from pipeline.attention import Warned
from pipeline.exits import Stop
from pipeline.settings import Settings
from pipeline.terminal import inert, minute

RUNS_SHOWN = 7
LONGEST_MESSAGE = 120
STALE_AFTER = dt.timedelta(hours=26)
NO_RUN = "no run yet; start one with: make run"
OLD_LEDGER = "bring the ledgers of the version before up to date: make build"
STATUS_STYLE = {"succeeded": "green", "running": "yellow"}
# What a person asks for, and no night makes up for: the step in which it is done -> how to repeat it.
REPEAT = {
    **{verb: f'make gate ARGS="{verb} ..."' for verb in ("release", "reject", "replay")},
    **{verb: f'make {verb} ARGS="..."' for verb in ("erase", "prune")},
}


@dataclass(frozen=True)
class Run:
    run_id: str
    command: str
    started_at: dt.datetime
    finished_at: dt.datetime | None
    status: str
    exit_code: int | None
    message: str | None
    done: list[str]
    """The steps that went well."""

    @property
    def verb(self) -> str | None:
        """What a person asked for; None for a night and its steps."""
        return next((word for word in self.command.split() if word in REPEAT), None)

    @property
    def is_undone(self) -> bool:
        """Whether what a person asked for did not come to its end."""
        return self.verb is not None and self.status in ("crashed", "failed") and self.verb not in self.done


@dataclass(frozen=True)
class OpenLoad:
    """A load that was not let through for this table, or not judged yet."""

    load_id: str
    table: str
    state: str
    reason: str | None


@dataclass(frozen=True)
class Status:
    """How the warehouse stands. `quarantine`: (table, rule, rows, the oldest one's time). `now`: the warehouse's.

    `warned`: what else is worth a look in the newest load of each table. `listens_waiting`: for their user or track;
    None where this login may not count them.
    `last_runs` is empty where no run was entered yet, and where the ledger is of a version before.
    """

    next_step: str
    now: dt.datetime
    last_runs: Sequence[Run] = ()
    open_loads: Sequence[OpenLoad] = ()
    quarantine: Sequence[tuple[str, str, int, dt.datetime]] = ()
    loaded_at: dt.datetime | None = None
    warned: Sequence[Warned] = ()
    listens_waiting: int | None = None


def show(settings: Settings, connection: psycopg.Connection, output: Console) -> None:
    """Print the status. Works on an empty database too."""
    status = read(settings, connection)
    if status.next_step == NO_RUN:
        output.print(NO_RUN)
        return
    if status.last_runs:
        output.print(_runs_table(status.last_runs))
        if status.open_loads:
            output.print(_open_loads_table(status.open_loads))
        if status.quarantine:
            output.print(_quarantine_table(status.quarantine))
        if status.warned:
            output.print(_warned_table(status.warned))
        if status.listens_waiting:
            listens = "1 listen waits" if status.listens_waiting == 1 else f"{status.listens_waiting:,} listens wait"
            output.print(f"{listens} for a user or track that no load has brought yet")
        output.print(_freshness(status))
    output.print(f"next: {status.next_step}", soft_wrap=True)


def next_api(settings: Settings, connection: psycopg.Connection) -> str:
    """Which API the next run would read. Works on an empty database too."""
    is_named = settings.api_base_url or settings.sample
    if not is_named and runs.is_current(connection) and runs.has_read_the_real_api(connection):
        return connections.NOT_SET  # that run would be refused
    return connections.describe_api(settings)


def read(settings: Settings, connection: psycopg.Connection) -> Status:
    """The status now, and the next thing to do. Works on an empty database too."""
    now = dt.datetime.now(dt.UTC)
    if not warehouse.has(connection, "ops.runs"):
        return Status(NO_RUN, now)
    if not runs.is_current(connection):
        return Status(OLD_LEDGER, now)
    last_runs = _last_runs(connection)
    if not last_runs:
        return Status(NO_RUN, now)
    open_loads = _open_loads(connection)
    quarantine = _quarantine(connection)
    warned = attention.in_warehouse(connection)
    loaded_at, now = _last_load(connection)
    next_step = _next_step(
        connection,
        last_runs,
        open_loads,
        key_problem=_key_problem(settings, connection),
        has_quarantine=bool(quarantine),
        warned=warned,
        is_stale=loaded_at is None or now - loaded_at > STALE_AFTER,
    )
    return Status(next_step, now, last_runs, open_loads, quarantine, loaded_at, warned, _listens_waiting(connection))


def _next_step(
    connection: psycopg.Connection,
    last_runs: list[Run],
    open_loads: list[OpenLoad],
    *,
    key_problem: str | None,
    has_quarantine: bool,
    warned: Sequence[Warned],
    is_stale: bool,
) -> str:
    last_run = last_runs[0]
    if last_run.status == "running":
        return "a run is at work; wait for it"
    if key_problem:
        return key_problem
    newest = {run.verb: run for run in reversed(last_runs) if run.verb}
    undone = [run for run in newest.values() if run.is_undone]
    if last_run in undone:
        return _repeat(last_run)
    # a decision that was made needs no night
    again = "make build" if last_run.verb else "make run"
    if last_run.status == "crashed":
        return f"the last run was killed; the next one clears up after it: {again}"
    blocked = [load for load in open_loads if load.state == "blocked"]
    if blocked:
        load = blocked[-1]
        return (
            f'see why the load was blocked: make gate ARGS="show {load.load_id}";'
            f" if the source is right, release it: {gate_report.decision('release', load.load_id, load.table)}"
        )
    if last_run.status == "failed":
        return f"mend what the last run's message says, then: {again}"
    if open_loads:
        return "judge and build what is pending: make run"
    if not _is_built(connection):
        return "build what is published: make build"
    if undone:
        return _repeat(undone[0])
    if runs.waiting_to_land_again(connection):
        return "what a rejected load brought is missing until it lands again: make run"
    if is_stale:
        return "the warehouse is older than a day: make run"
    if warned:
        load_ids = {each.load_id for each in warned}
        load = f" {load_ids.pop()}" if len(load_ids) == 1 else ""
        return f'{attention.listed(warned)}; look at them: make gate ARGS="show{load}"'
    if has_quarantine:
        return 'look at the quarantined rows: make gate ARGS="show"'
    return "nothing; all is well"


def _repeat(run: Run) -> str:
    how = f"{run.verb} of run {run.run_id} did not come to its end, and no night does it"
    return f"{how}; repeat it: {REPEAT[run.verb]}"


def _key_problem(settings: Settings, connection: psycopg.Connection) -> str | None:
    """Why this user's next pull would be refused; None for those who pull nothing."""
    may_pull = connection.execute("""
        select
            exists (select from pg_namespace where nspname = 'staging' and has_schema_privilege(oid, 'create'))
            and has_table_privilege(to_regclass('gate.erasures'), 'select')
    """).fetchone()[0]
    if not may_pull or not ledger.erasures(connection):
        return None
    # brings dlt along, which costs seconds
    from pipeline import erasure_key

    try:
        erasure_key.erasures(settings, connection)
    except Stop as refusal:
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
        order by run_seq desc
        limit %s
        """,
        [RUNS_SHOWN],
    )
    return [Run(*row) for row in rows]


def _open_loads(connection: psycopg.Connection) -> list[OpenLoad]:
    if not warehouse.has(connection, "gate.loads"):
        return []
    query = "select load_id, table_name, state, reason from gate.loads where state in ('pending', 'blocked')"
    if warehouse.has(connection, "staging.scans"):
        query += """
            union all
            select scans._dlt_load_id, scans.table_name, 'pending', null
            from staging.scans
            inner join staging._dlt_loads as loads on scans._dlt_load_id = loads.load_id and loads.status = 0
            where not exists (select 1 from gate.loads as known where known.load_id = loads.load_id)
        """
    return [OpenLoad(*row) for row in connection.execute(query + " order by 1, 2")]


def _quarantine(connection: psycopg.Connection) -> list[tuple[str, str, int, dt.datetime]]:
    """(table, rule, rows, the oldest one's time)"""
    if not warehouse.has(connection, "gate.quarantined_rows"):
        return []
    return connection.execute("""
        select table_name, rule, count(*), min(quarantined_at)
        from gate.quarantined_rows
        where closed_at is null
        group by table_name, rule
        order by table_name, rule
    """).fetchall()


def _listens_waiting(connection: psycopg.Connection) -> int | None:
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
    """(time of the last complete load, the warehouse's now)"""
    if not warehouse.has(connection, "staging._dlt_loads"):
        return None, dt.datetime.now(dt.UTC)
    return connection.execute(
        "select max(inserted_at) filter (where status = 0), now() from staging._dlt_loads"
    ).fetchone()


def _is_built(connection: psycopg.Connection) -> bool:
    """Whether a build that went well has seen the last publication."""
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


def _freshness(status: Status) -> str:
    if status.loaded_at is None:
        return "freshness: nothing has been loaded yet"
    hours = (status.now - status.loaded_at).total_seconds() / 3600
    return f"freshness: last load {minute(status.loaded_at)} UTC, {hours:.1f} h ago"


def _runs_table(runs: Sequence[Run]) -> Table:
    table = Table(title="last runs", title_justify="left")
    for name in ("run", "did", "started (UTC)", "seconds", "status", "exit"):
        table.add_column(name)
    table.add_column("message", overflow="fold")
    for run in runs:
        table.add_row(
            run.run_id,
            run.command,
            minute(run.started_at),
            f"{(run.finished_at - run.started_at).total_seconds():.0f}" if run.finished_at else "",
            f"[{STATUS_STYLE.get(run.status, 'red')}]{run.status}[/]",
            "" if run.exit_code is None else str(run.exit_code),
            escape(inert(run.message or "", LONGEST_MESSAGE)),
        )
    return table


def _open_loads_table(loads: Sequence[OpenLoad]) -> Table:
    table = Table(title="open loads", title_justify="left")
    for name in ("load", "table", "state", "why"):
        table.add_column(name, overflow="fold")
    for load in loads:
        table.add_row(
            load.load_id, load.table, load.state, escape(inert(load.reason or "waits for the gate", LONGEST_MESSAGE))
        )
    return table


def _quarantine_table(quarantine: Sequence[tuple[str, str, int, dt.datetime]]) -> Table:
    table = Table(title="open quarantine", title_justify="left")
    for name in ("table", "rule", "rows", "oldest (UTC)"):
        table.add_column(name)
    for table_name, rule, rows, oldest in quarantine:
        table.add_row(table_name, rule, f"{rows:,}", minute(oldest))
    return table


def _warned_table(warned: Sequence[Warned]) -> Table:
    table = Table(title="worth a look, in the newest loads", title_justify="left")
    for name in ("table", "load", "what"):
        table.add_column(name, overflow="fold")
    for each in warned:
        table.add_row(each.table, each.load_id, escape(inert(each.text)))
    return table
