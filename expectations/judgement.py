"""What the gate works on, and what it says about it."""

from dataclasses import dataclass
from typing import Any

FIELDS_ARE_KNOWN = "fields_are_known"


class GateBroken(Exception):
    """A load could not be judged; it stays pending. The message says why."""


@dataclass(frozen=True)
class Batch:
    """What is to be judged: one table's rows of one load, with the figures of the scan that brought them.

    `rows_landed` have a payload, `rows_removed` are keys that are gone; `rows_unreadable` could not land.
    """

    load_id: str
    table: str
    rows_read: int
    rows_landed: int
    rows_removed: int
    rows_unreadable: int = 0


@dataclass(frozen=True)
class RuleResult:
    """What one rule found: how many rows (or, for a rule about the scan, 1) broke it, and the first of them.

    An example is {"dlt_id", "key", "detail"} of a row, or {column: value} of the scan.
    """

    rule: str
    severity: str
    rows: int
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class Judgement:
    """The verdict on a batch. `broken` says why there is none; the state is then pending."""

    batch: Batch
    state: str
    rows_quarantined: int = 0
    failed_rules: tuple[RuleResult, ...] = ()
    reason: str = ""
    broken: str | None = None
