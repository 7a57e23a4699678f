"""What the gate works on, and what it says about it."""

from dataclasses import dataclass
from typing import Any

FIELDS_ARE_KNOWN = "fields_are_known"
NO_MASS_REMOVAL = "no_mass_removal"
FEW_REMOVALS = "few_removals"
FEW_CHANGES = "few_changes"

# Of a table's known rows, the share that one load may remove without a person, and change without a warning.
MAX_REMOVED_SHARE = 0.3
MAX_CHANGED_SHARE = 0.5


class GateBroken(Exception):
    """A load could not be judged; it stays pending. The message says why."""


@dataclass(frozen=True)
class Shares:
    """The shares of a table's known rows above which a load is blocked for what it removes, and warned of for what it
    changes."""

    max_removed: float = MAX_REMOVED_SHARE
    max_changed: float = MAX_CHANGED_SHARE


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
