"""Find the figures of a night that are far from usual.

The usual value is the median of the earlier comparable nights: those that published their rows. A median of at least
ENOUGH_NIGHTS is not moved by the first load, which is new as a whole, or by one mass change that was published.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitoring.run_history import Night, in_order
from warehouse.names import PUBLISHED

ENOUGH_NIGHTS = 3
FACTOR = 3
LEAST_ROWS = 20
LEAST_SECONDS = 30
LEAST_BYTES = 256 * 1024**2
# The counts of a night that are compared, with their names for people.
COUNTS = {
    "rows_read": "read",
    "rows_landed": "new or changed",
    "rows_removed": "removed",
    "rows_unreadable": "unreadable",
    "rows_quarantined": "quarantined",
}


@dataclass(frozen=True)
class Figure:
    """Hold a value and the usual one; None where it is unknown. `sign`: ▲ or ▼ if it is far above or below, else
    empty."""

    value: float | None
    usual: float | None = None
    sign: str = ""


@dataclass(frozen=True)
class Counts:
    """Hold the figures of a night by name: `totals` over all tables, and those of each table that it read."""

    totals: dict[str, Figure]
    tables: dict[str, dict[str, Figure]]

    @property
    def unusual(self) -> list[tuple[str, list[tuple[str, Figure]]]]:
        """Return by table the figures that are far from usual, as (name for people, figure)."""
        found = {
            table: [(COUNTS[name], figure) for name, figure in figures.items() if figure.sign]
            for table, figures in self.tables.items()
        }
        return [(table, figures) for table, figures in found.items() if figures]


def compare(value: float | None, earlier: Iterable[float | None], least_difference: float = LEAST_ROWS) -> Figure:
    """Compare a value with those of earlier nights.

    It is far from usual if it is at least FACTOR times as high or as low, and differs by at least `least_difference`:
    3 instead of 1 is normal.
    """
    known = [other for other in earlier if other is not None]
    if len(known) < ENOUGH_NIGHTS:
        return Figure(value)
    # an observed value, no mean of two
    usual = statistics.median_low(known)
    if value is None or abs(value - usual) < least_difference:
        return Figure(value, usual)
    if value >= FACTOR * usual:
        return Figure(value, usual, "▲")
    return Figure(value, usual, "▼" if FACTOR * value <= usual else "")


def counts(nights: Sequence[Night]) -> list[Counts]:
    """Compare the counts of each night with those of the nights before it, which are in the order of their start."""
    return [
        Counts(
            totals={
                name: compare(total(night, name), [total(other, name) for other in nights[:number] if is_good(other)])
                for name in COUNTS
            },
            tables={
                table: {
                    name: compare(
                        of_table(night, table, name),
                        [of_table(other, table, name) for other in nights[:number] if _has_published(other, table)],
                    )
                    for name in COUNTS
                }
                for table in in_order(night.scans)
            },
        )
        for number, night in enumerate(nights)
    ]


def is_good(night: Night) -> bool:
    """Return whether the night published all its rows, so that later ones can be compared with it."""
    return night.outcome == "succeeded"


def total(night: Night, name: str) -> int | None:
    """Return a count over all tables; None if it is unknown."""
    return night.rows_quarantined if name == "rows_quarantined" else night.total(name)


def of_table(night: Night, table: str, name: str) -> int | None:
    """Return a count of one table that the night read; None if it is unknown."""
    if name == "rows_quarantined":
        verdict = night.verdict(table)
        return verdict["rows_quarantined"] if verdict else None
    return night.scans[table][name]


def _has_published(night: Night, table: str) -> bool:
    verdict = night.verdict(table)
    return verdict is not None and verdict["state"] in PUBLISHED
