"""`make status`: the last runs, what waits for a decision, how fresh the warehouse is, and the next thing to do."""

import datetime as dt
from dataclasses import dataclass

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import warehouse

RUNS_SHOWN = 7
STALE_AFTER = dt.timedelta(hours=26)


@dataclass(frozen=True)
class Freshness:
    """`loaded_at` None: nothing was ever loaded."""

    loaded_at: dt.datetime | None
    now: dt.datetime

    @property
    def is_stale(self) -> bool:
        return self.loaded_at is None or self.now - self.loaded_at > STALE_AFTER


def show(connection: psycopg.Connection, output: Console) -> None:
    """Print the status. Works on an empty database too."""
    if not _exists(connection, "ops.runs"):
        output.print("no run yet; start one with: make run")
        return
    runs = connection.execute(
        """
        select run_id, command, started_at, finished_at, status, exit_code, message
        from ops.runs
        order by started_at desc
        limit %s
        """,
        [RUNS_SHOWN],
    ).fetchall()
    running = warehouse.is_running(connection)
    table = Table(title="last runs", title_justify="left")
    for name in ("run", "did", "started (UTC)", "seconds", "status", "exit"):
        table.add_column(name)
    table.add_column("message", overflow="fold")
    for run_id, command, started_at, finished_at, status, exit_code, message in runs:
        # the next run writes 'crashed' into the ledger; until then the free lock says so
        status = "crashed" if status == "running" and not running else status
        seconds = f"{(finished_at - started_at).total_seconds():.0f}" if finished_at else ""
        table.add_row(
            run_id,
            command,
            f"{started_at.astimezone(dt.UTC):%Y-%m-%d %H:%M}",
            seconds,
            f"[{'green' if status == 'succeeded' else 'yellow' if status == 'running' else 'red'}]{status}[/]",
            "" if exit_code is None else str(exit_code),
            escape(message or ""),
        )
    output.print(table)
    open_loads = _open_loads(connection)
    if open_loads:
        table = Table(title="open loads", title_justify="left")
        for name in ("load", "table", "state", "why"):
            table.add_column(name, overflow="fold")
        for load_id, table_name, state, reason in open_loads:
            table.add_row(load_id, table_name, state, escape(reason or "waits for the gate"))
        output.print(table)
    quarantine = _quarantine(connection)
    if quarantine:
        table = Table(title="open quarantine", title_justify="left")
        for name in ("table", "rule", "rows", "oldest (UTC)"):
            table.add_column(name)
        for table_name, rule, rows, oldest in quarantine:
            table.add_row(table_name, rule, f"{rows:,}", f"{oldest.astimezone(dt.UTC):%Y-%m-%d %H:%M}")
        output.print(table)
    freshness = _freshness(connection)
    if freshness.loaded_at is None:
        output.print("freshness: nothing has been loaded yet")
    else:
        hours = (freshness.now - freshness.loaded_at).total_seconds() / 3600
        output.print(
            f"freshness: last load {freshness.loaded_at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC, {hours:.1f} h ago"
        )
    output.print(f"next: {_next_step(runs[0] if runs else None, running, open_loads, quarantine, freshness)}")


def _open_loads(connection: psycopg.Connection) -> list[tuple[str, str, str, str]]:
    if not _exists(connection, "gate.loads"):
        return []
    return connection.execute(
        "select load_id, table_name, state, reason from gate.loads where state in ('pending', 'blocked') order by 1, 2"
    ).fetchall()


def _quarantine(connection: psycopg.Connection) -> list[tuple[str, str, int, dt.datetime]]:
    if not _exists(connection, "gate.quarantined_rows"):
        return []
    return connection.execute("""
        select table_name, rule, count(*), min(quarantined_at)
        from gate.quarantined_rows
        where closed_at is null
        group by table_name, rule
        order by table_name, rule
    """).fetchall()


def _freshness(connection: psycopg.Connection) -> Freshness:
    if not _exists(connection, "staging._dlt_loads"):
        return Freshness(None, dt.datetime.now(dt.UTC))
    loaded_at, now = connection.execute(
        "select max(inserted_at) filter (where status = 0), now() from staging._dlt_loads"
    ).fetchone()
    return Freshness(loaded_at, now)


def _next_step(last_run: tuple | None, running: bool, open_loads: list, quarantine: list, freshness: Freshness) -> str:
    if running:
        return "a run is at work; wait for it"
    blocked = [load_id for load_id, _, state, _ in open_loads if state == "blocked"]
    if blocked:
        return f'see why the load was blocked: make gate ARGS="show {blocked[-1]}"'
    if last_run and last_run[4] != "succeeded":
        return "mend what the last run's message says, then: make run"
    if open_loads:
        return "judge what is pending: make run"
    if freshness.is_stale:
        return "the warehouse is older than a day: make run"
    if quarantine:
        return 'look at the quarantined rows: make gate ARGS="show"'
    return "nothing; all is well"


def _exists(connection: psycopg.Connection, relation: str) -> bool:
    return connection.execute("select to_regclass(%s) is not null", [relation]).fetchone()[0]
