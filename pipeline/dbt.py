"""dbt in this process: its start-up is paid once a night, and what it did comes back as data."""

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import warehouse
from pipeline.exits import Exit, Stop
from pipeline.settings import PROJECT
from pipeline.terminal import inert
from pipeline.warehouse import Warehouse

PROJECT_FOLDER = PROJECT / "dbt_project"
# dbt wants a folder with a file of exactly this name; the example in the project's root is the one profile there is.
PROFILES_FOLDER = PROJECT / ".dbt"
FAILED = ("error", "fail", "runtime error")
# What dbt wraps around the message: the node once more, the macros it came through, and the way to a file.
WRAPPING = re.compile(r"^\s*\w+ Error in \w+ \w+ \(.*?\)$|^\s*> (in|called by) .*|compiled code at .*", re.MULTILINE)
# Of what Postgres says, only the first line: the others quote rows.
DATABASE_ERROR = re.compile(r"\s*Database Error.*\n.*")
LONGEST_LINE = 300
# Not among them what may go on for hours, such as `docs serve`: no night should wait for it.
WRITING_COMMANDS = {"build", "clone", "retry", "run", "run-operation", "seed", "snapshot", "test"}


@dataclass(frozen=True)
class Node:
    """A model or a test, and how it ended, in dbt's words: success, pass, warn, fail, error, skipped ...

    `rows_affected`: rows that a model inserted or updated; a view has none. `failures`: rows that a test found.
    """

    node: str
    resource_type: str
    status: str
    seconds: float
    rows_affected: int | None
    failures: int | None


@dataclass(frozen=True)
class DbtOutcome:
    """What became of the models and tests, and one line per failed node of any kind, the node's name first.

    `broken`: why dbt did not get as far as running nodes.
    """

    nodes: tuple[Node, ...]
    failures: tuple[str, ...]
    broken: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How often each status came."""
        return Counter(node.status for node in self.nodes)

    @property
    def succeeded(self) -> bool:
        return not self.failures and self.broken is None

    @property
    def lines(self) -> tuple[str, ...]:
        """What went wrong, of either kind."""
        return (self.broken, *self.failures) if self.broken else self.failures


class Dbt:
    """Runs dbt commands one after another, with the same options, and parses the project only once for all of them.

    dbt's own output goes to its log file only.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._manifest: Any = None

    def invoke(self, *arguments: str, progress: Callable[[str], None] | None = None) -> DbtOutcome:
        """Run a command such as `build --select marts`; `progress` gets the name of each node before it runs."""
        if self._manifest is None:
            parsed = self._run("parse")
            if not parsed.success:
                return _outcome(parsed)
            self._manifest = parsed.result
        return _outcome(self._run(*arguments, progress=progress))

    def _run(self, *arguments: str, progress: Callable[[str], None] | None = None) -> Any:
        def tell(event: Any) -> None:
            if progress and event.info.name == "NodeStart":
                progress(event.data.node_info.node_name)

        # JSON: what a row says stays within the line of its event
        quiet = ("--log-level", "none", "--log-level-file", "info", "--log-format-file", "json")
        place = ("--project-dir", str(PROJECT_FOLDER), "--profiles-dir", str(profiles_folder()))
        return _invoke([*quiet, *self._options, *arguments, *place], self._manifest, [tell])


def explained(outcome: DbtOutcome, place: Warehouse, code: Exit, what: str) -> Stop:
    """What to tell of a dbt failure; when it is the warehouse that fails, that is the news."""
    failures = [warehouse.redacted(failure, place.conninfo) for failure in outcome.lines]
    for failure in failures:
        if advice := warehouse.advice_on(failure):
            return Stop(Exit.WAREHOUSE_UNAVAILABLE, f"the warehouse failed: {failure}; {advice}")
    more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return Stop(
        code, f"{what}: {failures[0]}{more}; the log is dbt_project/logs/dbt.log, and after mending it: make run"
    )


def may_write(arguments: tuple[str, ...]) -> bool:
    """Whether this dbt command may change the warehouse."""
    return not WRITING_COMMANDS.isdisjoint(arguments)


def run_aloud(arguments: tuple[str, ...]) -> None:
    """Run one dbt command as dbt's own command line does, output and all.

    Raises Stop: BUILD_FAILED when a model or test failed, WRONG_SETTINGS when dbt does not know such a command.
    """
    from dbt.cli.exceptions import DbtUsageException

    # by environment, because not every command of dbt takes the options
    os.environ |= {"DBT_PROJECT_DIR": str(PROJECT_FOLDER), "DBT_PROFILES_DIR": str(profiles_folder())}
    if not sys.stdout.isatty():
        os.environ["DBT_USE_COLORS"] = "false"
    outcome = _invoke(list(arguments) or ["--help"])
    if isinstance(outcome.exception, DbtUsageException):
        raise Stop(Exit.WRONG_SETTINGS, f"{_line(outcome.exception).rstrip('.')}; see: make dbt")
    if not outcome.success:
        what = " ".join(("dbt", *arguments))
        raise Stop(Exit.BUILD_FAILED, f"{what} failed; what failed is above and in dbt_project/logs/dbt.log")


def _invoke(arguments: list[str], manifest: Any = None, callbacks: list[Callable] | None = None) -> Any:
    # costs seconds: only the commands that need it wait for it
    from dbt.cli.main import dbtRunner

    outcome = dbtRunner(manifest=manifest, callbacks=callbacks).invoke(arguments)
    if isinstance(outcome.exception, KeyboardInterrupt):  # caught by the runner, and meant for the whole command
        raise outcome.exception
    return outcome


def profiles_folder() -> Path:
    """Where dbt finds the profile, which is the example as it is."""
    PROFILES_FOLDER.mkdir(exist_ok=True)
    example = PROJECT / "profiles.yml.example"
    target = PROFILES_FOLDER / "profiles.yml"
    if not target.exists() or target.read_bytes() != example.read_bytes():
        temporary = PROFILES_FOLDER / f"profiles.{os.getpid()}"
        shutil.copyfile(example, temporary)
        temporary.replace(target)
    return PROFILES_FOLDER


def _outcome(result: Any) -> DbtOutcome:
    nodes = getattr(result.result, "results", None)
    if nodes is None:
        if result.success:
            return DbtOutcome((), ())
        return DbtOutcome((), (), _line(result.exception or "dbt did not start; see dbt_project/logs/dbt.log"))
    failures = tuple(f"{node.node.name}: {_line(node.message)}" for node in nodes if str(node.status) in FAILED)
    told = [node for node in nodes if str(node.node.resource_type) in ("model", "test", "unit_test")]
    return DbtOutcome(tuple(map(_node, told)), failures)


def _node(result: Any) -> Node:
    resource_type = str(result.node.resource_type)
    # of a statement that moves no rows the driver says -1, and of a test how many rows its query has
    rows_affected = result.adapter_response.get("rows_affected", -1) if resource_type == "model" else -1
    return Node(
        result.node.name,
        resource_type,
        str(result.status),
        result.execution_time,
        rows_affected if rows_affected >= 0 else None,
        result.failures if resource_type == "test" else None,
    )


def _line(message: object) -> str:
    text = str(message)
    if database_error := DATABASE_ERROR.match(text):
        text = database_error[0]
    return inert(" ".join(WRAPPING.sub("", text).split()), LONGEST_LINE)
