"""What nights tell to the addresses of ALERT_URLS, and that this changes nothing else."""

import contextlib
import datetime as dt
import re
import socket
import sys
import threading
import time

import psycopg
import pytest

from expectations.gate import Batch, Judgement, RuleResult
from pipeline import alerts, messages, night, runs, schedule, warehouse
from pipeline.exits import Exit, Stop
from sample_api.server import serve
from sample_api.world import snapshot
from tests.inboxes import http_inbox, mail_inbox
from tests.pipeline.command import command
from tests.pipeline.conftest import NEXT_DAY, WORLD

ELSEWHERE = "redirect=http://127.0.0.1:1/"  # refused at once, where other faults would be tried again
MINUTE = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
LINES = ["What", "Since", "Rule", "Next", "Runbook"]


@pytest.fixture
def inbox():
    with http_inbox() as opened:
        yield opened


@pytest.fixture
def settings(inbox, database_url, home):
    return {
        "ALERT_URLS": f"json://127.0.0.1:{inbox.port}/alerts",
        "DATABASE_URL": database_url,
        "API_BASE_URL": "http://127.0.0.1:1",
    }


@pytest.fixture
def outcome(monkeypatch):
    """Nights without work, each step of which does what is put here under its name."""
    steps = {}
    for step in night.STEPS:
        monkeypatch.setattr(night, f"_{step}", lambda *given, step=step: steps.get(step, lambda *_: None)(*given))
    return steps


def told(inbox):
    """The messages since the last look: title, and the body as its lines by name."""
    arrived = inbox.messages.pop("/alerts", [])
    for message in arrived:
        for text in (message["title"], *message["message"].split("\n")):
            assert text.isprintable() and text, message
    return [
        (message["title"], message["type"], dict(line.split(": ", 1) for line in message["message"].split("\n")))
        for message in arrived
    ]


def only(inbox):
    (message,) = told(inbox)
    title, kind, lines = message
    assert list(lines) == LINES
    return title, kind, lines


@contextlib.contextmanager
def dripping_server():
    """Its port: it answers a byte at a time, for half a minute, so that no wait for a single byte is long."""
    is_over = threading.Event()

    def drip(connection):
        with connection, contextlib.suppress(OSError):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
            for _ in range(300):
                if is_over.wait(0.1):
                    return
                connection.send(b"x")

    def serve_all():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve_all, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        is_over.set()


def fail(code, message):
    def work(*_):
        raise Stop(code, message)

    return work


def test_a_failed_night_is_told_to_each_address_and_ends_as_it_would_have(settings, inbox):
    with mail_inbox() as mail, serve(snapshot(WORLD, 0), [ELSEWHERE]) as api:
        mail_address = (
            f"mailto://user:password@127.0.0.1:{mail.port}/?from=moovitamix@example.org&to=operator@example.org"
        )
        both = f"{settings['ALERT_URLS']}\n{mail_address}\n"
        line = command("run", **settings | {"ALERT_URLS": both, "API_BASE_URL": api.url}).only_line(Exit.SOURCE_FAILED)
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: the night failed", "failure")
    assert lines["What"] in line and "redirects" in lines["What"]
    assert re.fullmatch(MINUTE, lines["Since"])
    assert lines["Rule"] == "exit code 3, SOURCE_FAILED"
    assert lines["Next"] == "make run, when that is mended"
    assert lines["Runbook"] == "docs/runbooks/failed-run.md"
    (recipients, message) = mail.messages[0]
    assert recipients == ["operator@example.org"] and message["subject"] == title
    text = message.get_body(("plain", "html")).get_content()
    assert all(f"{name}: " in text for name in LINES)
    assert mail.logins == [("user", "password")]


