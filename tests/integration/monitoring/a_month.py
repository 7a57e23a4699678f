"""Generate a month of nights of every kind for tests of the report; all its values are different."""

import datetime as dt
from collections import Counter

from monitoring.recommendations import Recommendations
from monitoring.run_history import Decision, Flow, Growth, Night, OtherRun, RuleFailure, RunHistory, Size, Step

NOW = dt.datetime(2026, 11, 28, 8, 20, tzinfo=dt.UTC)
ENDS = {4: "failed", 11: "crashed", 16: "blocked", 27: "failed", 29: "blocked"}
WITHOUT_A_NIGHT = (8, 9)
EXIT_CODES = {"succeeded": 0, "blocked": 4, "failed": 3}
READ = {"users": 1086, "tracks": 980, "listen_history": 4100}
NULLS = {("users", "gender"): 300, ("users", "email"): 9, ("tracks", "album"): 120, ("users", "id"): 0}
FAILED_RULES = (("something_was_read", "critical", 1), ("email_is_an_address", "warning", 8))
MANY_REMOVALS = 24  # the night with an unusual number of removals
SIZES = {"staging.listen_history": 2_100_000, "marts.listen_history": 2_300_000, "ops.run_nodes": 410_000}


def record() -> RunHistory:
    """Return the history on the morning after the last night, which is blocked."""
    nights = [_night(number) for number in range(30) if number not in WITHOUT_A_NIGHT]
    newest = nights[-1]
    return RunHistory(
        now=NOW,
        nights=nights,
        other_runs=[
            OtherRun(
                run_id="run of a prune",
                run_seq=205,
                command="prune",
                started_at=NOW - dt.timedelta(days=9),
                finished_at=None,
                outcome="crashed",
                exit_code=None,
                message="the process was killed",
                steps=[Step("prune", "crashed", None, None, None)],
            )
        ],
        decisions=[
            _decision("erase", 245, None, {"deleted": {"staging.users": 3}}),
            _decision("release", 165, "users"),
        ],
        flow=Flow(
            night=newest,
            written={"tracks": 61, "listen_history": 512},
            nodes=Counter({("test", "pass"): 61}),
        ),
        growth=[Growth(name, size.rows, size.bytes, 333, 40_000) for name, size in sorted(newest.sizes.items())],
        freshness={"users": NOW - dt.timedelta(hours=54), "tracks": newest.started_at},
    )


def recommendations() -> Recommendations:
    """Return eight days of releases, on the last of which `discover` is worse than popularity."""
    figures = {
        "discover": {"model": "neighbours", "coverage": 0.41, "items": {"model": 900, "genres": 80, "popular": 20}},
        "again": {"model": "popularity", "coverage": 0.93, "items": {"model": 0, "genres": 0, "popular": 700}},
    }
    releases = [
        {
            "release_id": number,
            "released_at": NOW - dt.timedelta(days=30 - number),
            "users": 1086,
            "model_versions": {"discover": 12, "again": 13},
            "figures": {"by_list": figures},
            "is_published": number == 29,
        }
        for number in (30, 29, 28)
    ]
    days = [
        {
            "day": (NOW - dt.timedelta(days=8 - number)).date(),
            "release_id": 20 + number,
            "users": 400 + number,
            "ndcg": (ndcg := 0.24 - 0.02 * number),
            "popularity_ndcg": 0.123 if number < 7 else 0.19,
            "low": ndcg - 0.03,
            "high": ndcg + 0.03,
            "hit_rate": 0.4,
            "popularity_hit_rate": 0.2,
            "played": 0.13,
        }
        for number in (0, 1, 2, 3, 5, 6, 7)
    ]
    return Recommendations(
        releases,
        [{"list": "discover", "model": "neighbours", "model_version": 12, "decided_at": NOW, "reason": "better"}],
        [
            {
                "list": "discover",
                "trigger": "no_champion",
                "outcome": "promoted",
                "reason": "neighbours beats popularity: NDCG@10 0.1509, popularity 0.0375, difference +0.1133 (+0.0903"
                " to +0.1364), 419 users",
                "finished_at": NOW - dt.timedelta(hours=7),
            }
        ],
        {"discover": days, "again": []},
    )


