"""`gate release`, `reject` and `replay` as commands, and their effect on the marts."""

import great_expectations as gx
import psycopg
import pytest

from expectations import decisions, users
from sample_api.world import World, snapshot
from tests.command import command, last_run
from tests.databases import database_copy
from tests.runs import run_pipeline_on
from warehouse import database, locks
from warehouse.errors import ExitCode
from warehouse.names import SCHEMAS

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_database_url`
NEXT_DAY = snapshot(WORLD, 2).tables()


@pytest.fixture(scope="module")
def blocked_template(postgres_url, built_template):
    """Return the name of a template database after a night whose users are blocked: every other address is wrong."""
    with database_copy(postgres_url, built_template, "blocked") as url:
        night(url, email="nobody")
        yield "blocked"


@pytest.fixture(scope="module")
def released_template(postgres_url, blocked_template):
    """Return the name of a template database in which the users of that night are released."""
    with database_copy(postgres_url, blocked_template, "released") as url:
        with psycopg.connect(url) as connection:
            load_id = newest_load(connection)
        decision = ("release", load_id, "users", "--reason", "it was looked at")
        assert command("gate", *decision, DATABASE_URL=url).code == ExitCode.PUBLISHED
        yield "released"


AFTER_A_BLOCKED_NIGHT = pytest.mark.parametrize("template", ["blocked_template"], indirect=True)
AFTER_ITS_RELEASE = pytest.mark.parametrize("template", ["released_template"], indirect=True)


@pytest.fixture
def template(request):
    """Return the name of the template database of a test: usually that after two runs."""
    return request.getfixturevalue(getattr(request, "param", "built_template"))


@pytest.fixture
def built_database_url(postgres_url, template):
    with database_copy(postgres_url, template, "built_test") as url:
        yield url


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.fixture
def decide(built_database_url):
    def call(*arguments, reason="it was looked at"):
        return command("gate", *arguments, "--reason", reason, DATABASE_URL=built_database_url)

    return call


@pytest.fixture
def next_step(built_database_url):
    """Return the next step that a command prints."""

    def call(*arguments):
        return command(*arguments, DATABASE_URL=built_database_url).out.splitlines()[-1].removeprefix("next: ")

    return call


def night(database_url, **new_users):
    """Load new names of all users, and the changes in `new_users` for even ids; return the load id."""
    rows = [{**user, "first_name": "New", **(new_users if user["id"] % 2 == 0 else {})} for user in NEXT_DAY["users"]]
    return run_pipeline_on(database_url, {**NEXT_DAY, "users": rows}).extraction.load_id


def newest_load(connection):
    return connection.execute("select max(load_id) from gate.loads").fetchone()[0]


def renamed(connection):
    """Return the ids of the users that are changed in the mart."""
    return {
        user_id
        for (user_id,) in connection.execute(
            "select id from marts.users where first_name = 'New' and deleted_at is null"
        )
    }


ODD = {user["id"] for user in NEXT_DAY["users"] if user["id"] % 2}
ALL = {user["id"] for user in NEXT_DAY["users"]}


def ledger(connection):
    return [
        connection.execute(f"select * from {table} order by 1, 2, 3, 4").fetchall()
        for table in ("gate.loads", "gate.quarantined_rows", "gate.publications", "gate.decisions", "ops.runs")
    ]


@AFTER_A_BLOCKED_NIGHT
def test_a_release_shows_before_and_after_and_is_built(built_database_url, connection, decide):
    load_id = newest_load(connection)
    assert renamed(connection) == set()

    ended = decide("release", load_id, "users")

    assert ended.code == ExitCode.PUBLISHED
    assert f"before: users of load {load_id} is blocked" in ended.out
    assert f"after: users of load {load_id} is released, it was looked at\n" in ended.out
    see = f'see it with: make gate ARGS="show {load_id}"'
    assert ended.out.splitlines()[-1] == f"users of load {load_id} is released; {see}"
    assert renamed(connection) == ODD
    assert connection.execute("select id from prep.int_changed_tracks").fetchall() == [], "only users have changed"
    assert last_run(connection) == ("succeeded", 0, "all published")
    status = command("status", DATABASE_URL=built_database_url).out
    assert status.splitlines()[-1] == 'next: see the quarantined rows: make gate ARGS="show"'


def test_a_rejected_load_disappears_from_the_marts_and_is_loaded_again(
    built_database_url, connection, decide, next_step
):
    first = night(built_database_url)
    assert renamed(connection) == ALL
    assert decide("reject", first, "users").code == ExitCode.PUBLISHED
    assert renamed(connection) == set()
    assert next_step("status") == "load the rows of a rejected load again: make run"
    assert next_step("gate", "show", first) == (
        "the rows of users in this load are missing; load them again with: make run"
    )
    second = night(built_database_url)
    assert renamed(connection) == ALL
    # nearly all of them have changed, as the night before
    assert " have changed; see the details: make gate " in next_step("status")
    assert next_step("gate", "show", first) == "nothing: later runs loaded the rows of this load again"
    landed = connection.execute(
        "select _dlt_load_id, count(*) from staging.users where payload ->> 'first_name' = 'New' group by 1 order by 1"
    ).fetchall()
    assert landed == [(first, len(ALL)), (second, len(ALL))]


@AFTER_ITS_RELEASE
def test_rows_are_published_when_a_fixed_rule_is_replayed(connection, decide, monkeypatch):
    original = users.suite()
    kept = [each for each in original.expectations if each.meta["rule"] != "email_is_an_address"]
    monkeypatch.setattr(users, "suite", lambda: gx.ExpectationSuite(name="users", expectations=kept))
    quarantined = len(ALL - ODD)

    ended = decide("replay", "--table", "users", "--rule", "email_is_an_address")

    assert ended.code == ExitCode.PUBLISHED
    assert (
        f"users: {quarantined} quarantined rows checked, {quarantined} now pass all rules, 0 remain quarantined"
        in ended.out
    )
    assert ended.out.splitlines()[-1] == f"{quarantined} rows published; see the remaining quarantine with: make status"
    assert renamed(connection) == ALL


@pytest.mark.parametrize(
    ("template", "verb"), [("blocked_template", "release"), ("released_template", "replay")], indirect=["template"]
)
def test_a_dry_run_writes_nothing_and_is_not_recorded(verb, connection, decide):
    before = ledger(connection)
    ended = decide(verb, *((newest_load(connection), "users") if verb == "release" else ()), "--dry-run")
    assert ended.code == ExitCode.PUBLISHED
    assert (
        ended.out.splitlines()[-1]
        == "dry run: nothing was changed; to make these changes, repeat the command without --dry-run"
    )
    assert ledger(connection) == before


@pytest.mark.parametrize("arguments", [("release", "17", "users"), ("reject", "17", "users"), ("replay",)])
@pytest.mark.parametrize("dry_run", [("--dry-run",), ()], ids=["dry run", "in earnest"])
def test_decisions_on_an_empty_database_are_refused_and_create_nothing(arguments, dry_run, database_url):
    ended = command("gate", *arguments, "--reason", "why", *dry_run, DATABASE_URL=database_url)
    assert "make run" in ended.only_line(ExitCode.WRONG_SETTINGS)
    with psycopg.connect(database_url) as empty:
        assert empty.execute(
            "select nspname from pg_namespace where nspname = any(%s)", [list(SCHEMAS)]
        ).fetchall() == []  # fmt: skip


def test_status_asks_to_repeat_an_interrupted_decision(built_database_url, connection, decide, next_step, monkeypatch):
    def interrupted(*arguments, is_dry_run, **named):
        if not is_dry_run:
            raise KeyboardInterrupt
        return reject(*arguments, is_dry_run=is_dry_run, **named)

    load_id, reject = newest_load(connection), decisions.reject
    with monkeypatch.context() as patch:
        patch.setattr("expectations.decisions.reject", interrupted)
        assert decide("reject", load_id, "users").code == ExitCode.UNEXPECTED_ERROR
    assert next_step("status").endswith('repeat it: make gate ARGS="reject ..."')

    assert decide("reject", load_id, "users").code == ExitCode.PUBLISHED
    assert next_step("status") == "load the rows of a rejected load again: make run"


@pytest.mark.parametrize("arguments", [("release", "17", "users"), ("reject", "\x1b[31m", "users"), ("replay",)])
def test_an_invalid_decision_is_a_one_line_error_and_not_recorded(arguments, connection, decide):
    before = ledger(connection)
    line = decide(*arguments).only_line(ExitCode.WRONG_SETTINGS)
    assert "make status" in line and "\x1b" not in line
    assert ledger(connection) == before


@pytest.mark.parametrize("arguments", [("release", "17", "users"), ("reject", "17", "users"), ("replay",)])
def test_decisions_require_a_reason(arguments, built_database_url):
    ended = command("gate", *arguments, DATABASE_URL=built_database_url)
    assert "--reason" in ended.only_line(ExitCode.WRONG_SETTINGS)
    blank = command("gate", *arguments, "--reason", " \n", DATABASE_URL=built_database_url)
    assert "it is empty; give a reason" in blank.only_line(ExitCode.WRONG_SETTINGS)


def test_decisions_are_refused_while_a_run_is_in_progress(built_database_url, connection, decide):
    before = ledger(connection)
    with locks.run_lock(database.find(built_database_url, "test")):
        decide("release", "17", "users").only_line(ExitCode.ALREADY_RUNNING)
    assert ledger(connection) == before


@AFTER_ITS_RELEASE
def test_a_replay_that_cannot_run_its_rules_is_exit_code_8(connection, decide, monkeypatch):
    monkeypatch.setattr(users, "suite", lambda: 1 / 0)
    before = ledger(connection)
    line = decide("replay").only_line(ExitCode.GATE_BROKEN)
    assert "the rules could not be checked" in line
    assert ledger(connection) == before


def test_a_decision_remains_if_its_build_fails_and_names_the_build_command(built_database_url, connection, decide):
    load_id = night(built_database_url)
    connection.execute(
        "create function marts.fail() returns trigger language plpgsql as 'begin raise ''no''; end';"
        "create trigger fails after update or insert on marts.users execute function marts.fail()"
    )
    line = decide("reject", load_id, "users").only_line(ExitCode.BUILD_FAILED)
    assert line.startswith(f"moovitamix: users of load {load_id} is rejected, but dbt failed: ")
    connection.execute("drop trigger fails on marts.users")
    assert command("build", DATABASE_URL=built_database_url).code == ExitCode.PUBLISHED
    assert renamed(connection) == set()


def test_a_reason_is_stored_verbatim_and_never_executed(connection, decide):
    reason = "'; drop table gate.loads; -- [red]<b>"
    load_id = newest_load(connection)
    assert decide("reject", load_id, "users", reason=reason).code == ExitCode.PUBLISHED
    assert connection.execute("select verb, table_name, reason from gate.decisions").fetchall() == [
        ("reject", "users", reason)
    ]
