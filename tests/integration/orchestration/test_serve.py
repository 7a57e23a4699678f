"""Test `make airflow` with a stand-in for Airflow's program."""

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

from tests.command import LIMIT_SECONDS, PROJECT, until
from warehouse.embedded_postgres import free_port

PARTS = ("api-server", "dag-processor", "triggerer", "scheduler")
SERVE = """
import pathlib, sys
from orchestration import serve
serve.PROJECT = pathlib.Path(sys.argv[1])
serve.HOME, serve.PROGRAMS = serve.PROJECT / "home", serve.PROJECT / "bin"
try:
    serve.serve(sys.argv[2])
except serve.AirflowError as problem:
    sys.exit(str(problem))
"""


@pytest.fixture
def port():
    return str(free_port())


@pytest.fixture
def serving(tmp_path, port):
    """Return a function that starts it with extra environment variables; the stand-ins log to a file."""
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
            env={**os.environ, "LOG_FILE": str(tmp_path / "parts.log"), **environment},
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


def logged(tmp_path):
    return (tmp_path / "parts.log").read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_api_answers_before_other_parts_start_and_all_are_stopped_in_reverse_order(serving, tmp_path, port, number):
    with serving() as process:
        said = iter(process.stdout.readline, "")
        ready = next(line for line in said if "Ctrl-C" in line)
        assert f"http://127.0.0.1:{port}, user admin, password in home/" in ready
        until(lambda: {f"{part} started" for part in PARTS} <= set(logged(tmp_path)))
        process.send_signal(number)
        assert process.wait(LIMIT_SECONDS) == 0
        assert process.stderr.read() == ""
    lines = logged(tmp_path)
    assert lines[:2] == ["db migrate", "api-server started"]
    assert [line for line in lines if line.endswith("stopped")] == [f"{part} stopped" for part in reversed(PARTS)]


def test_all_parts_are_stopped_even_when_the_output_is_closed(serving, tmp_path):
    with serving() as process:
        next(line for line in iter(process.stdout.readline, "") if "Ctrl-C" in line)
        until(lambda: {f"{part} started" for part in PARTS} <= set(logged(tmp_path)))
        process.stdout.close()
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 0
        assert process.stderr.read() == ""
    assert {f"{part} stopped" for part in PARTS} <= set(logged(tmp_path))


def test_only_the_owner_can_read_the_password_and_it_is_kept(serving, tmp_path):
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
def test_when_a_part_ends_its_log_is_named_and_the_others_are_stopped(serving, tmp_path, part):
    with serving(ENDS=part) as process:
        out, error = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert error == f"its {part} ended with exit code 3; see home/logs/{part}.log\n", out
    lines = logged(tmp_path)
    started, stopped = ({line.split()[0] for line in lines if line.endswith(end)} for end in ("started", "stopped"))
    assert stopped == started - {part}


def test_an_occupied_port_is_reported_before_any_part_starts(serving, tmp_path, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(port)))
        other.listen()
        with serving() as process:
            _, error = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1 and error.startswith(f"port {port} is taken"), error
    assert not (tmp_path / "parts.log").exists()


def test_an_invalid_port_is_reported(serving):
    with serving("80800") as process:
        _, error = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 1
    assert error == "AIRFLOW__API__PORT must be a port number from 1 to 65535, not '80800'\n"
