"""Runs whose source loses, changes or garbles most of its rows: alerts, and the rows that readers see."""

import html
import json
import re

import psycopg
import pytest

from sample_api.server import serve
from tests.command import Ended, command
from tests.databases import database_copy
from tests.inboxes import http_inbox
from tests.integration.expectations.warehouse import document, track, user
from tests.integration.monitoring.records import MetricValues
from tests.marts import contents
from tests.runs import run_pipeline_on
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

OURS = range(1, 51)
WORLD = {
    "users": [user(number) for number in OURS],
    "tracks": [track(number) for number in OURS],
    "listen_history": [document(number, items=[number, number]) for number in OURS],
}
# Another system's users, five of whom have ids of ours; one more track.
WRONG_SERVER = {
    **WORLD,
    "users": [*WORLD["users"][:5], *(user(number) for number in range(1001, 1201))],
    "tracks": [*WORLD["tracks"], track(51)],
}
REASON = "it would remove 45 of the 50 known users (90 %, more than MAX_REMOVED_SHARE 30 %)"
NOTHING = "nothing; everything is up to date"


class Warehouse:
    """Hold a warehouse, execute runs on it, and collect their alerts."""

    def __init__(self, url: str, connection: psycopg.Connection, inbox) -> None:
        self.url, self.connection, self._inbox = url, connection, inbox

    def run(self, rows, **environment: str) -> Ended:
        with serve(rows) as api:
            return command(
                "run", DATABASE_URL=self.url, API_BASE_URL=api.url,
                ALERT_URLS=f"json://127.0.0.1:{self._inbox.port}/alerts", **environment,
            )  # fmt: skip

    def decide(self, verb: str, load_id: str) -> Ended:
        return command("gate", verb, load_id, "users", "--reason", "it was looked at", DATABASE_URL=self.url)

    def next_step(self) -> str:
        return command("status", DATABASE_URL=self.url).out.splitlines()[-1].removeprefix("next: ")

    def report(self, folder) -> str:
        file = folder / "nights.html"
        assert command("report", f"--output={file}", DATABASE_URL=self.url).code == ExitCode.PUBLISHED
        return " ".join(html.unescape(re.sub("<[^>]*>", " ", file.read_text("utf-8"))).split())

    def alerts(self) -> list[dict]:
        return self._inbox.messages.pop("/alerts", [])

    def one(self, query: str):
        return self.connection.execute(query).fetchone()[0]

    def newest_load(self) -> str:
        return self.one("select _dlt_load_id from staging.scans order by version_seq desc limit 1")

    def states(self) -> list[str]:
        return [
            state
            for (state,) in self.connection.execute("""
                select state
                from gate.loads
                inner join staging.scans on load_id = _dlt_load_id and loads.table_name = scans.table_name
                where loads.table_name = 'users'
                order by version_seq
            """)
        ]

    def live_users(self) -> set[int]:
        return {number for (number,) in self.connection.execute("select id from marts.users where deleted_at is null")}

    def changed(self) -> int:
        return self.one(f"select keys_changed from staging.scans where _dlt_load_id = '{self.newest_load()}'"
                        " and table_name = 'users'")  # fmt: skip


def closing_line(ended: Ended) -> str:
    return json.loads(ended.out.splitlines()[-1])["message"]


@pytest.fixture(scope="module")
def template(postgres_url):
    """Return the name of a template database after one successful run."""
    with database_copy(postgres_url, "template1", "before_mass_changes") as url:
        assert run_pipeline_on(url, WORLD).message == "all published"
        yield "before_mass_changes"


@pytest.fixture(scope="module")
def blocked_template(postgres_url, template):
    """Return the name of a template database after two more, blocked runs on a wrong server."""
    with database_copy(postgres_url, template, "mass_removal_blocked") as url:
        for _ in range(2):
            assert run_pipeline_on(url, WRONG_SERVER).exit_code == ExitCode.BLOCKED
        yield "mass_removal_blocked"


@pytest.fixture
def make(postgres_url, home):
    def opened(name: str):
        return database_copy(postgres_url, name, "mass_change_test")

    return opened


@pytest.fixture
def warehouse(make, template):
    with make(template) as url, psycopg.connect(url, autocommit=True) as connection, http_inbox() as inbox:
        yield Warehouse(url, connection, inbox)


@pytest.fixture
def blocked(make, blocked_template):
    with make(blocked_template) as url, psycopg.connect(url, autocommit=True) as connection, http_inbox() as inbox:
        yield Warehouse(url, connection, inbox)


