"""A command shows a live display on a terminal, and JSON lines elsewhere."""

import datetime as dt
import json
import os
import pty
import subprocess
import sys

import psycopg

from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import PROJECT, command, finish, launch
from tests.databases import prepare
from warehouse.errors import ExitCode

WORLD = World(seed=15, users=40, tracks=40, documents=40)


def test_a_pipe_gets_a_json_line_per_event_with_the_id_of_the_run(database_url):
    environment = {"DATABASE_URL": database_url, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    with serve(snapshot(WORLD, 0)) as api:
        good = command("extract", API_BASE_URL=api.url, **environment)
        api.faults.add("redirect=http://127.0.0.1:1/")  # refused at once
        bad = finish(launch("extract", API_BASE_URL=api.url, **environment))
    assert good.code == 0 and good.err == ""
    prepared, started, began, ended, *tables, closed = events(good)
    assert prepared["event"] == "notice" and "preparing the warehouse for this version" in prepared["message"]
    assert started["event"] == "run_started"
    host_and_database = database_url.rpartition("@")[2]
    assert (started["warehouse"], started["api"]) == (f"moovitamix@{host_and_database} (DATABASE_URL)", api.url)
    assert (began["event"], began["step"]) == ("step_started", "extract")
    assert (ended["event"], ended["step"], ended["status"]) == ("step_ended", "extract", "succeeded")
    assert sorted((table["table"], table["rows_read"], table["state"]) for table in tables) == [
        ("listen_history", 40, "pending"),
        ("tracks", 40, "pending"),
        ("users", 40, "pending"),
    ]
    assert (closed["event"], closed["status"], closed["exit_code"]) == ("run_ended", "succeeded", 0)
    assert closed["message"] == "loaded, not checked yet; next: make gate"

    line = bad.only_line(ExitCode.SOURCE_FAILED)
    *_, ended, closed = events(bad)
    assert (ended["status"], ended["error_type"]) == ("failed", "SOURCE_FAILED")
    assert (closed["status"], closed["exit_code"]) == ("failed", 3)
    assert ended["message"] == closed["message"] and closed["message"] in line

    with psycopg.connect(database_url) as connection:
        known = connection.execute("select run_id from ops.runs order by run_seq").fetchall()
    assert known == [
        (run_id,) for ended in (good, bad) for run_id in {event.get("run_id") for event in events(ended)} - {None}
    ]


def test_an_unwritable_log_fails_no_run(database_url):
    prepare(database_url)
    with serve(snapshot(WORLD, 0)) as api, open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "pipeline", "extract"],
            cwd=PROJECT,
            env={**os.environ, "DATABASE_URL": database_url, "API_BASE_URL": api.url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    warning = "moovitamix: warning: a part of the output could not be written (No space left on device)\n"
    assert (ended.returncode, ended.stderr) == (0, warning)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select status, message from ops.runs").fetchall() == [
            ("succeeded", "loaded, not checked yet")
        ]


def events(ended):
    """Return the log events, after checking that each time has a zone."""
    logged = [json.loads(line) for line in ended.out.splitlines()]
    assert all(dt.datetime.fromisoformat(event["time"]).utcoffset() == dt.timedelta(0) for event in logged)
    return logged


def test_a_terminal_gets_a_live_display(database_url):
    prepare(database_url)
    with serve(snapshot(WORLD, 0), ["latency=0.2"]) as api:
        shown = on_a_terminal("extract", DATABASE_URL=database_url, API_BASE_URL=api.url, TERM="xterm-256color")
    first_line = f"{database_url.rpartition('@')[2]} (DATABASE_URL) · API: {api.url}"
    assert shown.splitlines()[0] == f"warehouse: moovitamix@{first_line}"
    assert "\x1b[2K" in shown, "no line was ever written over"
    assert "extract · " in shown and "40 of 40" in shown
    assert "loaded, not checked yet" in shown.splitlines()[-1]


def on_a_terminal(*arguments, **environment):
    """Return the output of a command on a pseudo-terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    shown = b""
    try:
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not chunk:
                break
            shown += chunk
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return shown.decode()
