"""Define how a step reports its progress."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """Report the current item of a step, with counts if they are known."""

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None: ...


Display = Callable[[str, str], AbstractContextManager[Progress]]
"""Show a step of a run, given the run's id and the step's name, for as long as it takes."""
