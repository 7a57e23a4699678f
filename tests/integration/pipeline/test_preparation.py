"""Structure changes with the version: migrations, typed views, batch tables and privileges. A run only moves data."""

import json
import re
import subprocess
from pathlib import Path

import msgspec
import psycopg
import pytest

from expectations import batch_tables
from extract.keys import encode_key
from pipeline.run import preparation
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command
from tests.databases import migrate
from tests.marts import contents
from tests.runs import run_pipeline_on
from warehouse import embedded_postgres, schema
from warehouse.errors import ExitCode

# Made by the last version without migrations: three runs, one with quarantined rows, grants, and views of an analyst.
EARLIER_WAREHOUSE = Path(__file__).parents[2] / "data" / "warehouse_before_migrations.sql"
# The rows of the three days that it has read, and of the next one.
EARLIER_DAYS = json.loads((Path(__file__).parents[2] / "data" / "days_before_migrations.json").read_text())
ROLES = ("loader", "gate", "transformer", "analyst", "recommender", "monitor")
COLUMNS = """
select relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity
from pg_attribute
inner join pg_class on attrelid = pg_class.oid
where relnamespace in ('gate'::regnamespace, 'ops'::regnamespace, 'staging'::regnamespace) and relkind in ('r', 'v')
    and attnum > 0 and not attisdropped
union all
select indexrelid::regclass::text, 0, pg_get_indexdef(indexrelid), '', false, ''
from pg_index
inner join pg_class on indexrelid = pg_class.oid
where relnamespace in ('gate'::regnamespace, 'ops'::regnamespace, 'staging'::regnamespace)
order by 1, 2, 3
"""


