"""dbt in this process: its start-up is paid once a night, and what it did comes back as data."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.settings import PROJECT

PROJECT_FOLDER = PROJECT / "dbt_project"
# dbt wants a folder with a file of exactly this name; the example in the project's root is the one profile there is.
PROFILES_FOLDER = PROJECT / ".dbt"
FAILED = ("error", "fail", "runtime error")


@dataclass(frozen=True)
class DbtOutcome:
    """How often each status came, and per failed node one line. `broken`: dbt did not get as far as running nodes."""

    counts: dict[str, int]
    failures: tuple[str, ...]
    broken: str | None = None

    @property
    def succeeded(self) -> bool:
        return not self.failures and self.broken is None


def profiles_folder() -> Path:
    PROFILES_FOLDER.mkdir(exist_ok=True)
    example = PROJECT / "profiles.yml.example"
    target = PROFILES_FOLDER / "profiles.yml"
    if not target.exists() or target.read_bytes() != example.read_bytes():
        temporary = PROFILES_FOLDER / f"profiles.{os.getpid()}"
        shutil.copyfile(example, temporary)
        temporary.replace(target)
    return PROFILES_FOLDER


def location_arguments() -> list[str]:
    return ["--project-dir", str(PROJECT_FOLDER), "--profiles-dir", str(profiles_folder())]


class Dbt:
    """Runs dbt commands one after another, and parses the project only once for all of them.

    dbt's own output goes to its log file only. `progress` is called with the name of each node before it runs.
    """

    def __init__(self, progress: Callable[[str], None] | None = None) -> None:
        self._progress = progress
        self._manifest: Any = None

    def invoke(self, *arguments: str) -> DbtOutcome:
        """Run a command such as `build --select marts`."""
        if self._manifest is None:
            parsed = self._run("parse")
            if not parsed.success:
                return _outcome(parsed)
            self._manifest = parsed.result
        return _outcome(self._run(*arguments))

    def _run(self, *arguments: str) -> Any:
        # costs seconds: only the commands that need it wait for it
        from dbt.cli.main import dbtRunner

        runner = dbtRunner(manifest=self._manifest, callbacks=[self._tell])
        return runner.invoke(["--log-level", "none", "--log-level-file", "info", *arguments, *location_arguments()])

    def _tell(self, event: Any) -> None:
        if self._progress and event.info.name == "NodeStart":
            self._progress(event.data.node_info.node_name)


def _outcome(result: Any) -> DbtOutcome:
    nodes = getattr(result.result, "results", None)
    if nodes is None:
        if result.success:
            return DbtOutcome({}, ())
        broken = _line(result.exception or "dbt did not start; see dbt_project/logs/dbt.log")
        return DbtOutcome({}, (), broken=broken)
    counts: dict[str, int] = {}
    failures = []
    for node in nodes:
        status = str(node.status)
        counts[status] = counts.get(status, 0) + 1
        if status in FAILED:
            failures.append(f"{node.node.name}: {_line(node.message)}")
    return DbtOutcome(counts, tuple(failures))


def _line(message: object) -> str:
    return " ".join(str(message).split())[:300]
