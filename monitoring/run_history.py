"""Read the newest nights and the state of the warehouse from schemas `ops` and `gate`, for the report.

Of runs before the first shown night, only their rows in `ops.runs` are read.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from monitoring.nights import FRESH, GROWN, NIGHTS, PARAMETERS
from warehouse.errors import ExitCode
from warehouse.names import SOURCE_TABLE_NAMES

DECISIONS_TABLE, ERASURES_TABLE = "gate.decisions", "gate.erasures"
NIGHTS_SHOWN = 30
OTHER_RUNS_SHOWN = 100
DECISIONS_SHOWN = 100
MEASURES = ("cpu_seconds", "database_cpu_seconds", "peak_memory_bytes", "disk_free_bytes")

# `attempts`: all runs of the night. A step that a person repeats after a whole run is no part of the night.
NEWEST_NIGHTS = f"""{NIGHTS}
select
    run_ids, started_at, finished_at, status, exit_code, message, {", ".join(MEASURES)},
    array(
        select parts.run_id
        from parts
        where
            parts.night = nights.night
            and (
                parts.run_id = any(nights.run_ids)
                or not exists (
                    select from parts as whole where whole.night = nights.night and whole.command <> all(%(steps)s)
                )
            )
        order by parts.run_seq
    ) as attempts
from nights
order by night desc
limit %(nights_shown)s
"""

RUN_SEQS = "select run_id, run_seq from ops.runs where run_id = any(%s)"

OTHER_RUNS = """
select run_id, run_seq, command, started_at, finished_at, status, exit_code, message
from ops.current_runs
where run_seq >= %(first)s and run_id <> all(%(nights)s)
order by run_seq desc
limit %(shown)s
"""

STEPS_OF_RUNS = """
select run_id, step, started_at, finished_at, status, error_type, message
from ops.current_steps
where run_id = any(%s)
order by run_id, started_at
"""

SCANS = """
select
    run_id, table_name, load_id, requests, requests_failed, bytes_received, rows_read, rows_unchanged, rows_landed,
    rows_removed, rows_unreadable
from ops.run_tables
where run_id = any(%s)
"""

COLUMNS = "select run_id, table_name, column_name, rows, nulls, absent from ops.run_columns where run_id = any(%s)"

SIZES = "select run_id, relation, rows, bytes from ops.run_relations where run_id = any(%s)"

VERDICTS = """
select run_id, load_id, table_name, state, rows_quarantined
from ops.run_loads
where run_id = any(%s)
order by load_id, table_name
"""

STATES_NOW = "select load_id, table_name, state from gate.loads where load_id = any(%s)"

# As in ops.run_rules, but not for a run that left the load pending: a later one checked it. The examples of a rule
# about the delivery are no rows.
RULES = """
select
    run_loads.run_id, load_id, table_name as "table", loads.state, failed.rule, failed.severity, failed.rows,
    coalesce(jsonb_path_exists(failed.examples, '$[*].dlt_id'), true) as is_about_rows
from ops.run_loads
inner join gate.loads using (load_id, table_name)
cross join jsonb_to_recordset(loads.verdict -> 'failed_rules')
    as failed (rule text, severity text, rows bigint, examples jsonb)
where run_loads.run_id = any(%s) and run_loads.state <> 'pending'
order by
    array_position(array['critical', 'warning', 'info'], failed.severity), failed.rows desc, table_name, failed.rule
"""

# The outcome of a row that is freed from one rule and quarantined by another one is its outcome under the other.
OUTCOMES = """
select
    quarantined.load_id, quarantined.table_name, quarantined.rule,
    nullif(coalesce(other.outcome, quarantined.outcome), 'open') as outcome,
    count(*) as rows
