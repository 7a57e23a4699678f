"""What a person sees while a command runs: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

PLAIN_WIDTH = 110
SECONDS_BETWEEN_PLAIN_LINES = 10


def console() -> Console:
    """Standard output; outside a terminal a fixed width, so that tables in a log do not wrap."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=PLAIN_WIDTH)


class StepDisplay:
    """Shows one step of the night: `with StepDisplay(console, "extract") as show: show("users", 300, 1000)`."""

    def __init__(self, output: Console, step: str) -> None:
        self._output = output
        self._step = step
        self._tasks: dict[str, object] = {}
        self._last_line = 0.0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=output,
            transient=True,
            disable=not output.is_terminal,
        )

    def __enter__(self) -> "StepDisplay":
        self._started = time.monotonic()
        self._output.print(f"{self._step} ...", style="bold") if not self._output.is_terminal else None
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
            task = self._tasks.get(what)
            if task is None:
                if done is None:  # one line that changes, not one line per item
                    for key, known in list(self._tasks.items()):
                        self._progress.remove_task(known)
                        del self._tasks[key]
                task = self._tasks[what] = self._progress.add_task(
                    f"{self._step} · {what}", total=total, figures=figures
                )
            self._progress.update(task, completed=done or 0, total=total, figures=figures)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_PLAIN_LINES:
            self._last_line = time.monotonic()
            self._output.print(f"  {self._step}: {what} {figures}".rstrip())
