"""Run dbt in this process: it starts only once per run, and returns its results as data."""

import contextlib
import errno
import logging
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from extract.errors import DISK_FAILURES
from pipeline.settings import PROJECT, Settings
from warehouse import database, redaction
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode
from warehouse.redaction import sanitize

PROJECT_FOLDER = PROJECT / "dbt_project"
PROFILE = PROJECT / "profiles.yml.example"
FAILED = ("error", "fail", "runtime error")
# What dbt adds to a message: the node again, the macros, and the path of the compiled file.
WRAPPING = re.compile(r"^\s*\w+ Error in \w+ \w+ \(.*?\)$|^\s*> (in|called by) .*|compiled code at .*", re.MULTILINE)
# Only the first line of a Postgres error: the others quote rows.
DATABASE_ERROR = re.compile(r"\s*Database Error.*\n.*")
SQLSTATE = re.compile(r"\(SQLSTATE (\w{5})\)")
FILE_ERROR = re.compile(r"\[Errno (\d+)\]")
LONGEST_LINE = 300
# Of the variables that dbt reads, those that a run sets or supports. Others would change what a run does.
VARIABLES = {"DBT_TARGET", "DBT_TARGET_PATH", "DBT_LOG_PATH", "DBT_ENV_SECRET_PGPASSWORD"}
# Commands that may run for hours, such as `docs serve`, are not listed: no run should wait for them.
WRITING_COMMANDS = {"build", "clone", "retry", "run", "run-operation", "seed", "snapshot", "test"}


@dataclass(frozen=True)
class Node:
    """Describe a model or test and its dbt status: success, pass, warn, fail, error, skipped ...

    `rows_affected`: rows that a model inserted or updated, None for a view. `failures`: rows that a test returned.
    """

    node: str
    resource_type: str
    status: str
    seconds: float
    rows_affected: int | None
    failures: int | None


@dataclass(frozen=True)
class DbtOutcome:
    """Hold the models and tests that ran, and one line per failed node of any kind, starting with its name.

    `broken`: why dbt could not run any node.
    """

    nodes: tuple[Node, ...]
    failures: tuple[str, ...]
    broken: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of nodes by status."""
        return Counter(node.status for node in self.nodes)

    @property
    def succeeded(self) -> bool:
        return not self.failures and self.broken is None

    @property
    def lines(self) -> tuple[str, ...]:
        """Return all errors, one line each."""
        return (self.broken, *self.failures) if self.broken else self.failures


NO_NODES = DbtOutcome((), ())


class Dbt:
    """Run dbt commands with the same options, and parse the project only once for all of them.

    dbt's own output goes only to its log file.
    """

    def __init__(self, *options: str) -> None:
        for name in [name for name in os.environ if name.startswith("DBT_") and name not in VARIABLES]:
            del os.environ[name]
        self._options = options
        self._parsed: Any = None

    def invoke(self, *arguments: str, progress: Callable[[str], None] | None = None) -> DbtOutcome:
        """Run a command such as `build --select marts`. `progress` is called with the name of each node that starts."""
        parsed = self._parse(progress)
        if not parsed.success:
            return _outcome(parsed)
        return _outcome(self._run(*arguments, progress=progress))

    def render(self, expression: str, warehouse: Warehouse) -> str:
        """Return the SQL of a macro call such as `user_profile("now()")`. Raises CommandError."""
        parsed = self._parse()
        result = self._run("compile", "--inline", f"{{{{ {expression} }}}}") if parsed.success else parsed
        if not result.success:
            raise to_command_error(_outcome(result), warehouse, ExitCode.BUILD_FAILED, "dbt failed")
        return result.result.results[0].node.compiled_code

    def _parse(self, progress: Callable[[str], None] | None = None) -> Any:
        """Parse the project once, and return dbt's result."""
        if self._parsed is None:
            if progress:
                progress("loading dbt and parsing its project")
            parsed = self._run("parse")
            if not parsed.success:
                return parsed
            self._parsed = parsed
        return self._parsed

    def _run(self, *arguments: str, progress: Callable[[str], None] | None = None) -> Any:
        def report_node(event: Any) -> None:
            if progress and event.info.name == "NodeStart":
                progress(event.data.node_info.node_name)

        # JSON, so that a line end in a row does not split an event
        quiet = ("--log-level", "none", "--log-level-file", "info", "--log-format-file", "json")
        folders = ("--project-dir", str(PROJECT_FOLDER), "--profiles-dir", str(profiles_folder()))
        manifest = self._parsed and self._parsed.result
        return _invoke([*quiet, *self._options, *arguments, *folders], manifest, [report_node])


