"""Test the metrics of nights of every kind, and of a warehouse that cannot be read."""

import datetime as dt
import re
import signal
import socket
import time
import urllib.request

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo

from extract.source_tables import SOURCE_TABLES
from monitoring import exporter, metrics
from monitoring.nights import PARAMETERS
from pipeline.records import run_ledger
from pipeline.settings import Settings
from tests.command import PROJECT, command, finish, launched
from tests.databases import migrate
from tests.integration.monitoring.records import (
    CRASHED,
    MEASURES,
    MetricValues,
    enter_load,
    enter_quality,
    enter_release,
    enter_run,
    enter_scan,
    quarantine,
    samples,
)
from warehouse import embedded_postgres
from warehouse.errors import ExitCode
from warehouse.locks import RUN_LOCK
from warehouse.names import SOURCE_TABLE_NAMES, STEPS

DAY = dt.timedelta(days=1)
LOADS = {("users", "pending"), ("users", "blocked"), ("tracks", "pending"), ("tracks", "blocked")} | {
    ("listen_history", "pending"), ("listen_history", "blocked"),
}  # fmt: skip


@pytest.fixture
def ledger(connection):
    """Return a connection to a warehouse that is ready for its first run."""
    migrate(connection)
    return connection


@pytest.fixture
def nights(ledger):
    """Enter five successful nights, a blocked one, and one whose build failed."""
    for days_ago, seconds in {7.5: 10, 5.5: 20, 4.5: 60, 3.5: 40, 2.5: 50}.items():
        enter_run(ledger, days_ago, seconds={"extract": seconds, "gate": 10, "build": 20})
    enter_run(ledger, 1.5, {"extract": None, "gate": "BLOCKED", "build": None})
    enter_run(
        ledger, 0.5, {"extract": None, "gate": None, "build": "BUILD_FAILED"},
        seconds={"extract": 70, "gate": 11, "build": 5}, cpu_seconds=99.5, peak_memory_bytes=7,
    )  # fmt: skip
    return ledger


def epoch(connection, expression):
    return float(connection.execute(f"select extract(epoch from {expression})").fetchone()[0])


def test_the_newest_ended_night_has_its_status_and_costs(nights):
    shown = MetricValues(nights)
    assert shown.by_label("run_status") == {("running",): 0, ("succeeded",): 0, ("failed",): 1, ("crashed",): 0}
    assert shown["run_exit_code"] == ExitCode.BUILD_FAILED
    newest = "(select {} from ops.runs order by run_seq desc limit 1)"
    assert shown["run_started_timestamp_seconds"] == epoch(nights, newest.format("started_at"))
    assert shown["run_finished_timestamp_seconds"] == epoch(nights, newest.format("finished_at"))
    assert shown["run_last_success_timestamp_seconds"] == epoch(
        nights, "(select max(finished_at) from ops.runs where status = 'succeeded')"
    )
    assert shown["run_duration_seconds"] == 70 + 11 + 5
    for name, value in (MEASURES | {"cpu_seconds": 99.5, "peak_memory_bytes": 7}).items():
        assert shown[name if name.startswith("disk_") and name.endswith(("free_bytes", "size_bytes")) else f"run_{name}"
        ] == value  # fmt: skip
    assert shown["run_database_cpu_seconds"] is None, "another's server is not looked at"
    assert shown.by_label("runs_7d") == {("running",): 0, ("succeeded",): 4, ("failed",): 2, ("crashed",): 0}


def test_steps_have_their_last_and_usual_values(nights):
    shown = MetricValues(nights)
    assert shown.by_label("step_duration_seconds") == {("extract",): 70, ("gate",): 11, ("build",): 5}
    assert shown.by_label("step_usual_duration_seconds") == {("extract",): 35, ("gate",): 10, ("build",): 20}
    assert shown.by_label("step_rows") == {("extract",): 100, ("gate",): 100, ("build",): 100}
    assert shown.by_label("step_bytes") == {("extract",): 5000}, "no other step counts bytes"
    assert shown.by_label("step_cpu_seconds") == {("extract",): 99.5, ("gate",): 99.5, ("build",): 99.5}
    assert shown["step_peak_memory_bytes", "build"] == 7
    assert {labels for labels, value in shown.by_label("step_status").items() if value} == {
        ("extract", "succeeded"), ("gate", "succeeded"), ("build", "failed"),
    }  # fmt: skip
    assert len(shown.by_label("step_status")) == 9


def test_failures_of_seven_days_are_counted_by_step_and_cause(nights):
    enter_run(nights, 7.5, {"extract": "SOURCE_FAILED"})
    enter_run(nights, 0.4, {"extract": "ZeroDivisionError", "gate": None, "build": None})
    enter_run(nights, 0.3, {"extract": CRASHED})
    shown = MetricValues(nights)
    causes = ("BLOCKED", "BUILD_FAILED", "CRASHED", "SOURCE_FAILED", "UNEXPECTED_ERROR")
    expected = {(step, cause): 0 for step in STEPS for cause in causes} | {
        ("gate", "BLOCKED"): 1, ("build", "BUILD_FAILED"): 1, ("extract", "UNEXPECTED_ERROR"): 1,
        ("extract", "CRASHED"): 1,
    }  # fmt: skip
    assert shown.by_label("step_failures_7d") == expected
    ended = {"extract": 8, "gate": 7, "build": 7}
    assert shown.by_label("step_failure_ratio_7d") == pytest.approx(
        {("extract",): 2 / ended["extract"], ("gate",): 1 / ended["gate"], ("build",): 1 / ended["build"]}
    )


