"""`make airflow`'s own part, with a stand-in for Airflow's program."""

import contextlib
import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.embedded_postgres import free_port
from tests.pipeline.command import LIMIT_SECONDS, PROJECT, until

PARTS = ("api-server", "dag-processor", "triggerer", "scheduler")
SERVE = """
import pathlib, sys
from orchestration import serve
serve.PROJECT = pathlib.Path(sys.argv[1])
serve.HOME, serve.PROGRAMS = serve.PROJECT / "home", serve.PROJECT / "bin"
try:
    serve.serve(sys.argv[2])
except serve.Unusable as problem:
    sys.exit(str(problem))
"""


@pytest.fixture
def port():
    return str(free_port())


@pytest.fixture
def serving(tmp_path, port):
    """Starts it, with more in the environment; `told` is where the stand-ins tell of themselves."""
    program = tmp_path / "bin" / "airflow"
    program.parent.mkdir()
    stand_in = Path(__file__).with_name("stand_in.py")
    program.write_text(f'#!/bin/sh\nexec {shlex.join((sys.executable, str(stand_in)))} "$@"\n')
    program.chmod(0o755)

    @contextlib.contextmanager
    def start(given=port, **environment):
        process = subprocess.Popen(
            (sys.executable, "-c", SERVE, tmp_path, given),
            cwd=PROJECT,
            env={**os.environ, "TOLD": str(tmp_path / "told"), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=LIMIT_SECONDS)

    return start


def told(tmp_path):
    return (tmp_path / "told").read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_api_answers_before_the_others_start_and_all_are_stopped_in_turn(serving, tmp_path, port, number):
    with serving() as process:
        said = iter(process.stdout.readline, "")
        ready = next(line for line in said if "Ctrl-C" in line)
        assert f"http://127.0.0.1:{port}, user admin, password in home/" in ready
        until(lambda: {f"{part} started" for part in PARTS} <= set(told(tmp_path)))
        process.send_signal(number)
        assert process.wait(LIMIT_SECONDS) == 0
        assert process.stderr.read() == ""
    lines = told(tmp_path)
    assert lines[:2] == ["db migrate", "api-server started"]
    assert [line for line in lines if line.endswith("stopped")] == [f"{part} stopped" for part in reversed(PARTS)]


def test_all_are_stopped_also_when_nobody_reads_what_it_says(serving, tmp_path):
    with serving() as process:
        next(line for line in iter(process.stdout.readline, "") if "Ctrl-C" in line)
        until(lambda: {f"{part} started" for part in PARTS} <= set(told(tmp_path)))
        process.stdout.close()
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 0
        assert process.stderr.read() == ""
    assert {f"{part} stopped" for part in PARTS} <= set(told(tmp_path))


def test_the_password_is_for_its_owner_alone_and_stays(serving, tmp_path):
    passwords = []
    for _ in range(2):
        with serving() as process:
            ready = next(line for line in iter(process.stdout.readline, "") if "Ctrl-C" in line)
        file = tmp_path / ready.partition("password in ")[2].partition(";")[0]
        passwords.append(json.loads(file.read_text())["admin"])
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert passwords[0] not in ready
    assert len(set(passwords)) == 1 and len(passwords[0]) >= 16


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_ends_is_told_with_its_log_and_takes_the_others_along(serving, tmp_path, part):
    with serving(ENDS=part) as process:
        out, error = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert error == f"its {part} ended with exit code 3; see home/logs/{part}.log\n", out
    lines = told(tmp_path)
    started, stopped = ({line.split()[0] for line in lines if line.endswith(end)} for end in ("started", "stopped"))
    assert stopped == started - {part}


def test_a_port_that_is_taken_is_told_before_anything_starts(serving, tmp_path, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(port)))
        other.listen()
        with serving() as process:
            _, error = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1 and error.startswith(f"port {port} is taken"), error
    assert not (tmp_path / "told").exists()


def test_what_is_no_port_is_told(serving):
    with serving("80800") as process:
        _, error = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert error == "AIRFLOW__API__PORT must be a port number from 1 to 65535, not '80800'\n"
