"""Make nights, runs and decisions of the report, without a database."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from monitoring.run_history import Decision, Night, OtherRun, RuleFailure

START = dt.datetime(2026, 11, 1, 2, 20, tzinfo=dt.UTC)


def night(number: int, outcome: str = "succeeded", **counts: Mapping[str, int]) -> Night:
    """Make the nth night. `counts`: by table, the counts that are not 0; `state` is the gate's verdict."""
    tables = {table: dict(of_table) for table, of_table in counts.items()}
    states = {table: of_table.pop("state", "accepted") for table, of_table in tables.items()}
    quarantined = {table: of_table.pop("rows_quarantined", 0) for table, of_table in tables.items()}
    names = ("rows_read", "rows_landed", "rows_removed", "rows_unreadable")
    return Night(
        run_ids=(f"run {number}",),
        run_seq=number,
        started_at=START + dt.timedelta(days=number),
        finished_at=START + dt.timedelta(days=number, minutes=1),
        outcome=outcome,
        exit_code=0,
        message="",
        steps=[],
        measures={},
        attempts=(f"run {number}",),
        scans={table: {"load_id": f"load {number}", **dict.fromkeys(names, 0), **tables[table]} for table in tables},
        verdicts={
            (f"load {number}", table): {"state": states[table], "rows_quarantined": quarantined[table]}
            for table in tables
        },
    )


def run(run_seq: int, command: str, outcome: str = "succeeded") -> OtherRun:
    return OtherRun(
        run_id=f"run {run_seq}",
        run_seq=run_seq,
        command=command,
        started_at=START + dt.timedelta(days=run_seq),
        finished_at=None,
        outcome=outcome,
        exit_code=None,
        message="",
        steps=[],
    )


def decision(verb: str, run_seq: int, details: Mapping[str, Any] | None = None, **values: Any) -> Decision:
    known = {
        "decided_at": START + dt.timedelta(days=run_seq),
        "verb": verb,
        "table": "users",
        "load_id": "17.5",
        "operator": "ada",
        "decided_by": "moovitamix",
        "reason": "why",
        "details": details or {},
        "is_repeated": False,
        "run_id": f"run {run_seq}",
        "run_seq": run_seq,
    }
    return Decision(**known | values)


def rule_failure(rule: str, severity: str = "warning", rows: int = 1, **values: Any) -> RuleFailure:
    known = {"load_id": "17.5", "table": "users", "state": "accepted_with_quarantine", "outcomes": {}}
    return RuleFailure(rule=rule, severity=severity, rows=rows, **known | values)
