"""How a command ends: its exit code, and one line with what happened and what to do next."""

from enum import IntEnum

from pipeline.terminal import inert


class Exit(IntEnum):
    """Exit codes of `python -m pipeline`. Python itself uses 1 and 2, click uses 2.

    When several things go wrong in one night, the code is that of the first in the order of the night (source, gate,
    build; within the gate, a table that could not be judged goes before a blocked one), and the line names them all.
    `psql` ends with psql's own code.
    """

    PUBLISHED = 0
    UNFORESEEN = 1
    WRONG_SETTINGS = 2
    SOURCE_FAILED = 3
    BLOCKED = 4
    BUILD_FAILED = 5
    ALREADY_RUNNING = 6
    WAREHOUSE_UNAVAILABLE = 7
    GATE_BROKEN = 8


class Stop(Exception):
    """The command cannot go on. `str()` is the one line for the operator."""

    def __init__(self, code: Exit, message: str) -> None:
        # it may quote what a source or a database said
        super().__init__(inert(" ".join(message.split())))
        self.code = code
