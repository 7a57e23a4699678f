"""Compare targets with measured values."""

from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """Hold a measured value that should be at most `target`, if there is one; both in `unit` (x: a ratio)."""

    what: str
    target: float | None
    measured: float
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        return self.target is None or self.measured <= self.target


def add_row(table: Table, figure: Figure) -> None:
    style = "green" if figure.is_met else "red"
    table.add_row(
        figure.what,
        "" if figure.target is None else f"<= {figure.target:.3g}{figure.unit}",
        f"[{style}]{figure.measured:.3g}{figure.unit}[/]",
    )
