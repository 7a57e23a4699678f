"""Builds and full refreshes keep keys, rows, grants and views of other people; dbt's own tests pass."""

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.runs import run_dbt

KEYS = {
    ("marts.users", "p", "users_pk", "PRIMARY KEY (id)"),
    ("marts.tracks", "p", "tracks_pk", "PRIMARY KEY (id)"),
    ("marts.track_genres", "p", "track_genres_pk", "PRIMARY KEY (track_id, genre)"),
    (
        "marts.track_genres",
        "f",
        "track_genres_track_id_fk",
        "FOREIGN KEY (track_id) REFERENCES marts.tracks(id) ON DELETE CASCADE",
    ),
    ("marts.listen_history", "p", "listen_history_pk", "PRIMARY KEY (user_id, listened_at, id)"),
    (
        "marts.listen_history",
        "f",
        "listen_history_user_id_fk",
        "FOREIGN KEY (user_id) REFERENCES marts.users(id) ON DELETE CASCADE",
    ),
    (
        "marts.listen_history",
        "f",
        "listen_history_track_id_fk",
        "FOREIGN KEY (track_id) REFERENCES marts.tracks(id) ON DELETE CASCADE",
    ),
}
TABLES = ("marts.users", "marts.tracks", "marts.track_genres", "marts.listen_history", "prep.parked_listens")


@pytest.fixture
def built(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as connection:
        yield connection


def keys(connection):
    return set(
        connection.execute("""
            select conrelid::regclass::text, contype::text, conname, pg_get_constraintdef(oid)
            from pg_constraint
            where connamespace = 'marts'::regnamespace and contype in ('p', 'f') and conparentid = 0
        """)
    )


def rows_as_stored(connection):
    """Return every row with its physical position and the transaction that wrote it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {
            table: sorted(map(repr, cursor.execute(f"select xmin, tableoid, ctid, * from {table}").fetchall()))
            for table in TABLES
        }


def test_a_build_passes_all_tests_and_keeps_keys_rows_views_and_grants(built_database_url, built):
    before = rows_as_stored(built)
    built.execute("create view public.on_a_feature as select user_id, genre from features.user_genre_affinity")
    built.execute("create view public.on_a_mart as select id from marts.listen_history")
    built.execute("grant select on marts.users, features.user_profile to pg_monitor")

    outcome = run_dbt(built_database_url, "build")

    assert outcome.succeeded, outcome.failures
    assert outcome.counts["pass"] > 40, "unit and data tests should have run"
    assert keys(built) == KEYS
    assert rows_as_stored(built) == before, "nothing changed, so nothing is written"
    assert built.execute("select count(*) from public.on_a_mart").fetchone()[0] > 0
    assert built.execute("select count(*) from public.on_a_feature").fetchone()[0] > 0
    for relation in ("marts.users", "features.user_profile"):
        assert built.execute("select has_table_privilege('pg_monitor', %s, 'select')", [relation]).fetchone()[0]


def test_a_full_refresh_keeps_keys_rows_views_and_grants_and_leaves_no_temporary_names(built_database_url, built):
    before = rows_as_stored(built)
    built.execute("create view public.on_a_feature as select user_id, genre from features.user_genre_affinity")
    built.execute("grant select on features.user_genre_affinity, prep.stg_moovitamix__users to pg_monitor")

    outcome = run_dbt(built_database_url, "run", "--full-refresh")

    assert outcome.succeeded, outcome.failures
    assert keys(built) == KEYS
    assert rows_as_stored(built) == before
    assert built.execute("select relname from pg_class where relname ~ '__dbt_'").fetchall() == []
    assert built.execute("select count(*) > 0 from public.on_a_feature").fetchone()[0]
    for relation in ("features.user_genre_affinity", "prep.stg_moovitamix__users"):
        assert built.execute("select has_table_privilege('pg_monitor', %s, 'select')", [relation]).fetchone()[0]


def test_a_build_does_not_wait_for_readers_of_an_unchanged_view(built_database_url, built):
    built.execute("alter database built_test set lock_timeout to '5s'")
    with psycopg.connect(built_database_url, application_name="test") as reader:
        reader.execute("select count(*) from features.user_genre_affinity, features.user_profile")
        outcome = run_dbt(built_database_url, "run")
    assert outcome.succeeded, outcome.failures
    assert {node.rows_affected for node in outcome.nodes if node.node == "user_profile"} == {None}


def test_a_full_refresh_repairs_damaged_tables(built_database_url, built):
    def contents():
        return {table: sorted(map(repr, built.execute(f"select * from {table}").fetchall())) for table in TABLES}

    before = contents()
    built.execute("delete from marts.listen_history where id in (select id from marts.listen_history limit 5)")
    built.execute("update marts.users set email = 'somebody@else.example' where id = (select min(id) from marts.users)")
    built.execute("insert into marts.track_genres select id, 'polka' from marts.tracks limit 3")
    # an unpublished user with a listen: the listen must be deleted first, or its foreign key would keep the user
    built.execute("""
        insert into marts.users (id, email, created_at, updated_at, _load_id)
        values (-1, 'x@y.z', now(), now(), '0')
    """)
    built.execute("""
        insert into marts.listen_history (id, user_id, track_id, listened_at, created_at, _load_id)
        select -1, -1, track_id, listened_at, now(), '0' from marts.listen_history limit 1
    """)
    built.execute("insert into prep.parked_listens select -2, -2, 1, true, false, now(), now(), '0'")

    outcome = run_dbt(built_database_url, "run", "--full-refresh")

    assert outcome.succeeded, outcome.failures
    assert contents() == before


def test_a_failing_data_test_is_reported_by_name(built_database_url, built):
    # one of the documents that the newest build has processed
    built.execute("""
        delete from marts.listen_history
        where id = (
            select min(listens.id)
            from marts.listen_history as listens
            inner join prep.int_document_versions using (user_id, created_at)
        )
    """)

    outcome = run_dbt(built_database_url, "test", "--select", "assert_every_published_listen_is_stored_once")

    assert not outcome.succeeded
    assert outcome.failures[0].startswith("assert_every_published_listen_is_stored_once")


def test_a_prep_view_whose_columns_change_is_replaced_and_keeps_its_grants(built_database_url, built):
    built.execute("drop view prep.stg_moovitamix__users cascade")
    built.execute("create view prep.stg_moovitamix__users as select 'a column of the previous version'::text as key")
    built.execute("grant select on prep.stg_moovitamix__users to pg_monitor")

    outcome = run_dbt(built_database_url, "run")

    assert outcome.succeeded, outcome.failures
    assert built.execute("select count(*) from prep.int_published_users where email is not null").fetchone()[0] > 0
    assert built.execute("select has_table_privilege('pg_monitor', 'prep.stg_moovitamix__users', 'select')").fetchone()[
        0
    ]


def test_a_feature_view_whose_columns_change_is_dropped_only_by_a_full_refresh(built_database_url, built):
    built.execute("drop view features.user_profile")
    built.execute("create view features.user_profile as select 1 as old_column")
    built.execute("create view public.on_it as select * from features.user_profile")

    outcome = run_dbt(built_database_url, "run", "--select", "user_profile")

    assert not outcome.succeeded
    assert "--full-refresh" in outcome.failures[0]
    assert built.execute("select count(*) from public.on_it").fetchone()[0] == 1

    assert run_dbt(built_database_url, "run", "--select", "user_profile", "--full-refresh").succeeded
    assert built.execute("select count(*) from features.user_profile where listens >= 0").fetchone()[0] > 0