def test_a_blocked_night_names_tables_and_rules_and_no_row(settings, inbox, built_database_url, monkeypatch):
    # the gate needs views, and those of the night before will do
    monkeypatch.setattr(night, "_may_replace_staging_views", lambda _: False)
    monkeypatch.setattr(night, "_build", lambda *_: None)
    world = snapshot(WORLD, NEXT_DAY)
    with serve(world, ["bad_rows@users=0.6/2"]) as api:
        given = {"API_BASE_URL": api.url, "DATABASE_URL": built_database_url}
        line = command("run", **settings | given).only_line(Exit.BLOCKED)
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: blocked: users", "failure")
    assert lines["What"] in line
    assert re.fullmatch(r"exit code 4, BLOCKED; users: \w+ \(\d+\)(, \w+ \(\d+\))*", lines["Rule"]), lines["Rule"]
    assert "email_is_an_address" in lines["Rule"]
    load = re.search(r"show (\S+)\"", line)[1]
    assert lines["Next"] == f'make gate ARGS="show {load}"'
    assert lines["Runbook"] == "docs/runbooks/blocked-load.md"
    for user in world.users:
        assert user["email"] not in str(lines) and user["last_name"] not in str(lines)


def test_a_bad_night_is_told_each_time_and_of_good_ones_the_first_after_it(settings, inbox, outcome, database_url):
    assert command("run", **settings).code == Exit.PUBLISHED
    assert told(inbox) == [], "the first night ever, and good"

    def fail_unforeseen(*_):
        raise ValueError("text of an error that nobody foresaw")

    outcome["gate"] = fail_unforeseen
    ended = command("run", **settings)
    assert ended.code == Exit.UNFORESEEN and ended.err.count("\n") == 1
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: the night failed", "failure")
    assert "unforeseen ValueError" in lines["What"] and "nobody foresaw" not in str(lines)
    assert "; the last good one ended " in lines["Since"] and "bad nights" not in lines["Since"]

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update ops.runs set started_at = '2026-01-02T03:04Z' where status = 'failed'")
    outcome["gate"] = fail(Exit.GATE_BROKEN, "the gate could not judge users")
    outcome["build"] = fail(Exit.BUILD_FAILED, "dbt failed")
    assert command("run", **settings).code == Exit.GATE_BROKEN
    _, _, again = only(inbox)
    assert again["Rule"] == "exit code 8, GATE_BROKEN" and again["What"].endswith("; dbt failed")
    first = "2026-01-02 03:04 UTC"
    assert again["Since"].startswith(
        f"{first}; bad nights before this one: {first} failed (1); the last good one ended "
    )

    outcome.clear()
    assert command("run", **settings).code == Exit.PUBLISHED
    title, kind, good = only(inbox)
    assert (title, kind) == ("MooVitamix: the nights are good again", "success")
    assert re.fullmatch(
        rf"bad since {first}; bad nights before this one: {first} failed \(1\), {MINUTE} failed \(8\);"
        rf" the last good one ended {MINUTE}",
        good["Since"],
    )

    assert command("run", **settings).code == Exit.PUBLISHED
    assert told(inbox) == [], "a good night after a good one"


def test_a_blocked_table_does_not_hide_what_failed_first(settings, inbox, outcome):
    row = {"dlt_id": "x", "key": '["somebody@example.org"]', "detail": "somebody@example.org"}
    rules = (
        RuleResult("email_is_an_address", "warning", 1500, [row]),
        RuleResult("source_is_not_empty", "critical", 1, [{"keys_known": 7}]),
        RuleResult("few_removals", "info", 1, [{"removed_share": "0.5"}]),
    )

    def block(connection, current, *_):
        current.judgements = [Judgement(Batch("17.5", "users", 9, 9, 0), "blocked", 9, rules)]
        raise Stop(Exit.BLOCKED, "blocked: users")

    outcome["extract"] = fail(Exit.SOURCE_FAILED, "the source failed")
    outcome["gate"] = block
    assert command("run", **settings).code == Exit.SOURCE_FAILED
    title, _, lines = only(inbox)
    assert title == "MooVitamix: the night failed"
    assert lines["Rule"] == "exit code 3, SOURCE_FAILED; users: source_is_not_empty (1)"
    assert "somebody" not in str(lines)


