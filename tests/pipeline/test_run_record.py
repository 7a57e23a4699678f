"""What `ops` holds of nights of every kind, compared with what staging, gate and marts hold."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

import extract
from pipeline import run_figures, runs, sizes
from pipeline.exits import Exit
from sample_api.server import serve
from sample_api.world import snapshot
from tests.databases import copied
from tests.marts import rows_on_disk
from tests.nights import run_night
from tests.pipeline.conftest import NEXT_DAY, WORLD

TABLES = [table.name for table in extract.SOURCE_TABLES]
SECRET = "pass-w0rd-of-an-address"
PLANTED = "planted-in-a-row"
RECORD = ("runs", "steps", "run_tables", "run_columns", "run_loads", "run_nodes", "run_relations")


@dataclass(frozen=True)
class Nights:
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
def nights(postgres_url, built_template) -> Iterator[Nights]:
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
        copied(postgres_url, built_template, "recorded") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
        serve(rows) as api,
    ):
        ids = {}

        def night(name: str, code: Exit, *faults: str) -> None:
            api.faults.clear()
            for fault in faults:
                api.faults.add(fault)
            assert run_night(url, api.url).exit_code == code
            ids[name] = last_run_id(connection)

        before = rows_on_disk(connection)
        night("good", Exit.PUBLISHED, "bad_rows=0.1/1", "server_error@tracks:1=1")
        requests = dict(api.requests.paths)
        written = {mart: len(set(rows) - set(before[mart])) for mart, rows in rows_on_disk(connection).items()}
        night("blocked", Exit.BLOCKED, "bad_rows@users=0.6/2", "bulk_removal@tracks=0.25")
        night("failed", Exit.SOURCE_FAILED, "redirect@tracks=http://127.0.0.1:1/")
        connection.execute("alter table marts.users add constraint no_more check (id is null) not valid")
        night("unbuilt", Exit.BUILD_FAILED)
        yield Nights(connection, requests, written, **ids)


def test_each_run_and_each_step_tells_how_it_ended(nights):
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


def test_what_a_run_cost_is_the_sum_of_its_steps_and_little_more(nights):
    for run_id in (nights.good, nights.blocked, nights.failed, nights.unbuilt):
        run = nights.row("select * from ops.runs where run_id = %s", run_id)
        steps = nights.rows("select * from ops.steps where run_id = %s", run_id)
        told = [name for name in runs.MEASURES if name not in ("rows", "bytes", "database_cpu_seconds")]
        for measured in (run, *steps):
            assert all(measured[name] is not None for name in told)
            assert measured["database_cpu_seconds"] is None, "another's server is not looked at"
            assert 0 < measured["disk_free_bytes"] < measured["disk_size_bytes"]
        assert run["peak_memory_bytes"] >= max(step["peak_memory_bytes"] for step in steps)
        assert all(step["cpu_seconds"] > 0 for step in steps)
        for name in ("cpu_seconds", "disk_written_bytes", "network_received_bytes"):
            assert run[name] + 0.001 >= sum(step[name] for step in steps)


def test_what_was_read_and_landed_is_what_the_scans_and_the_landing_tables_say(nights):
    told = nights.rows("select * from ops.run_tables where run_id = %s order by table_name", nights.good)
    assert [row["table_name"] for row in told] == sorted(TABLES)
    for row in told:
        scan = nights.row(
            "select * from staging.scans where _dlt_load_id = %s and table_name = %s",
            row["load_id"], row["table_name"],
        )  # fmt: skip
        for name in run_figures.SCAN_FIGURES:
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
        assert whole["rows"] == sum(row["rows_read"] for row in told)
        assert whole["bytes"] == sum(row["bytes_received"] for row in told)


def test_a_pull_that_failed_tells_what_it_asked_for_and_that_nothing_came_of_it(nights):
    rows = nights.rows("select * from ops.run_tables where run_id = %s", nights.failed)
    told = {row["table_name"]: row for row in rows}
    assert set(told) == set(TABLES)
    assert (told["tracks"]["requests"], told["tracks"]["requests_failed"]) == (1, 1)
    for row in told.values():
        assert row["load_id"] is None and row["rows_read"] is None and row["bytes_landed"] is None
    step = nights.row("select * from ops.steps where run_id = %s and step = 'extract'", nights.failed)
    assert step["rows"] is None and step["bytes"] == sum(row["bytes_received"] for row in told.values())
    assert nights.rows("select * from ops.run_columns where run_id = %s", nights.failed) == []


def test_nulls_and_missing_fields_are_those_of_all_rows_read(nights):
    for table in extract.SOURCE_TABLES:
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
        told = nights.rows(
            "select column_name, rows, nulls, absent from ops.run_columns"
            " where run_id = %s and table_name = %s order by column_name",
            nights.unbuilt, table.name,
        )  # fmt: skip
        assert told == expected
        if table.name == "users":
            assert (sum(row["nulls"] for row in told), sum(row["absent"] for row in told)) == (1, 1)


def test_verdicts_and_broken_rules_are_those_of_the_gates_ledger(nights):
    for run_id in (nights.good, nights.blocked):
        judged = nights.rows("select * from ops.run_loads where run_id = %s order by table_name", run_id)
        assert [row["table_name"] for row in judged] == sorted(TABLES)
        moved = 0
        for row in judged:
            load = nights.row(
                "select * from gate.loads where load_id = %s and table_name = %s", row["load_id"], row["table_name"]
            )
            assert row["rows_quarantined"] == load["rows_quarantined"]
            moved += load["rows_landed"] + load["rows_removed"]
        assert nights.row("select rows from ops.steps where run_id = %s and step = 'gate'", run_id)["rows"] == moved
        held = nights.rows("""
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
        assert held and rules == held
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