def to_command_error(outcome: DbtOutcome, warehouse: Warehouse, code: ExitCode, what: str) -> CommandError:
    """Build the error for a dbt failure, with another code if the warehouse or the disk caused it."""
    failures = [redaction.redact(failure, warehouse.conninfo) for failure in outcome.lines]
    if error := _find_other_cause(failures):
        return error
    more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return CommandError(code, f"{what}: {failures[0]}{more}; see {log_file()}, and when it is fixed: make run")


def _find_other_cause(failures: list[str]) -> CommandError | None:
    """Return the error for a failure of the warehouse or of the file system; None if dbt's models or tests failed."""
    for failure in failures:
        sqlstate = SQLSTATE.search(failure)
        if advice := database.advice_about(sqlstate and sqlstate[1], failure):
            return CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, f"the warehouse failed: {failure}; {advice}")
        number = FILE_ERROR.search(failure)
        if number and int(number[1]) in (*DISK_FAILURES, errno.EACCES, errno.EPERM, errno.EROFS):
            return _file_error(int(number[1]), target_folder().parent)
    return None


def _file_error(number: int, path: Path | str) -> CommandError:
    """Build the error for a path that cannot be written, with the number that the system gives."""
    is_disk = number in DISK_FAILURES
    free_space = "free space there, or " if is_disk else ""
    return CommandError(
        ExitCode.WAREHOUSE_UNAVAILABLE if is_disk else ExitCode.WRONG_SETTINGS,
        f"{path} cannot be written ({os.strerror(number)});"
        f" {free_space}set MOOVITAMIX_HOME to a folder that this user may write",
    )


def check_target() -> None:
    """Raise CommandError(WRONG_SETTINGS) if DBT_TARGET is no target of the profile."""
    targets = yaml.safe_load(PROFILE.read_text())["moovitamix"]["outputs"]
    target = os.environ.get("DBT_TARGET")
    if target and target not in targets:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"DBT_TARGET is {target!r}, which is none of the targets {', '.join(targets)}; correct or unset it",
        )


def may_write(arguments: tuple[str, ...]) -> bool:
    """Return whether this dbt command may change the warehouse."""
    return not WRITING_COMMANDS.isdisjoint(arguments)


def run_with_output(arguments: tuple[str, ...], warehouse: Warehouse) -> None:
    """Run one dbt command like dbt's own command line, with its output.

    Raises CommandError: BUILD_FAILED if a model or test failed, WRONG_SETTINGS for an unknown command, and the same as
    for a run if the warehouse or the disk failed.
    """
    from dbt.cli.exceptions import DbtUsageException

    # by environment, because not every dbt command has these options
    os.environ |= {"DBT_PROJECT_DIR": str(PROJECT_FOLDER), "DBT_PROFILES_DIR": str(profiles_folder())}
    if not sys.stdout.isatty():
        os.environ["DBT_USE_COLORS"] = "false"
    outcome = _invoke(list(arguments) or ["--help"])
    if isinstance(outcome.exception, DbtUsageException):
        raise CommandError(ExitCode.WRONG_SETTINGS, f"{_line(outcome.exception).rstrip('.')}; see: make dbt")
    if not outcome.success:
        if error := _find_other_cause([redaction.redact(line, warehouse.conninfo) for line in _outcome(outcome).lines]):
            raise error
        what = " ".join(("dbt", *arguments))
        raise CommandError(ExitCode.BUILD_FAILED, f"{what} failed; see the output above and {log_file()}")


