"""Read the newest nights and the state of the warehouse from schemas `ops` and `gate`, for the report.

Of older runs only their rows in `ops.runs` are read.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from monitoring.nights import FRESH, GROWN, NIGHTS, PARAMETERS
from warehouse.names import SOURCE_TABLE_NAMES

NIGHTS_SHOWN = 30
FAILURES_SHOWN = 10
FAILURES_LOOKED_FOR_IN = 100
# warehouse.errors has the meaning of all exit codes.
BLOCKED = 4
MEASURES = ("cpu_seconds", "database_cpu_seconds", "peak_memory_bytes", "disk_free_bytes")

NEWEST_NIGHTS = f"""{NIGHTS}
select run_ids, started_at, finished_at, status, exit_code, message, {", ".join(MEASURES)}
from nights
order by night desc
limit %(nights_shown)s
"""

STEPS_OF_RUNS = """
select run_id, step, started_at, finished_at, status, error_type, message
from ops.current_steps
where run_id = any(%s)
order by run_id, started_at
"""

PULLS = """
select
    run_id, table_name, load_id, requests, requests_failed, bytes_received, rows_read, rows_unchanged, rows_landed,
    rows_removed, rows_unreadable
from ops.run_tables
where run_id = any(%s)
"""

COLUMNS = "select run_id, table_name, column_name, rows, nulls, absent from ops.run_columns where run_id = any(%s)"

SIZES = "select run_id, relation, rows, bytes from ops.run_relations where run_id = any(%s)"

QUARANTINED = """
select run_id, sum(rows_quarantined)::bigint as rows_quarantined
from ops.run_loads
where run_id = any(%s)
group by run_id
"""

VERDICTS = """
select load_id, table_name, state, rows_quarantined
from ops.run_loads
where run_id = any(%s)
order by load_id, table_name
"""

STATES_NOW = "select load_id, table_name, state from gate.loads where load_id = any(%s)"

RULES = """
select load_id, table_name, rule, severity, rows_failed
from ops.run_rules
where run_id = any(%s)
order by array_position(array['critical', 'warning', 'info'], severity), rows_failed desc, table_name, rule
"""

NODES = "select node, step, resource_type, status, rows_affected from ops.run_nodes where run_id = any(%s)"

FRESHNESS = f"{FRESH} select table_name, started_at from fresh"

GROWTH = f"{GROWN} select * from grown order by bytes desc, relation"

FAILURES = """
select
    recent.started_at, recent.command, recent.status, recent.exit_code, recent.error_type, recent.message, failed.step