def test_models_tell_the_rows_they_wrote_and_tests_what_they_found(nights):
    nodes = {node["node"]: node for node in nights.rows("select * from ops.run_nodes where run_id = %s", nights.good)}
    assert {(node["resource_type"], node["status"]) for node in nodes.values()} == {
        ("model", "success"),
        ("test", "pass"),
    }
    for mart, written in nights.written.items():
        assert nodes[mart.partition(".")[2]]["rows_affected"] == written, mart
    assert nights.written["marts.users"] > 0 and nights.written["marts.listen_history"] > 0
    assert nodes["stg_moovitamix__users"]["step"] == "gate" and nodes["users"]["step"] == "build"
    assert nodes["user_profile"]["rows_affected"] is None, "a view has no rows of its own"
    (found,) = {node["failures"] for node in nodes.values() if node["resource_type"] == "test"}
    assert found == 0
    step = nights.row("select rows from ops.steps where run_id = %s and step = 'build'", nights.good)
    assert step["rows"] == sum(node["rows_affected"] or 0 for node in nodes.values())


def test_of_a_build_that_failed_errors_and_what_was_skipped_are_kept_apart(nights):
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


def test_tables_are_as_large_as_they_are(nights):
    told = {
        row["relation"]: row for row in nights.rows("select * from ops.run_relations where run_id = %s", nights.unbuilt)
    }
    for relation in ("staging.users", "gate.loads", "marts.users", "marts.listen_history", "prep.parked_listens"):
        assert told[relation]["rows"] == nights.row(f"select count(*) as rows from {relation}")["rows"], relation
    assert told["marts.users"]["bytes"] == nights.row("select pg_total_relation_size('marts.users') as size")["size"]
    assert told["marts.listen_history"]["bytes"] == sum(
        row["size"]
        for row in nights.rows(
            "select pg_total_relation_size(inhrelid) as size from pg_inherits where inhparent = %s::regclass",
            "marts.listen_history",
        )
    )
    assert {name.partition(".")[0] for name in told} == {"staging", "gate", "prep", "marts", "ops"}
    assert not [name for name in told if "_dlt" in name or "judged" in name or "listen_history_" in name]


def test_growth_is_against_the_last_run_that_succeeded(nights):
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
    monkeypatch.setattr(sizes, "LARGEST_COUNTED_BYTES", 0)
    told = {row["relation"]: row["rows"] for row in sizes.of_tables(nights.connection)}
    estimate = nights.row("select reltuples::bigint as rows from pg_class where oid = 'staging.users'::regclass")
    assert told["staging.users"] == estimate["rows"] > 0


def in_record(connection, text: str) -> list[tuple]:
    """The rows that hold it."""
    told = (
        connection.execute(f"select * from ops.{table} as told where told::text ilike %s", [f"%{text}%"])
        for table in RECORD
    )
    return list(itertools.chain.from_iterable(told))


def test_no_secret_of_an_address_is_in_the_record(nights, database_url, connection):
    assert in_record(nights.connection, conninfo_to_dict(database_url)["password"]) == []
    addressed = run_night(database_url, f"http://someone:{SECRET}@127.0.0.1:9/?key={SECRET}")
    assert addressed.exit_code == Exit.WRONG_SETTINGS
    assert in_record(connection, "API_BASE_URL must not hold") and in_record(connection, SECRET) == []


def test_nothing_of_what_a_row_says_is_in_the_record(nights):
    assert in_record(nights.connection, PLANTED) == []
    assert nights.rows("select * from gate.quarantined_rows as held where held::text ilike %s", f"%{PLANTED}%")
    known = {(table.name, field) for table in extract.SOURCE_TABLES for field in table.fields}
    assert {
        (row["table_name"], row["column_name"])
        for row in nights.rows("select distinct table_name, column_name from ops.run_columns")
    } == known
