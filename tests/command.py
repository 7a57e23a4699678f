"""Run `python -m pipeline` like an operator: mostly in this process, which saves seconds."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from unittest import mock

import psycopg
import pytest

from pipeline.cli import main
from warehouse import locks
from warehouse.errors import ExitCode

PROJECT = Path(__file__).parents[1]
LIMIT_SECONDS = 90


@dataclass(frozen=True)
class Ended:
    """Hold the exit code and the output of a command."""

    code: int
    out: str
    err: str

    def only_line(self, code: ExitCode) -> str:
        """Return the line on standard error, after checking the exit code and that there is only one line."""
        assert self.code == code, self
        assert self.err.startswith("moovitamix: ") and self.err.endswith(f"(exit {int(code)})\n"), self
        assert self.err.count("\n") == 1, self
        return self.err


def command(*arguments: str, **environment: str) -> Ended:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["pipeline", *arguments]),
        mock.patch.object(signal, "signal"),  # a SIGTERM that ends this suite is not ours to catch
        mock.patch.object(os, "execve", _run_program),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main.main()
    return Ended(end.value.code, out.getvalue(), err.getvalue())


def _run_program(path: Path, arguments: list[str], environment: dict[str, str]) -> NoReturn:
    """Run a program that would replace this process, and end as it does."""
    ended = subprocess.run(
        [path, *arguments[1:]], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    sys.stdout.write(ended.stdout)
    sys.stderr.write(ended.stderr)
    sys.exit(ended.returncode)


def launch(*arguments: str, **environment: str) -> subprocess.Popen:
    """Start the command line in a new process; `finish` or kill it."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> Ended:
    out, err = process.communicate(timeout=LIMIT_SECONDS)
    return Ended(process.returncode, out, err)


@contextlib.contextmanager
def launched(*arguments: str, **environment: str) -> Iterator[subprocess.Popen]:
    """Start a command in a new process, and kill it when the block is left."""
    with killed_on_exit(launch(*arguments, **environment)) as process:
        yield process


@contextlib.contextmanager
def killed_on_exit(
    process: subprocess.Popen, limit_seconds: float = threading.TIMEOUT_MAX
) -> Iterator[subprocess.Popen]:
    """Yield the process, and kill it when the block is left, or after the limit."""
    limit = threading.Timer(limit_seconds, process.kill)
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def until_unlocked(connection: psycopg.Connection) -> None:
    """Wait until nobody holds the run lock: the server notices the end of a killed process a moment later."""
    until(lambda: not locks.is_running(connection))


def last_run(connection: psycopg.Connection) -> tuple[str, int | None, str | None]:
    """Return (status, exit_code, message) of the last run."""
    return connection.execute(
        "select status, exit_code, message from ops.runs order by run_seq desc limit 1"
    ).fetchone()


def step_is_running(connection: psycopg.Connection, step: str) -> bool:
    """Return whether the step is running according to the run ledger. Works on an empty database too."""
    if connection.execute("select to_regclass('ops.steps') is null").fetchone()[0]:
        return False
    return connection.execute(
        "select exists (select 1 from ops.steps where step = %s and status = 'running')", [step]
    ).fetchone()[0]