from (select * from ops.current_runs order by run_seq desc limit %s) as recent
left join lateral (
    select step
    from ops.current_steps
    where current_steps.run_id = recent.run_id and current_steps.status in ('failed', 'crashed')
    order by started_at
    limit 1
) as failed on true
where recent.status in ('failed', 'crashed')
order by recent.run_seq desc
limit %s
"""


@dataclass(frozen=True)
class Step:
    """Describe a step. `status`: running, succeeded, failed or crashed. `seconds` is None until the step ends."""

    name: str
    status: str
    seconds: float | None
    error_type: str | None
    message: str | None


@dataclass(frozen=True)
class Size:
    """Hold the size of a table. `rows`: None if the run could not read it; `bytes` include the indexes."""

    rows: int | None
    bytes: int


@dataclass(frozen=True)
class Growth:
    """Hold the size of a table after the newest run, and its growth since the previous successful run; None when
    unknown."""

    relation: str
    rows: int | None
    bytes: int
    more_rows: int | None
    more_bytes: int | None


@dataclass(frozen=True)
class Night:
    """Hold a complete night: one run, or one run per step.

    `outcome`: running, succeeded, blocked, failed or crashed. `pulls`: by table, the columns of `ops.run_tables`.
    `columns`: by (table, column), the counts (rows, nulls, absent). `sizes`: by relation. Values that the run did not
    reach, or that an earlier version did not measure, are missing or None.
    """

    run_ids: tuple[str, ...]
    started_at: dt.datetime
    finished_at: dt.datetime | None
    outcome: str
    exit_code: int | None
    message: str
    steps: Sequence[Step]
    measures: Mapping[str, float | None]
    pulls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: Mapping[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)
    rows_quarantined: int | None = None

    @property
    def seconds(self) -> float | None:
        if self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.started_at).total_seconds())

    @property
    def has_pulled(self) -> bool:
        return any(pull["rows_read"] is not None for pull in self.pulls.values())

    def total(self, figure: str) -> int | None:
        """Sum a count over all tables; None when the pull failed."""
        known = [pull[figure] for pull in self.pulls.values() if pull[figure] is not None]
        return sum(known) if known else None


@dataclass(frozen=True)
class Flow:
    """Describe the way of a night's rows from the API to the marts.

    By (load, table): `verdicts` has the gate's verdict and the quarantined rows, `states_now` the current state.
    `rules`: the results of the failed rules. `written`: by mart, the rows that the build inserted or updated. `nodes`:
    by (resource type, status), the number of dbt nodes.
    """

    night: Night
    verdicts: Mapping[tuple[str, str], Mapping[str, Any]]
    states_now: Mapping[tuple[str, str], str]
    rules: Sequence[Mapping[str, Any]]
    written: Mapping[str, int]
    nodes: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class RunHistory:
    """Hold the newest nights, the oldest of them first; `flow` describes the newest night whose pull succeeded.

    `growth`: by table, the largest first. `freshness`: by table, the time as of which readers see the source. `now`:
    the time of the warehouse.
    """

    now: dt.datetime
    nights: Sequence[Night] = ()
    flow: Flow | None = None
    growth: Sequence[Growth] = ()
    freshness: Mapping[str, dt.datetime] = field(default_factory=dict)
    failures: Sequence[Mapping[str, Any]] = ()


def read(connection: psycopg.Connection, *, is_current: bool) -> RunHistory:
    """Read the history in one read-only snapshot, on a connection in autocommit.

    `is_current`: the run ledger exists and has this version; otherwise the history is empty.
    """
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        if not is_current:
            return RunHistory(_now(cursor))
        nights = _nights(cursor)
        flow_of = next((night for night in reversed(nights) if night.has_pulled), None)
        return RunHistory(
            now=_now(cursor),
            nights=nights,
            flow=_flow(cursor, flow_of) if flow_of else None,
            growth=[Growth(**row) for row in cursor.execute(GROWTH)],
            freshness=_freshness(cursor),
            failures=cursor.execute(FAILURES, [FAILURES_LOOKED_FOR_IN, FAILURES_SHOWN]).fetchall(),
        )


def in_order(tables: Iterable[str]) -> list[str]:
    """Sort table names: the source tables first, in the order of the data flow."""
    return sorted(
        tables,
        key=lambda name: (
            SOURCE_TABLE_NAMES.index(name) if name in SOURCE_TABLE_NAMES else len(SOURCE_TABLE_NAMES),
            name,
        ),
    )


def _now(cursor: psycopg.Cursor[dict[str, Any]]) -> dt.datetime:
    return cursor.execute("select now()").fetchone()["now"]


def _nights(cursor: psycopg.Cursor[dict[str, Any]]) -> list[Night]:
    found = cursor.execute(NEWEST_NIGHTS, PARAMETERS | {"nights_shown": NIGHTS_SHOWN}).fetchall()[::-1]
    run_ids = [run_id for night in found for run_id in night["run_ids"]]

    def by_run(query: str) -> dict[str, list[dict[str, Any]]]:
        rows: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
        for row in cursor.execute(query, [run_ids]):
            rows[row["run_id"]].append(row)
        return rows

    steps, pulls, columns, sizes, held = map(by_run, (STEPS_OF_RUNS, PULLS, COLUMNS, SIZES, QUARANTINED))
    nights = []
    for night in found:
        ids = tuple(night["run_ids"])

        def of(rows: dict[str, list[dict[str, Any]]], ids: tuple[str, ...] = ids) -> list[dict[str, Any]]:
            return [row for run_id in ids for row in rows[run_id]]

        nights.append(
            Night(
                run_ids=ids,
                started_at=night["started_at"],
                finished_at=night["finished_at"],
                outcome=_outcome(night),
                exit_code=night["exit_code"],
                message=night["message"] or "",
                steps=[_step(row) for row in of(steps)],
                measures={name: night[name] for name in MEASURES},
                pulls={row["table_name"]: row for row in of(pulls)},
                columns={
                    (row["table_name"], row["column_name"]): (row["rows"], row["nulls"], row["absent"])
                    for row in of(columns)
                },
                sizes={row["relation"]: Size(row["rows"], row["bytes"]) for row in of(sizes)},
                rows_quarantined=sum(row["rows_quarantined"] for row in of(held)) if of(held) else None,
            )
        )
    return nights


def _outcome(night: Mapping[str, Any]) -> str:
    return "blocked" if night["status"] == "failed" and night["exit_code"] == BLOCKED else night["status"]


def _step(row: Mapping[str, Any]) -> Step:
    seconds = None
    if row["finished_at"]:
        seconds = max(0.0, (row["finished_at"] - row["started_at"]).total_seconds())
    return Step(row["step"], row["status"], seconds, row["error_type"], row["message"])


def _flow(cursor: psycopg.Cursor[dict[str, Any]], night: Night) -> Flow:
    ids = [list(night.run_ids)]
    nodes = cursor.execute(NODES, ids).fetchall()
    verdicts = {(row["load_id"], row["table_name"]): row for row in cursor.execute(VERDICTS, ids)}
    loads = list({pull["load_id"] for pull in night.pulls.values()} | {load for load, _ in verdicts})
    return Flow(
        night=night,
        verdicts=verdicts,
        states_now={(row["load_id"], row["table_name"]): row["state"] for row in cursor.execute(STATES_NOW, [loads])},
        rules=cursor.execute(RULES, ids).fetchall(),
        written={
            row["node"]: row["rows_affected"]
            for row in nodes
            if row["step"] == "build" and row["resource_type"] == "model" and row["rows_affected"] is not None
        },
        nodes=Counter((row["resource_type"], row["status"]) for row in nodes),
    )


def _freshness(cursor: psycopg.Cursor[dict[str, Any]]) -> dict[str, dt.datetime]:
    return {row["table_name"]: row["started_at"] for row in cursor.execute(FRESHNESS, PARAMETERS)}
