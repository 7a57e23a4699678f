"""Fork processes that a test may kill.

They are forked from a server that has loaded dlt, Great Expectations and dbt, and has parsed the dbt project: one costs
what it does, and not what it imports.
"""

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from pipeline.cli import main
from tests.command import LIMIT_SECONDS, Ended

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.garbage_collection", "tests.fork_server"])


@dataclass(frozen=True)
class ForkedCommand:
    """Hold a command in a process of its own, and the files with its output."""

    process: BaseProcess
    out: Path
    err: Path

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def is_alive(self) -> bool:
        return self.process.is_alive()

    def finish(self) -> Ended:
        """Wait for its end."""
        self.process.join(LIMIT_SECONDS)
        return Ended(self.process.exitcode, self.out.read_text(), self.err.read_text())


def fork(run: Callable[..., None], *arguments: object, log: Path, errors: Path | None = None) -> BaseProcess:
    """Start `run(*arguments)` in a process of its own, in this one's environment; what it says is appended to `log`.

    What it writes to standard error is appended to `errors` if given. `run` is a function of a module, and the
    arguments can be pickled.
    """
    process = FORKS.Process(target=_run, args=(run, arguments, dict(os.environ), (log, errors or log)))
    process.start()
    return process


@contextlib.contextmanager
def forked(*arguments: str, **environment: str) -> Iterator[ForkedCommand]:
    """Start a command in a process of its own, and kill it when the block is left."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder) / name for name in ("output", "errors"))
        process = fork(run_command, arguments, environment, log=out, errors=err)
        try:
            yield ForkedCommand(process, out, err)
        finally:
            process.kill()
            process.join()


def run_command(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """Run `python -m pipeline` with these arguments."""
    os.environ.update(environment)
    sys.argv = ["pipeline", *arguments]
    main.main()


def _run(run: Callable[..., None], arguments: tuple, environment: dict[str, str], files: tuple[Path, Path]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for stream, file in enumerate(files, 1):
        with file.open("a") as output:
            os.dup2(output.fileno(), stream)
    run(*arguments)
