"""Enter records of nights with the pipeline's functions, then shift them in time."""

import datetime as dt
from collections.abc import Mapping

import psycopg
from prometheus_client import Metric
from psycopg.types.json import Jsonb

from monitoring import metrics
from pipeline.records import run_ledger
from warehouse.errors import ExitCode

GOOD: Mapping[str, str | None] = {"extract": None, "gate": None, "build": None}
CRASHED = "crashed"
SECONDS = {"extract": 30, "gate": 10, "build": 20, "recommend": 15}
MEASURES = {
    "cpu_seconds": 12.5,
    "peak_memory_bytes": 300_000_000,
    "disk_read_bytes": 1000,
    "disk_written_bytes": 2000,
    "network_received_bytes": 3000,
    "network_sent_bytes": 4000,
    "disk_free_bytes": 5_000_000,
    "disk_size_bytes": 9_000_000,
}

Sample = tuple[str, frozenset[tuple[str, str]]]


def enter_run(
    connection: psycopg.Connection,
    days_ago: float,
    ends: Mapping[str, str | None] = GOOD,
    seconds: Mapping[str, float] = SECONDS,
    **measures: float,
) -> str:
    """Enter a whole night, or a run of one step, and the end of each step: None, the name of an error, or CRASHED,
    which ends the night. Returns its id."""
    is_one_step = len(ends) == 1 and CRASHED not in ends.values()
    run_id = run_ledger.start_run(connection, " ".join(ends) if is_one_step else run_ledger.FULL_RUNS[0])
    known = MEASURES | measures
    errors = [error for error in ends.values() if error]
    for step, error in ends.items():
        run_ledger.start_step(connection, run_id, step)
        if error != CRASHED:
            run_ledger.finish_step(
                connection, run_id, step, error_type=error, message="", figures={},
                measures=known | {"rows": 100, "bytes": 5000 if step == "extract" else None},
            )  # fmt: skip
    if CRASHED not in errors:
        codes = [ExitCode[error] if error in ExitCode.__members__ else ExitCode.UNEXPECTED_ERROR for error in errors]
        run_ledger.finish_run(
            connection, run_id, codes[0] if codes else 0, "", error_type=errors[0] if errors else None, measures=known
        )
    _put_back(connection, run_id, dt.timedelta(days=days_ago), ends, seconds)
    return run_id


def _put_back(connection, run_id, age, ends, seconds):
    passed = 0.0
    for step in ends:
        connection.execute(
            """
            update ops.steps
            set
                started_at = now() - %(age)s + %(before)s * interval '1 second',
                finished_at = case
                    when finished_at is not null then now() - %(age)s + %(after)s * interval '1 second'
                end
            where run_id = %(run_id)s and step = %(step)s
            """,
            {"age": age, "before": passed, "after": passed + seconds[step], "run_id": run_id, "step": step},
        )
        passed += seconds[step]
    connection.execute(
        """
        update ops.runs
        set
            started_at = now() - %(age)s,
            finished_at = case when finished_at is not null then now() - %(age)s + %(after)s * interval '1 second' end
        where run_id = %(run_id)s
        """,
        {"age": age, "after": passed, "run_id": run_id},
    )


def enter_scan(connection: psycopg.Connection, run_id: str, table: str, load_id: str | None, **figures: int) -> None:
    """Enter a run's extraction of a table; without a load, the extraction failed."""
    row = {"requests": 3, "requests_failed": 1, "bytes_received": 4000}
    if load_id:
        row |= dict.fromkeys(
            ("rows_read", "rows_unchanged", "rows_landed", "rows_removed", "rows_unreadable", "keys_unsettled"), 0
        )
        row |= {"bytes_landed": 500}
    run_ledger.insert_rows(
        connection, "run_tables", run_id, [{"table_name": table, "load_id": load_id, **row, **figures}]
    )


def enter_load(
    connection: psycopg.Connection,
    run_id: str,
    table: str,
    load_id: str,
    state: str,
    failed_rules: Mapping[tuple[str, str], int] | None = None,
) -> None:
    """Enter a verdict of the gate: the failed rules, (rule, severity) -> rows, and the publication."""
    rules = [{"rule": rule, "severity": level, "rows": rows} for (rule, level), rows in (failed_rules or {}).items()]
    connection.execute(
        """
        insert into gate.loads (load_id, table_name, state, rows_read, rows_landed, rows_removed, verdict, judged_at)
        values (%s, %s, %s, 0, 0, 0, %s, now())
        """,
        [load_id, table, state, Jsonb({"failed_rules": rules})],
    )
    row = {"load_id": load_id, "table_name": table, "state": state, "rows_quarantined": 0}
    run_ledger.insert_rows(connection, "run_loads", run_id, [row])
    if state.startswith("accepted"):
        connection.execute(
            "insert into gate.publications (load_id, table_name, kind) values (%s, %s, 'load')", [load_id, table]
        )