from gate.quarantined_rows as quarantined
left join lateral (
    select coalesce(min(another.outcome), 'open') as outcome
    from gate.quarantined_rows as another
    where
        quarantined.outcome = 'freed' and another.dlt_id = quarantined.dlt_id
        and another.outcome is distinct from 'freed'
    having count(*) > 0
) as other on true
where quarantined.load_id = any(%s)
group by 1, 2, 3, 4
"""

MAY_READ = "select has_table_privilege(%s, 'select') as may_read"

# A decision falls into the run that was in progress, or follows the newest run that had started. A tombstone identifies
# an erased user to everyone who has the key: it stays in the warehouse.
DECISIONS = """
with shown_runs as (
    select run_id, run_seq, started_at, finished_at
    from ops.runs
    where run_seq >= %(first)s
),
events as (
    select
        decision_seq, decided_at, verb, table_name as "table", load_id, operator, decided_by, reason,
        case when jsonb_typeof(details) = 'object' then details - 'tombstone' else '{}' end as details,
        verb = 'erase' and exists (
            select
            from gate.decisions as earlier
            where
                earlier.verb = 'erase' and earlier.decision_seq < decisions.decision_seq
                and earlier.details ->> 'tombstone' = decisions.details ->> 'tombstone'
        ) as is_repeated
    from gate.decisions
    where decided_at >= (select min(started_at) from shown_runs)
)
select
    events.decided_at, events.verb, events."table", events.load_id, events.operator, events.decided_by, events.reason,
    events.details, events.is_repeated,
    run.run_seq,
    case when events.decided_at <= coalesce(run.finished_at, 'infinity') then run.run_id end as run_id
from events
inner join lateral (
    select * from shown_runs where started_at <= events.decided_at order by run_seq desc limit 1
) as run on true
order by events.decision_seq desc
limit %(shown)s
"""

ERASURES_WITHOUT_A_DECISION = """
with shown_runs as (
    select run_seq, started_at
    from ops.runs
    where run_seq >= %(first)s
)
select
    erasures.erased_at as decided_at, 'erase' as verb, null as "table", null as load_id, null as operator,
    null as decided_by, null as reason, '{}'::jsonb as details, false as is_repeated, run.run_seq, null as run_id
from gate.erasures
inner join lateral (
    select run_seq from shown_runs where started_at <= erasures.erased_at order by run_seq desc limit 1
) as run on true
where
    erasures.erased_at >= (select min(started_at) from shown_runs)
    and not exists (
        select
        from gate.decisions
        where decisions.verb = 'erase' and decisions.details ->> 'tombstone' = erasures.tombstone
    )
order by erasures.erased_at desc
limit %(shown)s
"""

NODES = "select node, step, resource_type, status, rows_affected from ops.run_nodes where run_id = any(%s)"

FRESHNESS = f"{FRESH} select table_name, started_at from fresh"

GROWTH = f"{GROWN} select * from grown order by bytes desc, relation"


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
class RuleFailure:
    """Describe a rule that a load failed, in how many rows, and the current state of that load.

    `is_about_rows`: otherwise it is about the delivery, and `rows` is 1. `outcomes`: the current outcome of the rows it
    quarantined -> rows; None: still quarantined.
    """

    load_id: str
    table: str
    rule: str
    severity: str
    rows: int
    state: str
    is_about_rows: bool = True
    outcomes: Mapping[str | None, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Night:
    """Hold a complete night: one run, or one run per step.

    `run_ids`: the last attempt of each step; `attempts`: all runs of the night. `run_seq`: of its first run. `outcome`:
    running, succeeded, blocked, failed or crashed. `scans`: by table, the columns of `ops.run_tables`. `verdicts`: by
    (load, table), the gate's verdict and the quarantined rows. `states_now`: by (load, table), the current state.
    `columns`: by (table, column), the counts (rows, nulls, absent). `sizes`: by relation. Values that the run did not
    reach, or that an earlier version did not measure, are missing or None.
    """

    run_ids: tuple[str, ...]
    run_seq: int
    started_at: dt.datetime
    finished_at: dt.datetime | None
    outcome: str
    exit_code: int | None
    message: str
    steps: Sequence[Step]
    measures: Mapping[str, float | None]
    attempts: tuple[str, ...] = ()
    scans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    verdicts: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    states_now: Mapping[tuple[str, str], str] = field(default_factory=dict)
    rules: Sequence[RuleFailure] = ()
    columns: Mapping[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        return _seconds(self.started_at, self.finished_at)

    @property
    def failed_step(self) -> Step | None:
        return _first_failed(self.steps)

    @property
    def has_extracted(self) -> bool:
        return any(scan["rows_read"] is not None for scan in self.scans.values())

    @property
    def rows_quarantined(self) -> int | None:
        """Return the rows that the gate quarantined, in all loads that it checked; None if it checked none."""
        return sum(verdict["rows_quarantined"] for verdict in self.verdicts.values()) if self.verdicts else None

    def verdict(self, table: str) -> Mapping[str, Any] | None:
        """Return the gate's verdict on the rows that this night read; None if it checked them later, or never."""
        return self.verdicts.get((self.scans[table]["load_id"], table)) if table in self.scans else None

    def total(self, figure: str) -> int | None:
        """Sum a count over all tables; None when the extraction failed."""
        known = [scan[figure] for scan in self.scans.values() if scan[figure] is not None]
        return sum(known) if known else None