def test_trainings_and_champions_are_counted_by_list(ledger):
    assert MetricValues(ledger).by_label("champion_version") == {}
    ledger.execute("""
        insert into recommendations.trainings (list, trigger, outcome, reason, started_at, finished_at)
        select
            list, 'schedule', outcome, '', timestamptz '2026-07-01', timestamptz '2026-07-01' + number * interval '1 s'
        from (
            values
            (1, 'discover', 'refused'), (2, 'discover', 'refreshed'), (3, 'discover', 'refused'),
            (4, 'discover', 'too_little_data'), (5, 'discover', 'data_refused'), (6, 'discover', 'abandoned'),
            (7, 'again', 'refused')
        ) as ended (number, list, outcome);
        insert into recommendations.trainings (list, trigger, started_at) values ('discover', 'asked', now());
        insert into recommendations.model_versions
            (list, model, params, fallback_params, track_count, until_seq, known_at, code_version, metrics, trained_at)
        select
            'discover', 'als', '{}', '{}', 1, 1, '2026-07-01', '', '{"ndcg@10": 0.2, "popularity_ndcg@10": 0.1}',
            timestamptz '2026-07-01' + number * interval '1 day'
        from generate_series(1, 2) as number;
        insert into recommendations.aliases (list, alias, model_version, reason)
        values ('discover', 'champion', 1, ''), ('discover', 'champion', 2, ''), ('discover', 'anchor', 1, '');
    """)
    shown = MetricValues(ledger)
    assert shown.by_label("trainings_refused") == {("discover",): 2, ("again",): 1}
    assert shown["training_timestamp_seconds", "discover"] == epoch(ledger, "timestamptz '2026-07-01 00:00:05'")
    assert shown.by_label("champion_version") == {("discover",): 2}
    assert shown["champion_trained_timestamp_seconds", "discover"] == epoch(ledger, "timestamptz '2026-07-03'")
    assert (shown["champion_ndcg", "discover"], shown["champion_popularity_ndcg", "discover"]) == (0.2, 0.1)


def test_usual_values_need_at_least_five_earlier_ones(ledger):
    for days_ago in (5, 4, 3, 2, 1):
        enter_scan(ledger, enter_run(ledger, days_ago), "users", f"load {days_ago}", rows_read=100 * days_ago)
    assert MetricValues(ledger)["step_usual_duration_seconds", "extract"] is None
    assert MetricValues(ledger)["table_usual_rows_read", "users"] is None
    enter_scan(ledger, enter_run(ledger, 0), "users", "load", rows_read=1)
    assert MetricValues(ledger)["step_usual_duration_seconds", "extract"] == 30
    assert MetricValues(ledger)["table_usual_rows_read", "users"] == 300
    for number in range(20):
        enter_scan(ledger, enter_run(ledger, 0), "users", f"later load {number}", rows_read=1000 + number)
    # of the 14 before it
    assert MetricValues(ledger)["table_usual_rows_read", "users"] == 1000 + (5 + 18) / 2


def test_after_a_crash_the_values_of_the_last_night_that_ended_stay(nights):
    before = MetricValues(nights)
    enter_run(nights, 0.1, {"extract": None, "gate": CRASHED}, cpu_seconds=1, seconds={"extract": 1, "gate": 1})
    shown = MetricValues(nights)
    assert shown.by_label("run_status") == {("running",): 0, ("succeeded",): 0, ("failed",): 0, ("crashed",): 1}
    assert shown["runs_7d", "crashed"] == 1
    for name in ("run_exit_code", "run_duration_seconds", "run_cpu_seconds", "run_last_success_timestamp_seconds"):
        assert shown[name] == before[name] is not None
    assert (shown["step_status", "gate", "crashed"], shown["step_status", "gate", "succeeded"]) == (1, 0)
    assert shown["step_duration_seconds", "gate"] == 11
    assert shown["step_duration_seconds", "extract"] == 1, "that step did come to its end"

    run_ledger.start_run(nights, run_ledger.FULL_RUNS[0])  # this records the previous run as crashed
    assert MetricValues(nights)["runs_7d", "crashed"] == 2


def test_while_a_night_runs_the_previous_one_is_shown(nights):
    before = MetricValues(nights)
    run_id = run_ledger.start_run(nights, run_ledger.FULL_RUNS[0])
    run_ledger.start_step(nights, run_id, "extract")
    nights.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK])
    shown = MetricValues(nights)
    assert shown.by_label("run_status") == {("running",): 1, ("succeeded",): 0, ("failed",): 0, ("crashed",): 0}
    assert shown["run_started_timestamp_seconds"] > before["run_started_timestamp_seconds"]
    changed = {name for (name, labels), value in shown.samples.items() if before.samples.get((name, labels)) != value}
    assert changed == {"run_status", "run_started_timestamp_seconds", "runs_7d"}