def quarantine(connection: psycopg.Connection, table: str, load_id: str, rule: str, *dlt_ids: str) -> None:
    for dlt_id in dlt_ids:
        connection.execute(
            "insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule) values (%s, %s, %s, %s, %s)",
            [load_id, table, f"[{dlt_id}]", dlt_id, rule],
        )


def samples(families: list[Metric]) -> dict[Sample, float]:
    """Return (name without the prefix, labels) -> value."""
    return {
        (sample.name.removeprefix(metrics.PREFIX), frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


class MetricValues:
    """Read the current metrics: `shown["step_rows", "gate"]`, label values in the order of the metric's labels."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.samples = samples(metrics.families(connection))
        self._labels = {name: group.labels for group in metrics.GROUPS for name in group.metrics}

    def __getitem__(self, key: tuple[str, ...] | str) -> float | None:
        name, *values = (key,) if isinstance(key, str) else key
        labels = self._labels.get(name, ())
        return self.samples.get((name, frozenset(zip(labels, values, strict=True))))

    def by_label(self, name: str) -> dict[tuple[str, ...], float]:
        """Return label values, in the order of the metric's labels -> value."""
        return {
            tuple(dict(labels)[label] for label in self._labels[name]): value
            for (sample, labels), value in self.samples.items()
            if sample == name
        }


def enter_release(
    connection: psycopg.Connection,
    days_ago: float,
    coverage: float = 0.5,
    models: Mapping[str, str] = {"discover": "neighbours", "again": "popularity"},
) -> int:
    """Enter a published release; the same models have the same versions as in the release before. Returns its id."""
    versions = {}
    for name, model in models.items():
        found = (
            connection.execute(
                "select model_version from recommendations.model_versions where (list, model) = (%s, %s)", [name, model]
            ).fetchone()
            or connection.execute(
                "insert into recommendations.model_versions (list, model, params, fallback_params, track_count,"
                " until_seq, known_at, code_version) values (%s, %s, '{}', '{}', 1, 1, now(), '')"
                " returning model_version",
                [name, model],
            ).fetchone()
        )
        (versions[name],) = found
    figures = {
        "by_list": {
            name: {"coverage": coverage, "model": model, "lists": 4, "items": {"model": 30, "genres": 10, "popular": 0}}
            for name, model in models.items()
        }
    }
    (release_id,) = connection.execute(
        "insert into recommendations.releases"
        " (released_at, as_of, until_seq, model_versions, artist_cap, users, lists, seconds, figures)"
        " select at, at, 1, %s, 3, 5, 8, 1, %s from (select now() - %s as at) as made returning release_id",
        [Jsonb(versions), Jsonb(figures), dt.timedelta(days=days_ago)],
    ).fetchone()
    connection.execute(
        "insert into recommendations.release_history (release_id, published_at, reason)"
        " values (%s, now() - %s, 'made')",
        [release_id, dt.timedelta(days=days_ago)],
    )
    return release_id


def enter_quality(
    connection: psycopg.Connection,
    release_id: int,
    day: dt.date,
    ndcg: float,
    popularity_ndcg: float = 0.1,
    list_name: str = "discover",
    users: int = 100,
    segment: str = "all",
) -> None:
    """Enter how a list did on a day; its interval is 0.02 wide to both sides."""
    difference = ndcg - popularity_ndcg
    connection.execute(
        "insert into recommendations.quality"
        " select release_id, %s, %s, %s, (model_versions ->> %s)::bigint, %s, 200, 50, %s, %s, %s, %s, %s, %s, %s"
        " from recommendations.releases where release_id = %s",
        [
            list_name, segment, day, list_name, users, 2 * ndcg, ndcg, 2 * popularity_ndcg, popularity_ndcg,
            difference, difference - 0.02, difference + 0.02, release_id,
        ],
    )  # fmt: skip
