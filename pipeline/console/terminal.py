"""Show the progress of a command: a live display on a terminal, plain lines elsewhere."""

import datetime as dt
import sys
import time
from types import TracebackType

from rich import progress
from rich.console import Console

PLAIN_WIDTH = 110
SECONDS_BETWEEN_LINES = 10


def console() -> Console:
    """Return a console on standard output. Outside a terminal it has a fixed width and writes no escape codes."""
    is_terminal = sys.stdout.isatty()
    return Console(highlight=False, force_terminal=is_terminal, width=None if is_terminal else PLAIN_WIDTH)


def minute(time: dt.datetime) -> str:
    """Format the time in UTC, to the minute."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


class StepDisplay:
    """Show one step of a run: `with StepDisplay(console, run_id, "extract") as show: show("users", 300, 1000)`."""

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
        """Show the current item, with counts if they are known."""
        figures = "" if done is None else f"{done:,}" + (f" of {total:,}" if total is not None else "")
        if self._output.is_terminal:
            self._update(what, done, total, figures)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._output.print(f"  {self._step}: {what} {figures}".rstrip(), soft_wrap=True)

    def _update(self, what: str, done: int | None, total: int | None, figures: str) -> None:
        if what not in self._tasks:
            if done is None:  # one changing line instead of one line per item
                for task in self._tasks.values():
                    self._progress.remove_task(task)
                self._tasks.clear()
            self._tasks[what] = self._progress.add_task(f"{self._step} · {what}", total=total, figures=figures)
        self._progress.update(self._tasks[what], completed=done or 0, total=total, figures=figures)
