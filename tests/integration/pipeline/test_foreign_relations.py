"""Relations of other projects in the same database are never written, altered or dropped."""

import psycopg
import pytest

from pipeline.records import owned_names
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command
from tests.databases import new_database
from warehouse.errors import ExitCode
from warehouse.names import SCHEMAS

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_template`

# One of each schema and of each kind of relation; the statements that made it.
OF_OTHERS = {
    "table marts.users": "create table marts.users (id bigint primary key, name text, plan text)",
    "table staging.users": "create table staging.users (id bigint, _dlt_load_id text)",
    "table staging._dlt_loads": "create table staging._dlt_loads (load_id text)",
    "table gate.loads": "create table gate.loads (name text)",
    "table gate.batch_users": "create table gate.batch_users (name text)",
    "table ops.runs": "create table ops.runs (run_id text, started_at timestamptz, status text)",
    "table ops.owned_relations": "create table ops.owned_relations (name text)",
    "table prep.builds": "create table prep.builds (model text primary key)",
    "table prep.int_build_window__dbt_backup": "create table prep.int_build_window__dbt_backup (id integer)",
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
    return connection.execute(EVERYTHING, [list(SCHEMAS)] * 2).fetchall()


@pytest.mark.parametrize("relation", OF_OTHERS)
def test_a_foreign_relation_with_a_reserved_name_stops_the_run_before_it_writes(
    relation, database_url, connection, api
):
    schema = relation.split()[-1].split(".")[0]
    connection.execute(f"create schema {schema}; {OF_OTHERS[relation]}")
    before = everything(connection)

    line = command("run", DATABASE_URL=database_url, API_BASE_URL=api.url).only_line(ExitCode.WRONG_SETTINGS)

    assert relation in line and "nothing was written" in line
    assert everything(connection) == before


@pytest.mark.parametrize("arguments", [["extract"], ["gate"], ["build"], ["dbt", "build"], ["grant"]])
def test_no_writing_command_ignores_a_foreign_table(arguments, database_url, connection, api):
    connection.execute("create schema marts; create table marts.users (id bigint)")
    before = everything(connection)
    source = {"API_BASE_URL": api.url} if arguments == ["extract"] else {}
    line = command(*arguments, DATABASE_URL=database_url, **source).only_line(ExitCode.WRONG_SETTINGS)
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
def test_no_decision_ignores_a_foreign_table(arguments, built_database_url):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute(
            "drop table marts.track_genres cascade; delete from ops.owned_relations where name like '%genres'"
        )
        connection.execute("create table marts.track_genres (track_id bigint, genre text)")
        line = command(*arguments, DATABASE_URL=built_database_url, ERASURE_KEY="x" * 32)
        assert "table marts.track_genres" in line.only_line(ExitCode.WRONG_SETTINGS)


@pytest.mark.usefixtures("without_roles_afterwards")
def test_relations_of_analysts_under_other_names_are_unchanged(built_database_url, api):
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

            for arguments in (["run"], ["dbt", "run", "--full-refresh"], ["grant"]):
                source = {"API_BASE_URL": api.url} if arguments == ["run"] else {}
                ended = command(*arguments, DATABASE_URL=built_database_url, **source)
                assert ended.code == ExitCode.PUBLISHED, ended

            assert [row for row in everything(connection) if row[0] in mine] == before
        finally:
            connection.execute("drop owned by moovitamix_analyst_of_this_test")
            connection.execute("drop role moovitamix_analyst_of_this_test")


def test_a_run_records_exactly_the_relations_it_makes(built_database_url):
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
            {"schemas": list(SCHEMAS)},
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


def test_a_name_taken_by_others_after_a_run_is_foreign(built_database_url, api):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("create table marts.users__dbt_backup as select * from marts.users")
        line = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url).only_line(ExitCode.WRONG_SETTINGS)
        assert "table marts.users__dbt_backup" in line


def test_a_warehouse_of_a_version_without_the_register_is_refused_with_the_way_out(built_database_url, api):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("drop table ops.owned_relations")
    line = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url).only_line(ExitCode.WRONG_SETTINGS)
    assert "table ops.runs" in line and "table marts.users" in line
    assert "first run the last version that has no migrations" in line


def test_the_run_after_a_killed_first_run_recognizes_its_relations(database_url, connection, api):
    """Its claims stay, and the next run goes on."""
    assert command("extract", DATABASE_URL=database_url, API_BASE_URL=api.url).code == ExitCode.PUBLISHED
    connection.execute("insert into ops.owned_relations (name) values ('prep.int_build_window'), ('prep.int_listens')")
    connection.execute("create table prep.int_build_window (id integer); create table prep.int_listens (id integer)")
    assert command("run", DATABASE_URL=database_url, API_BASE_URL=api.url).code == ExitCode.PUBLISHED
    assert connection.execute("select count(*) from prep.int_build_window").fetchone() == (1,)


@pytest.mark.parametrize(
    "made",
    [
        'create schema marts; create table marts."Users" (id integer)',
        "create schema gate; create domain gate.loads as integer",
        "create schema prep; create type prep.builds as enum ('a')",
    ],
)
def test_a_type_or_a_name_in_another_case_stops_the_run_too(made, database_url, connection, api):
    connection.execute(made)
    before = everything(connection)
    line = command("run", DATABASE_URL=database_url, API_BASE_URL=api.url).only_line(ExitCode.WRONG_SETTINGS)
    assert "nothing was written" in line
    assert everything(connection) == before


def test_a_restore_never_meets_a_table_of_others(postgres_url, built_database_url, tmp_path):
    """Or what the dump lists as this project's own would cover it."""
    file = str(tmp_path / "warehouse.dump")
    assert command("pg-dump", "-Fc", "-f", file, DATABASE_URL=built_database_url).code == 0
    with new_database(postgres_url, "restored") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create schema marts; create table marts.users (id bigint, plan text)")
            before = everything(connection)
            line = command("pg-restore", file, DATABASE_URL=url).only_line(ExitCode.WRONG_SETTINGS)
            assert "table marts.users" in line
            assert everything(connection) == before
        assert "TABLE DATA marts users" in command("pg-restore", "--list", file, DATABASE_URL=url).out
