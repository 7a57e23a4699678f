"""Failures of standard output and standard error end no command."""

import fcntl
import io
import os
import subprocess
import sys
import threading
import time

import psycopg
import pytest

from pipeline.console.output import LossyFile
from tests.command import LIMIT_SECONDS, PROJECT, Ended, command, last_run
from tests.forks import fork, run_command
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

# How a shell says it.
SINKS = {
    "a reader that is gone": "",
    "closed": ">&-",
    "full": ">/dev/full",
    "both closed, and no input": "<&- >&- 2>&-",
    "both full": ">/dev/full 2>&1",
}
KEY = "a key of the tests, long enough to be one"
LOST = "load the rows of a rejected load again: make run"


def into(sink, *arguments, **environment):
    """A command whose output goes there: its exit code, and what it says on standard error."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            ["sh", "-c", f'exec "$@" {SINKS[sink]}', "sh", sys.executable, "-m", "pipeline", *arguments],
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    finally:
        os.close(writer)
    return ended.returncode, ended.stderr


def after(change_streams, folder, *arguments, **environment):
    """The end of a command in a fork whose streams were changed before."""
    out, err = folder / "output", folder / "errors"
    err.unlink(missing_ok=True)
    process = fork(run_after, change_streams, arguments, environment, log=out, errors=err)
    process.join(LIMIT_SECONDS)
    return Ended(process.exitcode, out.read_text(), err.read_text())


def run_after(change_streams, arguments, environment):
    change_streams()
    run_command(arguments, environment)


def lose_the_reader():
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def close_all():
    """Leave the streams as Python finds them when the shell has closed them."""
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    sys.stdin = sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None


def write_ascii():
    """Leave the streams as PYTHONIOENCODING=ascii does."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="ascii", errors="strict")


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


def test_a_decision_is_recorded_and_built_and_not_requested_again(built_database_url, connection, tmp_path):
    (load_id,) = connection.execute("select max(load_id) from gate.loads").fetchone()

    arguments = ("gate", "reject", load_id, "users", "--reason", "café")
    ended = after(close_all, tmp_path, *arguments, DATABASE_URL=built_database_url)

    assert ended == Ended(ExitCode.PUBLISHED, "", "")
    assert last_run(connection) == ("succeeded", 0, "all published")
    steps = connection.execute(
        "select step, status from ops.steps where run_id = (select run_id from ops.runs order by run_seq desc limit 1)"
    ).fetchall()
    assert sorted(steps) == [("build", "succeeded"), ("reject", "succeeded")]
    assert command("status", DATABASE_URL=built_database_url).out.splitlines()[-1] == f"next: {LOST}"


def test_a_decision_is_built_although_its_output_pipe_is_closed(built_database_url, connection, tmp_path):
    (load_id,) = connection.execute("select max(load_id) from gate.loads").fetchone()
    pipe, errors = tmp_path / "pipe", tmp_path / "errors"
    os.mkfifo(pipe)
    arguments = ("gate", "reject", load_id, "users", "--reason", "why")
    process = fork(run_command, arguments, {"DATABASE_URL": built_database_url}, log=pipe, errors=errors)
    with pipe.open() as output:
        assert output.readline().startswith("warehouse: ")
    process.join(LIMIT_SECONDS)
    assert (process.exitcode, errors.read_text()) == (ExitCode.PUBLISHED, "")
    assert last_run(connection) == ("succeeded", 0, "all published")


def test_an_interruption_while_printing_a_decision_leaves_only_the_build(built_database_url, connection, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    (load_id,) = connection.execute("select max(load_id) from gate.loads").fetchone()
    monkeypatch.setattr("pipeline.operations.decisions._print", interrupted)
    ended = command("gate", "reject", load_id, "users", "--reason", "why", DATABASE_URL=built_database_url)
    assert ended.code == ExitCode.UNEXPECTED_ERROR
    assert command("status", DATABASE_URL=built_database_url).out.splitlines()[-1].endswith(": make build")


def test_commands_with_much_output_end_normally_when_output_fails(
    built_database_url, connection, third_run_api, tmp_path
):
    settings = {"DATABASE_URL": built_database_url, "ERASURE_KEY": KEY, "API_BASE_URL": third_run_api.url}
    (user,) = connection.execute("select min(id)::text from marts.users").fetchone()
    erasure = ("erase", user, "--reason", "a request")
    for arguments in (("--help",), ("status",), ("gate", "show"), (*erasure, "--dry-run"), erasure, ("extract",)):
        assert after(lose_the_reader, tmp_path, *arguments, **settings) == Ended(ExitCode.PUBLISHED, "", ""), arguments
    assert connection.execute("select count(*) from marts.users where id = %s", [user]).fetchone() == (0,)
    assert last_run(connection) == ("succeeded", 0, "loaded, not checked yet")


@pytest.mark.parametrize("sink", SINKS)
def test_a_failure_keeps_its_exit_code_and_message_without_standard_output(sink):
    code, written = into(sink, "status", DATABASE_URL="postgresql://127.0.0.1:1/nowhere")
    assert code == ExitCode.WAREHOUSE_UNAVAILABLE
    *_, line = written.splitlines() or [""]
    is_seen = "2>" not in SINKS[sink]
    assert line.endswith("(exit 7)") == is_seen, written


def test_a_file_opened_later_does_not_become_standard_output(tmp_path):
    """A connection to the warehouse, for one."""
    number = tmp_path / "number"
    script = f"""
import os
from pathlib import Path
from pipeline.console.output import protect_output
protect_output()
Path({str(number)!r}).write_text(str(os.open(os.devnull, os.O_RDONLY)))
"""
    subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", script], cwd=PROJECT, check=True)
    assert int(number.read_text()) > 2


def test_characters_missing_in_the_output_encoding_end_no_command(built_database_url, connection, tmp_path):
    (load_id,) = connection.execute("select max(load_id) from gate.loads").fetchone()
    connection.execute("update gate.loads set reason = 'Ω' where load_id = %s and table_name = 'users'", [load_id])
    arguments = ("gate", "reject", load_id, "users", "--reason", "日本語")
    ended = after(write_ascii, tmp_path, *arguments, DATABASE_URL=built_database_url)
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, "")
    assert r"is accepted, \u03a9" in ended.out and r"\u65e5\u672c\u8a9e" in ended.out
    assert last_run(connection) == ("succeeded", 0, "all published")


def test_a_blocked_output_is_awaited():
    """A terminal or a pipe that another program told not to block."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    content = os.urandom(3 * size + 1)
    received = []

    def read_slowly():
        while chunk := os.read(reader, size // 4):
            received.append(chunk)
            time.sleep(0.01)

    reading = threading.Thread(target=read_slowly)
    reading.start()
    file = LossyFile(writer)
    try:
        with io.BufferedWriter(file) as buffered:
            buffered.write(content)
    finally:
        os.close(writer)
        reading.join()
        os.close(reader)
    assert b"".join(received) == content and file.error is None


def test_an_output_that_was_full_accepts_later_writes(tmp_path):
    target = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    full = os.open("/dev/full", os.O_WRONLY)
    descriptor = os.dup(full)
    file = LossyFile(descriptor)
    assert file.write(b"lost") == 4
    os.dup2(target, descriptor)
    assert file.write(b"kept") == 4
    assert (tmp_path / "log").read_bytes() == b"kept" and file.error.strerror == "No space left on device"
    for each in (target, full, descriptor):
        os.close(each)
