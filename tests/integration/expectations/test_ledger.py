"""Test the gate's transactions: each verdict is written completely, once, and for complete loads only."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import great_expectations.expectations as gxe
import psycopg
import pytest

from expectations import ledger, rule_failures, users
from expectations.gate import check_pending
from tests.databases import migrate
from tests.integration.expectations.warehouse import document, track, user

PROJECT = Path(__file__).parents[3]
EVERYTHING = "select count(*) from gate.publications union all select count(*) from gate.quarantined_rows"


def bad(number: int, **changes: object):
    return user(number, email="nobody", **changes)


def test_in_a_new_warehouse_there_is_nothing_to_check(database_url, connection):
    migrate(connection)
    assert check_pending(database_url) == []
    assert ledger.disregarded_loads(connection) == {}


@pytest.mark.parametrize(
    "relation", ["gate.publications", "gate.quarantined_rows", "gate.loads"], ids=lambda relation: relation[5:]
)
def test_verdict_quarantine_and_publication_are_one_transaction(relation, warehouse):
    warehouse.land({"users": [user(1), bad(2)]})
    warehouse.execute("create function fail() returns trigger language plpgsql as 'begin raise ''disk on fire''; end'")
    when = "update of verdict" if relation == "gate.loads" else "insert"
    warehouse.execute(f"create trigger fails after {when} on {relation} execute function fail()")

    verdict = warehouse.check()["users"]

    assert verdict.state == "pending"
    assert verdict.error.startswith("RaiseException: disk on fire")
    assert warehouse.rows(EVERYTHING) == [(0,), (0,)]
    assert warehouse.rows("select state, verdict, judged_at, rows_quarantined from gate.loads") == [
        ("pending", None, None, 0)
    ]
    warehouse.execute(f"drop trigger fails on {relation}")
    assert warehouse.check()["users"].state == "accepted_with_quarantine"
    assert warehouse.rows(EVERYTHING) == [(1,), (1,)]


def test_a_load_is_checked_and_published_once(warehouse):
    load_id = warehouse.land({"users": [user(1)]})
    warehouse.check()
    published = warehouse.rows("select * from gate.publications")

    assert warehouse.check() == {}

    assert warehouse.rows("select * from gate.publications") == published
    with pytest.raises(psycopg.errors.UniqueViolation):
        warehouse.execute(
            "insert into gate.publications (load_id, table_name, kind) values (%s, 'users', 'load')", load_id
        )


@pytest.fixture
def while_users_are_checked(warehouse, monkeypatch):
    """Return a function that executes a statement on another connection between the checks and the verdict."""

    def set_up(statement):
        def rows_then_statement(connection, validator, table):
            found = check_rows(connection, validator, table)
            if table == "users":
                warehouse.execute(statement)
            return found

        check_rows = rule_failures.check_rows
        monkeypatch.setattr(rule_failures, "check_rows", rows_then_statement)

    return set_up


@pytest.mark.parametrize("state", ["rejected", "blocked"])
def test_a_decision_made_while_the_gate_checks_the_load_stands(state, warehouse, while_users_are_checked):
    """Refuse a stale publication."""
    warehouse.land({"users": [user(1), bad(2)], "tracks": [track(1)]})
    while_users_are_checked(
        f"update gate.loads set state = '{state}', reason = 'others did', decided_by = 'others'"
        " where table_name = 'users'"
    )

    verdicts = warehouse.check()

    assert (verdicts["users"].state, verdicts["users"].reason) == (state, "others did")
    assert warehouse.rows("select state, reason, verdict, decided_by from gate.loads where table_name = 'users'") == [
        (state, "others did", None, "others")
    ]
    assert warehouse.quarantined() == []
    assert warehouse.rows("select table_name from gate.publications") == [("tracks",)]
    assert verdicts["tracks"].state == "accepted"


def test_a_load_checked_by_two_gates_is_published_once_with_the_first_verdict(warehouse, while_users_are_checked):
    load_id = warehouse.land({"users": [user(1), bad(2)]})
    while_users_are_checked(
        f"""
        update gate.loads set state = 'accepted_with_quarantine', reason = 'the other gate', rows_quarantined = 1;
        insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule)
        select _dlt_load_id, 'users', key, _dlt_id, 'email_is_an_address' from staging.users where key = '[2]';
        insert into gate.publications (load_id, table_name, kind) values ('{load_id}', 'users', 'load')
        """
    )

    verdict = warehouse.check()["users"]

    assert (verdict.state, verdict.rows_quarantined) == ("accepted_with_quarantine", 1)
    assert warehouse.rows(EVERYTHING) == [(1,), (1,)]
    assert warehouse.published() == ["[1]"]


def test_a_load_withdrawn_while_the_gate_checks_it_is_not_published(warehouse, while_users_are_checked):
    warehouse.land({"users": [user(1)]})
    while_users_are_checked("delete from gate.loads")
    assert warehouse.check()["users"].error == "the load was withdrawn while it was checked"
    assert warehouse.rows(EVERYTHING) == [(0,), (0,)]


def test_a_load_whose_scan_was_withdrawn_is_not_published(warehouse):
    warehouse.land({"users": [user(1)]})
    (verdict,) = check_pending(warehouse.url, progress=lambda *_: warehouse.execute("delete from staging.scans"))
    assert verdict.error == "the load has 0 scans of this table"
    assert warehouse.rows(EVERYTHING) == [(0,), (0,)]


def test_loads_are_checked_and_published_in_landing_order(warehouse):
    landed = [warehouse.land({"users": [user(number)]}) for number in range(3)]
    calls = []

    verdicts = check_pending(warehouse.url, progress=lambda *arguments: calls.append(arguments))

    assert [verdict.batch.load_id for verdict in verdicts] == landed
    assert calls == [(load_id, "users") for load_id in landed]
    published = warehouse.rows("select load_id from gate.publications order by seq")
    assert [load_id for (load_id,) in published] == landed


def test_a_load_that_dlt_has_not_completed_is_ignored(warehouse):
    crashed = warehouse.land({"users": [user(1), bad(2)]}, is_complete=False)
    unfinished = warehouse.land({"users": [user(3)]}, is_complete=False)
    warehouse.execute("insert into staging._dlt_loads values (%s, 'moovitamix', 1, now(), '')", unfinished)

    assert warehouse.check() == {}
    assert warehouse.states() == []

    warehouse.complete(crashed)
    assert warehouse.check()["users"].state == "accepted_with_quarantine"
    assert warehouse.published() == ["[1]"]


def test_a_withdrawn_load_is_deleted_from_the_ledger_while_pending_and_kept_once_checked(warehouse, monkeypatch):
    warehouse.land({"tracks": [track(1)], "users": [user(1)]})
    with monkeypatch.context() as patch:
        patch.setattr(users, "suite", lambda: None)
        assert warehouse.check()["users"].state == "pending"
    warehouse.execute("delete from staging._dlt_loads")

    assert warehouse.check() == {}

    assert (warehouse.states("tracks"), warehouse.states("users")) == (["accepted"], [])


def test_an_unpublished_load_does_not_count_as_delivered_for_the_next_extraction(warehouse):
    states = ["pending", "accepted", "accepted_with_quarantine", "blocked", "superseded", "released", "rejected"]
    for state in states:
        warehouse.execute(
            "insert into gate.loads (load_id, table_name, state, rows_read, rows_landed, rows_removed)"
            " values (%s, 'users', %s, 0, 0, 0)",
            f"a {state} load",
            state,
        )
    assert ledger.disregarded_loads(warehouse.connection) == {
        "users": {"a blocked load", "a superseded load", "a rejected load"}
    }


def test_two_concurrent_gates_check_each_load_once(warehouse):
    loads = {}
    for number in range(4):
        load_id = warehouse.land({"users": [bad(number), *(user(1000 * number + n) for n in range(1, 4 + number))]})
        loads[load_id] = [f"[{number}]"]
    together = threading.Barrier(2)

    def gate(_):
        together.wait()
        return check_pending(warehouse.url)

    with ThreadPoolExecutor(2) as pool:
        verdicts = [verdict for results in pool.map(gate, range(2)) for verdict in results]

    assert sorted(verdict.batch.load_id for verdict in verdicts) == sorted(loads)
    assert {verdict.state for verdict in verdicts} == {"accepted_with_quarantine"}
    assert {verdict.rows_quarantined for verdict in verdicts} == {1}
    quarantined = warehouse.rows("select load_id, array_agg(key) from gate.quarantined_rows group by 1")
    assert dict(quarantined) == loads
    assert warehouse.rows("select count(*) from gate.publications") == [(4,)]


# Overtaken quarantined rows


def open_rows(warehouse):
    return [
        key for (key,) in warehouse.rows("select key from gate.quarantined_rows where closed_at is null order by 1")
    ]


@pytest.mark.parametrize("newer", ["a better version", "another bad version", "a removal"])
def test_a_quarantined_row_is_closed_when_a_newer_version_of_its_key_is_published(newer, warehouse):
    first = warehouse.land({"users": [bad(1), bad(2)]})
    warehouse.check()
    assert open_rows(warehouse) == ["[1]", "[2]"]
    warehouse.land(
        {"users": {"a better version": [user(1)], "another bad version": [bad(1, gender="x")], "a removal": []}[newer]},
        removed={"users": ["[1]"] if newer == "a removal" else []},
    )

    warehouse.check()

    closed = warehouse.rows(
        "select key, closed_at is not null, outcome from gate.quarantined_rows where load_id = %s", first
    )
    assert sorted(closed) == [("[1]", True, "superseded"), ("[2]", False, None)]
    assert open_rows(warehouse) == (["[1]", "[2]"] if newer == "another bad version" else ["[2]"])


def test_a_quarantined_row_stays_open_when_the_newer_version_is_blocked_or_of_another_table(warehouse):
    warehouse.land({"users": [bad(1)]})
    warehouse.check()
    warehouse.land({"users": [user(1)], "tracks": [track(1)]}, rows_read=0)
    assert {verdict.state for verdict in warehouse.check().values()} == {"blocked"}
    warehouse.land({"tracks": [track(1)]})
    assert warehouse.check()["tracks"].state == "accepted"

    assert open_rows(warehouse) == ["[1]"]


def test_an_older_load_checked_late_closes_no_row_and_its_overtaken_rows_are_closed(warehouse):
    late = warehouse.land({"users": [user(1), bad(2), bad(3)]}, is_complete=False)
    newer = warehouse.land({"users": [bad(1), user(2)]})
    warehouse.check()
    warehouse.complete(late)

    warehouse.check()

    waiting = warehouse.rows("select load_id, key from gate.quarantined_rows where closed_at is null order by key")
    assert waiting == [(newer, "[1]"), (late, "[3]")]


def test_both_rows_of_a_duplicate_key_are_quarantined(warehouse):
    warehouse.land({"users": [user(1), user(1, gender="x")]})
    warehouse.check()
    assert open_rows(warehouse) == ["[1]", "[1]"]


# Great Expectations


def test_a_run_without_changes_does_not_import_great_expectations(warehouse):
    warehouse.land({"users": [], "tracks": [], "listen_history": []})
    code = (
        "import sys; from expectations.gate import check_pending;"
        "print([verdict.state for verdict in check_pending(sys.argv[1])]);"
        "print([name for name in sys.modules if name.startswith(('great_expectations', 'pandas', 'sqlalchemy'))])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, warehouse.url], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines() == ["['accepted', 'accepted', 'accepted']", "[]"], ended.stderr


ODD_PASSWORD = "p$PATH ${HOME} %41 $$ \\ ' \" :/@?#[]&=+é"


def test_any_password_and_any_session_setting_reach_great_expectations(warehouse, monkeypatch):
    """Use a password that GX and SQLAlchemy would misread: $NAME is substituted, : and @ are separators."""
    setting_is_missing = gxe.UnexpectedRowsExpectation(
        unexpected_rows_query="select _dlt_id from {batch} where current_setting('lock_timeout') <> '77s'",
        severity="warning",
        meta={"rule": "setting_is_there", "shows": "key"},
    )
    suite = users.suite()
    suite.add_expectation(setting_is_missing)
    monkeypatch.setattr(users, "suite", lambda: suite)
    role = f"odd {warehouse.connection.info.dbname}"
    warehouse.land({"users": [user(1), bad(2)]})
    statement = psycopg.sql.SQL("create role {} superuser login password {}")
    warehouse.connection.execute(statement.format(psycopg.sql.Identifier(role), psycopg.sql.Literal(ODD_PASSWORD)))
    try:
        info = warehouse.connection.info
        address = f"postgresql://{quote(role)}:{quote(ODD_PASSWORD, safe='')}@{info.host}:{info.port}/{info.dbname}"

        (verdict,) = check_pending(f"{address}?options=-c%20lock_timeout%3D77s")

        assert (verdict.state, verdict.error) == ("accepted_with_quarantine", None)
        assert warehouse.quarantined() == [("[2]", "email_is_an_address")]
    finally:
        warehouse.execute(f'reassign owned by "{role}" to current_user')
        warehouse.execute(f'drop role "{role}"')


def test_all_rows_of_a_large_load_are_checked(warehouse):
    """Check 100,000 rows, a few of which break several rules."""
    warehouse.execute("""
        insert into staging.listen_history (key, payload, content_hash, _dlt_load_id, _dlt_id)
        select
            format('[%s,"2026-01-05T10:00:00"]', number),
            jsonb_build_object(
                'user_id', number,
                'items', case when mod(number, 1000) = 0 then '"none"'::jsonb else '[1, 2]' end,
                'created_at', '2026-01-05T10:00:00',
                'updated_at', case when mod(number, 3000) = 0 then 'never' else '2026-01-06T10:00:00' end
            ),
            '', 'load 0001', 'large ' || number
        from generate_series(1, 100000) as number
    """)
    warehouse.land({"listen_history": []}, rows_landed=100_000)
    verdict = warehouse.check()["listen_history"]
    assert (verdict.state, verdict.rows_quarantined) == ("accepted_with_quarantine", 100)
    assert {failed.rule: failed.rows for failed in verdict.failed_rules} == {
        "items_are_track_ids": 100,
        "updated_at_is_a_time": 33,
        "items_is_not_null": 100,
        "user_is_known": 100_000,
        "tracks_are_known": 99_900,
    }


def test_digits_of_other_scripts_are_not_accepted_in_any_collation(warehouse, postgres_url):
    """Use a collation in which \\d matches them: the cast would then fail, and with it the whole load."""
    views = [
        (name, query)
        for name, query in warehouse.rows("select viewname, definition from pg_views where schemaname = 'prep'")
    ]
    name = f"{warehouse.connection.info.dbname}_unicode"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(
            f"create database {name} template template0 encoding 'UTF8'"
            " locale_provider builtin builtin_locale 'PG_UNICODE_FAST' lc_collate 'C' lc_ctype 'C'"
        )
        try:
            with psycopg.connect(postgres_url.rsplit("/", 1)[0] + f"/{name}", autocommit=True) as connection:
                assert connection.execute(r"select '٣' ~ '\d'").fetchone() == (True,), "this collation proves nothing"
                connection.execute("create schema staging; create schema prep")
                for table, row in {
                    "users": user(1, created_at="٢٠٢٦-01-01T10:00:00"),
                    "tracks": track(1, duration="٠٤:4٢"),
                    "listen_history": document(1),
                }.items():
                    connection.execute(
                        f"create table staging.{table} (key varchar, payload jsonb, content_hash varchar,"
                        " _dlt_load_id varchar, _dlt_id varchar, version_seq bigint)"
                    )
                    connection.execute(
                        f"insert into staging.{table} values ('[1]', %s)", [psycopg.types.json.Jsonb(row)]
                    )
                for view, query in views:
                    connection.execute(f"create view prep.{view} as {query}")
                assert connection.execute("select created_at from prep.stg_moovitamix__users").fetchall() == [(None,)]
                assert connection.execute("select duration from prep.stg_moovitamix__tracks").fetchall() == [(None,)]
        finally:
            server.execute(f"drop database {name} with (force)")