def test_runs_of_single_steps_form_a_night(ledger):
    enter_run(ledger, 3)
    enter_run(ledger, 2, {"build": "BUILD_FAILED"})  # a manual build for the previous night
    assert MetricValues(ledger)["run_status", "succeeded"] == 1
    assert MetricValues(ledger)["step_status", "build", "failed"] == 1

    enter_run(ledger, 1, {"extract": None}, cpu_seconds=1)
    assert MetricValues(ledger)["run_cpu_seconds"] == MEASURES["cpu_seconds"], "not whole yet"
    enter_run(ledger, 1 - 1 / 24, {"gate": "WAREHOUSE_UNAVAILABLE"}, cpu_seconds=1000)
    assert MetricValues(ledger)["run_status", "failed"] == 1
    enter_run(ledger, 1 - 2 / 24, {"gate": None}, cpu_seconds=2, peak_memory_bytes=900_000_000)
    enter_run(ledger, 1 - 3 / 24, {"build": None}, cpu_seconds=4)
    shown = MetricValues(ledger)
    assert shown["run_status", "succeeded"] == 1 and shown["run_exit_code"] == 0
    assert (shown["run_cpu_seconds"], shown["run_peak_memory_bytes"]) == (7, 900_000_000), "the last try of each"
    assert shown["run_duration_seconds"] == pytest.approx(3 * 3600 + 20, abs=2)
    assert shown["runs_7d", "succeeded"] == 2

    for minutes in (20, 10, 0):  # tried three times
        enter_run(ledger, 0.5 + minutes / 24 / 60, {"extract": "SOURCE_FAILED"})
    enter_run(ledger, 0.4, {"gate": None})
    enter_run(ledger, 0.3, {"build": None})
    shown = MetricValues(ledger)
    assert shown["run_status", "failed"] == 1 and shown["run_exit_code"] == ExitCode.SOURCE_FAILED
    assert (shown["runs_7d", "succeeded"], shown["runs_7d", "failed"]) == (2, 1)

    enter_run(ledger, 0.2, {"extract": None})
    assert MetricValues(ledger)["runs_7d", "failed"] == 1, "that night is under way"
    for days_ago in (0.15, 0.1):
        enter_run(ledger, days_ago, {"extract": "SOURCE_FAILED"})
    assert MetricValues(ledger)["runs_7d", "failed"] == 2
    ledger.execute("""
        update ops.runs set started_at = started_at - interval '12 hours'
        where run_seq < (select max(run_seq) from ops.runs)
    """)
    assert MetricValues(ledger)["runs_7d", "failed"] == 3, "so much later it is another night's"


def test_decisions_do_not_count_as_nights_nor_their_builds_as_steps(nights):
    before = MetricValues(nights)
    run_id = enter_run(nights, 0.1, {"build": None})
    nights.execute("update ops.runs set command = 'gate release build' where run_id = %s", [run_id])
    changed = {
        name
        for (name, labels), value in MetricValues(nights).samples.items()
        if before.samples.get((name, labels)) != value
    }
    # that run too left the warehouse larger
    assert changed <= {name for name in before._labels if name.startswith("relation_")}


def test_tables_have_counts_of_the_newest_successful_extraction_and_requests_of_the_newest_extraction(ledger):
    good, failed = enter_run(ledger, 2), enter_run(ledger, 1, {"extract": "SOURCE_FAILED"})
    figures = {
        "rows_read": 90, "rows_unchanged": 80, "rows_landed": 7, "rows_removed": 10, "rows_unreadable": 3,
        "keys_unsettled": 2, "keys_changed": 6, "bytes_landed": 700, "bytes_received": 9000,
    }  # fmt: skip
    enter_scan(ledger, good, "users", "1", **figures)
    enter_scan(ledger, good, "tracks", "1")
    enter_scan(ledger, failed, "users", None, requests=17, requests_failed=9)
    shown = MetricValues(ledger)
    for name, value in figures.items():
        assert shown[f"table_{name}", "users"] == value
    assert shown["table_removed_ratio", "users"] == 0.1
    assert shown["table_removed_ratio", "tracks"] is None, "of nothing, there is no share"
    assert (shown["table_requests", "users"], shown["table_requests_failed", "users"]) == (17, 9)
    assert shown["table_requests", "tracks"] == 3
    assert shown["table_rows_read", "listen_history"] is None


