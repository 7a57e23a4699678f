"""Define the exit codes, and the error that ends a command with one line: what happened and what to do next."""

from enum import IntEnum

from warehouse.redaction import sanitize


class ExitCode(IntEnum):
    """List the exit codes of `python -m pipeline`. Python itself uses 1 and 2, click uses 2.

    If several steps of a run fail, the code is that of the first (source, gate, build, recommend), and the message
    names them all. Within the gate, a check that could not run precedes a blocked table. `psql` has codes of its own.
    """

    PUBLISHED = 0
    UNEXPECTED_ERROR = 1
    WRONG_SETTINGS = 2
    SOURCE_FAILED = 3
    BLOCKED = 4
    BUILD_FAILED = 5
    ALREADY_RUNNING = 6
    WAREHOUSE_UNAVAILABLE = 7
    GATE_BROKEN = 8
    RECOMMENDATIONS_FAILED = 9


class CommandError(Exception):
    """Report that the command cannot continue. `str()` is one line for the operator."""

    def __init__(self, code: ExitCode, message: str) -> None:
        # the message may quote text from a source or a database
        super().__init__(sanitize(" ".join(message.split())))
        self.code = code