@pytest.fixture
def earlier_url(own_postgres) -> str:
    """Return the URL of a warehouse of the last version without migrations, on a server of its own."""
    url = embedded_postgres.url(own_postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ROLES:
            connection.execute(f"create role moovitamix_{name} nologin")
    subprocess.run(
        [embedded_postgres.binary("psql"), "--quiet", "--set=ON_ERROR_STOP=1", "--file", EARLIER_WAREHOUSE, url],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return url


@pytest.mark.slow
def test_a_warehouse_of_the_last_version_without_migrations_is_upgraded_in_place(earlier_url, database_url):
    recorded_fields = "select table_name, field, load_id from gate.{}"
    kept = ("gate.publications", "gate.quarantined_rows", "gate.loads", "ops.runs", "staging.users", "analysis.users")
    with psycopg.connect(earlier_url, autocommit=True) as connection:
        rows = {table: connection.execute(f"select * from {table} order by 1, 2").fetchall() for table in kept}
        before = contents(earlier_url)
        assert before["marts.listen_history"] and rows["gate.quarantined_rows"]
        connection.execute("insert into gate.told_fields (table_name, field, load_id) values ('users', 'age', '1')")
        fields = connection.execute(recorded_fields.format("told_fields")).fetchall()

        ended = command("migrate", DATABASE_URL=earlier_url)

        assert ended.code == ExitCode.PUBLISHED, ended
        assert "migrations 0001" in ended.out and "privileges of the roles" in ended.out
        for table, earlier in rows.items():
            upgraded = connection.execute(f"select * from {table} order by 1, 2").fetchall()
            # a migration may add columns, at the end
            assert [row[: len(earlier[0])] for row in upgraded] == earlier, table
        assert contents(earlier_url) == before
        assert connection.execute(recorded_fields.format("known_fields")).fetchall() == fields
        for role, statement in {
            "analyst": "select * from features.user_profile limit 1",
            "gate": f"truncate {', '.join(batch_tables.NAMES)}",
            "loader": "create index on staging.users (content_hash)",
            "transformer": "select count(*) from gate.known_fields",
        }.items():
            connection.execute(f"set role moovitamix_{role}; {statement}; reset role")
        connection.execute("drop index staging.users_content_hash_idx")
        assert command("migrate", DATABASE_URL=earlier_url).out.count("preparing") == 0

        # and its structure is that of a new warehouse
        with psycopg.connect(database_url, autocommit=True) as new:
            migrate(new)
            wanted = new.execute(COLUMNS).fetchall()
        structure = [row for row in connection.execute(COLUMNS).fetchall() if not row[0].startswith("batch_")]
        assert sorted((row[0], *row[2:]) for row in structure) == sorted((row[0], *row[2:]) for row in wanted)

    assert run_pipeline_on(earlier_url, EARLIER_DAYS[3]).message == "all published"
    assert command("recommend", DATABASE_URL=earlier_url).code == ExitCode.PUBLISHED
    with psycopg.connect(earlier_url) as connection:
        connection.execute("set role moovitamix_analyst")
        assert connection.execute("select count(*) > 0 from recommendations.current_recommendations").fetchone()[0]
    for day, faults in ((0, ()), (1, ("bad_rows@users=0.1",)), (2, ()), (3, ())):
        run_pipeline_on(database_url, EARLIER_DAYS[day], faults)
    assert contents(earlier_url) == contents(database_url)


def test_keys_of_earlier_versions_are_rewritten_and_nothing_lands_again(earlier_url):
    """The SQL of the migration makes the keys that `extract.keys` makes."""
    times = ["2026-01-05 10:00", "2026-01-05T10:00:00.5", "2026-01-05T12:00:00.9999999+02", "2026-02-30T10:00", "noon"]
    spelled = [f'[{number},"{time}"]' for number in ("7.0", "70e-1", "7.5") for time in times]
    with psycopg.connect(earlier_url, autocommit=True) as connection:
        versions = "select count(*) from staging.listen_history"
        for number, old_key in enumerate(spelled):
            connection.execute(
                "insert into staging.listen_history (key, payload, content_hash, _dlt_load_id, _dlt_id)"
                " select %s, '{}', '0', max(load_id), %s from staging._dlt_loads",
                [old_key, f"spelled {number}"],
            )
            connection.execute(
                "insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule)"
                " select load_id, table_name, %s, %s, 'a rule' from gate.loads"
                " where table_name = 'listen_history' limit 1",
                [old_key, f"spelled {number}"],
            )
        # one document as an earlier version would have keyed another spelling of it
        connection.execute(
            "update staging.listen_history set key = replace(key, 'T', ' ') where _dlt_id not like 'spelled %'"
        )
        assert command("migrate", DATABASE_URL=earlier_url).code == ExitCode.PUBLISHED
        decode = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode())).decode
        wanted = [encode_key(decode(old_key)).decode() for old_key in spelled]
        for table, id_ in (("staging.listen_history", "_dlt_id"), ("gate.quarantined_rows", "dlt_id")):
            keys = dict(connection.execute(f"select {id_}, key from {table} where {id_} like 'spelled %'").fetchall())
            assert [keys[f"spelled {number}"] for number in range(len(spelled))] == wanted
        connection.execute("delete from gate.quarantined_rows where rule = 'a rule'")
        connection.execute("delete from staging.listen_history where _dlt_id like 'spelled %'")
        before = connection.execute(versions).fetchone()
        assert run_pipeline_on(earlier_url, EARLIER_DAYS[2], steps=("extract",)).exit_code == ExitCode.PUBLISHED
        assert connection.execute(versions).fetchone() == before


def statements_logged(log: str) -> list[str]:
    """Return the logged statements without dbt's comment in front."""
    found = re.findall(r"LOG:  (?:statement|execute [^:]*): (.*?)(?=^\d{4}-\d\d-\d\d .*? UTC \[|\Z)", log, re.M | re.S)
    return [" ".join(re.sub(r"/\*.*?\*/", "", statement, flags=re.S).split()) for statement in found]


CHANGES = re.compile(r"(?:^|; ?)((?:create|alter|drop|comment|grant|revoke|security label)\b[^;]*)", re.I)
OF_A_SESSION = re.compile(
    r"create (or replace )?temporary |drop (view|table) (if exists )?(pg_temp\.|\"\w+__(columns\"|dbt_tmp\d+\"))", re.I
)


