"""Runs send alerts to the addresses in ALERT_URLS, and behave the same otherwise."""

import contextlib
import datetime as dt
import io
import json
import re
import socket
import sys
import threading
import time

import psycopg
import pytest

from expectations.gate import Batch, RuleResult, Verdict
from pipeline.alerts import messages, run_notifier
from pipeline.records import run_ledger
from pipeline.run import pipeline_run
from pipeline.run.dbt import DbtOutcome
from pipeline.schedule import scheduler
from sample_api.server import serve
from sample_api.world import snapshot
from tests.command import command
from tests.databases import database_copy
from tests.inboxes import http_inbox, mail_inbox
from tests.integration.monitoring.records import CRASHED, enter_run
from tests.integration.pipeline.conftest import NEXT_DAY, WORLD
from tests.runs import STEPS
from warehouse import database, locks, names
from warehouse.errors import CommandError, ExitCode

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
    """Replace the steps of a run by the functions that a test puts here under their names."""
    steps = {}
    for step in names.STEPS:
        monkeypatch.setattr(
            pipeline_run, f"_{step}", lambda *given, step=step: steps.get(step, lambda *_: None)(*given)
        )
    return steps


def received(inbox):
    """Return and remove the messages: title, type, and the lines of the body by name."""
    arrived = inbox.messages.pop("/alerts", [])
    for message in arrived:
        for text in (message["title"], *message["message"].split("\n")):
            assert text.isprintable() and text, message
    return [
        (message["title"], message["type"], dict(line.split(": ", 1) for line in message["message"].split("\n")))
        for message in arrived
    ]


def only(inbox):
    (message,) = received(inbox)
    title, kind, lines = message
    # a success needs no runbook
    assert list(lines) == (LINES[:-1] if kind == "success" else LINES)
    return title, kind, lines


@contextlib.contextmanager
def dripping_server():
    """Yield the port of a server that answers one byte at a time, for half a minute."""
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
        raise CommandError(code, message)

    return work


def test_a_failed_run_alerts_each_address_and_keeps_its_exit_code(settings, inbox):
    with mail_inbox() as mail, serve(snapshot(WORLD, 0), [ELSEWHERE]) as api:
        mail_address = (
            f"mailto://user:password@127.0.0.1:{mail.port}/?from=moovitamix@example.org&to=operator@example.org"
        )
        both = f"{settings['ALERT_URLS']}\n{mail_address}\n"
        line = command("run", **settings | {"ALERT_URLS": both, "API_BASE_URL": api.url}).only_line(
            ExitCode.SOURCE_FAILED
        )
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: the run failed", "failure")
    assert lines["What"] in line and "redirects" in lines["What"]
    assert re.fullmatch(MINUTE, lines["Since"])
    assert lines["Rule"] == "exit code 3, SOURCE_FAILED"
    assert lines["Next"] == "make run, when that is fixed"
    assert lines["Runbook"] == "docs/runbooks/failed-source.md"
    (recipients, message) = mail.messages[0]
    assert recipients == ["operator@example.org"] and message["subject"] == title
    text = message.get_body(("plain", "html")).get_content()
    assert all(f"{name}: " in text for name in LINES)
    assert mail.logins == [("user", "password")]


def test_alert_of_a_blocked_run_names_tables_and_rules_but_no_row(settings, inbox, built_database_url, monkeypatch):
    monkeypatch.setattr(pipeline_run, "_build", lambda *_: None)
    world = snapshot(WORLD, NEXT_DAY)
    with serve(world, ["bad_rows@users=0.6/2"]) as api:
        given = {"API_BASE_URL": api.url, "DATABASE_URL": built_database_url}
        line = command("run", **settings | given).only_line(ExitCode.BLOCKED)
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


