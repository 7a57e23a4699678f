"""Define the gate's input and output: batches, rule results and verdicts."""

from dataclasses import dataclass
from typing import Any

FIELDS_ARE_KNOWN = "fields_are_known"
NO_MASS_REMOVAL = "no_mass_removal"
FEW_REMOVALS = "few_removals"
FEW_CHANGES = "few_changes"

# Share of a table's known rows that one load may remove without a decision, and change without a warning.
MAX_REMOVED_SHARE = 0.3
MAX_CHANGED_SHARE = 0.5


class GateError(Exception):
    """Report that a load could not be checked; it stays pending. The message says why."""


@dataclass(frozen=True)
class Shares:
    """Hold shares of a table's known rows: a load that removes more is blocked, one that changes more is reported."""

    max_removed: float = MAX_REMOVED_SHARE
    max_changed: float = MAX_CHANGED_SHARE


@dataclass(frozen=True)
class Batch:
    """Identify one table's rows of one load, with the counts of their scan.

    `rows_landed` have a payload, `rows_removed` are removals, `rows_unreadable` could not land.
    """

    load_id: str
    table: str
    rows_read: int
    rows_landed: int
    rows_removed: int
    rows_unreadable: int = 0


@dataclass(frozen=True)
class RuleResult:
    """Hold the result of a failed rule: the number of failing rows (for a rule about the scan: 1), and examples.

    An example is {"dlt_id", "key", "detail"} of a row, or {column: value} of the scan.
    """

    rule: str
    severity: str
    rows: int
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """Hold the verdict on a batch. `error` says why there is none; the state is then pending."""

    batch: Batch
    state: str
    rows_quarantined: int = 0
    failed_rules: tuple[RuleResult, ...] = ()
    reason: str = ""
    error: str | None = None
