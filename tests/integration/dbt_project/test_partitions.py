"""marts.listen_history is partitioned by month; builds add months without blocking readers."""

from urllib.parse import quote

import psycopg
import pytest

from tests.debian_postgres import debian_postgres
from tests.integration.expectations.warehouse import document, track, user
from tests.runs import run_dbt, run_pipeline_on

pytestmark = pytest.mark.slow

FIRST = ["2026-01-31T23:59:59.999999", "2026-02-01T00:00:00"]
LATER = ["1969-07-20T20:17:40", "1999-12-31T23:59:59.999999", "2000-01-01T00:00:00", "2026-03-01T00:00:00"]
MONTHS = {"2026_01": FIRST[:1], "2026_02": FIRST[1:]}
LATER_MONTHS = {"before_2000": LATER[:2], "2000_01": LATER[2:3], "2026_03": LATER[3:]}


@pytest.fixture(params=["18", pytest.param("15", marks=pytest.mark.machine)])
def address(request) -> str:
    """Return the URL of an empty database; its sessions use another time zone and a short lock timeout."""
    url = request.getfixturevalue("database_url" if request.param == "18" else "old_database_url")
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"alter database {name} set timezone to 'America/Montreal'")
        connection.execute(f"alter database {name} set lock_timeout to '5s'")
    return url


@pytest.fixture
def old_database_url():
    with debian_postgres() as (folder, port):
        yield f"postgresql://moovitamix@/postgres?host={quote(str(folder), safe='')}&port={port}"


def rows(times):
    documents = [document(1, created_at=time, updated_at=time, items=[1, 1]) for time in times]
    return {"users": [user(1)], "tracks": [track(1)], "listen_history": documents}


def months(connection):
    """Return the times in each partition."""
    found = {}
    for partition, time in connection.execute("""
        select relname, to_char(listened_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
        from marts.listen_history inner join pg_class on listen_history.tableoid = pg_class.oid
        where relnamespace = 'prep'::regnamespace
    """):
        found.setdefault(partition.removeprefix("listen_history_"), set()).add(time.removesuffix(".000000"))
    return found


def test_a_build_adds_the_months_that_new_listens_need(address):
    assert run_pipeline_on(address, rows(FIRST)).message == "all published"
    with psycopg.connect(address, application_name="test") as reader:
        assert months(reader) == {month: set(times) for month, times in MONTHS.items()}

        # the reader's transaction is still open: a build that needs an exclusive lock would time out
        assert run_pipeline_on(address, rows(FIRST + LATER)).message == "all published"

        assert months(reader) == {month: set(times) for month, times in (MONTHS | LATER_MONTHS).items()}
        partitions = "select relname, conname from pg_class inner join pg_constraint on pg_class.oid = conrelid"
        keys = reader.execute(f"{partitions} where relname ~ '^listen_history_' and contype in ('p', 'f')").fetchall()
    assert len(keys) == 3 * len(MONTHS | LATER_MONTHS), "each has the primary key and both foreign keys"


def test_an_unpartitioned_table_is_left_alone_and_the_error_names_the_fix(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("""
            create table public.copy as table marts.listen_history;
            drop table marts.listen_history cascade;
            create table marts.listen_history (like public.copy);
            insert into marts.listen_history table public.copy
        """)
        outcome = run_dbt(built_database_url, "run", "--select", "listen_history")

        assert "listen_history: " in outcome.failures[0] and "is not partitioned" in outcome.failures[0]
        assert "drop table marts.listen_history cascade" in outcome.failures[0]
        assert outcome.failures[0].endswith("make build"), "the message does not list the macros that raised it"
        connection.execute("drop table marts.listen_history cascade")
        assert run_dbt(built_database_url, "run").succeeded
        count = "select count(*), sum(id) from {}"
        made = connection.execute(count.format("marts.listen_history")).fetchone()
        assert made == connection.execute(count.format("public.copy")).fetchone()


@pytest.mark.machine
def test_all_dbt_tests_pass_on_the_oldest_supported_postgres_and_views_and_grants_stay(old_database_url):
    assert run_pipeline_on(old_database_url, rows(FIRST)).message == "all published"
    with psycopg.connect(old_database_url, autocommit=True, application_name="test") as connection:
        connection.execute("create view public.on_a_feature as select user_id from features.user_genre_affinity")
        connection.execute("create view public.on_a_mart as select id from marts.listen_history")
        connection.execute("grant select on marts.users, features.user_profile to pg_monitor")
        for arguments in (("build",), ("run", "--full-refresh")):
            outcome = run_dbt(old_database_url, *arguments)
            assert outcome.succeeded, outcome.failures
            assert connection.execute("select count(*) from public.on_a_mart").fetchone() == (4,)
            assert connection.execute("select count(*) from public.on_a_feature").fetchone()[0] > 0
            for relation in ("marts.users", "features.user_profile"):
                granted = connection.execute("select has_table_privilege('pg_monitor', %s, 'select')", [relation])
                assert granted.fetchone() == (True,)
        assert connection.execute("select relname from pg_class where relname ~ '__dbt_'").fetchall() == []