def test_every_failed_run_and_the_first_success_after_it_send_an_alert(settings, inbox, outcome, database_url):
    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == [], "the first night ever, and good"

    def fail_unexpectedly(*_):
        raise ValueError("text of an error that nobody foresaw")

    outcome["gate"] = fail_unexpectedly
    ended = command("run", **settings)
    assert ended.code == ExitCode.UNEXPECTED_ERROR and ended.err.count("\n") == 1
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: the run failed", "failure")
    assert "unexpected error ValueError" in lines["What"] and "nobody foresaw" not in str(lines)
    assert "; the last successful run ended " in lines["Since"] and "previous unsuccessful" not in lines["Since"]

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update ops.runs set started_at = '2026-01-02T03:04Z' where status = 'failed'")
    outcome["gate"] = fail(ExitCode.GATE_BROKEN, "the gate could not check users")
    outcome["build"] = fail(ExitCode.BUILD_FAILED, "dbt failed")
    assert command("run", **settings).code == ExitCode.GATE_BROKEN
    _, _, again = only(inbox)
    assert again["Rule"] == "exit code 8, GATE_BROKEN" and again["What"].endswith("; dbt failed")
    first = "2026-01-02 03:04 UTC"
    assert again["Since"].startswith(
        f"{first}; previous unsuccessful runs: {first} failed (1); the last successful run ended "
    )

    outcome.clear()
    assert command("run", **settings).code == ExitCode.PUBLISHED
    title, kind, good = only(inbox)
    assert (title, kind) == ("MooVitamix: runs succeed again", "success")
    assert re.fullmatch(
        rf"failing since {first}; previous unsuccessful runs: {first} failed \(1\), {MINUTE} failed \(8\);"
        rf" the last successful run ended {MINUTE}",
        good["Since"],
    )

    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == [], "a good night after a good one"


def test_alert_of_a_blocked_table_still_reports_the_first_failure(settings, inbox, outcome):
    row = {"dlt_id": "x", "key": '["somebody@example.org"]', "detail": "somebody@example.org"}
    rules = (
        RuleResult("email_is_an_address", "warning", 1500, [row]),
        RuleResult("source_is_not_empty", "critical", 1, [{"keys_known": 7}]),
        RuleResult("few_removals", "info", 1, [{"removed_share": "0.5"}]),
    )

    def block(connection, current, *_):
        current.verdicts = [Verdict(Batch("17.5", "users", 9, 9, 0), "blocked", 9, rules)]
        raise CommandError(ExitCode.BLOCKED, "blocked: users")

    outcome["extract"] = fail(ExitCode.SOURCE_FAILED, "the source failed")
    outcome["gate"] = block
    assert command("run", **settings).code == ExitCode.SOURCE_FAILED
    title, _, lines = only(inbox)
    assert title == "MooVitamix: the run failed"
    assert lines["Rule"] == "exit code 3, SOURCE_FAILED; users: source_is_not_empty (1)"
    assert "somebody" not in str(lines)


def test_each_run_with_warnings_sends_an_alert_and_the_clean_run_after_it_does_not(settings, inbox, outcome):
    row = {"dlt_id": "x", "key": '["somebody@example.org"]', "detail": "somebody@example.org"}
    mass_change = "30 of the 50 known users (60 %, more than MAX_CHANGED_SHARE 50 %)"
    rules = (
        RuleResult("email_is_an_address", "warning", 1, [row]),
        RuleResult("few_changes", "info", 1, [{"mass_change": mass_change}]),
    )

    def publish(connection, current, *_):
        users = Batch("17.5", "users", 50, 30, 0, rows_unreadable=2)
        tracks = Batch("17.5", "tracks", 9, 0, 0, rows_unreadable=1)
        current.verdicts = [
            Verdict(users, "accepted_with_quarantine", 1, rules),
            Verdict(tracks, "accepted"),
        ]
        current.rows_quarantined = {"users": 1}

    outcome["gate"] = publish
    for _ in range(2):
        assert command("run", **settings).code == ExitCode.PUBLISHED
        title, kind, lines = only(inbox)
        assert kind == "warning"
        assert title == (
            "MooVitamix: published with warnings: mass change of users, unreadable rows of users and tracks,"
            " quarantined rows of users"
        )
        assert lines["What"] == (
            f"checked, not built yet, but {mass_change} have changed, 2 rows of users are unreadable,"
            " 1 row of users is quarantined and 1 row of tracks is unreadable"
        )
        assert lines["Rule"] == "a run that succeeded with mass change, unreadable rows, quarantined rows"
        assert lines["Next"] == 'make gate ARGS="show 17.5"'
        assert lines["Runbook"] == "docs/runbooks/unusual-run.md"
        assert "somebody" not in str(lines)

    outcome.clear()
    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == [], "a clean night after it is silent"

    outcome["gate"] = fail(ExitCode.GATE_BROKEN, "the gate could not check users")
    assert command("run", **settings).code == ExitCode.GATE_BROKEN
    assert only(inbox)[1] == "failure"
    outcome["gate"] = publish
    assert command("run", **settings).code == ExitCode.PUBLISHED
    title, kind, lines = only(inbox)
    assert kind == "warning" and lines["Since"].startswith("failing since ")
    outcome.clear()
    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == [], "a message said already that the nights are published again"