@dataclass(frozen=True)
class OtherRun:
    """Describe a run that is no part of a shown night: a single step, or a command of a person. `outcome`: as of a
    night."""

    run_id: str
    run_seq: int
    command: str
    started_at: dt.datetime
    finished_at: dt.datetime | None
    outcome: str
    exit_code: int | None
    message: str
    steps: Sequence[Step]
    rules: Sequence[RuleFailure] = ()

    @property
    def seconds(self) -> float | None:
        return _seconds(self.started_at, self.finished_at)

    @property
    def failed_step(self) -> Step | None:
        return _first_failed(self.steps)


@dataclass(frozen=True)
class Decision:
    """Describe a decision of a person: release, reject, replay, erase or prune.

    `operator`: the account that ran the command; `decided_by`: its login at the database. `run_id`: the run that
    carried it out, None if it fell into none; `run_seq`: of that run, or of the run before. `details` as recorded,
    without the tombstone of an erased user. `is_repeated`: the user had been erased before. Who and why are None for an
    erasure without a recorded decision.
    """

    decided_at: dt.datetime
    verb: str
    table: str | None
    load_id: str | None
    operator: str | None
    decided_by: str | None
    reason: str | None
    details: Mapping[str, Any]
    is_repeated: bool
    run_id: str | None
    run_seq: int


@dataclass(frozen=True)
class Flow:
    """Describe the way of a night's rows from the API to the marts.

    `written`: by mart, the rows that the build inserted or updated. `nodes`: by (resource type, status), the number of
    dbt nodes.
    """

    night: Night
    written: Mapping[str, int]
    nodes: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class RunHistory:
    """Hold the newest nights, the oldest of them first; `flow` describes the newest night whose extraction succeeded.

    `other_runs` and `decisions`: those since the first shown night, the newest first, at most OTHER_RUNS_SHOWN and
    DECISIONS_SHOWN. `unreadable`: tables of the ledgers that this login may not read. `growth`: by table, the largest
    first. `freshness`: by table, the time as of which readers see the source. `now`: the time of the warehouse.
    """

    now: dt.datetime
    nights: Sequence[Night] = ()
    other_runs: Sequence[OtherRun] = ()
    decisions: Sequence[Decision] = ()
    unreadable: Sequence[str] = ()
    flow: Flow | None = None
    growth: Sequence[Growth] = ()
    freshness: Mapping[str, dt.datetime] = field(default_factory=dict)


