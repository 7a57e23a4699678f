"""What a person sees while a command runs: a live display on a terminal, plain lines elsewhere."""

import datetime as dt
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich import progress
from rich.console import Console

PLAIN_WIDTH = 110
SECONDS_BETWEEN_LINES = 10


def console() -> Console:
    """Standard output; outside a terminal a fixed width, so that tables in a log do not wrap, and no escape codes."""
    is_terminal = sys.stdout.isatty()
    return Console(highlight=False, force_terminal=is_terminal, width=None if is_terminal else PLAIN_WIDTH)


def inert(text: str, longest: int | None = None) -> str:
    """The text on one line, cut to `longest` characters, with nothing in it that a terminal would obey or hide.

    What an API sends may hold escape codes, line ends, and marks that turn the direction of writing.
    """
    seen = text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in seen)


def minute(time: dt.datetime) -> str:
    """The time in UTC, to the minute."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


class Progress(Protocol):
    """Tells what is under way in a step; with figures where they are known."""

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None: ...


Display = Callable[[str, str], AbstractContextManager[Progress]]
"""Shows a step of a run, given the run's id and the step's name, for as long as it takes."""


class StepDisplay:
    """Shows one step of a run: `with StepDisplay(console, run_id, "extract") as show: show("users", 300, 1000)`."""

    def __init__(self, output: Console, run_id: str, step: str) -> None:
        self._output = output
        self._step = step
        self._tasks: dict[str, progress.TaskID] = {}
        self._progress = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=30),
            progress.TextColumn("{task.fields[figures]}"),
            progress.TimeElapsedColumn(),
            console=output,
            transient=True,
            disable=not output.is_terminal,
        )

    def __enter__(self) -> "StepDisplay":
        self._started = self._last_line = time.monotonic()
        if not self._output.is_terminal:
            self._output.print(f"{self._step} ...")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        seconds = time.monotonic() - self._started
        mark = "[green]done[/]" if kind is None else "[red]failed[/]"
        self._output.print(f"[bold]{self._step}[/] {mark} in {seconds:.1f} s")

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None:
        """Say what is under way; with figures where they are known."""
        figures = "" if done is None else f"{done:,}" + (f" of {total:,}" if total is not None else "")
        if self._output.is_terminal:
            self._update(what, done, total, figures)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._output.print(f"  {self._step}: {what} {figures}".rstrip(), soft_wrap=True)

    def _update(self, what: str, done: int | None, total: int | None, figures: str) -> None:
        if what not in self._tasks:
            if done is None:  # one line that changes, not one line per item
                for task in self._tasks.values():
                    self._progress.remove_task(task)
                self._tasks.clear()
            self._tasks[what] = self._progress.add_task(f"{self._step} · {what}", total=total, figures=figures)
        self._progress.update(self._tasks[what], completed=done or 0, total=total, figures=figures)