def _invoke(arguments: list[str], manifest: Any = None, callbacks: list[Callable] | None = None) -> Any:
    # imported here, because it takes seconds
    from dbt.cli.main import dbtRunner

    _name_sqlstates()
    # otherwise Python prints a traceback for each line that dbt cannot log, as on a full disk
    logging.raiseExceptions = False
    os.environ |= {"DBT_TARGET_PATH": str(target_folder()), "DBT_LOG_PATH": str(PROJECT / log_file().parent)}
    outcome = dbtRunner(manifest=manifest, callbacks=callbacks).invoke(arguments)
    if isinstance(outcome.exception, KeyboardInterrupt):  # dbt's runner catches it, but it is meant for this command
        raise outcome.exception
    return outcome


@cache
def _name_sqlstates() -> None:
    """Make dbt add the SQLSTATE to a database error, whose message may be in any language."""
    from dbt.adapters.postgres.connections import PostgresConnectionManager
    from dbt_common.exceptions import DbtDatabaseError

    handle = PostgresConnectionManager.exception_handler

    @contextlib.contextmanager
    def handle_and_name(self: PostgresConnectionManager, sql: str) -> Iterator[None]:
        try:
            with handle(self, sql):
                yield
        except DbtDatabaseError as error:
            if sqlstate := getattr(error.__cause__, "pgcode", None):
                message, *details = error.msg.split("\n")
                error.msg = "\n".join((f"{message} (SQLSTATE {sqlstate})", *details))
            raise

    PostgresConnectionManager.exception_handler = handle_and_name


def log_file() -> Path:
    """Return dbt's log file, below the checkout if it is there."""
    file = _working_folder("DBT_LOG_PATH", "logs") / "dbt.log"
    return file.relative_to(PROJECT) if file.is_relative_to(PROJECT) else file


def target_folder() -> Path:
    """Return the folder of the files that dbt generates."""
    return _working_folder("DBT_TARGET_PATH", "target")


def _working_folder(variable: str, name: str) -> Path:
    """Return a folder in which dbt writes: in the project, unless another home was set, as for a read-only checkout."""
    if given := os.environ.get(variable):
        return Path(given).resolve()
    home = Settings().home
    return PROJECT_FOLDER / name if home == PROJECT else home / ".dbt" / name


def profiles_folder() -> Path:
    """Copy the example profile to the folder where dbt reads it, and return the folder."""
    folder = Settings().home / ".dbt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _copy_profile(folder)
    except OSError as error:
        raise _file_error(error.errno, error.filename2 or error.filename or folder) from None


def _copy_profile(folder: Path) -> Path:
    target = folder / "profiles.yml"
    if not target.exists() or target.read_bytes() != PROFILE.read_bytes():
        temporary = folder / f"profiles.{os.getpid()}"
        shutil.copyfile(PROFILE, temporary)
        temporary.replace(target)
    return folder


def _outcome(result: Any) -> DbtOutcome:
    nodes = getattr(result.result, "results", None)
    if nodes is None:
        if result.success:
            return DbtOutcome((), ())
        return DbtOutcome((), (), _line(result.exception or f"dbt did not start; see {log_file()}"))
    failures = tuple(f"{node.node.name}: {_line(node.message)}" for node in nodes if str(node.status) in FAILED)
    recorded = [node for node in nodes if str(node.node.resource_type) in ("model", "test", "unit_test")]
    return DbtOutcome(tuple(map(_node, recorded)), failures)


def _node(result: Any) -> Node:
    resource_type = str(result.node.resource_type)
    # the driver reports -1 for a statement that moves no rows, and for a test the rows of its query
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
    return sanitize(" ".join(WRAPPING.sub("", text).split()), LONGEST_LINE)
