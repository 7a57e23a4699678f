"""Whole nights in which a source loses, changes or garbles most of what it had: who is told, and what readers see."""

import html
import json
import re

import psycopg
import pytest

from pipeline.exits import Exit
from sample_api.server import serve
from tests.databases import copied
from tests.expectations.warehouse import document, track, user
from tests.inboxes import http_inbox
from tests.marts import contents
from tests.monitoring.records import Told
from tests.nights import run_night_on
from tests.pipeline.command import Ended, command

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
NOTHING = "nothing; all is well"


class Place:
    """A warehouse, what is run on it, and what is told meanwhile."""

    def __init__(self, url: str, connection: psycopg.Connection, inbox) -> None:
        self.url, self.connection, self._inbox = url, connection, inbox

    def night(self, rows, **environment: str) -> Ended:
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
        assert command("report", f"--output={file}", DATABASE_URL=self.url).code == Exit.PUBLISHED
        return " ".join(html.unescape(re.sub("<[^>]*>", " ", file.read_text("utf-8"))).split())

    def told(self) -> list[dict]:
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
    """Name of a database after one good night; copied, never changed."""
    with copied(postgres_url, "template1", "before_the_flood") as url:
        assert run_night_on(url, WORLD).message == "all published"
        yield "before_the_flood"


@pytest.fixture(scope="module")
def blocked_template(postgres_url, template):
    """Name of a database in which two nights of the wrong server followed, and were blocked; copied, never changed."""
    with copied(postgres_url, template, "flooded") as url:
        for _ in range(2):
            assert run_night_on(url, WRONG_SERVER).exit_code == Exit.BLOCKED
        yield "flooded"


@pytest.fixture
def make(postgres_url, home):
    def opened(name: str):
        return copied(postgres_url, name, "flood_test")

    return opened


@pytest.fixture
def place(make, template):
    with make(template) as url, psycopg.connect(url, autocommit=True) as connection, http_inbox() as inbox:
        yield Place(url, connection, inbox)


@pytest.fixture
def blocked(make, blocked_template):
    with make(blocked_template) as url, psycopg.connect(url, autocommit=True) as connection, http_inbox() as inbox:
        yield Place(url, connection, inbox)


def test_a_mass_removal_waits_for_a_person_and_everything_says_so(place, tmp_path):
    before = contents(place.url)

    ended = place.night(WRONG_SERVER)

    load_id = place.newest_load()
    release = f"""make gate ARGS="release {load_id} users --reason '...'\""""
    line = ended.only_line(Exit.BLOCKED)
    assert f'blocked: users ({REASON}); look at it with: make gate ARGS="show {load_id}"' in line
    assert f"if the source is right, release it: {release}" in line
    after = contents(place.url)
    assert after["marts.users"] == before["marts.users"]
    assert after["marts.listen_history"] == before["marts.listen_history"]
    assert len(after["marts.tracks"]) == 51, "the other tables go on"

    assert place.next_step() == (
        f'see why the load was blocked: make gate ARGS="show {load_id}"; if the source is right, release it: {release}'
    )
    text = place.report(tmp_path)
    assert REASON in text and f"publish it as it is: {release}" in text
    (message,) = place.told()
    assert message["title"] == "MooVitamix: blocked: users" and message["type"] == "failure"
    assert REASON in message["message"] and release in message["message"]
    assert "Rule: exit code 4, BLOCKED; users: no_mass_removal (1)\n" in message["message"]
    metrics = Told(place.connection)
    assert metrics["open_loads", "users", "blocked"] == 1
    assert metrics["gate_failed_rows", "users", "no_mass_removal", "critical"] == 1
    assert metrics["gate_failed_rows", "users", "few_removals", "info"] is None, "nobody is removed"


def test_it_is_blocked_again_each_night_also_when_the_wrong_server_was_known_by_then(blocked):
    assert REASON in blocked.night(WRONG_SERVER).only_line(Exit.BLOCKED)
    assert blocked.states() == ["accepted", "superseded", "superseded", "blocked"]
    assert blocked.live_users() == set(OURS)


def test_when_the_source_is_back_nothing_changes_for_readers_and_nothing_is_worth_a_look(blocked):
    before = contents(blocked.url)

    ended = blocked.night(WORLD)

    assert ended.code == Exit.PUBLISHED
    assert closing_line(ended).startswith("all published; ")
    assert blocked.states()[-1] == "accepted"
    after = contents(blocked.url)
    # users whom only blocked loads have named are gone before anybody saw them
    known = [row for row in after["marts.users"] if row[0] in OURS]
    assert known == before["marts.users"] and blocked.live_users() == set(OURS)
    assert after["marts.listen_history"] == before["marts.listen_history"]
    assert blocked.changed() == 0, "the rows landed again as they had been delivered"
    assert blocked.next_step() == NOTHING
    (message,) = blocked.told()
    assert message["title"] == "MooVitamix: the nights are good again"


def test_a_release_after_several_blocked_nights_removes_them_and_the_next_night_is_quiet(blocked):
    load_id = blocked.newest_load()

    assert blocked.decide("release", load_id).code == Exit.PUBLISHED

    theirs = {*range(1, 6), *range(1001, 1201)}
    assert blocked.live_users() == theirs
    assert blocked.one("select count(*) from marts.users where deleted_at is not null") == 45
    assert blocked.next_step() == NOTHING
    ended = blocked.night(WRONG_SERVER)
    assert ended.code == Exit.PUBLISHED and blocked.live_users() == theirs
    assert blocked.one(
        f"select rows_landed + rows_removed from staging.scans where _dlt_load_id = '{blocked.newest_load()}'"
        " and table_name = 'users'"
    ) == 0  # fmt: skip
    # what comes back lives again, and the others are a mass removal in their turn
    assert "it would remove 200 of the 205 known users" in blocked.night(WORLD).only_line(Exit.BLOCKED)