def test_a_mass_removal_waits_for_a_person_and_is_reported(warehouse, tmp_path):
    before = contents(warehouse.url)

    ended = warehouse.run(WRONG_SERVER)

    load_id = warehouse.newest_load()
    release = f"""make gate ARGS="release {load_id} users --reason '...'\""""
    line = ended.only_line(ExitCode.BLOCKED)
    assert f'blocked: users ({REASON}); see the failed rules with: make gate ARGS="show {load_id}"' in line
    assert f"if the source is right, release it: {release}" in line
    after = contents(warehouse.url)
    assert after["marts.users"] == before["marts.users"]
    assert after["marts.listen_history"] == before["marts.listen_history"]
    assert len(after["marts.tracks"]) == 51, "the other tables go on"

    assert warehouse.next_step() == (
        f'see why the load was blocked: make gate ARGS="show {load_id}"; if the source is right, release it: {release}'
    )
    text = warehouse.report(tmp_path)
    assert REASON in text and f"publish it as it is: {release}" in text
    (message,) = warehouse.alerts()
    assert message["title"] == "MooVitamix: blocked: users" and message["type"] == "failure"
    assert REASON in message["message"] and release in message["message"]
    assert "Rule: exit code 4, BLOCKED; users: no_mass_removal (1)\n" in message["message"]
    metrics = MetricValues(warehouse.connection)
    assert metrics["open_loads", "users", "blocked"] == 1
    assert metrics["gate_failed_rows", "users", "no_mass_removal", "critical"] == 1
    assert metrics["gate_failed_rows", "users", "few_removals", "info"] is None, "nobody is removed"


def test_a_wrong_server_is_blocked_in_each_run(blocked):
    assert REASON in blocked.run(WRONG_SERVER).only_line(ExitCode.BLOCKED)
    assert blocked.states() == ["accepted", "superseded", "superseded", "blocked"]
    assert blocked.live_users() == set(OURS)


def test_when_the_source_returns_the_marts_are_unchanged_and_there_is_no_warning(blocked):
    before = contents(blocked.url)

    ended = blocked.run(WORLD)

    assert ended.code == ExitCode.PUBLISHED
    assert closing_line(ended).startswith("all published; ")
    assert blocked.states()[-1] == "accepted"
    after = contents(blocked.url)
    # users whom only blocked loads have named are gone before anybody saw them
    known = [row for row in after["marts.users"] if row[0] in OURS]
    assert known == before["marts.users"] and blocked.live_users() == set(OURS)
    assert after["marts.listen_history"] == before["marts.listen_history"]
    assert blocked.changed() == 0, "the rows landed again as they had been delivered"
    assert blocked.next_step() == NOTHING
    (message,) = blocked.alerts()
    assert message["title"] == "MooVitamix: runs succeed again"


def test_a_release_after_several_blocked_runs_removes_the_rows_and_the_next_run_has_no_warning(blocked):
    load_id = blocked.newest_load()

    assert blocked.decide("release", load_id).code == ExitCode.PUBLISHED

    theirs = {*range(1, 6), *range(1001, 1201)}
    assert blocked.live_users() == theirs
    assert blocked.one("select count(*) from marts.users where deleted_at is not null") == 45
    assert blocked.next_step() == NOTHING
    ended = blocked.run(WRONG_SERVER)
    assert ended.code == ExitCode.PUBLISHED and blocked.live_users() == theirs
    assert blocked.one(
        f"select rows_landed + rows_removed from staging.scans where _dlt_load_id = '{blocked.newest_load()}'"
        " and table_name = 'users'"
    ) == 0  # fmt: skip
    # what comes back lives again, and the others are a mass removal in their turn
    assert "it would remove 200 of the 205 known users" in blocked.run(WORLD).only_line(ExitCode.BLOCKED)


def test_a_rejected_mass_removal_is_blocked_again_until_it_is_over(blocked):
    assert blocked.decide("reject", blocked.newest_load()).code == ExitCode.PUBLISHED
    assert blocked.live_users() == set(OURS)
    assert blocked.next_step() == "load the rows of a rejected load again: make run"
    assert REASON in blocked.run(WRONG_SERVER).only_line(ExitCode.BLOCKED)
    assert blocked.run(WORLD).code == ExitCode.PUBLISHED
    assert blocked.live_users() == set(OURS) and blocked.next_step() == NOTHING


def test_tracks_are_protected_too_and_a_setting_permits_their_removal(warehouse):
    fewer = {**WORLD, "tracks": WORLD["tracks"][:30]}
    line = warehouse.run(fewer).only_line(ExitCode.BLOCKED)
    assert "tracks (it would remove 20 of the 50 known tracks (40 %, more than MAX_REMOVED_SHARE 30 %))" in line
    ended = warehouse.run(fewer, MAX_REMOVED_SHARE="0.4")
    assert ended.code == ExitCode.PUBLISHED
    assert "20 keys of tracks are gone from the source (40% of the known keys)" in closing_line(ended)
    assert warehouse.one("select count(*) from marts.tracks where deleted_at is not null") == 20
    assert "20 keys of tracks are gone from the source" in warehouse.next_step()


def test_removed_documents_remove_no_listen_and_are_reported(warehouse):
    before = contents(warehouse.url)["marts.listen_history"]
    ended = warehouse.run({**WORLD, "listen_history": WORLD["listen_history"][:5]})
    assert ended.code == ExitCode.PUBLISHED
    text = "45 keys of listen_history are gone from the source (90% of the known keys)"
    assert closing_line(ended) == f'all published, but {text}; see the details with: make gate ARGS="show"'
    assert contents(warehouse.url)["marts.listen_history"] == before
    assert text in warehouse.next_step()
    (message,) = warehouse.alerts()
    assert message["title"] == "MooVitamix: published with warnings: many removals of listen_history"