def test_freshness_is_the_start_of_the_newest_published_and_built_extraction(ledger):
    nights = [enter_run(ledger, days_ago) for days_ago in (5, 4, 3, 2, 1)]
    states = ("accepted", "accepted_with_quarantine", "superseded", "blocked", "accepted")
    for number, (run_id, state) in enumerate(zip(nights, states, strict=True)):
        enter_scan(ledger, run_id, "users", str(number))
        enter_load(ledger, run_id, "users", str(number), state)

    def built(seq):
        ledger.execute(
            "update ops.steps set figures = jsonb_build_object('published_seq', %s::int) where step = 'build'", [seq]
        )

    def start_of(run):
        return epoch(ledger, f"(select started_at from ops.steps where run_id = '{run}' and step = 'extract')")

    assert MetricValues(ledger)["table_fresh_timestamp_seconds", "users"] is None, "nothing is built"
    for seq, run in ((1, nights[0]), (2, nights[1]), (3, nights[4])):
        built(seq)
        assert MetricValues(ledger)["table_fresh_timestamp_seconds", "users"] == start_of(run)
    # a load that brought nothing has nothing to be built
    ledger.execute("delete from gate.publications where load_id = '4'")
    built(2)
    assert MetricValues(ledger)["table_fresh_timestamp_seconds", "users"] == start_of(nights[4])
    ledger.execute("update gate.loads set state = 'released' where state = 'blocked'")
    ledger.execute("update gate.loads set state = 'rejected' where load_id = '4'")
    assert MetricValues(ledger)["table_fresh_timestamp_seconds", "users"] == start_of(nights[3])
    assert MetricValues(ledger)["table_fresh_timestamp_seconds", "tracks"] is None


def test_a_table_whose_newest_loads_are_blocked_is_as_fresh_as_its_last_published_load(ledger):
    nights = [enter_run(ledger, days_ago) for days_ago in (3, 2, 1)]
    for number, (run_id, state) in enumerate(zip(nights, ("accepted", "superseded", "blocked"), strict=True)):
        for table, its_state in (("users", state), ("tracks", "accepted")):
            enter_scan(ledger, run_id, table, str(number))
            enter_load(ledger, run_id, table, str(number), its_state)
    ledger.execute("update ops.steps set figures = jsonb_build_object('published_seq', 99) where step = 'build'")
    begun = dict(ledger.execute("select run_id, extract(epoch from started_at) from ops.steps where step = 'extract'"))
    assert MetricValues(ledger).by_label("table_fresh_timestamp_seconds") == {
        ("users",): float(begun[nights[0]]),
        ("tracks",): float(begun[nights[2]]),
    }


def test_a_first_night_that_was_blocked_and_released_has_a_start_and_no_success(ledger):
    """The alert MoovitamixNoSuccessYet relies on this start."""
    run_id = enter_run(ledger, 0.1, {"extract": None, "gate": "BLOCKED", "build": None})
    enter_load(ledger, run_id, "users", "1", "blocked")
    ledger.execute("update gate.loads set state = 'released'")
    ledger.execute("insert into ops.runs (run_id, command, status) values ('r', 'gate release build', 'succeeded')")
    shown = MetricValues(ledger)
    started_at = epoch(ledger, f"(select started_at from ops.runs where run_id = '{run_id}')")
    assert shown["run_started_timestamp_seconds"] == started_at
    assert shown["run_last_success_timestamp_seconds"] is None
    assert (shown["run_exit_code"], shown["open_loads", "users", "blocked"]) == (ExitCode.BLOCKED, 0)


def test_a_killed_night_is_shown_as_crashed_only_until_its_retry_begins(ledger):
    enter_run(ledger, 0.1, {"extract": CRASHED})
    assert MetricValues(ledger)["run_status", "crashed"] == 1
    run_ledger.start_run(ledger, run_ledger.FULL_RUNS[0])
    ledger.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK])
    shown = MetricValues(ledger)
    assert (shown["run_status", "crashed"], shown["run_status", "running"]) == (0, 1)


def test_nulls_and_absent_fields_are_shares_of_the_newest_extraction(ledger):
    for days_ago, (rows, nulls, absent) in {2: (10, 9, 9), 1: (8, 2, 1)}.items():
        run_id = enter_run(ledger, days_ago)
        enter_scan(ledger, run_id, "users", f"of {days_ago}")
        row = {"table_name": "users", "column_name": "email", "rows": rows, "nulls": nulls, "absent": absent}
        run_ledger.insert_rows(ledger, "run_columns", run_id, [row, row | {"column_name": "id", "rows": 0}])
    shown = MetricValues(ledger)
    assert shown.by_label("column_null_ratio") == {("users", "email"): 0.25}
    assert shown.by_label("column_absent_ratio") == {("users", "email"): 0.125}


def test_open_loads_wait_since_they_were_extracted_or_blocked(ledger):
    first, second = enter_run(ledger, 2), enter_run(ledger, 1)
    for run_id, load_id in ((first, "1"), (second, "2")):
        enter_scan(ledger, run_id, "users", load_id)
        enter_load(ledger, run_id, "users", load_id, "pending")
    enter_scan(ledger, first, "tracks", "1")
    enter_load(ledger, first, "tracks", "1", "blocked")
    enter_scan(ledger, second, "tracks", "2")
    shown = MetricValues(ledger)
    since = "(select started_at from ops.steps where run_id = '{}' and step = 'extract')"
    assert shown.by_label("open_loads") == dict.fromkeys(LOADS, 0) | {
        ("users", "pending"): 2,
        ("tracks", "blocked"): 1,
        ("tracks", "pending"): 1,  # not registered by the gate yet
    }
    assert shown.by_label("open_load_since_timestamp_seconds") == {
        ("users", "pending"): epoch(ledger, since.format(first)),
        ("tracks", "pending"): epoch(ledger, since.format(second)),
        ("tracks", "blocked"): epoch(ledger, "(select judged_at from gate.loads where state = 'blocked')"),
    }


