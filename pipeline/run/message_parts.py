"""Build the parts that messages share: error lines, and the commands to run next."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ALL_PUBLISHED = "all published"
REPLAY = """make gate ARGS="replay --reason '...'\""""
WRONG_USAGE = "wrong usage or settings; see the log of the run"
ERROR_LINE = re.compile(r"moovitamix: (.*) \(exit \d+\)")
BLOCKED_ADVICE = re.compile(
    r'; see the failed rules with: make gate ARGS="[^"]*"; if the source is right, release it: make gate ARGS="[^"]*"'
    r'(?: and make gate ARGS="[^"]*")*'
)


def error_line(message: str, code: int) -> str:
    """Return the last line of a command that failed."""
    return f"moovitamix: {' '.join(message.split())} (exit {int(code)})"


def message_in_error_line(line: str) -> str | None:
    """Return the message in the last line of a failed command. Return None for any other line.

    A message about wrong usage quotes the arguments, which may contain a misplaced secret: it is replaced.
    """
    found = ERROR_LINE.fullmatch(line)
    return found and (WRONG_USAGE if found[1].endswith(" --help") else found[1])


def append_when_fixed(command: str) -> str:
    """Return the next step after a failure that only a person can fix."""
    return f"{command}, when that is fixed"


def show_command(load_id: str) -> str:
    """Return the command that shows why a load was blocked, or what is unusual about it."""
    return f'make gate ARGS="show {load_id}"'


def decision_command(verb: str, load_id: str, table: str) -> str:
    """Return the command that records a decision about a load."""
    return f"""make gate ARGS="{verb} {load_id} {table} --reason '...'\""""


def blocked_advice(loads: Sequence[tuple[str, str]]) -> str:
    """Return the commands with which the message of a run that blocked these loads (load, table) ends."""
    releases = " and ".join(decision_command("release", load_id, table) for load_id, table in loads)
    return f"; see the failed rules with: {show_command(loads[0][0])}; if the source is right, release it: {releases}"


def without_blocked_advice(message: str) -> str:
    """Return the message of a run without those commands, for a place that shows them anyway."""
    return BLOCKED_ADVICE.sub("", message)


def python() -> str:
    """Return the Python that runs this program, as it can be typed in the current folder."""
    executable = Path(sys.executable)
    folder = Path.cwd()
    return str(executable.relative_to(folder) if executable.is_relative_to(folder) else executable)