def _night(number: int) -> Night:
    outcome = ENDS.get(number, "succeeded")
    started_at = NOW - dt.timedelta(days=29 - number, hours=6)
    has_ended, has_extracted = outcome != "crashed", outcome in ("succeeded", "blocked")
    seconds = {"extract": 5 + number / 10, "gate": 8 + number / 20, "build": 14 + number / 5}
    return Night(
        run_ids=(f"run {number}",),
        run_seq=10 * number,
        attempts=(f"run {number}",),
        started_at=started_at,
        finished_at=started_at + dt.timedelta(seconds=sum(seconds.values())) if has_ended else None,
        outcome=outcome,
        exit_code=EXIT_CODES.get(outcome),
        message="all published" if outcome == "succeeded" else f"{outcome} with a long sentence about why " * 3,
        steps=[_step(name, taken, outcome) for name, taken in seconds.items()],
        measures={
            "cpu_seconds": 15 + number / 3 if has_ended else None,
            "database_cpu_seconds": 3 + number / 9 if has_ended else None,
            "peak_memory_bytes": (380 + 2 * number) * 1024**2 if has_ended else None,
            "disk_free_bytes": 31 * 1024**3,
        },
        scans={table: _scan(number, table, rows) for table, rows in READ.items()} if has_extracted else {},
        verdicts=_verdicts(number, outcome) if has_extracted else {},
        rules=[_rule(number, *rule) for rule in FAILED_RULES] if outcome == "blocked" else [],
        columns={name: (1000, nulls + number if nulls else 0, 0) for name, nulls in NULLS.items()},
        sizes={name: Size(size // 120, size + number * 40_000) for name, size in SIZES.items()},
    )


def _step(name: str, seconds: float, outcome: str) -> Step:
    if name == "gate" and outcome != "succeeded":
        return Step(name, "failed", seconds, outcome.upper(), f"{outcome} with a long sentence")
    return Step(name, "succeeded", seconds, None, None)


def _verdicts(number: int, outcome: str) -> dict[tuple[str, str], dict[str, object]]:
    quarantined = {"users": 8, "tracks": 4, "listen_history": 0} if outcome == "blocked" else {"users": number % 5}
    return {
        (f"load {number}", table): {
            "load_id": f"load {number}",
            "table_name": table,
            "state": "blocked" if outcome == "blocked" and table == "users" else "accepted_with_quarantine",
            "rows_quarantined": quarantined.get(table, 0),
        }
        for table in READ
    }


def _rule(number: int, rule: str, severity: str, rows: int) -> RuleFailure:
    state = "blocked" if number == 29 else "released"
    return RuleFailure(f"load {number}", "users", rule, severity, rows, state, severity == "warning", {None: rows})


def _decision(verb: str, run_seq: int, table: str | None, details: dict[str, object] | None = None) -> Decision:
    return Decision(
        decided_at=NOW - dt.timedelta(days=29 - run_seq // 10, hours=2),
        verb=verb,
        table=table,
        load_id=table and f"load {run_seq // 10}",
        operator="ada",
        decided_by="moovitamix",
        reason="a long sentence about why this was decided, as the operator has given it " * 2,
        details=details or {},
        is_repeated=False,
        run_id=f"run of {verb}",
        run_seq=run_seq,
    )


def _scan(number: int, table: str, rows: int) -> dict[str, object]:
    landed = 30 + number * 7 % 60
    return {
        "load_id": f"load {number}",
        "table_name": table,
        "rows_read": rows + 3 * number,
        "rows_unchanged": rows + 3 * number - landed - 1,
        "rows_landed": landed,
        "rows_removed": 731 if number == MANY_REMOVALS and table == "users" else number % 4 + 1,
        "rows_unreadable": 1,
    }
