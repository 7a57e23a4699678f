"""A target and what was measured, side by side."""

from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """`measured` should be at most `target`; both in `unit` (x: a ratio)."""

    what: str
    target: float
    measured: float
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        return self.measured <= self.target


def add_row(table: Table, figure: Figure) -> None:
    style = "green" if figure.is_met else "red"
    table.add_row(
        figure.what,
        f"<= {figure.target:.3g}{figure.unit}",
        f"[{style}]{figure.measured:.3g}{figure.unit}[/]",
    )