def test_the_gate_metrics_count_quarantined_rows_and_failed_rules_of_the_last_load(ledger):
    for days_ago, rules in {
        2: {("email_is_an_address", "warning"): 2, ("few_removals", "info"): 1},
        1: {("email_is_an_address", "warning"): 5},
    }.items():
        run_id = enter_run(ledger, days_ago)
        enter_scan(ledger, run_id, "users", f"of {days_ago}", rows_read=8)
        enter_load(ledger, run_id, "users", f"of {days_ago}", "accepted", rules)
    quarantine(ledger, "users", "of 1", "email_is_an_address", "a", "b", "c")
    quarantine(ledger, "users", "of 1", "id_is_there", "a")
    quarantine(ledger, "users", "of 2", "told_before", "d")
    ledger.execute("update gate.quarantined_rows set closed_at = now() where dlt_id in ('c', 'd')")
    shown = MetricValues(ledger)
    assert shown.by_label("quarantined_rows") == {
        ("users", "email_is_an_address"): 2, ("users", "id_is_there"): 1, ("users", "told_before"): 0,
    }  # fmt: skip
    assert shown.by_label("quarantined_ratio") == {("users",): 2 / 8}
    assert shown.by_label("gate_failed_rows") == {
        ("users", "email_is_an_address", "warning"): 5, ("users", "few_removals", "info"): 0,
    }  # fmt: skip
    enter_run(ledger, 0.6, {"extract": None, "gate": "BLOCKED", "build": None})
    assert MetricValues(ledger)["gate_could_not_run"] == 0
    enter_run(ledger, 0.5, {"extract": "SOURCE_FAILED", "gate": "GATE_BROKEN", "build": None})
    assert MetricValues(ledger)["gate_could_not_run"] == 1


def test_dbt_nodes_are_counted_by_step_type_and_status(ledger):
    statuses = {"gate": [("model", "success")], "build": [("model", "success"), ("test", "pass"), ("test", "warn")]}
    for days_ago, more in ((2, ("test", "fail")), (1, ("model", "error"))):
        run_id = enter_run(ledger, days_ago)
        for step, ends in statuses.items():
            rows = [
                {"node": f"{step} {number}", "step": step, "resource_type": kind, "status": status, "seconds": 1}
                for number, (kind, status) in enumerate([*ends, more] if step == "build" else ends)
            ]
            run_ledger.insert_rows(ledger, "run_nodes", run_id, rows)
    shown = MetricValues(ledger).by_label("dbt_nodes")
    assert {labels: count for labels, count in shown.items() if count} == {
        ("gate", "model", "success"): 1,
        ("build", "model", "success"): 1,
        ("build", "model", "error"): 1,
        ("build", "test", "pass"): 1,
        ("build", "test", "warn"): 1,
    }
    assert set(shown) == {
        (step, kind, status) for (step, kind), ends in metrics.NODE_STATUSES.items() for status in ends
    }


def test_growth_equals_that_of_the_records(ledger):
    sizes = {
        3: (None, {"marts.users": (10, 1000), "marts.tracks": (5, 500)}),
        2: ("BUILD_FAILED", {"marts.users": (11, 1100)}),
        1: (None, {"marts.users": (14, 1600), "marts.tracks": (None, 400), "marts.new": (1, 1)}),
    }
    for days_ago, (error, relations) in sizes.items():
        run_id = enter_run(ledger, days_ago, {"extract": None, "gate": None, "build": error})
        ledger.execute("delete from ops.run_relations where run_id = %s", [run_id])
        rows = [{"relation": name, "rows": rows, "bytes": size} for name, (rows, size) in relations.items()]
        run_ledger.insert_rows(ledger, "run_relations", run_id, rows)
    enter_run(ledger, 0.5, {"extract": CRASHED})
    shown = MetricValues(ledger)
    assert shown.by_label("relation_rows") == {("marts.users",): 14, ("marts.new",): 1}
    assert shown.by_label("relation_bytes") == {("marts.users",): 1600, ("marts.tracks",): 400, ("marts.new",): 1}
    assert shown.by_label("relation_growth_rows") == {("marts.users",): 4}
    assert shown.by_label("relation_growth_bytes") == {("marts.users",): 600, ("marts.tracks",): -100}
    grown = ledger.execute(
        "select relation, bytes - bytes_before from ops.run_growth where run_id = %s and bytes_before is not null",
        [run_id],
    )
    assert shown.by_label("relation_growth_bytes") == {(name,): size for name, size in grown}


def test_the_published_release_has_its_figures_and_the_usual_coverage(ledger):
    for days_ago, coverage in ((9, 0.9), (3, 0.5), (2, 0.7), (1, 0.2)):
        release = enter_release(ledger, days_ago, coverage)
    shown = MetricValues(ledger)
    assert (shown["recommendations_release"], shown["recommendations_users"]) == (release, 5)
    assert shown["recommendations_lists"] == 8
    assert shown["recommendations_released_timestamp_seconds"] == epoch(
        ledger, f"(select released_at from recommendations.releases where release_id = {release})"
    )
    assert shown.by_label("recommendations_coverage_ratio") == {("again",): 0.2, ("discover",): 0.2}
    assert shown["recommendations_usual_coverage_ratio", "again"] == pytest.approx(0.6)
    ledger.execute(
        "insert into recommendations.release_history (release_id, reason) values (%s, 'rollback')", [release - 3]
    )
    shown = MetricValues(ledger)
    assert shown["recommendations_release"] == release - 3 and shown["recommendations_coverage_ratio", "again"] == 0.9
    assert shown["recommendations_usual_coverage_ratio", "again"] is None