def test_a_good_night_that_is_worth_a_look_is_told_each_time_and_the_clean_one_after_it_is_not(
    settings, inbox, outcome
):
    row = {"dlt_id": "x", "key": '["somebody@example.org"]', "detail": "somebody@example.org"}
    flood = "30 of the 50 known users (60 %, more than MAX_CHANGED_SHARE 50 %)"
    rules = (
        RuleResult("email_is_an_address", "warning", 1, [row]),
        RuleResult("few_changes", "info", 1, [{"mass_change": flood}]),
    )

    def publish(connection, current, *_):
        users = Batch("17.5", "users", 50, 30, 0, rows_unreadable=2)
        tracks = Batch("17.5", "tracks", 9, 0, 0, rows_unreadable=1)
        current.judgements = [
            Judgement(users, "accepted_with_quarantine", 1, rules),
            Judgement(tracks, "accepted"),
        ]

    outcome["gate"] = publish
    for _ in range(2):
        assert command("run", **settings).code == Exit.PUBLISHED
        title, kind, lines = only(inbox)
        assert kind == "warning"
        assert title == (
            "MooVitamix: published, but worth a look: mass change of users, unreadable rows of users and tracks,"
            " quarantined rows of users"
        )
        assert lines["What"] == (
            f"judged, not built yet, but {flood} have changed, 2 rows of users are unreadable,"
            " 1 row of users is quarantined and 1 row of tracks is unreadable"
        )
        assert lines["Rule"] == "a night that succeeded with mass change, unreadable rows, quarantined rows"
        assert lines["Next"] == 'make gate ARGS="show 17.5"'
        assert lines["Runbook"] == "docs/runbooks/unusual-night.md"
        assert "somebody" not in str(lines)

    outcome.clear()
    assert command("run", **settings).code == Exit.PUBLISHED
    assert told(inbox) == [], "a clean night after it is silent"

    outcome["gate"] = fail(Exit.GATE_BROKEN, "the gate could not judge users")
    assert command("run", **settings).code == Exit.GATE_BROKEN
    assert only(inbox)[1] == "failure"
    outcome["gate"] = publish
    assert command("run", **settings).code == Exit.PUBLISHED
    title, kind, lines = only(inbox)
    assert kind == "warning" and lines["Since"].startswith("bad since ")
    outcome.clear()
    assert command("run", **settings).code == Exit.PUBLISHED
    assert told(inbox) == [], "it was told that the nights are published again"


def test_a_crashed_night_is_told_by_the_next(settings, inbox, outcome, database_url):
    assert command("run", **settings).code == Exit.PUBLISHED
    with psycopg.connect(database_url, autocommit=True) as connection:
        runs.start_run(connection, runs.WHOLE_NIGHT)
        runs.start_run(connection, "build")
        runs.start_run(connection, runs.WHOLE_NIGHT)
    assert told(inbox) == []
    assert command("run", **settings).code == Exit.PUBLISHED
    title, _, lines = only(inbox)
    assert title == "MooVitamix: the nights are good again"
    assert lines["Since"].count("UTC crashed") == 2 and re.match(f"bad since {MINUTE}; ", lines["Since"])
    assert command("run", **settings).code == Exit.PUBLISHED
    assert told(inbox) == []


def test_a_night_that_cannot_begin_is_told_and_so_is_the_good_one_after_it(settings, inbox, outcome, home):
    assert command("run", **settings).code == Exit.PUBLISHED
    nowhere = {"DATABASE_URL": "postgresql://user:pl%40nted@127.0.0.1:1/nowhere"}
    line = command("run", **settings | nowhere).only_line(Exit.WAREHOUSE_UNAVAILABLE)
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: the night could not begin", "failure")
    assert lines["What"] in line and "pl" + "@nted" not in str(lines)
    assert lines["Rule"] == "exit code 7, WAREHOUSE_UNAVAILABLE"
    trouble = home / ".trouble"
    assert trouble.is_file()
    trouble.write_text("2026-01-02T04:04:00+01:00\n")
    assert command("run", **settings | nowhere).code == Exit.WAREHOUSE_UNAVAILABLE
    assert only(inbox)[2]["Since"] == "2026-01-02 03:04 UTC"
    assert command("run", "--help", **settings).code == Exit.PUBLISHED
    assert told(inbox) == []

    assert command("run", **settings).code == Exit.PUBLISHED
    title, _, good = only(inbox)
    assert title == "MooVitamix: the nights are good again"
    assert good["Since"].startswith("bad since 2026-01-02 03:04 UTC; the last good one ended ")
    assert command("run", **settings).code == Exit.PUBLISHED
    assert told(inbox) == []


