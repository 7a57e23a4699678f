"""Generate a month of nights of every kind for tests of the report; all its values are different."""

import datetime as dt
from collections import Counter

from monitoring.run_history import Flow, Growth, Night, RunHistory, Size, Step

NOW = dt.datetime(2026, 11, 28, 8, 20, tzinfo=dt.UTC)
ENDS = {4: "failed", 11: "crashed", 16: "blocked", 27: "failed", 29: "blocked"}
WITHOUT_A_NIGHT = (8, 9)
EXIT_CODES = {"succeeded": 0, "blocked": 4, "failed": 3}
READ = {"users": 1086, "tracks": 980, "listen_history": 4100}
NULLS = {("users", "gender"): 300, ("users", "email"): 9, ("tracks", "album"): 120, ("users", "id"): 0}
SIZES = {"staging.listen_history": 2_100_000, "marts.listen_history": 2_300_000, "ops.run_nodes": 410_000}


def record() -> RunHistory:
    """Return the history on the morning after the last night, which is blocked."""
    nights = [_night(number) for number in range(30) if number not in WITHOUT_A_NIGHT]
    newest = nights[-1]
    verdicts = {
        ("load 29", table): {
            "load_id": "load 29",
            "table_name": table,
            "state": state,
            "rows_quarantined": quarantined,
        }
        for table, state, quarantined in (
            ("users", "blocked", 8),
            ("tracks", "accepted_with_quarantine", 4),
            ("listen_history", "accepted", 0),
        )
    }
    rules = [
        {"load_id": "load 29", "table_name": "users", "rule": rule, "severity": severity, "rows_failed": rows}
        for rule, severity, rows in (("email_is_an_address", "warning", 8), ("something_was_read", "critical", 1))
    ]
    return RunHistory(
        now=NOW,
        nights=nights,
        flow=Flow(
            night=newest,
            verdicts=verdicts,
            states_now={},
            rules=rules,
            written={"tracks": 61, "listen_history": 512},
            nodes=Counter({("test", "pass"): 61}),
        ),
        growth=[Growth(name, size.rows, size.bytes, 333, 40_000) for name, size in sorted(newest.sizes.items())],
        freshness={"users": NOW - dt.timedelta(hours=54), "tracks": newest.started_at},
        failures=[
            {
                "started_at": night.started_at,
                "command": "extract gate build",
                "status": "crashed" if night.outcome == "crashed" else "failed",
                "exit_code": night.exit_code,
                "error_type": night.outcome.upper(),
                "message": night.message,
                "step": "gate",
            }
            for night in reversed(nights)
            if night.outcome != "succeeded"
        ],
    )


def _night(number: int) -> Night:
    outcome = ENDS.get(number, "succeeded")
    started_at = NOW - dt.timedelta(days=29 - number, hours=6)
    has_ended, has_pulled = outcome != "crashed", outcome in ("succeeded", "blocked")
    seconds = {"extract": 5 + number / 10, "gate": 8 + number / 20, "build": 14 + number / 5}
    return Night(
        run_ids=(f"run {number}",),
        started_at=started_at,
        finished_at=started_at + dt.timedelta(seconds=sum(seconds.values())) if has_ended else None,
        outcome=outcome,
        exit_code=EXIT_CODES.get(outcome),
        message="all published" if outcome == "succeeded" else f"{outcome} with a long sentence about why " * 3,
        steps=[Step(name, "succeeded", taken, None, None) for name, taken in seconds.items()],
        measures={
            "cpu_seconds": 15 + number / 3 if has_ended else None,
            "database_cpu_seconds": 3 + number / 9 if has_ended else None,
            "peak_memory_bytes": (380 + 2 * number) * 1024**2 if has_ended else None,
            "disk_free_bytes": 31 * 1024**3,
        },
        pulls={table: _pull(number, table, rows) for table, rows in READ.items()} if has_pulled else {},
        columns={name: (1000, nulls + number if nulls else 0, 0) for name, nulls in NULLS.items()},
        sizes={name: Size(size // 120, size + number * 40_000) for name, size in SIZES.items()},
        rows_quarantined=number % 5 if has_pulled else None,
    )


def _pull(number: int, table: str, rows: int) -> dict[str, object]:
    landed = 10 + number * 7 % 60
    return {
        "load_id": f"load {number}",
        "table_name": table,
        "rows_read": rows + 3 * number,
        "rows_unchanged": rows + 3 * number - landed - 1,
        "rows_landed": landed,
        "rows_removed": number % 4 + 1,
        "rows_unreadable": 1,
    }
