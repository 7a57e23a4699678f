"""The runbooks' commands publish the rows that a wrong rule quarantined, once the rule is fixed."""

import contextlib

import great_expectations as gx
import great_expectations.expectations as gxe
import psycopg
import pytest

from expectations import scans, users
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command
from tests.documents import PROJECT, commands_in, pipeline_arguments
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_database_url`
NEXT_DAY = snapshot(WORLD, 2).tables()
ALL = {user["id"] for user in NEXT_DAY["users"]}
BLOCKED_LOAD = PROJECT / "docs" / "runbooks" / "blocked-load.md"
QUARANTINE = PROJECT / "docs" / "runbooks" / "growing-quarantine.md"


@pytest.fixture
def url(built_database_url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", built_database_url)
    return built_database_url


@pytest.fixture
def renaming_api(monkeypatch):
    """Return a function that serves a new name of each user, and an odd e-mail address of every n-th."""
    with contextlib.ExitStack() as stack:

        def start(nth):
            rows = [
                {**user, "first_name": "New", **({"email": "nobody"} if user["id"] % nth == 0 else {})}
                for user in NEXT_DAY["users"]
            ]
            server = stack.enter_context(serve({**NEXT_DAY, "users": rows}))
            monkeypatch.setenv("API_BASE_URL", server.url)

        yield start


def allow_odd_addresses(monkeypatch):
    """Fix the rule that was wrong: take it out of the suite."""
    suite = users.suite()
    kept = [each for each in suite.expectations if each.meta["rule"] != "email_is_an_address"]
    monkeypatch.setattr(users, "suite", lambda: gx.ExpectationSuite(name="users", expectations=kept))


def few_rows_may_land():
    suite = scans.suite()
    wrong = gxe.ExpectColumnValuesToBeBetween(
        column="rows_landed", max_value=30, severity="critical", meta={"rule": "few_rows_land", "shows": "rows_landed"}
    )
    return gx.ExpectationSuite(name="scans", expectations=[*suite.expectations, wrong])


def renamed(url):
    """Return the ids of the users whose new name is published."""
    with psycopg.connect(url) as connection:
        return {user_id for (user_id,) in connection.execute("select id from marts.users where first_name = 'New'")}


def play_row(document, case, url):
    """Play the commands in this row of the document's table, and return them without their arguments."""
    lines = document.read_text().splitlines()
    (line,) = [number for number, text in enumerate(lines, 1) if text.startswith(f"| {case} |")]
    return [play(each, url) for each in commands_in(document) if each.line == line]


def play(documented, url):
    with psycopg.connect(url) as connection:
        (load_id,) = connection.execute("select max(load_id) from gate.loads").fetchone()
    values = {"LOAD": load_id, "TABLE": "users"}
    arguments = [values.get(word, word) for word in pipeline_arguments(documented)]
    ended = command(*arguments)
    assert ended.code == ExitCode.PUBLISHED, (documented.place, ended)
    return arguments[:2]


def test_the_next_run_publishes_the_load_that_a_wrong_row_rule_blocked(url, renaming_api, monkeypatch):
    renaming_api(nth=2)
    assert command("run").code == ExitCode.BLOCKED
    allow_odd_addresses(monkeypatch)
    assert play_row(BLOCKED_LOAD, "the rule is wrong", url) == [["run"]]
    assert renamed(url) == ALL


def test_the_next_run_publishes_the_loads_that_a_wrong_critical_rule_blocked(url, renaming_api, monkeypatch):
    renaming_api(nth=1000)
    with monkeypatch.context() as patch:
        wrong = few_rows_may_land()
        patch.setattr(scans, "suite", lambda: wrong)
        for _ in range(2):
            assert command("run").code == ExitCode.BLOCKED
    assert renamed(url) == set()
    assert play_row(BLOCKED_LOAD, "the rule is wrong", url) == [["run"]]
    assert renamed(url) == ALL


def test_a_load_whose_rows_the_source_no_longer_has_is_released_and_replayed(url, renaming_api, monkeypatch):
    renaming_api(nth=2)
    assert command("run").code == ExitCode.BLOCKED
    allow_odd_addresses(monkeypatch)
    monkeypatch.delenv("API_BASE_URL")
    case = "the rule is wrong, and the source no longer has these rows"
    assert play_row(BLOCKED_LOAD, case, url) == [["gate", "release"], ["gate", "replay"]]
    assert renamed(url) == ALL


def test_a_replay_frees_the_rows_that_a_wrong_rule_holds_and_a_run_does_not(url, renaming_api, monkeypatch):
    renaming_api(nth=7)
    assert command("run").code == ExitCode.PUBLISHED
    quarantined = ALL - renamed(url)
    allow_odd_addresses(monkeypatch)
    assert command("run").code == ExitCode.PUBLISHED
    assert quarantined and renamed(url) == ALL - quarantined
    replays = [each for each in commands_in(QUARANTINE) if each.is_in_block and "replay" in each.typed]
    assert ["--dry-run" in each.typed for each in replays] == [True, False]
    for replay in replays:
        play(replay, url)
    assert renamed(url) == ALL
