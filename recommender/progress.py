"""Define how the recommender reports what it is doing."""

from typing import Protocol


class Progress(Protocol):
    """Report what is being done, with counts if they are known."""

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None: ...


def report_nothing(what: str, done: int | None = None, total: int | None = None) -> None:
    """Report no progress: for callers that show none."""