def test_a_night_changes_no_structure_but_adds_partitions(own_postgres):
    """Read from the server's log, which names each statement that defines something."""
    url = embedded_postgres.url(own_postgres)
    world = World(seed=15, users=30, tracks=30, documents=30)
    assert run_pipeline_on(url, snapshot(world, 0)).message == "all published"
    with psycopg.connect(url, autocommit=True) as connection:
        partitions = "select count(*) from pg_inherits where inhparent = 'marts.listen_history'::regclass"
        before = connection.execute(partitions).fetchone()[0]
        connection.execute("alter system set log_statement = 'ddl'")
        connection.execute("select pg_reload_conf()")
        log = own_postgres / "postgres.log"
        start = log.stat().st_size
        assert run_pipeline_on(url, snapshot(world, 40)).message == "all published"
        assert connection.execute(partitions).fetchone()[0] > before
    logged = statements_logged(log.read_text()[start:])
    assert any("__columns" in statement for statement in logged), "the log says nothing"
    changes = [change for statement in logged for change in CHANGES.findall(statement)]
    assert [change for change in changes if not OF_A_SESSION.match(change)] == []


def test_a_dry_run_prints_the_statements_and_changes_nothing(database_url, connection):
    out = command("migrate", "--dry-run", DATABASE_URL=database_url).out
    assert "CREATE SCHEMA IF NOT EXISTS gate" in out and "create table if not exists gate.loads" in out
    assert connection.execute("select to_regclass('gate.loads')").fetchone() == (None,)
    connection.execute(out)
    assert schema.is_current(connection), "psql could have executed it"
    assert "CREATE" not in command("migrate", "--dry-run", DATABASE_URL=database_url).out


def test_a_warehouse_of_a_newer_version_is_refused(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("update ops.alembic_version set version_num = '9999'")
        connection.execute("create temporary table before as select * from ops.runs")
        for verb in ("build", "migrate"):
            line = command(verb, DATABASE_URL=built_database_url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
            assert "has migration 9999" in line and "nothing was written" in line and "Update the project" in line
        assert connection.execute("select * from ops.runs except select * from before").fetchall() == []


def test_a_preparation_that_was_killed_is_completed_by_the_next_run(database_url, connection, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(batch_tables, "create", lambda connection: exec("raise KeyboardInterrupt"))
        assert command("migrate", DATABASE_URL=database_url).code == ExitCode.UNEXPECTED_ERROR
    assert schema.is_current(connection) and not preparation.is_prepared(connection)
    with serve(EARLIER_DAYS[0]) as api:
        ended = command("extract", DATABASE_URL=database_url, API_BASE_URL=api.url)
    assert ended.code == ExitCode.PUBLISHED and "typed views" in ended.out and "migration" not in ended.out


def test_a_changed_typed_view_prepares_the_warehouse_again(built_database_url, monkeypatch):
    assert "preparing" not in command("migrate", DATABASE_URL=built_database_url).out
    monkeypatch.setattr(preparation, "fingerprint", lambda: "of a changed view")
    assert "preparing" in command("migrate", DATABASE_URL=built_database_url).out
    assert "preparing" not in command("migrate", DATABASE_URL=built_database_url).out


def test_a_table_in_use_ends_the_upgrade_with_one_line(earlier_url, monkeypatch):
    monkeypatch.setattr(schema, "LOCK_TIMEOUT", "100ms")
    with psycopg.connect(earlier_url) as reader:
        reader.execute("select * from gate.told_fields")
        line = command("migrate", DATABASE_URL=earlier_url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
        assert "another session uses a table" in line and "make migrate" in line
        assert reader.execute("select to_regclass('ops.alembic_version')").fetchone() == (None,)
    assert command("migrate", DATABASE_URL=earlier_url).code == ExitCode.PUBLISHED