def test_quality_is_the_mean_of_the_users_of_the_last_seven_days(ledger):
    today = dt.date(2026, 3, 20)
    release = enter_release(ledger, 1)
    enter_quality(ledger, release, today - 7 * DAY, 0.9)
    enter_quality(ledger, release, today - DAY, 0.2, users=300)
    enter_quality(ledger, release, today - DAY, 0.9, users=10, segment="cold")
    enter_quality(ledger, release, today, 0.4, 0.3, users=100)
    enter_quality(ledger, release, today, 0.1, list_name="again")
    shown = MetricValues(ledger)
    versions = dict(ledger.execute("select list, model_version::text from recommendations.model_versions").fetchall())
    discover, again = (("discover", versions["discover"]), ("again", versions["again"]))
    assert shown.by_label("recommendations_ndcg_7d") == pytest.approx({discover: 0.25, again: 0.1})
    assert shown["recommendations_popularity_ndcg_7d", *discover] == pytest.approx(0.15)
    assert shown["recommendations_hit_ratio_7d", *discover] == pytest.approx(0.5)
    assert shown["recommendations_popularity_hit_ratio_7d", *discover] == pytest.approx(0.3)
    assert shown["recommendations_played_ratio_7d", *discover] == 0.25


def test_nights_below_launch_are_counted_back_from_the_newest_day_for_the_model_of_now(ledger):
    first = dt.date(2026, 3, 1)
    # at launch +.2; below it when the difference and its .02 do not reach that
    old = enter_release(ledger, 9, models={"discover": "als"})
    enter_quality(ledger, old, first - DAY, 0.9)
    release = enter_release(ledger, 1)
    counts = []
    for place, ndcg in enumerate((0.2, 0.3, 0.4, 0.27, 0.279, 0.281, 0.27, 0.2, 0.1)):
        enter_quality(ledger, release, first + place * DAY, ndcg)
        # fewer users saw another release on the same day
        enter_quality(ledger, enter_release(ledger, 1), first + place * DAY, 0.5, users=4)
        enter_quality(ledger, release, first + place * DAY, 0, list_name="again")
        counts.append(MetricValues(ledger).by_label("recommendations_nights_below_launch"))
    # from six nights on the first three are a launch
    assert counts == [{("discover",): number} for number in (0, 0, 0, 0, 0, 0, 1, 2, 3)]
    # a bad model is compared with the one before it from its first night on
    last = first + 8 * DAY
    for nights in (1, 2, 3):
        broken = enter_release(ledger, 0, models={"discover": "ease"})
        enter_quality(ledger, broken, last + nights * DAY, 0.05)
        assert MetricValues(ledger)["recommendations_nights_below_launch", "discover"] == nights


def test_the_last_success_of_recommend_is_shown_unless_the_step_is_left_out(ledger):
    name = "recommendations_last_success_timestamp_seconds"
    enter_run(ledger, 3)
    assert MetricValues(ledger)[name] is None
    enter_run(ledger, 2.9, {"recommend": None})
    assert MetricValues(ledger)[name] == epoch(
        ledger, "(select max(finished_at) from ops.steps where step = 'recommend')"
    )
    enter_run(ledger, 1, {"build": "BUILD_FAILED"})
    enter_run(ledger, 0.9, {"recommend": "RECOMMENDATIONS_FAILED"})
    first = "(select min(finished_at) from ops.steps where step = 'recommend')"
    assert MetricValues(ledger)[name] == epoch(ledger, first)
    enter_run(ledger, 0.5)
    assert MetricValues(ledger)[name] is None, "the setting leaves the step out"


def test_before_the_first_run_only_records_readable_exists(connection):
    readable = (("records_readable", frozenset()), 1)
    assert MetricValues(connection).samples == dict([readable])
    migrate(connection)
    assert MetricValues(connection).samples == dict([
        readable,
        *((("runs_7d", frozenset({("status", status)})), 0) for status in metrics.RUN_STATUSES),
        *((("open_loads", frozenset({("table", table), ("state", state)})), 0) for table, state in LOADS),
    ])  # fmt: skip


def test_metric_names_follow_the_rules_of_prometheus(nights):
    """Base units, `_total` of counters alone, `_timestamp_seconds`; https://prometheus.io/docs/practices/naming/"""
    families = metrics.families(nights)
    names = [family.name for family in families]
    assert len(set(names)) == len(names) == 1 + sum(len(group.metrics) for group in metrics.GROUPS)
    for family in families:
        assert re.fullmatch(r"moovitamix_[a-z][a-z0-9]*(_[a-z0-9]+)*", family.name)
        assert family.type == "gauge"
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info", "_created"))
        words = set(family.name.split("_"))
        assert not words & {"minutes", "hours", "days", "milliseconds", "ms", "mb", "kb", "megabytes", "percent"}
        assert ("timestamp" in words) == family.name.endswith("_timestamp_seconds")
        assert family.documentation.endswith(".") and "\n" not in family.documentation


