"""The records in `ops` of all kinds of runs match staging, gate and marts."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from extract.source_tables import SOURCE_TABLES
from pipeline.records import run_ledger, table_sizes
from pipeline.run import run_details
from sample_api.server import serve
from sample_api.world import snapshot
from tests.databases import database_copy
from tests.integration.pipeline.conftest import NEXT_DAY, WORLD
from tests.marts import rows_on_disk
from tests.runs import run_pipeline
from warehouse.errors import ExitCode
from warehouse.names import SCHEMAS

TABLES = [table.name for table in SOURCE_TABLES]
SECRET = "pass-w0rd-of-an-address"
PLANTED = "planted-in-a-row"
RECORD = ("runs", "steps", "run_tables", "run_columns", "run_loads", "run_nodes", "run_relations")


@dataclass(frozen=True)
class RecordedRuns:
    """The runs' ids, and a connection to the warehouse after all of them.

    Of the good night: the requests that the API saw, by path, and the rows that it wrote, by mart.
    """

    connection: psycopg.Connection
    requests: dict[str, int]
    written: dict[str, int]
    good: str = ""
    blocked: str = ""
    failed: str = ""
    unbuilt: str = ""

    def rows(self, query: str, *values: object) -> list[dict]:
        return self.connection.cursor(row_factory=dict_row).execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> dict:
        (row,) = self.rows(query, *values)
        return row


def last_run_id(connection) -> str:
    return connection.execute("select run_id from ops.runs order by run_seq desc limit 1").fetchone()[0]


@pytest.fixture(scope="module")
def nights(postgres_url, built_template) -> Iterator[RecordedRuns]:
    """A good night with some bad rows, a blocked one, one whose source fails, one whose build does; read only."""
    world = snapshot(WORLD, NEXT_DAY)
    hostile = {
        **world.users[0],
        "id": 990099,
        "first_name": PLANTED,
        PLANTED: PLANTED,
        "email": PLANTED,
        "gender": None,
    }
    lacking = {name: value for name, value in world.users[0].items() if name != "last_name"} | {"id": 990100}
    rows = {**world.tables(), "users": [*world.users, hostile, lacking]}
    with (
        database_copy(postgres_url, built_template, "recorded") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
        serve(rows) as api,
    ):
        ids = {}

        def night(name: str, code: ExitCode, *faults: str) -> None:
            api.faults.clear()
            for fault in faults:
                api.faults.add(fault)
            assert run_pipeline(url, api.url).exit_code == code
            ids[name] = last_run_id(connection)

        before = rows_on_disk(connection)
        night("good", ExitCode.PUBLISHED, "bad_rows=0.1/1", "server_error@tracks:1=1")
        requests = dict(api.requests.paths)
        written = {mart: len(set(rows) - set(before[mart])) for mart, rows in rows_on_disk(connection).items()}
        night("blocked", ExitCode.BLOCKED, "bad_rows@users=0.6/2", "bulk_removal@tracks=0.25")
        night("failed", ExitCode.SOURCE_FAILED, "redirect@tracks=http://127.0.0.1:1/")
        connection.execute("alter table marts.users add constraint no_more check (id is null) not valid")
        night("unbuilt", ExitCode.BUILD_FAILED)
        yield RecordedRuns(connection, requests, written, **ids)


def test_each_run_and_each_step_records_its_end(nights):
    runs_ = nights.rows("select * from ops.runs order by run_seq desc limit 4")
    assert [(run["status"], run["exit_code"], run["error_type"]) for run in reversed(runs_)] == [
        ("succeeded", 0, None),
        ("failed", 4, "BLOCKED"),
        ("failed", 3, "SOURCE_FAILED"),
        ("failed", 5, "BUILD_FAILED"),
    ]
    steps = nights.rows("select * from ops.steps where run_id = %s order by started_at", nights.failed)
    assert [(step["step"], step["status"], step["error_type"]) for step in steps] == [
        ("extract", "failed", "SOURCE_FAILED"),
        ("gate", "succeeded", None),
        ("build", "succeeded", None),
    ]
    for run in runs_:
        steps = nights.rows("select * from ops.steps where run_id = %s order by started_at", run["run_id"])
        assert run["started_at"] <= steps[0]["started_at"] and steps[-1]["finished_at"] <= run["finished_at"]
        for one, other in itertools.pairwise(steps):
            assert one["finished_at"] <= other["started_at"]


def test_the_usage_of_a_run_is_about_the_sum_of_its_steps(nights):
    for run_id in (nights.good, nights.blocked, nights.failed, nights.unbuilt):
        run = nights.row("select * from ops.runs where run_id = %s", run_id)
        steps = nights.rows("select * from ops.steps where run_id = %s", run_id)
        recorded = [name for name in run_ledger.MEASURES if name not in ("rows", "bytes", "database_cpu_seconds")]
        for measured in (run, *steps):
            assert all(measured[name] is not None for name in recorded)
            assert measured["database_cpu_seconds"] is None, "another's server is not looked at"
            assert 0 < measured["disk_free_bytes"] < measured["disk_size_bytes"]
        assert run["peak_memory_bytes"] >= max(step["peak_memory_bytes"] for step in steps)
        assert all(step["cpu_seconds"] >= 0 for step in steps)
        for name in ("cpu_seconds", "disk_written_bytes", "network_received_bytes"):
            assert run[name] + 0.001 >= sum(step[name] for step in steps)


def test_recorded_counts_match_the_scans_and_the_landing_tables(nights):
    recorded = nights.rows("select * from ops.run_tables where run_id = %s order by table_name", nights.good)
    assert [row["table_name"] for row in recorded] == sorted(TABLES)
    for row in recorded:
        scan = nights.row(
            "select * from staging.scans where _dlt_load_id = %s and table_name = %s",
            row["load_id"], row["table_name"],
        )  # fmt: skip
        for name in run_details.SCAN_FIGURES:
            assert row[name] == scan[name] and row[name] is not None
        landed = nights.row(
            f"select count(payload) as landed, count(*) - count(payload) as removed"
            f" from staging.{row['table_name']} where _dlt_load_id = %s",
            row["load_id"],
        )
        assert (row["rows_landed"], row["rows_removed"]) == (landed["landed"], landed["removed"])
        assert 0 < row["bytes_landed"] < row["bytes_received"]
        assert row["requests"] == nights.requests[f"/{row['table_name']}"]
        assert row["requests_failed"] == (1 if row["table_name"] == "tracks" else 0)
    step = nights.row("select * from ops.steps where run_id = %s and step = 'extract'", nights.good)
    run = nights.row("select * from ops.runs where run_id = %s", nights.good)
    for whole in (step, run):
        assert whole["rows"] == sum(row["rows_read"] for row in recorded)
        assert whole["bytes"] == sum(row["bytes_received"] for row in recorded)


def test_a_failed_extraction_records_its_requests_and_no_rows(nights):
    rows = nights.rows("select * from ops.run_tables where run_id = %s", nights.failed)
    recorded = {row["table_name"]: row for row in rows}
    assert set(recorded) == set(TABLES)
    assert (recorded["tracks"]["requests"], recorded["tracks"]["requests_failed"]) == (1, 1)
    for row in recorded.values():
        assert row["load_id"] is None and row["rows_read"] is None and row["bytes_landed"] is None
    step = nights.row("select * from ops.steps where run_id = %s and step = 'extract'", nights.failed)
    assert step["rows"] is None and step["bytes"] == sum(row["bytes_received"] for row in recorded.values())
    assert nights.rows("select * from ops.run_columns where run_id = %s", nights.failed) == []


def test_nulls_and_missing_fields_are_counted_over_all_rows_read(nights):
    for table in SOURCE_TABLES:
        load_id = nights.row(
            "select load_id from ops.run_tables where run_id = %s and table_name = %s", nights.unbuilt, table.name
        )["load_id"]
        # all that the API said that night: of each key, the versions of the newest load that has it
        expected = nights.rows(f"""
            with read as (
                select payload
                from (
                    select *, first_value(_dlt_load_id) over (partition by key order by version_seq desc) as newest_load
                    from staging.{table.name}
                    where _dlt_load_id <= '{load_id}'
                ) as versions
                where _dlt_load_id = newest_load and payload is not null
            )
            select
                name as column_name,
                count(*) as rows,
                count(*) filter (where payload -> name = 'null') as nulls,
                count(*) filter (where payload -> name is null) as absent
            from read
            cross join unnest(%s::text[]) as names (name)
            group by name
            order by name
        """, list(table.fields))  # fmt: skip
        recorded = nights.rows(
            "select column_name, rows, nulls, absent from ops.run_columns"
            " where run_id = %s and table_name = %s order by column_name",
            nights.unbuilt, table.name,
        )  # fmt: skip
        assert recorded == expected
        if table.name == "users":
            assert (sum(row["nulls"] for row in recorded), sum(row["absent"] for row in recorded)) == (1, 1)


def test_verdicts_and_failed_rules_match_the_gate_ledger(nights):
    for run_id in (nights.good, nights.blocked):
        verdicts = nights.rows("select * from ops.run_loads where run_id = %s order by table_name", run_id)
        assert [row["table_name"] for row in verdicts] == sorted(TABLES)
        moved = 0
        for row in verdicts:
            load = nights.row(
                "select * from gate.loads where load_id = %s and table_name = %s", row["load_id"], row["table_name"]
            )
            assert row["rows_quarantined"] == load["rows_quarantined"]
            moved += load["rows_landed"] + load["rows_removed"]
        assert nights.row("select rows from ops.steps where run_id = %s and step = 'gate'", run_id)["rows"] == moved
        quarantined = nights.rows("""
            select table_name, rule, count(*) as rows_failed
            from gate.quarantined_rows
            where load_id in (select load_id from ops.run_loads where run_id = %s)
            group by 1, 2 order by 1, 2
        """, run_id)  # fmt: skip
        rules = nights.rows(
            "select table_name, rule, rows_failed from ops.run_rules"
            " where run_id = %s and severity = 'warning' order by 1, 2",
            run_id,
        )
        assert quarantined and rules == quarantined
    # what the verdict was then, and not what became of the load since
    assert nights.row(
        "select run_loads.state as then_, loads.state as now_ from ops.run_loads inner join gate.loads"
        " using (load_id, table_name) where run_id = %s and table_name = 'users'",
        nights.blocked,
    ) == {"then_": "blocked", "now_": "superseded"}
    assert {
        "rule": "few_removals", "severity": "info", "rows_failed": 1, "table_name": "tracks",
    } in nights.rows(
        "select rule, severity, rows_failed, table_name from ops.run_rules where run_id = %s", nights.blocked
    )  # fmt: skip


def test_models_record_rows_written_and_tests_record_failures(nights):
    nodes = {node["node"]: node for node in nights.rows("select * from ops.run_nodes where run_id = %s", nights.good)}
    assert {(node["resource_type"], node["status"]) for node in nodes.values()} == {
        ("model", "success"),
        ("test", "pass"),
    }
    for mart, written in nights.written.items():
        assert nodes[mart.partition(".")[2]]["rows_affected"] == written, mart
    assert nights.written["marts.users"] > 0 and nights.written["marts.listen_history"] > 0
    assert {node["step"] for node in nodes.values()} == {"build"}
    assert "user_profile" not in nodes, "a view that is as it was is not built"
    (found,) = {node["failures"] for node in nodes.values() if node["resource_type"] == "test"}
    assert found == 0
    step = nights.row("select rows from ops.steps where run_id = %s and step = 'build'", nights.good)
    assert step["rows"] == sum(node["rows_affected"] or 0 for node in nodes.values())


def test_a_failed_build_records_errors_and_skipped_models_separately(nights):
    counts = {
        (row["resource_type"], row["status"]): row["nodes"]
        for row in nights.rows(
            "select resource_type, status, count(*) as nodes from ops.run_nodes where run_id = %s group by 1, 2",
            nights.unbuilt,
        )
    }
    assert counts["model", "error"] == 1
    assert counts["model", "skipped"] > 0 and counts["test", "skipped"] > 0 and counts["model", "success"] > 0
    message = nights.row("select message from ops.runs where run_id = %s", nights.unbuilt)["message"]
    assert "no_more" in message


def test_table_sizes_are_recorded(nights):
    recorded = {
        row["relation"]: row for row in nights.rows("select * from ops.run_relations where run_id = %s", nights.unbuilt)
    }
    for relation in ("staging.users", "gate.loads", "marts.users", "marts.listen_history", "prep.parked_listens"):
        assert recorded[relation]["rows"] == nights.row(f"select count(*) as rows from {relation}")["rows"], relation
    assert (
        recorded["marts.users"]["bytes"] == nights.row("select pg_total_relation_size('marts.users') as size")["size"]
    )
    assert recorded["marts.listen_history"]["bytes"] == sum(
        row["size"]
        for row in nights.rows(
            "select pg_total_relation_size(inhrelid) as size from pg_inherits where inhparent = %s::regclass",
            "marts.listen_history",
        )
    )
    assert {name.partition(".")[0] for name in recorded} == set(SCHEMAS)
    assert not [name for name in recorded if "_dlt" in name or "judged" in name or "listen_history_" in name]


def test_growth_is_measured_against_the_last_successful_run(nights):
    before = nights.row("select * from ops.run_relations where run_id = %s and relation = 'staging.users'", nights.good)
    for run_id in (nights.blocked, nights.failed, nights.unbuilt):
        grown = nights.row("select * from ops.run_growth where run_id = %s and relation = 'staging.users'", run_id)
        assert (grown["run_id_before"], grown["rows_before"], grown["bytes_before"]) == (
            nights.good, before["rows"], before["bytes"],
        )  # fmt: skip
        assert grown["rows"] > before["rows"]
    first = nights.rows("select run_id_before from ops.run_growth inner join ops.runs using (run_id) where run_seq = 1")
    assert {row["run_id_before"] for row in first} == {None}


def test_a_table_too_large_to_be_counted_is_estimated(nights, monkeypatch):
    nights.connection.execute("analyze staging.users")
    monkeypatch.setattr(table_sizes, "LARGEST_COUNTED_BYTES", 0)
    recorded = {row["relation"]: row["rows"] for row in table_sizes.measure_tables(nights.connection)}
    estimate = nights.row("select reltuples::bigint as rows from pg_class where oid = 'staging.users'::regclass")
    assert recorded["staging.users"] == estimate["rows"] > 0


def in_record(connection, text: str) -> list[tuple]:
    """The rows that hold it."""
    recorded = (
        connection.execute(f"select * from ops.{table} as recorded where recorded::text ilike %s", [f"%{text}%"])
        for table in RECORD
    )
    return list(itertools.chain.from_iterable(recorded))


def test_the_ledger_contains_no_secret_of_an_address(nights, database_url, connection):
    assert in_record(nights.connection, conninfo_to_dict(database_url)["password"]) == []
    addressed = run_pipeline(database_url, f"http://someone:{SECRET}@127.0.0.1:9/?key={SECRET}")
    assert addressed.exit_code == ExitCode.WRONG_SETTINGS
    assert in_record(connection, "API_BASE_URL must not hold") and in_record(connection, SECRET) == []


def test_the_ledger_contains_no_data_of_rows(nights):
    assert in_record(nights.connection, PLANTED) == []
    assert nights.rows(
        "select * from gate.quarantined_rows as quarantined where quarantined::text ilike %s", f"%{PLANTED}%"
    )
    known = {(table.name, field) for table in SOURCE_TABLES for field in table.fields}
    assert {
        (row["table_name"], row["column_name"])
        for row in nights.rows("select distinct table_name, column_name from ops.run_columns")
    } == known
