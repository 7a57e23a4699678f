"""A database in which others have tables: what the project did not make is never written, altered or dropped."""

import psycopg
import pytest

from pipeline import owned_names, warehouse
from pipeline.exits import Exit
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.databases import created
from tests.pipeline.command import command, finish, launch

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_template`

# One of each schema and of each kind of relation; the statements that made it.
OF_OTHERS = {
    "table marts.users": "create table marts.users (id bigint primary key, name text, plan text)",
    "table staging.users": "create table staging.users (id bigint, _dlt_load_id text)",
    "table staging._dlt_loads": "create table staging._dlt_loads (load_id text)",
    "table gate.loads": "create table gate.loads (name text)",
    "table gate.judged_rows": "create table gate.judged_rows (name text)",
    "table ops.runs": "create table ops.runs (run_id text, started_at timestamptz, status text)",
    "table ops.owned_relations": "create table ops.owned_relations (name text)",
    "table prep.builds": "create table prep.builds (model text primary key)",
    "table prep.int_build__dbt_backup": "create table prep.int_build__dbt_backup (id integer)",
    "table prep.listen_history_2026_01": "create table prep.listen_history_2026_01 (id integer)",
    "table features.user_profile": "create table features.user_profile (id integer) partition by list (id)",
    "view features.user_genre_affinity": "create view features.user_genre_affinity as select 1 as one",
    "materialized view marts.tracks": "create materialized view marts.tracks as select 1 as one",
    "sequence marts.track_genres": "create sequence marts.track_genres",
    "type marts.listen_history": "create type marts.listen_history as (id integer)",
    "index gate.publications_once": "create table gate.x (id integer); create index publications_once on gate.x (id)",
    "function gate.sign_decision()": "create function gate.sign_decision() returns integer language sql as 'select 1'",
    "foreign table prep.parked_listens": """
        create foreign data wrapper none; create server nowhere foreign data wrapper none;
        create foreign table prep.parked_listens (id integer) server nowhere
    """,
}
EVERYTHING = """
select oid::regclass::text, relkind::text, relowner::text, relacl::text, xmin::text
from pg_class
where relnamespace::regnamespace::text = any(%s)
union all
select oid::regprocedure::text, prosrc, proowner::text, proacl::text, xmin::text
from pg_proc
where pronamespace::regnamespace::text = any(%s)
order by 1
"""


@pytest.fixture(scope="module")
def api():
    with serve(snapshot(WORLD, 2)) as server:
        yield server


def everything(connection):
    return connection.execute(EVERYTHING, [list(warehouse.SCHEMAS)] * 2).fetchall()


@pytest.mark.parametrize("relation", OF_OTHERS)
def test_a_relation_of_others_under_a_name_of_ours_stops_the_run_before_it_writes(
    relation, database_url, connection, api
):
    schema = relation.split()[-1].split(".")[0]
    connection.execute(f"create schema {schema}; {OF_OTHERS[relation]}")
    before = everything(connection)

    line = command("run", DATABASE_URL=database_url, API_BASE_URL=api.url).only_line(Exit.WRONG_SETTINGS)

    assert relation in line and "nothing was written" in line
    assert everything(connection) == before


@pytest.mark.parametrize("arguments", [["extract"], ["gate"], ["build"], ["dbt", "build"], ["grant"]])
def test_no_command_that_writes_goes_past_a_table_of_others(arguments, database_url, connection, api):
    connection.execute("create schema marts; create table marts.users (id bigint)")
    before = everything(connection)
    source = {"API_BASE_URL": api.url} if arguments == ["extract"] else {}
    line = command(*arguments, DATABASE_URL=database_url, **source).only_line(Exit.WRONG_SETTINGS)
    assert "table marts.users" in line
    assert everything(connection) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["gate", "reject", "LOAD", "users", "--reason", "why"],
        ["erase", "1", "--reason", "why"],
        ["prune", "--keep", "1d", "--reason", "why"],
    ],
)
def test_no_decision_goes_past_a_table_of_others(arguments, built_database_url):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute(
            "drop table marts.track_genres cascade; delete from ops.owned_relations where name like '%genres'"
        )
        connection.execute("create table marts.track_genres (track_id bigint, genre text)")
        line = command(*arguments, DATABASE_URL=built_database_url, ERASURE_KEY="x" * 32)
        assert "table marts.track_genres" in line.only_line(Exit.WRONG_SETTINGS)


def test_what_analysts_have_under_names_of_their_own_stays_as_it_is(built_database_url, api):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("create role moovitamix_analyst_of_this_test")
        try:
            connection.execute("""
                create table marts.users_of_ada as select id from marts.users;
                create view features.best as select * from features.user_profile;
                create function gate.sign_decision(text) returns text language sql as 'select $1';
                alter table marts.users_of_ada owner to moovitamix_analyst_of_this_test;
                grant select on marts.users_of_ada to public
            """)
            mine = ("marts.users_of_ada", "features.best", "gate.sign_decision(text)")
            before = [row for row in everything(connection) if row[0] in mine]
            assert len(before) == 3

            for arguments in (["run"], ["dbt", "build", "--full-refresh"], ["grant"]):
                source = {"API_BASE_URL": api.url} if arguments == ["run"] else {}
                ended = command(*arguments, DATABASE_URL=built_database_url, **source)
                assert ended.code == Exit.PUBLISHED, ended

            assert [row for row in everything(connection) if row[0] in mine] == before
        finally:
            connection.execute("drop owned by moovitamix_analyst_of_this_test")
            connection.execute("drop role moovitamix_analyst_of_this_test")


def test_all_that_a_night_makes_is_recorded_and_nothing_else(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        made = connection.execute(
            """
            select relnamespace::regnamespace || '.' || relname
            from pg_class
            where
                relnamespace::regnamespace::text = any(%(schemas)s) and relkind in ('r', 'p', 'v', 'm')
                and not relispartition
            union all
            select pronamespace::regnamespace || '.' || proname || '(' || oidvectortypes(proargtypes) || ')'
            from pg_proc
            where pronamespace::regnamespace::text = any(%(schemas)s)
            """,
            {"schemas": list(warehouse.SCHEMAS)},
        ).fetchall()
        known = {name for (name,) in connection.execute("select name from ops.owned_relations")}
        assert {name for (name,) in made} <= known | {"ops.owned_relations"}
        assert known <= owned_names.names()
        in_use = {
            name
            for (name,) in connection.execute(
                "select nspname || '.' || relname from pg_class"
                " inner join pg_namespace on relnamespace = pg_namespace.oid"
            )
        }
        assert {name for name in known if not name.endswith(")")} <= in_use


def test_a_name_that_others_took_after_a_run_is_not_ours(built_database_url, api):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("create table marts.users__dbt_backup as select * from marts.users")
        line = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url).only_line(Exit.WRONG_SETTINGS)
        assert "table marts.users__dbt_backup" in line


def test_a_warehouse_of_before_the_register_is_adopted(built_database_url, api):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        before = {name for (name,) in connection.execute("select name from ops.owned_relations")}
        connection.execute("drop table ops.owned_relations")
        assert command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url).code == Exit.PUBLISHED
        assert {name for (name,) in connection.execute("select name from ops.owned_relations")} == before


@pytest.mark.parametrize("table", ["ops.runs", "gate.loads"])
def test_one_whose_ledger_has_another_shape_is_not_adopted(table, built_database_url, api):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        column = {"ops.runs": "command", "gate.loads": "verdict"}[table]
        connection.execute(f"drop table ops.owned_relations; alter table {table} rename column {column} to what")
        line = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url).only_line(Exit.WRONG_SETTINGS)
        assert f"table {table}" in line and "table marts.users" in line


def test_what_is_recorded_is_known_again_after_dump_and_restore(postgres_url, built_database_url, api, tmp_path):
    file = str(tmp_path / "warehouse.dump")
    assert finish(launch("pg-dump", "-Fc", "-f", file, DATABASE_URL=built_database_url)).code == 0
    with created(postgres_url, "restored") as url:
        assert finish(launch("pg-restore", "--exit-on-error", file, DATABASE_URL=url)).code == 0
        assert command("run", DATABASE_URL=url, API_BASE_URL=api.url).code == Exit.PUBLISHED


def test_a_killed_first_run_knows_what_it_made(database_url, connection, api):
    """Its claims stay, and the next run goes on."""
    assert command("extract", DATABASE_URL=database_url, API_BASE_URL=api.url).code == Exit.PUBLISHED
    connection.execute(
        "insert into ops.owned_relations (name) values ('gate.judged_rows'), ('prep.int_build__dbt_tmp')"
    )
    connection.execute("create table gate.judged_rows (id integer); create table prep.int_build__dbt_tmp (id integer)")
    assert command("run", DATABASE_URL=database_url, API_BASE_URL=api.url).code == Exit.PUBLISHED
    left = connection.execute(
        "select to_regclass('gate.judged_rows'), to_regclass('prep.int_build__dbt_tmp')"
    ).fetchone()
    assert left == (None, None)