def test_every_label_has_a_bounded_set_of_values(nights):
    """Check that no label value is an id, a message, or a name from the source."""
    odd = "a table\nof nobody"
    run_id = enter_run(nights, 0.1, {"extract": "AnError", "gate": None, "build": None})
    enter_scan(nights, run_id, odd, "1")
    enter_scan(nights, run_id, "users", "1")
    enter_load(nights, run_id, odd, "1", "blocked", {("a rule", "info"): 1})
    quarantine(nights, odd, "1", "a rule", "a")
    node = {"node": "x", "step": "build", "resource_type": odd, "status": odd, "seconds": 1}
    run_ledger.insert_rows(nights, "run_nodes", run_id, [node])
    allowed = {
        "status": {*metrics.RUN_STATUSES, *(status for ends in metrics.NODE_STATUSES.values() for status in ends)},
        "step": set(STEPS),
        "error_type": {*metrics.ERROR_TYPES, "CRASHED"},
        "table": set(SOURCE_TABLE_NAMES),
        "column": {field for table in SOURCE_TABLES for field in table.fields},
        "state": {"pending", "blocked"},
        "severity": {"info", "warning", "critical"},
        "resource_type": {"model", "test"},
        "rule": set(),
        "list": {"discover", "again"},
        "model_version": set(),
        "relation": {
            name for (name,) in nights.execute("select oid::regclass::text from pg_class where relkind in ('r', 'p')")
        },
    }
    for _, labels in MetricValues(nights).samples:
        for label, value in labels:
            assert value in allowed[label], (label, value)


def test_constants_of_monitoring_equal_those_of_the_pipeline():
    assert set(metrics.ERROR_TYPES) == {code.name for code in ExitCode} - {"PUBLISHED"}
    assert PARAMETERS["commands"][0] == run_ledger.FULL_RUNS[0]
    assert list(SOURCE_TABLE_NAMES) == [table.name for table in SOURCE_TABLES]


def test_all_metrics_are_read_in_one_snapshot(nights, monkeypatch, database_url):
    """Begin a night while the metrics are read: it is shown completely or not at all."""
    before = MetricValues(nights)
    read = metrics._read
    with psycopg.connect(database_url, autocommit=True) as other:

        def read_after_a_new_run(connection, group):
            if group is metrics.GROUPS[1]:
                enter_run(other, 0)
            return read(connection, group)

        monkeypatch.setattr(metrics, "_read", read_after_a_new_run)
        assert MetricValues(nights).samples == before.samples
    monkeypatch.undo()
    assert MetricValues(nights)["run_status", "succeeded"] == 1


# The command: its metrics, and its log when the records are unavailable.


def scraped(records: exporter.Records) -> dict:
    registry = CollectorRegistry()
    registry.register(records)
    return samples(text_string_to_metric_families(generate_latest(registry).decode()))


NOTHING = {("records_readable", frozenset()): 0}


def test_a_ledger_of_an_earlier_version_is_not_read_and_the_log_names_the_command(nights, database_url, capsys):
    nights.execute("alter table ops.run_nodes rename to run_models")
    records = exporter.Records(lambda: database_url)
    assert scraped(records) == scraped(records) == NOTHING
    assert capsys.readouterr().out == (
        "metrics: unavailable: the warehouse must be upgraded for this version: make migrate\n"
    )
    nights.execute("alter table ops.run_models rename to run_nodes")
    assert len(scraped(records)) > 50
    assert capsys.readouterr().out == "metrics: available again\n"


def test_an_unavailable_warehouse_and_its_return_are_logged(nights, database_url, postgres_url, capsys):
    name = nights.info.dbname
    records = exporter.Records(lambda: database_url)
    before = scraped(records)
    assert before == MetricValues(nights).samples
    with psycopg.connect(postgres_url, autocommit=True) as server:
        nights.close()
        server.execute(f"alter database {name} rename to {name}_away")
        assert scraped(records) == NOTHING
        server.execute(f"alter database {name}_away rename to {name}")
    assert scraped(records) == before
    gone, back = capsys.readouterr().out.splitlines()
    assert gone.startswith("metrics: unavailable: the warehouse cannot be reached: ") and "does not exist" in gone
    assert back == "metrics: available again"


def test_a_wrong_password_is_reported_and_not_printed(database_url, capsys):
    wrong = make_conninfo(database_url, password="wr0ng-password", user="nobody_here")
    assert scraped(exporter.Records(lambda: wrong)) == NOTHING
    out = capsys.readouterr().out
    assert "cannot be reached" in out and "wr0ng" not in out


def test_a_user_without_rights_sees_the_name_of_the_required_role(nights, database_url, capsys):
    nights.execute("create role without_rights login password 'x'")
    try:
        poor = make_conninfo(database_url, user="without_rights", password="x")
        assert scraped(exporter.Records(lambda: poor)) == NOTHING
    finally:
        nights.execute("drop role without_rights")
    assert "moovitamix_monitor" in capsys.readouterr().out