def test_a_run_that_finds_another_at_work_tells_nothing_and_mends_nothing(settings, inbox, outcome, database_url, home):
    with warehouse.only_run(warehouse.find(database_url, "other")):
        assert command("run", **settings).code == Exit.ALREADY_RUNNING
    assert not (home / ".trouble").exists()
    assert command("run", **settings).code == Exit.PUBLISHED
    assert told(inbox) == [], "neither bad news nor good"

    home.mkdir()
    (home / ".trouble").write_text("2026-01-02T03:04:00+00:00\n")
    with warehouse.only_run(warehouse.find(database_url, "other")):
        assert command("run", **settings).code == Exit.ALREADY_RUNNING
    assert told(inbox) == []
    assert command("run", **settings).code == Exit.PUBLISHED
    assert only(inbox)[2]["Since"].startswith("bad since 2026-01-02 03:04 UTC")


def test_a_night_that_cannot_be_entered_is_told_once_in_hours_and_other_news_at_once(
    settings, inbox, outcome, database_url, home, monkeypatch
):
    assert command("run", **settings).code == Exit.PUBLISHED
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("""
            create function ops.fill() returns trigger language plpgsql as
            $$ begin raise exception 'the disk is full' using errcode = 'disk_full'; end $$;
            create trigger fill before insert on ops.runs for each row execute function ops.fill()
        """)

    def after(**ahead):
        """The exit code of the night that the schedule begins so long after the newest message."""
        moment = dt.datetime.fromtimestamp(trouble.stat().st_mtime, dt.UTC) + dt.timedelta(**ahead)
        monkeypatch.setattr(alerts, "_now", lambda: moment)
        return command("run", **settings).code

    trouble = home / ".trouble"
    assert command("run", **settings).code == Exit.WAREHOUSE_UNAVAILABLE
    title, _, lines = only(inbox)
    assert title == "MooVitamix: the night could not begin" and "full" in lines["What"]
    for ahead in ({"minutes": 5}, {"minutes": 10}, {"hours": 5, "minutes": 59}):
        assert after(**ahead) == Exit.WAREHOUSE_UNAVAILABLE
    assert told(inbox) == [], "it was told a few hours ago"
    assert after(hours=6) == Exit.WAREHOUSE_UNAVAILABLE
    assert only(inbox)[2]["Since"].startswith(lines["Since"]), "since the first of them"
    command("run", **settings | {"BATCH_SIZE": "1000"}).only_line(Exit.WRONG_SETTINGS)
    assert only(inbox)[2]["Rule"] == "exit code 2, WRONG_SETTINGS"

    assert after(minutes=5) == Exit.WAREHOUSE_UNAVAILABLE
    assert only(inbox)[2]["Rule"] == "exit code 7, WAREHOUSE_UNAVAILABLE"

    trouble.write_text("")  # as a full disk leaves it
    assert after(minutes=5) == Exit.WAREHOUSE_UNAVAILABLE
    assert told(inbox) == []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop trigger fill on ops.runs")
    assert after(minutes=10) == Exit.PUBLISHED
    assert only(inbox)[0] == "MooVitamix: the nights are good again"
    assert not trouble.exists()


def test_a_night_that_was_entered_is_told_however_soon(settings, inbox, outcome):
    outcome["extract"] = fail(Exit.WAREHOUSE_UNAVAILABLE, "the warehouse went away")
    for _ in range(2):
        assert command("run", **settings).code == Exit.WAREHOUSE_UNAVAILABLE
    assert [title for title, _, _ in told(inbox)] == ["MooVitamix: the night failed"] * 2


def test_wrong_settings_are_told_without_what_was_given(settings, inbox):
    command("run", "postgresql://user:planted@host/db", **settings).only_line(Exit.WRONG_SETTINGS)
    _, _, lines = only(inbox)
    assert lines["What"].startswith("wrong usage or settings") and "planted" not in str(lines)
    command("run", **settings | {"BATCH_SIZE": "1000"}).only_line(Exit.WRONG_SETTINGS)
    assert only(inbox)[2]["Rule"] == "exit code 2, WRONG_SETTINGS"
    command("run", ERASURE_KEY_FILE="/nowhere/key", **settings).only_line(Exit.WRONG_SETTINGS)
    assert "ERASURE_KEY_FILE" in only(inbox)[2]["What"]


