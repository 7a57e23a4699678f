"""Put nights, other runs and decisions in the order of time, and describe decisions and failed rules in words.

No text contains a row, a key, or anything that identifies an erased user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.formatting import spaced
from monitoring.run_history import Decision, Night, OtherRun, RuleFailure, RunHistory
from warehouse.counts import count
from warehouse.names import PUBLISHED

# The consequence for a load that a critical rule blocked, by its current state.
LOAD_CONSEQUENCES = {
    "blocked": "the load is still blocked",
    "superseded": "a newer load superseded the load",
    "released": "the load was released",
    "rejected": "the load was rejected",
}
# The consequence for quarantined rows, by their outcome; None: open.
ROW_CONSEQUENCES: Mapping[str | None, str] = {
    None: "still quarantined",
    "superseded": "replaced by newer versions",
    "rejected": "left out with the rejected load",
    "freed": "published by a replay",
}


@dataclass(frozen=True)
class RuleFailures:
    """Hold the rules of one severity that a load of a table failed with the same consequence."""

    severity: str
    table: str
    rules: Sequence[str]
    consequence: str


@dataclass(frozen=True)
class Entry:
    """Hold one event: a `night`, another `run`, or a `decision` with the night `after` which it was made."""

    night: Night | None = None
    run: OtherRun | None = None
    decision: Decision | None = None
    after: Night | None = None


def entries(history: RunHistory) -> list[Entry]:
    """Return all events, the newest first.

    They are in the order of their runs: times do not give it, because a clock can be set back. A succeeded run whose
    decisions are shown is not an event of its own.
    """
    decided = {decision.run_id for decision in history.decisions}
    runs = [run for run in history.other_runs if run.run_id not in decided or run.outcome != "succeeded"]
    found = [
        *((night.run_seq, 0, Entry(night=night)) for night in history.nights),
        *((run.run_seq, 0, Entry(run=run)) for run in runs),
        *(
            (decision.run_seq, 1, Entry(decision=decision, after=_night_before(decision, history)))
            for decision in reversed(history.decisions)
        ),
    ]
    return [entry for _, _, entry in sorted(found, key=lambda event: event[:2])][::-1]


def _night_before(decision: Decision, history: RunHistory) -> Night | None:
    return next((night for night in reversed(history.nights) if night.run_seq <= decision.run_seq), None)


def describe(decision: Decision) -> str:
    """Describe the effect of a decision. Details that an earlier version did not record are left out."""
    details = decision.details
    if decision.verb == "erase":
        person = "a user who had been erased before" if decision.is_repeated else "1 user"
        return f"{person}{_describe_deleted(details)}"
    if decision.verb == "prune":
        keep = details.get("keep")
        return f"versions superseded{f' more than {keep} earlier' if keep else ''}{_describe_deleted(details)}"
    if decision.verb == "replay":
        rule = f" by the rule {spaced(str(details['rule']))}" if details.get("rule") else ""
        checked, freed = _number(details.get("looked_at")), _number(details.get("freed"))
        rows = "rows" if checked is None else count(checked, "row")
        published = "" if freed is None else f", {freed:,} published"
        return f"{rows} of {decision.table} quarantined{rule} checked again{published}"
    before = details.get("before")
    state = before.get("state") if isinstance(before, Mapping) else None
    return f"{decision.table} of load {decision.load_id}{f', {spaced(str(state))} until then' if state else ''}"


def group_failures(rules: Sequence[RuleFailure]) -> list[RuleFailures]:
    """Group the rule failures of a night by load, severity and consequence, in their order."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for rule in rules:
        text = f"{spaced(rule.rule)} ({count(rule.rows, 'row') if rule.is_about_rows else 'the delivery'})"
        groups.setdefault((rule.severity, rule.load_id, rule.table, consequence(rule)), []).append(text)
    return [RuleFailures(severity, table, texts, effect) for (severity, _, table, effect), texts in groups.items()]


def consequence(rule: RuleFailure) -> str:
    """Describe the consequence for the rows or the load that failed a rule, without counts where all rows agree."""
    if rule.severity == "info":
        return "noted only"
    if rule.severity == "critical":
        return LOAD_CONSEQUENCES.get(rule.state, f"the load is {spaced(rule.state)}")
    left_out = f"left out with the {rule.state} load"
    texts_by_outcome = dict(ROW_CONSEQUENCES)
    if rule.state not in PUBLISHED:
        texts_by_outcome |= {"superseded": left_out, "freed": left_out}
    parts = [(rule.outcomes[outcome], text) for outcome, text in texts_by_outcome.items() if rule.outcomes.get(outcome)]
    erased = rule.rows - sum(rule.outcomes.values())
    if erased > 0:
        parts.append((erased, "erased"))
    texts = [f"{rows:,} {text}" for rows, text in parts] if len(parts) > 1 else [text for _, text in parts]
    if rule.state == "blocked":
        texts.append(LOAD_CONSEQUENCES["blocked"])
    return ", ".join(texts)


def _describe_deleted(details: Mapping[str, object]) -> str:
    deleted = details.get("deleted")
    if not isinstance(deleted, Mapping):
        return ""
    return f": {count(sum(_number(rows) or 0 for rows in deleted.values()), 'row')} deleted"


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
