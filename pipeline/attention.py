"""What is worth a person's look although a run succeeded: rows that are held back, and floods of changes and removals.

One list for all who tell of it: the last line of a run, its event log, `make status`, the report, and alerts.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from expectations.judgement import FEW_CHANGES, FEW_REMOVALS
from pipeline import warehouse

if TYPE_CHECKING:
    from pipeline.night import Night

PUBLISHED_BY_THE_GATE = ("accepted", "accepted_with_quarantine")
# Of each kind that there is: what it is called, and where to read on.
RUNBOOKS = {
    "mass change": "unusual-night.md",
    "many removals": "unusual-night.md",
    "unreadable rows": "growing-quarantine.md",
    "quarantined rows": "growing-quarantine.md",
}


class Warned(NamedTuple):
    """One thing that is worth a look, in one load of a table. Figures only: no row, and no key of one.

    `text` is a part of a sentence, `advice` whole ones.
    """

    kind: str
    table: str
    load_id: str
    text: str
    advice: str

    @property
    def runbook(self) -> str:
        return RUNBOOKS[self.kind]


def in_night(night: "Night") -> list[Warned]:
    """What the run's loads have that is worth a look, whether the gate judged them in this run or not."""
    found: list[Warned] = []
    judged = set()
    for judgement in night.judgements:
        batch = judgement.batch
        judged.add((batch.load_id, batch.table))
        rules = [{"rule": failed.rule, "examples": failed.examples} for failed in judgement.failed_rules]
        if judgement.state in PUBLISHED_BY_THE_GATE:
            found += _floods(batch.table, batch.load_id, batch.rows_removed, rules)
        found += _unreadable(batch.table, batch.load_id, batch.rows_unreadable)
        if judgement.rows_quarantined:
            found.append(_quarantined(batch.table, batch.load_id, judgement.rows_quarantined))
    if night.extraction:
        for table, scan in night.extraction.scans.items():
            if (night.extraction.load_id, table) not in judged:
                found += _unreadable(table, night.extraction.load_id, scan.rows_unreadable)
    return found


def in_warehouse(connection: psycopg.Connection) -> list[Warned]:
    """The same of the newest complete load of each table, without what is in quarantine.

    A flood that somebody released or rejected has been looked at.
    """
    if not (warehouse.has(connection, "staging.scans") and warehouse.has(connection, "gate.loads")):
        return []
    rows = connection.execute("""
        select newest.table_name, newest._dlt_load_id, newest.rows_removed, newest.rows_unreadable, state, verdict
        from (
            select distinct on (scans.table_name) scans.*
            from staging.scans
            inner join staging._dlt_loads as complete on scans._dlt_load_id = complete.load_id and complete.status = 0
            order by scans.table_name, scans.version_seq desc
        ) as newest
        left join gate.loads on newest._dlt_load_id = loads.load_id and newest.table_name = loads.table_name
        order by newest.table_name
    """)
    found: list[Warned] = []
    for table, load_id, rows_removed, rows_unreadable, state, verdict in rows:
        if state in PUBLISHED_BY_THE_GATE:
            found += _floods(table, load_id, rows_removed, (verdict or {}).get("failed_rules", []))
        found += _unreadable(table, load_id, rows_unreadable)
    return found


def listed(found: Iterable[Warned]) -> str:
    """12 rows of users are unreadable, 3 rows of users are quarantined and 1 row of tracks is unreadable."""
    *others, last = [warned.text for warned in found]
    return f"{', '.join(others)} and {last}" if others else last


def _floods(table: str, load_id: str, rows_removed: int, rules: Iterable[Mapping[str, Any]]) -> list[Warned]:
    """`rules`: those that the load broke, with their `examples`."""
    found = []
    for failed in rules:
        figures = {name: value for example in failed["examples"] for name, value in example.items()}
        if failed["rule"] == FEW_CHANGES:
            what = f"{figures['mass_change']} have changed"
            advice = f"{table}: {what}. They are published; if the source is another system's, reject the load."
            found.append(Warned("mass change", table, load_id, what, advice))
        elif failed["rule"] == FEW_REMOVALS:
            keys, share = f"{rows_removed:,} keys", f"{float(figures['removed_share']):.0%}"
            found.append(
                Warned(
                    "many removals",
                    table,
                    load_id,
                    f"{keys} of {table} are gone from the source ({share} of those known)",
                    f"{table}: {keys} are gone from the source, {share} of all that were known."
                    " If it was not set up anew, tell its owner; what comes back is alive again.",
                )
            )
    return found


def _unreadable(table: str, load_id: str, rows: int) -> list[Warned]:
    if not rows:
        return []
    what = f"{_rows(rows, table)} unreadable"
    advice = f"{what}, and set aside; readers see what these records held before."
    return [Warned("unreadable rows", table, load_id, what, advice)]


def _quarantined(table: str, load_id: str, rows: int) -> Warned:
    what = f"{_rows(rows, table)} quarantined"
    return Warned("quarantined rows", table, load_id, what, f"{what} until the source sends better ones.")


def _rows(number: int, table: str) -> str:
    return f"1 row of {table} is" if number == 1 else f"{number:,} rows of {table} are"