def test_only_nights_tell(settings, inbox, home):
    assert command("run", "--help", **settings).code == Exit.PUBLISHED
    nowhere = {**settings, "DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"}
    for verb in ("extract", "gate", "build", "status"):
        assert command(verb, **nowhere).code == Exit.WAREHOUSE_UNAVAILABLE
    assert told(inbox) == []
    assert not (home / ".trouble").exists()


@pytest.mark.parametrize(
    ("addresses", "number", "of"),
    [
        ("planted", 1, 1),
        ("{good} planted://secret", 2, 2),
        ("{good}, slack://planted", 2, 2),
        ("{good}\nplanted\n", 2, 2),
        ("planted {good}", 2, 2),
    ],
)
def test_what_is_no_address_ends_the_night_before_it_begins(
    addresses, number, of, settings, inbox, database_url, monkeypatch
):
    monkeypatch.setattr(schedule, "run", lambda *_: None)
    given = addresses.format(good=settings["ALERT_URLS"])
    for verb in ("run", "schedule"):
        line = command(verb, **settings | {"ALERT_URLS": given}).err
        assert f"ALERT_URLS: number {number} of its {of} addresses" in line.splitlines()[-1]
        assert "(exit 2)" in line and "planted" not in line and "json" not in line
    assert len(told(inbox)) == given.count("json://"), "those that are addresses are told of the others"
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select to_regclass('ops.runs')").fetchone() == (None,)


def test_what_cannot_be_sent_is_one_line_and_changes_nothing(settings, inbox, outcome, monkeypatch):
    monkeypatch.setattr(messages, "LIMIT_SECONDS", 2)
    outcome["extract"] = fail(Exit.SOURCE_FAILED, "the source failed")
    with dripping_server() as port:
        given = f"json://user:planted@127.0.0.1:1/planted, {settings['ALERT_URLS']} json://127.0.0.1:{port}/planted"
        started = time.monotonic()
        ended = command("run", **settings | {"ALERT_URLS": given})
        assert time.monotonic() - started < 20, "the limit is 2 seconds"
    assert ended.code == Exit.SOURCE_FAILED
    warning, line = ended.err.splitlines()
    assert line == "moovitamix: the source failed (exit 3)"
    assert warning.startswith(
        "moovitamix: warning: an alert could not be sent: number 1 (JSON), number 3 (JSON) of the 3"
    )
    assert "planted" not in ended.err + ended.out
    assert only(inbox)[2]["What"] == "the source failed", "the others are told all the same"

    def explode(*_):
        raise problem

    monkeypatch.setattr(messages, "_undelivered", explode)
    problem = RuntimeError("planted")
    ended = command("run", **settings)
    assert ended.code == Exit.SOURCE_FAILED and "unforeseen RuntimeError" in ended.err and "planted" not in ended.err
    problem = KeyboardInterrupt()
    assert command("run", **settings).only_line(Exit.SOURCE_FAILED) == f"{line}\n"


def test_whatever_is_told_is_text_and_a_line_stays_a_line(settings, inbox, monkeypatch):
    monkeypatch.setenv("ALERT_URLS", settings["ALERT_URLS"])
    alerts.tell(alerts.Alert("odd words", "red \x1b[31m\nRule: none \u202e <!channel>", "long " * 1000, "make status"))
    _, _, lines = only(inbox)
    assert lines["What"] == "red \\x1b[31m Rule: none \\u202e <!channel>"
    assert len(lines["Rule"]) == alerts.LONGEST_LINE


def test_a_night_of_which_nobody_is_told_loads_no_apprise_and_leaves_no_trace(settings, outcome, home, monkeypatch):
    monkeypatch.setattr(messages, "send", lambda *_, **__: pytest.fail("nobody is told"))
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome["extract"] = fail(Exit.SOURCE_FAILED, "the source failed")
    assert command("run", **settings | {"ALERT_URLS": ""}).code == Exit.SOURCE_FAILED
    assert not (home / ".trouble").exists()
