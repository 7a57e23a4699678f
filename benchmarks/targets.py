"""Compare targets with measured values."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """Hold a measured value that should be at most `target`, if there is one; both in `unit` (x: a ratio)."""

    what: str
    target: float | None
    measured: float
    unit: str = "x"
    lowest: float | None = None
    highest: float | None = None
    """Of the single measurements, if `measured` is their median."""

    @property
    def shown(self) -> str:
        """Return the measured value with its unit and its spread."""
        text = f"{self.measured:.3g}{self.unit}"
        return text if self.lowest is None else f"{text} ({self.lowest:.3g} to {self.highest:.3g})"

    @property
    def is_met(self) -> bool:
        return self.target is None or self.measured <= self.target


def spread(what: str, target: float | None, measured: Sequence[float], unit: str) -> Figure:
    """Return the median of several measurements as a figure, with the lowest and the highest."""
    return Figure(what, target, statistics.median(measured), unit, min(measured), max(measured))


def ratio(what: str, target: float | None, measured: Sequence[float], base: Sequence[float]) -> Figure:
    """Return the ratio of two medians as a figure, with the lowest and highest ratio of the pairs."""
    pairs = [one / other for one, other in zip(measured, base, strict=True)]
    return Figure(what, target, statistics.median(measured) / statistics.median(base), "x", min(pairs), max(pairs))


def add_row(table: Table, figure: Figure) -> None:
    style = "green" if figure.is_met else "red"
    table.add_row(
        figure.what,
        "" if figure.target is None else f"<= {figure.target:.3g}{figure.unit}",
        f"[{style}]{figure.shown}[/]",
    )