def test_the_next_run_sends_an_alert_about_a_crashed_one(settings, inbox, outcome, database_url):
    assert command("run", **settings).code == ExitCode.PUBLISHED
    with psycopg.connect(database_url, autocommit=True) as connection:
        run_ledger.start_run(connection, run_ledger.FULL_RUNS[0])
        run_ledger.start_run(connection, "build")
        run_ledger.start_run(connection, run_ledger.FULL_RUNS[0])
    assert received(inbox) == []
    assert command("run", **settings).code == ExitCode.PUBLISHED
    title, _, lines = only(inbox)
    assert title == "MooVitamix: runs succeed again"
    assert lines["Since"].count("UTC crashed") == 2 and re.match(f"failing since {MINUTE}; ", lines["Since"])
    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == []


def test_a_run_that_cannot_start_and_the_next_success_send_alerts(settings, inbox, outcome, home):
    assert command("run", **settings).code == ExitCode.PUBLISHED
    nowhere = {"DATABASE_URL": "postgresql://user:pl%40nted@127.0.0.1:1/nowhere"}
    line = command("run", **settings | nowhere).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: the run could not start", "failure")
    assert lines["What"] in line and "pl" + "@nted" not in str(lines)
    assert lines["Rule"] == "exit code 7, WAREHOUSE_UNAVAILABLE"
    incident = home / ".incident"
    assert incident.is_file()
    incident.write_text("2026-01-02T04:04:00+01:00\n")
    assert command("run", **settings | nowhere).code == ExitCode.WAREHOUSE_UNAVAILABLE
    assert only(inbox)[2]["Since"] == "2026-01-02 03:04 UTC"
    assert command("run", "--help", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == []

    assert command("run", **settings).code == ExitCode.PUBLISHED
    title, _, good = only(inbox)
    assert title == "MooVitamix: runs succeed again"
    assert good["Since"].startswith("failing since 2026-01-02 03:04 UTC; the last successful run ended ")
    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == []


def test_a_run_that_finds_the_lock_taken_sends_no_alert(settings, inbox, outcome, database_url, home):
    with locks.run_lock(database.find(database_url, "other")):
        assert command("run", **settings).code == ExitCode.ALREADY_RUNNING
    assert not (home / ".incident").exists()
    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert received(inbox) == [], "neither bad news nor good"

    home.mkdir(exist_ok=True)
    (home / ".incident").write_text("2026-01-02T03:04:00+00:00\n")
    with locks.run_lock(database.find(database_url, "other")):
        assert command("run", **settings).code == ExitCode.ALREADY_RUNNING
    assert received(inbox) == []
    assert command("run", **settings).code == ExitCode.PUBLISHED
    assert only(inbox)[2]["Since"].startswith("failing since 2026-01-02 03:04 UTC")


def test_an_unrecorded_failure_repeats_its_alert_after_hours_and_a_different_one_alerts_at_once(
    settings, inbox, outcome, database_url, home, monkeypatch
):
    assert command("run", **settings).code == ExitCode.PUBLISHED
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("""
            create function ops.fill() returns trigger language plpgsql as
            $$ begin raise exception 'the disk is full' using errcode = 'disk_full'; end $$;
            create trigger fill before insert on ops.runs for each row execute function ops.fill()
        """)

    def after(**ahead):
        """Execute a run that long after the newest alert, and return its exit code."""
        moment = dt.datetime.fromtimestamp(incident.stat().st_mtime, dt.UTC) + dt.timedelta(**ahead)
        monkeypatch.setattr(run_notifier, "_now", lambda: moment)
        return command("run", **settings).code

    incident = home / ".incident"
    assert command("run", **settings).code == ExitCode.WAREHOUSE_UNAVAILABLE
    title, _, lines = only(inbox)
    assert title == "MooVitamix: the run could not start" and "full" in lines["What"]
    for ahead in ({"minutes": 5}, {"minutes": 10}, {"hours": 5, "minutes": 59}):
        assert after(**ahead) == ExitCode.WAREHOUSE_UNAVAILABLE
    assert received(inbox) == [], "a message said it a few hours ago"
    assert after(hours=6) == ExitCode.WAREHOUSE_UNAVAILABLE
    assert only(inbox)[2]["Since"].startswith(lines["Since"]), "since the first of them"
    command("run", **settings | {"BATCH_SIZE": "1000"}).only_line(ExitCode.WRONG_SETTINGS)
    assert only(inbox)[2]["Rule"] == "exit code 2, WRONG_SETTINGS"

    assert after(minutes=5) == ExitCode.WAREHOUSE_UNAVAILABLE
    assert only(inbox)[2]["Rule"] == "exit code 7, WAREHOUSE_UNAVAILABLE"

    incident.write_text("")  # as a full disk leaves it
    assert after(minutes=5) == ExitCode.WAREHOUSE_UNAVAILABLE
    assert received(inbox) == []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop trigger fill on ops.runs")
    assert after(minutes=10) == ExitCode.PUBLISHED
    assert only(inbox)[0] == "MooVitamix: runs succeed again"
    assert not incident.exists()


def test_each_recorded_failure_sends_an_alert_however_soon(settings, inbox, outcome):
    outcome["extract"] = fail(ExitCode.WAREHOUSE_UNAVAILABLE, "the warehouse went away")
    for _ in range(2):
        assert command("run", **settings).code == ExitCode.WAREHOUSE_UNAVAILABLE
    assert [title for title, _, _ in received(inbox)] == ["MooVitamix: the run failed"] * 2


def test_alerts_about_wrong_settings_do_not_quote_them(settings, inbox):
    command("run", "postgresql://user:planted@host/db", **settings).only_line(ExitCode.WRONG_SETTINGS)
    _, _, lines = only(inbox)
    assert lines["What"].startswith("wrong usage or settings") and "planted" not in str(lines)
    command("run", **settings | {"BATCH_SIZE": "1000"}).only_line(ExitCode.WRONG_SETTINGS)
    assert only(inbox)[2]["Rule"] == "exit code 2, WRONG_SETTINGS"
    command("run", ERASURE_KEY_FILE="/nowhere/key", **settings).only_line(ExitCode.WRONG_SETTINGS)
    assert "ERASURE_KEY_FILE" in only(inbox)[2]["What"]


def test_only_full_runs_send_alerts(settings, inbox, home):
    assert command("run", "--help", **settings).code == ExitCode.PUBLISHED
    nowhere = {**settings, "DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"}
    for verb in ("extract", "gate", "build", "status"):
        assert command(verb, **nowhere).code == ExitCode.WAREHOUSE_UNAVAILABLE
    assert received(inbox) == []
    assert not (home / ".incident").exists()


def night_in_steps(settings, tries=1):
    """Run the steps of a night like a task scheduler, each as often as that, and return how each has ended."""
    ends = {}
    for step in STEPS:
        for _ in range(tries):
            began_at = dt.datetime.now(dt.UTC).isoformat()
            ended = command(step, **settings)
            last_line = (ended.out + ended.err).splitlines()[-1]
            ends[step] = {"began_at": began_at, "exit_code": ended.code, "last_line": last_line}
    return ends


@pytest.fixture
def notify(settings, monkeypatch):
    """Return a function that passes the ends of the steps to `notify`."""

    def run(ends, **changed):
        monkeypatch.setattr(sys, "stdin", io.StringIO(ends if isinstance(ends, str) else json.dumps(ends)))
        return command("notify", **settings | changed)

    return run


def test_a_night_of_single_steps_sends_one_alert_and_one_when_nights_succeed_again(settings, inbox, outcome, notify):
    assert notify(night_in_steps(settings)).code == ExitCode.PUBLISHED
    assert received(inbox) == [], "a first good night"

    outcome["extract"] = fail(ExitCode.SOURCE_FAILED, "page 3 of users failed")
    ends = night_in_steps(settings, tries=3)
    assert received(inbox) == [], "the steps and their retries are silent"
    assert notify(ends).code == ExitCode.PUBLISHED
    title, kind, lines = only(inbox)
    assert (title, kind) == ("MooVitamix: the run failed", "failure")
    assert lines["What"] == "page 3 of users failed" and lines["Rule"] == "exit code 3, SOURCE_FAILED"
    assert lines["Next"] == "make run, when that is fixed" and lines["Runbook"] == "docs/runbooks/failed-source.md"
    assert re.fullmatch(rf"{MINUTE}; the last successful run ended {MINUTE}", lines["Since"])

    outcome["gate"] = fail(ExitCode.GATE_BROKEN, "the gate could not check users")
    assert notify(night_in_steps(settings)).code == ExitCode.PUBLISHED
    _, _, again = only(inbox)
    assert again["What"] == "page 3 of users failed; the gate could not check users"

    outcome.clear()
    assert notify(night_in_steps(settings)).code == ExitCode.PUBLISHED
    title, kind, good = only(inbox)
    assert (title, kind) == ("MooVitamix: runs succeed again", "success")
    assert good["Since"].startswith("failing since ")
    assert notify(night_in_steps(settings)).code == ExitCode.PUBLISHED
    assert received(inbox) == []


def test_a_night_of_single_steps_counts_the_nights_before_it(settings, inbox, outcome, notify, database_url, home):
    notify(night_in_steps(settings))
    for days_ago, steps in ((2, {"extract": CRASHED}), (1, {"extract": "SOURCE_FAILED"})):
        with psycopg.connect(database_url, autocommit=True) as connection:
            enter_run(connection, days_ago, steps)
    # the ledger tells of failures that another machine has alerted
    assert not (home / ".incident").exists()
    notify(night_in_steps(settings))
    title, _, lines = only(inbox)
    assert title == "MooVitamix: runs succeed again"
    assert re.fullmatch(
        rf"failing since {MINUTE}; previous unsuccessful runs: {MINUTE} crashed, {MINUTE} failed \(3\);"
        rf" the last successful run ended {MINUTE}",
        lines["Since"],
    )


def test_a_blocked_night_of_single_steps_sends_the_alert_of_a_blocked_run(
    settings, inbox, notify, built_template, postgres_url, home, monkeypatch
):
    monkeypatch.setattr(pipeline_run, "_build", lambda *_: None)
    sent = []
    with serve(snapshot(WORLD, NEXT_DAY), ["bad_rows@users=0.6/2"]) as api:
        for run in ("all at once", "in steps"):
            with database_copy(postgres_url, built_template, "blocked_night") as url:
                given = settings | {"API_BASE_URL": api.url, "DATABASE_URL": url}
                if run == "in steps":
                    assert notify(night_in_steps(given), DATABASE_URL=url).code == ExitCode.PUBLISHED
                else:
                    assert command("run", **given).code == ExitCode.BLOCKED
            (home / ".incident").unlink()
            title, kind, lines = only(inbox)
            lines["Since"] = re.sub(MINUTE, "then", lines["Since"])
            sent.append((title, kind, re.sub(r"\b\d+\.\d+\b", "LOAD", str(lines))))
    assert sent[0] == sent[1] and sent[0][0] == "MooVitamix: blocked: users"


@pytest.fixture
def nothing_built(monkeypatch):
    """Let the builds of runs have nothing to do."""
    monkeypatch.setattr(
        pipeline_run, "_build", lambda connection, this_run, *_: setattr(this_run, "build", DbtOutcome((), ()))
    )


def test_a_night_of_single_steps_with_warnings_sends_them(settings, inbox, notify, built_database_url, nothing_built):
    given = settings | {"DATABASE_URL": built_database_url}
    with serve(snapshot(WORLD, NEXT_DAY), ["bad_rows=0.1/1"]) as api:
        ends = night_in_steps(given | {"API_BASE_URL": api.url})
    assert notify(ends, DATABASE_URL=built_database_url).code == ExitCode.PUBLISHED
    title, kind, lines = only(inbox)
    assert kind == "warning" and title.startswith("MooVitamix: published with warnings: quarantined rows of ")
    assert re.fullmatch(r"all published, but \d+ rows? of .* (is|are) quarantined", lines["What"])
    assert lines["Runbook"] == "docs/runbooks/growing-quarantine.md"


def test_a_night_of_single_steps_warns_of_what_an_earlier_attempt_of_the_gate_has_checked(
    settings, inbox, notify, built_database_url, nothing_built, gate_losing_its_connection
):
    given = settings | {"DATABASE_URL": built_database_url}
    with serve(snapshot(WORLD, NEXT_DAY), ["bad_rows@users=0.1/1"]) as api:
        ends = night_in_steps(given | {"API_BASE_URL": api.url})
    assert ends["gate"]["exit_code"] == ExitCode.WAREHOUSE_UNAVAILABLE
    ends["gate"]["exit_code"] = command("gate", **given).code
    assert ends["gate"]["exit_code"] == ExitCode.PUBLISHED
    assert notify(ends, DATABASE_URL=built_database_url).code == ExitCode.PUBLISHED
    title, _, _ = only(inbox)
    assert title == "MooVitamix: published with warnings: quarantined rows of users"


def test_steps_that_could_not_start_were_killed_or_found_the_lock_taken(settings, inbox, outcome, notify):
    nowhere = {"DATABASE_URL": "postgresql://user:pl%40nted@127.0.0.1:1/nowhere"}
    assert notify(night_in_steps(settings | nowhere), **nowhere).code == ExitCode.PUBLISHED
    _, _, lines = only(inbox)
    assert lines["What"].count("the warehouse cannot be reached") == 3 and "pl" + "@nted" not in str(lines)
    assert lines["Rule"] == "exit code 7, WAREHOUSE_UNAVAILABLE"

    good = {"exit_code": 0, "last_line": "fine", "began_at": "2026-01-02T03:04:00+00:00"}
    killed = {"exit_code": -9, "last_line": "planted", "began_at": "2026-01-02T03:05:00+00:00"}
    notify({"extract": good, "gate": killed, "build": None})
    title, _, lines = only(inbox)
    assert title == "MooVitamix: the run crashed" and lines["Runbook"] == "docs/runbooks/crashed-run.md"
    assert lines["What"] == "gate was killed by signal 9; build was killed, or did not run"
    assert lines["Since"] == "2026-01-02 03:04 UTC"

    failed = {"exit_code": 5, "last_line": "moovitamix: dbt failed (exit 5)"}
    notify({"extract": good, "gate": good, "build": failed, "recommend": None})
    assert only(inbox)[2]["What"] == "dbt failed", "recommend was not to run"
    notify({"extract": good, "gate": good, "build": good, "recommend": None})
    assert only(inbox)[2]["What"] == "recommend was killed, or did not run"
    failed = {"exit_code": 9, "last_line": "moovitamix: the recommendations could not be made: x (exit 9)"}
    notify({"extract": good, "gate": good, "build": good, "recommend": failed})
    title, _, lines = only(inbox)
    assert (title, lines["What"]) == ("MooVitamix: the run failed", "the recommendations could not be made: x")
    assert lines["Rule"] == "exit code 9, RECOMMENDATIONS_FAILED"

    odd = {"extract": good, "gate": {"exit_code": 127, "last_line": "planted"}, "build": good}
    notify(odd)
    _, _, lines = only(inbox)
    assert lines["What"] == "gate ended with exit code 127; the end of its log says why"
    usage = command("extract", **settings | {"BATCH_SIZE": "planted"})
    notify({"extract": {"exit_code": usage.code, "last_line": usage.err.strip()}, "gate": good, "build": good})
    assert only(inbox)[2]["What"].startswith("wrong usage or settings")

    taken = {"exit_code": 6, "last_line": "moovitamix: another run is using the warehouse (exit 6)"}
    assert notify({"extract": taken, "gate": taken, "build": good}).code == ExitCode.PUBLISHED
    assert received(inbox) == [], "the other run reports how it ends"
    notify({"extract": taken, "gate": killed, "build": good})
    assert only(inbox)[2]["What"] == "gate was killed by signal 9"


def test_notify_checks_its_input_and_the_addresses(settings, inbox, outcome, notify, home):
    for text in ("", "nonsense", "[]", '{"nightly": {}}', '{"gate": 7}', '{"gate": {"exit_code": "x"}}'):
        assert "from standard input" in notify(text).only_line(ExitCode.WRONG_SETTINGS)
    assert notify({}, ALERT_URLS="").code == ExitCode.PUBLISHED, "no message is sent"
    assert not (home / ".incident").exists()
    bad = settings["ALERT_URLS"] + " planted://secret"
    ended = notify({"extract": {"exit_code": -9}}, ALERT_URLS=bad)
    assert ended.code == ExitCode.WRONG_SETTINGS and "address 2 of 2" in ended.err and "planted" not in ended.err
    assert only(inbox)[0] == "MooVitamix: the run crashed", "the valid address gets the message"


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
def test_an_invalid_alert_address_ends_the_run_before_it_starts(
    addresses, number, of, settings, inbox, database_url, monkeypatch
):
    monkeypatch.setattr(scheduler, "run", lambda *_: None)
    given = addresses.format(good=settings["ALERT_URLS"])
    for verb in ("run", "schedule"):
        line = command(verb, **settings | {"ALERT_URLS": given}).err
        assert f"ALERT_URLS: address {number} of {of} is invalid" in line.splitlines()[-1]
        assert "(exit 2)" in line and "planted" not in line and "json" not in line
    assert len(received(inbox)) == given.count("json://"), "the valid addresses get a message about the others"
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select to_regclass('ops.runs')").fetchone() == (None,)


def test_an_undeliverable_alert_is_one_line_and_keeps_the_exit_code(settings, inbox, outcome, monkeypatch):
    monkeypatch.setattr(messages, "LIMIT_SECONDS", 2)
    outcome["extract"] = fail(ExitCode.SOURCE_FAILED, "the source failed")
    with dripping_server() as port:
        given = f"json://user:planted@127.0.0.1:1/planted, {settings['ALERT_URLS']} json://127.0.0.1:{port}/planted"
        started = time.monotonic()
        ended = command("run", **settings | {"ALERT_URLS": given})
        assert time.monotonic() - started < 20, "the limit is 2 seconds"
    assert ended.code == ExitCode.SOURCE_FAILED
    warning, line = ended.err.splitlines()
    assert line == "moovitamix: the source failed (exit 3)"
    assert warning.startswith(
        "moovitamix: warning: an alert could not be sent: number 1 (JSON), number 3 (JSON) of the 3"
    )
    assert "planted" not in ended.err + ended.out
    assert only(inbox)[2]["What"] == "the source failed", "the others get the message all the same"

    def explode(*_):
        raise problem

    monkeypatch.setattr(messages, "_deliver", explode)
    problem = RuntimeError("planted")
    ended = command("run", **settings)
    assert (
        ended.code == ExitCode.SOURCE_FAILED
        and "unexpected error RuntimeError" in ended.err
        and "planted" not in ended.err
    )
    problem = KeyboardInterrupt()
    assert command("run", **settings).only_line(ExitCode.SOURCE_FAILED) == f"{line}\n"


def test_alerts_are_plain_text_and_each_line_stays_one_line(settings, inbox, monkeypatch):
    monkeypatch.setenv("ALERT_URLS", settings["ALERT_URLS"])
    run_notifier.send_alert(
        run_notifier.Alert("odd words", "red \x1b[31m\nRule: none \u202e <!channel>", "long " * 1000, "make status")
    )
    _, _, lines = only(inbox)
    assert lines["What"] == "red \\x1b[31m Rule: none \\u202e <!channel>"
    assert len(lines["Rule"]) == run_notifier.LONGEST_LINE


def test_a_run_without_alert_addresses_imports_no_apprise_and_writes_no_file(settings, outcome, home, monkeypatch):
    monkeypatch.setattr(messages, "send", lambda *_, **__: pytest.fail("no message is sent"))
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome["extract"] = fail(ExitCode.SOURCE_FAILED, "the source failed")
    assert command("run", **settings | {"ALERT_URLS": ""}).code == ExitCode.SOURCE_FAILED
    assert not (home / ".incident").exists()
