"""Build the commands to run next, which messages share."""

import sys
from pathlib import Path

REPLAY = """make gate ARGS="replay --reason '...'\""""


def decision_command(verb: str, load_id: str, table: str) -> str:
    """Return the command that records a decision about a load."""
    return f"""make gate ARGS="{verb} {load_id} {table} --reason '...'\""""


def python() -> str:
    """Return the Python that runs this program, as it can be typed in the current folder."""
    executable = Path(sys.executable)
    folder = Path.cwd()
    return str(executable.relative_to(folder) if executable.is_relative_to(folder) else executable)