def read(connection: psycopg.Connection, *, is_current: bool) -> RunHistory:
    """Read the history in one read-only snapshot, on a connection in autocommit.

    `is_current`: the run ledger exists and has this version; otherwise the history is empty.
    """
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        if not is_current:
            return RunHistory(_now(cursor))
        nights = _nights(cursor)
        first = min((night.run_seq for night in nights), default=0)
        unreadable = [name for name in (DECISIONS_TABLE, ERASURES_TABLE) if not _may_read(cursor, name)]
        flow_of = next((night for night in reversed(nights) if night.has_extracted), None)
        return RunHistory(
            now=_now(cursor),
            nights=nights,
            other_runs=_other_runs(cursor, first, {run_id for night in nights for run_id in night.attempts}),
            decisions=_decisions(cursor, first, unreadable),
            unreadable=unreadable,
            flow=_flow(cursor, flow_of) if flow_of else None,
            growth=[Growth(**row) for row in cursor.execute(GROWTH)],
            freshness=_freshness(cursor),
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


def _may_read(cursor: psycopg.Cursor[dict[str, Any]], relation: str) -> bool:
    return cursor.execute(MAY_READ, [relation]).fetchone()["may_read"]


def _nights(cursor: psycopg.Cursor[dict[str, Any]]) -> list[Night]:
    found = cursor.execute(NEWEST_NIGHTS, PARAMETERS | {"nights_shown": NIGHTS_SHOWN}).fetchall()[::-1]
    run_ids = [run_id for night in found for run_id in night["attempts"]]
    by_run = _reader(cursor, run_ids)
    run_seqs = {row["run_id"]: row["run_seq"] for row in cursor.execute(RUN_SEQS, [run_ids])}
    steps, scans, columns, sizes, verdicts = map(by_run, (STEPS_OF_RUNS, SCANS, COLUMNS, SIZES, VERDICTS))
    rules = _rules(cursor, run_ids)
    load_ids = {row["load_id"] for table in (scans, verdicts) for rows in table.values() for row in rows}
    states_now = _states_now(cursor, load_ids)
    nights = []
    for night in found:
        ids, attempts = tuple(night["run_ids"]), tuple(night["attempts"])
        nights.append(
            Night(
                run_ids=ids,
                run_seq=min(run_seqs[run_id] for run_id in attempts),
                started_at=night["started_at"],
                finished_at=night["finished_at"],
                outcome=_outcome(night),
                exit_code=night["exit_code"],
                message=night["message"] or "",
                steps=[_step(row) for row in _of(steps, ids)],
                measures={name: night[name] for name in MEASURES},
                attempts=attempts,
                scans={row["table_name"]: row for row in _of(scans, ids)},
                # an earlier attempt of the gate may have checked some of the loads
                verdicts={(row["load_id"], row["table_name"]): row for row in _of(verdicts, attempts)},
                states_now=states_now,
                rules=_of(rules, attempts),
                columns={
                    (row["table_name"], row["column_name"]): (row["rows"], row["nulls"], row["absent"])
                    for row in _of(columns, ids)
                },
                sizes={row["relation"]: Size(row["rows"], row["bytes"]) for row in _of(sizes, ids)},
            )
        )
    return nights


def _of(rows: Mapping[str, list[Any]], run_ids: Iterable[str]) -> list[Any]:
    return [row for run_id in run_ids for row in rows[run_id]]


def _reader(
    cursor: psycopg.Cursor[dict[str, Any]], run_ids: Sequence[str]
) -> Callable[[str], dict[str, list[dict[str, Any]]]]:
    """Return a function that executes a query for these runs, and returns its rows by run."""

    def by_run(query: str) -> dict[str, list[dict[str, Any]]]:
        rows: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
        for row in cursor.execute(query, [run_ids]):
            rows[row.pop("run_id")].append(row)
        return rows

    return by_run


def _rules(cursor: psycopg.Cursor[dict[str, Any]], run_ids: Sequence[str]) -> dict[str, list[RuleFailure]]:
    """Return by run the rules that the loads it checked failed, the most severe first."""
    found = _reader(cursor, run_ids)(RULES)
    outcomes: dict[tuple[str, str, str], dict[str | None, int]] = {}
    quarantining = {row["load_id"] for rows in found.values() for row in rows if row["severity"] == "warning"}
    if quarantining:
        for row in cursor.execute(OUTCOMES, [list(quarantining)]):
            rule = row["load_id"], row["table_name"], row["rule"]
            outcomes.setdefault(rule, {})[row["outcome"]] = row["rows"]
    return {
        run_id: [
            RuleFailure(**row, outcomes=outcomes.get((row["load_id"], row["table"], row["rule"]), {})) for row in rows
        ]
        for run_id, rows in found.items()
    }


def _states_now(cursor: psycopg.Cursor[dict[str, Any]], load_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    rows = cursor.execute(STATES_NOW, [[load_id for load_id in load_ids if load_id]])
    return {(row["load_id"], row["table_name"]): row["state"] for row in rows}


def _other_runs(cursor: psycopg.Cursor[dict[str, Any]], first: int, run_ids_of_nights: set[str]) -> list[OtherRun]:
    found = cursor.execute(
        OTHER_RUNS, {"first": first, "nights": list(run_ids_of_nights), "shown": OTHER_RUNS_SHOWN}
    ).fetchall()
    run_ids = [row["run_id"] for row in found]
    rules, steps = _rules(cursor, run_ids), _reader(cursor, run_ids)(STEPS_OF_RUNS)
    return [
        OtherRun(
            run_id=row["run_id"],
            run_seq=row["run_seq"],
            command=row["command"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            outcome=_outcome(row),
            exit_code=row["exit_code"],
            message=row["message"] or "",
            steps=[_step(step) for step in steps[row["run_id"]]],
            rules=rules[row["run_id"]],
        )
        for row in found
    ]


def _decisions(cursor: psycopg.Cursor[dict[str, Any]], first: int, unreadable: Sequence[str]) -> list[Decision]:
    """Return the decisions and erasures since the first run, the newest first."""
    if DECISIONS_TABLE in unreadable:
        return []
    values = {"first": first, "shown": DECISIONS_SHOWN}
    decisions = [Decision(**row) for row in cursor.execute(DECISIONS, values)]
    if ERASURES_TABLE not in unreadable:
        decisions += [Decision(**row) for row in cursor.execute(ERASURES_WITHOUT_A_DECISION, values)]
    return sorted(decisions, key=lambda decision: (decision.run_seq, decision.decided_at), reverse=True)


def _outcome(run: Mapping[str, Any]) -> str:
    return "blocked" if run["status"] == "failed" and run["exit_code"] == ExitCode.BLOCKED else run["status"]


def _seconds(started_at: dt.datetime, finished_at: dt.datetime | None) -> float | None:
    return max(0.0, (finished_at - started_at).total_seconds()) if finished_at else None


def _first_failed(steps: Sequence[Step]) -> Step | None:
    """Return the first step that failed: the failures of later ones are often its consequence."""
    return next((step for step in steps if step.status in ("failed", "crashed")), None)


def _step(row: Mapping[str, Any]) -> Step:
    return Step(
        row["step"], row["status"], _seconds(row["started_at"], row["finished_at"]), row["error_type"], row["message"]
    )


def _flow(cursor: psycopg.Cursor[dict[str, Any]], night: Night) -> Flow:
    nodes = cursor.execute(NODES, [list(night.run_ids)]).fetchall()
    # a build leaves out models that would not change
    has_built = any((step.name, step.status) == ("build", "succeeded") for step in night.steps)
    return Flow(
        night=night,
        written=(dict.fromkeys(night.scans, 0) if has_built else {})
        | {
            row["node"]: row["rows_affected"]
            for row in nodes
            if row["step"] == "build" and row["resource_type"] == "model" and row["rows_affected"] is not None
        },
        nodes=Counter((row["resource_type"], row["status"]) for row in nodes),
    )


def _freshness(cursor: psycopg.Cursor[dict[str, Any]]) -> dict[str, dt.datetime]:
    return {row["table_name"]: row["started_at"] for row in cursor.execute(FRESHNESS, PARAMETERS)}