def test_a_stopped_embedded_postgres_is_not_started(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MOOVITAMIX_HOME", str(tmp_path))
    assert scraped(exporter.Records(lambda: embedded_postgres.url(Settings().postgres_folder))) == NOTHING
    assert "make run" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_hanging_server_does_not_block_a_scrape(nights, database_url, monkeypatch, capsys):
    monkeypatch.setattr(exporter, "CONNECT_SECONDS", 2)  # libpq's least
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql://x:y@127.0.0.1:{mute.getsockname()[1]}/z"
        assert scraped(exporter.Records(lambda: url)) == NOTHING
    assert time.monotonic() - began < 10, "Prometheus waits no longer"
    assert "cannot be reached" in capsys.readouterr().out

    records = exporter.Records(lambda: database_url)
    nights.execute("set idle_in_transaction_session_timeout = '30s'")  # for a scrape that is held
    with nights.transaction():
        nights.execute("lock table ops.steps")
        monkeypatch.setattr(metrics, "STATEMENT_TIMEOUT", "100ms")
        assert scraped(records) == NOTHING
        assert "statement timeout" in capsys.readouterr().out
        # a server that ignores timeouts
        monkeypatch.setattr(metrics, "STATEMENT_TIMEOUT", "0")
        monkeypatch.setattr(exporter, "READ_SECONDS", 0.2)
        assert scraped(records) == NOTHING
        said = capsys.readouterr()
        assert "the records cannot be read" in said.out and said.err == ""
    monkeypatch.undo()
    assert len(scraped(records)) > 50


def test_an_unexpected_error_is_logged_with_its_type_only(monkeypatch, nights, database_url, capsys):
    def broken(connection):
        raise ZeroDivisionError("s3cret")

    monkeypatch.setattr(metrics, "families", broken)
    assert scraped(exporter.Records(lambda: database_url)) == NOTHING
    assert capsys.readouterr().out == "metrics: unavailable: unexpected ZeroDivisionError\n"


def test_metrics_are_served_on_loopback_and_are_the_same_after_a_restart(nights, database_url):
    bodies = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with launched("metrics", "--port", "0", DATABASE_URL=database_url) as process:
            address = process.stdout.readline().split("the metrics are at ")[1].split()[0]
            with urllib.request.urlopen(address) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain")
                bodies.append(samples(text_string_to_metric_families(answer.read().decode())))
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.2", int(address.split(":")[2].split("/")[0])))
            process.send_signal(number)
            ended = finish(process)
        assert (ended.code, ended.out, ended.err) == (ExitCode.PUBLISHED, "", "")
    assert bodies == [MetricValues(nights).samples] * 2


def test_an_occupied_port_or_an_invalid_address_is_reported_at_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = command("metrics", METRICS_PORT=port).only_line(ExitCode.WRONG_SETTINGS)
    assert f"127.0.0.1:{port}" in line and "METRICS_PORT" in line
    assert "DATABASE_URL" in command("metrics", "--port", "0", DATABASE_URL="nonsense").only_line(
        ExitCode.WRONG_SETTINGS
    )
    line = command("metrics", "--port", "0", "--host", "203.0.113.7").only_line(ExitCode.WRONG_SETTINGS)
    assert "203.0.113.7" in line


# The documents.


def rows_of(document: str, width: int) -> list[list[str]]:
    """Return the cells of the rows of all tables in the document."""
    lines = (line for line in (PROJECT / "docs" / document).read_text().splitlines() if line.startswith("| `"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if len(row) == width]


def test_the_reference_lists_all_metrics():
    described = [
        (name.strip("`"), re.findall(r"`(\w+)`", labels), meaning)
        for name, labels, unit, meaning, source in rows_of("metrics.md", 5)
    ]
    there = [(metrics.RECORDS_READABLE, (), metrics.RECORDS_READABLE_HELP)]
    there += [(name, group.labels, meaning) for group in metrics.GROUPS for name, meaning in group.metrics.items()]
    assert described == [(metrics.PREFIX + name, list(labels), meaning) for name, labels, meaning in there]


def test_the_run_record_document_names_each_table_and_column(ledger):
    there = {}
    for relation, column in ledger.execute("""
        select attrelid::regclass::text, attname
        from pg_attribute
        inner join pg_class on attrelid = pg_class.oid
        where relnamespace = 'ops'::regnamespace and relkind in ('r', 'v') and attnum > 0 and not attisdropped
    """):
        there.setdefault(relation, set()).add(column)
    described = {}
    section = "measures"
    for line in (PROJECT / "docs" / "run-record.md").read_text().splitlines():
        if line.startswith("## "):
            section = line.strip("# `")
            described[section] = set()
        elif line.startswith("| `"):
            described.setdefault(section, set()).update(re.findall(r"`(\w+)`", line.split("|")[1]))
    measures = described.pop("measures")
    for table in ("runs", "steps"):
        described[f"ops.{table}"] |= measures
        described[f"ops.current_{table}"] = described[f"ops.{table}"]
    assert described == there