def test_a_rejected_mass_removal_is_blocked_again_until_it_is_over(blocked):
    assert blocked.decide("reject", blocked.newest_load()).code == Exit.PUBLISHED
    assert blocked.live_users() == set(OURS)
    assert blocked.next_step() == "what a rejected load brought is missing until it lands again: make run"
    assert REASON in blocked.night(WRONG_SERVER).only_line(Exit.BLOCKED)
    assert blocked.night(WORLD).code == Exit.PUBLISHED
    assert blocked.live_users() == set(OURS) and blocked.next_step() == NOTHING


def test_tracks_are_protected_alike_and_a_setting_lets_them_go(place):
    fewer = {**WORLD, "tracks": WORLD["tracks"][:30]}
    line = place.night(fewer).only_line(Exit.BLOCKED)
    assert "tracks (it would remove 20 of the 50 known tracks (40 %, more than MAX_REMOVED_SHARE 30 %))" in line
    ended = place.night(fewer, MAX_REMOVED_SHARE="0.4")
    assert ended.code == Exit.PUBLISHED
    assert "20 keys of tracks are gone from the source (40% of those known)" in closing_line(ended)
    assert place.one("select count(*) from marts.tracks where deleted_at is not null") == 20
    assert "20 keys of tracks are gone from the source" in place.next_step()


def test_documents_that_are_gone_remove_no_listen_and_are_told(place):
    before = contents(place.url)["marts.listen_history"]
    ended = place.night({**WORLD, "listen_history": WORLD["listen_history"][:5]})
    assert ended.code == Exit.PUBLISHED
    told = "45 keys of listen_history are gone from the source (90% of those known)"
    assert closing_line(ended) == f'all published, but {told}; look at them with: make gate ARGS="show"'
    assert contents(place.url)["marts.listen_history"] == before
    assert told in place.next_step()
    (message,) = place.told()
    assert message["title"] == "MooVitamix: published, but worth a look: many removals of listen_history"


def test_a_mass_change_is_published_and_everything_says_so_until_the_next_night(place, tmp_path):
    renamed = {**WORLD, "users": [user(number, last_name="Grey" if number > 20 else "Brown") for number in OURS]}

    ended = place.night(renamed)

    assert ended.code == Exit.PUBLISHED
    told = "30 of the 50 known users (60 %, more than MAX_CHANGED_SHARE 50 %) have changed"
    assert closing_line(ended) == f'all published, but {told}; look at them with: make gate ARGS="show"'
    assert place.one("select count(*) from marts.users where last_name = 'Grey'") == 30
    assert place.next_step() == f'{told}; look at them: make gate ARGS="show {place.newest_load()}"'
    assert told in place.report(tmp_path)
    (message,) = place.told()
    assert message["title"] == "MooVitamix: published, but worth a look: mass change of users"
    assert told in message["message"] and "Brown" not in str(message) and "Grey" not in str(message)
    metrics = Told(place.connection)
    assert metrics["gate_failed_rows", "users", "few_changes", "info"] == 1
    assert metrics["table_keys_changed", "users"] == 30

    assert place.night(renamed).code == Exit.PUBLISHED
    assert (place.next_step(), place.told()) == (NOTHING, [])
    assert Told(place.connection)["gate_failed_rows", "users", "few_changes", "info"] == 0


def test_rows_that_cannot_be_read_are_told_each_night_until_they_can(place, tmp_path):
    # half of a surrogate pair, which no Postgres can hold
    garbled = [json.dumps(user(number, last_name="\ud800")).encode() for number in (1, 2, 3)]
    spoilt = {**WORLD, "users": [*garbled, *WORLD["users"][3:]]}
    told = "3 rows of users are unreadable"
    for _ in range(2):
        ended = place.night(spoilt)
        assert ended.code == Exit.PUBLISHED
        assert closing_line(ended) == f'all published, but {told}; look at them with: make gate ARGS="show"'
        assert place.next_step() == f'{told}; look at them: make gate ARGS="show {place.newest_load()}"'
        (message,) = place.told()
        assert message["title"] == "MooVitamix: published, but worth a look: unreadable rows of users"
        assert "Brown" not in str(message) and "Ada" not in str(message)
        assert Told(place.connection)["table_rows_unreadable", "users"] == 3
    notices = [json.loads(line) for line in ended.out.splitlines() if '"notice"' in line]
    assert [notice["level"] for notice in notices if told in notice["message"]] == ["warning"]
    assert told in place.report(tmp_path)
    shown = command("gate", "show", DATABASE_URL=place.url).out
    assert "info rows_are_readable: rows_unreadable 3" in shown and "set aside by load" in shown
    assert "[2]" in shown and "\\ud800" in shown

    assert place.night(WORLD).code == Exit.PUBLISHED
    assert (place.next_step(), place.told()) == (NOTHING, [])


@pytest.mark.parametrize("name", ["MAX_REMOVED_SHARE", "MAX_CHANGED_SHARE"])
@pytest.mark.parametrize("text", ["0", "-0.1", "1.01", "30", "nan", "inf", "a third", "0,3"])
def test_a_share_that_is_none_is_refused_before_anything_begins(name, text, database_url, connection):
    with serve(WORLD) as api:
        ended = command("run", DATABASE_URL=database_url, API_BASE_URL=api.url, **{name: text})
    assert f"{name} must be a number over 0 and at most 1, not {text!r}" in ended.only_line(Exit.WRONG_SETTINGS)
    assert connection.execute("select to_regnamespace('ops')").fetchone() == (None,)