def test_a_mass_change_is_published_and_reported_until_the_next_run(warehouse, tmp_path):
    renamed = {**WORLD, "users": [user(number, last_name="Grey" if number > 20 else "Brown") for number in OURS]}

    ended = warehouse.run(renamed)

    assert ended.code == ExitCode.PUBLISHED
    text = "30 of the 50 known users (60 %, more than MAX_CHANGED_SHARE 50 %) have changed"
    assert closing_line(ended) == f'all published, but {text}; see the details with: make gate ARGS="show"'
    assert warehouse.one("select count(*) from marts.users where last_name = 'Grey'") == 30
    assert warehouse.next_step() == f'{text}; see the details: make gate ARGS="show {warehouse.newest_load()}"'
    assert text in warehouse.report(tmp_path)
    (message,) = warehouse.alerts()
    assert message["title"] == "MooVitamix: published with warnings: mass change of users"
    assert text in message["message"] and "Brown" not in str(message) and "Grey" not in str(message)
    metrics = MetricValues(warehouse.connection)
    assert metrics["gate_failed_rows", "users", "few_changes", "info"] == 1
    assert metrics["table_keys_changed", "users"] == 30

    assert warehouse.run(renamed).code == ExitCode.PUBLISHED
    assert (warehouse.next_step(), warehouse.alerts()) == (NOTHING, [])
    assert MetricValues(warehouse.connection)["gate_failed_rows", "users", "few_changes", "info"] == 0


def test_unreadable_rows_are_reported_in_each_run_until_they_are_fixed(warehouse, tmp_path):
    # half of a surrogate pair, which no Postgres can hold
    garbled = [json.dumps(user(number, last_name="\ud800")).encode() for number in (1, 2, 3)]
    spoilt = {**WORLD, "users": [*garbled, *WORLD["users"][3:]]}
    text = "3 rows of users are unreadable"
    for _ in range(2):
        ended = warehouse.run(spoilt)
        assert ended.code == ExitCode.PUBLISHED
        assert closing_line(ended) == f'all published, but {text}; see the details with: make gate ARGS="show"'
        assert warehouse.next_step() == f'{text}; see the details: make gate ARGS="show {warehouse.newest_load()}"'
        (message,) = warehouse.alerts()
        assert message["title"] == "MooVitamix: published with warnings: unreadable rows of users"
        assert "Brown" not in str(message) and "Ada" not in str(message)
        assert MetricValues(warehouse.connection)["table_rows_unreadable", "users"] == 3
    notices = [json.loads(line) for line in ended.out.splitlines() if '"notice"' in line]
    assert [notice["level"] for notice in notices if text in notice["message"]] == ["warning"]
    assert text in warehouse.report(tmp_path)
    shown = command("gate", "show", DATABASE_URL=warehouse.url).out
    assert "info rows_are_readable: rows_unreadable 3" in shown
    assert "set aside by load" not in shown and "\\ud800" not in shown
    shown = command("gate", "show", "--show-rows", DATABASE_URL=warehouse.url).out
    assert "info rows_are_readable: rows_unreadable 3" in shown and "set aside by load" in shown
    assert "[2]" in shown and "\\ud800" in shown

    assert warehouse.run(WORLD).code == ExitCode.PUBLISHED
    assert (warehouse.next_step(), warehouse.alerts()) == (NOTHING, [])


@pytest.mark.parametrize("name", ["MAX_REMOVED_SHARE", "MAX_CHANGED_SHARE"])
def test_an_invalid_share_is_refused_before_the_run_starts(name, database_url, connection):
    with serve(WORLD) as api:
        for text in ("0", "-0.1", "1.01", "30", "nan", "inf", "a third", "0,3"):
            line = command("run", DATABASE_URL=database_url, API_BASE_URL=api.url, **{name: text}).only_line(
                ExitCode.WRONG_SETTINGS
            )
            assert f"{name} must be a number above 0 and at most 1, not {text!r}" in line
    assert connection.execute("select to_regnamespace('ops')").fetchone() == (None,)


def test_held_rows_are_reported_by_each_run_and_a_build_alone_says_that_a_load_is_blocked(built_database_url):
    """Also by the runs after the one that quarantined them."""
    spoilt = {**WORLD, "users": [user(1, email="nobody"), *WORLD["users"][1:]]}
    with serve(WORLD) as api:
        settings = {"DATABASE_URL": built_database_url, "API_BASE_URL": api.url}
        assert command("run", MAX_REMOVED_SHARE="1", **settings).code == ExitCode.PUBLISHED
        api.set_rows(spoilt)
        for _ in range(2):
            assert "1 row of users is quarantined" in closing_line(command("run", **settings))
        api.set_rows({**spoilt, "tracks": WORLD["tracks"][:5]})
        command("run", **settings).only_line(ExitCode.BLOCKED)
        assert "while a load is blocked" in closing_line(command("build", DATABASE_URL=built_database_url))
