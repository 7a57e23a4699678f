"""Fork processes that a test may kill.

They are forked from a server that has loaded dlt, Great Expectations and dbt, and has parsed the dbt project: one costs
what it does, and not what it imports.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.integration.extract.crashing_extraction", "tests.integration.pipeline.crashing_run", "tests.warm_dbt"]
)


def fork(run: Callable[..., None], *arguments: object, log: Path) -> BaseProcess:
    """Start `run(*arguments)` in a process of its own, in this one's environment; what it says is appended to `log`.

    `run` is a function of a module, and the arguments can be pickled.
    """
    process = FORKS.Process(target=_run, args=(run, arguments, dict(os.environ), log))
    process.start()
    return process


def _run(run: Callable[..., None], arguments: tuple, environment: dict[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("a") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    run(*arguments)
