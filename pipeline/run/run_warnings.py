"""Find the warnings of a successful run: quarantined rows, and unusually many changes or removals.

The summary of a run, its event log, `make status`, the report and the alerts all show this one list.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from expectations.verdicts import FEW_CHANGES, FEW_REMOVALS, Verdict
from pipeline.run import runbooks
from warehouse.counts import be, count

if TYPE_CHECKING:
    from pipeline.run.pipeline_run import PipelineRun

PUBLISHED_BY_THE_GATE = ("accepted", "accepted_with_quarantine")
# Each kind of warning, and its runbook.
RUNBOOKS = {
    "mass change": runbooks.UNUSUAL_RUN,
    "many removals": runbooks.UNUSUAL_RUN,
    "unreadable rows": runbooks.GROWING_QUARANTINE,
    "quarantined rows": runbooks.GROWING_QUARANTINE,
}


class RunWarning(NamedTuple):
    """Describe one warning about a load of a table, in counts only: it contains no row and no key.

    `text` is part of a sentence, `advice` consists of whole sentences.
    """

    kind: str
    table: str
    load_id: str
    text: str
    advice: str

    @property
    def runbook(self) -> str:
        return RUNBOOKS[self.kind]


def find_in_run(this_run: "PipelineRun") -> list[RunWarning]:
    """Return the warnings of the run's loads, including loads that the gate has not checked yet."""
    found = find_in_verdicts(this_run.verdicts, this_run.rows_quarantined)
    checked = {(verdict.batch.load_id, verdict.batch.table) for verdict in this_run.verdicts}
    if this_run.extraction:
        for table, scan in this_run.extraction.scans.items():
            if (this_run.extraction.load_id, table) not in checked:
                found += _unreadable(table, this_run.extraction.load_id, scan.rows_unreadable)
    return found


def find_in_verdicts(verdicts: Sequence[Verdict], rows_quarantined: Mapping[str, int]) -> list[RunWarning]:
    """Return the warnings of the checked loads. `rows_quarantined`: by table, the rows that are in quarantine now."""
    found: list[RunWarning] = []
    newest = {verdict.batch.table: verdict for verdict in verdicts}
    for verdict in verdicts:
        batch = verdict.batch
        rules = [{"rule": failed.rule, "examples": failed.examples} for failed in verdict.failed_rules]
        if verdict.state in PUBLISHED_BY_THE_GATE:
            found += _mass_warnings(batch.table, batch.load_id, batch.rows_removed, rules)
        found += _unreadable(batch.table, batch.load_id, batch.rows_unreadable)
        # once per table, and those of earlier loads too: they stay quarantined until the source sends better versions
        if verdict is newest[batch.table] and (quarantined := rows_quarantined.get(batch.table)):
            found.append(_quarantine_warning(batch.table, batch.load_id, quarantined))
    return found


def find_in_warehouse(connection: psycopg.Connection) -> list[RunWarning]:
    """Return the warnings of the newest complete load of each table, except those about quarantined rows.

    A mass change that a person has released or rejected is no longer a warning.
    """
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
    found: list[RunWarning] = []
    for table, load_id, rows_removed, rows_unreadable, state, verdict in rows:
        if state in PUBLISHED_BY_THE_GATE:
            found += _mass_warnings(table, load_id, rows_removed, (verdict or {}).get("failed_rules", []))
        found += _unreadable(table, load_id, rows_unreadable)
    return found


def join(found: Iterable[RunWarning]) -> str:
    """Join the texts: "12 rows of users are unreadable, 3 rows of users are quarantined and 1 row of tracks is ..."."""
    *others, last = [warning.text for warning in found]
    return f"{', '.join(others)} and {last}" if others else last


def _mass_warnings(table: str, load_id: str, rows_removed: int, rules: Iterable[Mapping[str, Any]]) -> list[RunWarning]:
    """Return the warnings about mass changes and many removals. `rules`: the failed rules, with their `examples`."""
    found = []
    for failed in rules:
        figures = {name: value for example in failed["examples"] for name, value in example.items()}
        if failed["rule"] == FEW_CHANGES:
            what = f"{figures['mass_change']} have changed"
            advice = f"{table}: {what}. They are published. If the API serves another system's data, reject the load."
            found.append(RunWarning("mass change", table, load_id, what, advice))
        elif failed["rule"] == FEW_REMOVALS:
            keys, share = count(rows_removed, "key"), f"{float(figures['removed_share']):.0%}"
            are = be(rows_removed)
            found.append(
                RunWarning(
                    "many removals",
                    table,
                    load_id,
                    f"{keys} of {table} {are} gone from the source ({share} of the known keys)",
                    f"{table}: {keys} {are} gone from the source, {share} of the known keys."
                    " If the API was not reset on purpose, inform its owner; keys that return are restored.",
                )
            )
    return found


def _unreadable(table: str, load_id: str, rows: int) -> list[RunWarning]:
    if not rows:
        return []
    what = f"{_rows(rows, table)} unreadable"
    advice = f"{what} and kept in staging.unreadable_rows; the marts keep the previous version of these rows."
    return [RunWarning("unreadable rows", table, load_id, what, advice)]


def _quarantine_warning(table: str, load_id: str, rows: int) -> RunWarning:
    what = f"{_rows(rows, table)} quarantined"
    return RunWarning("quarantined rows", table, load_id, what, f"{what} until the API sends valid versions.")


def _rows(number: int, table: str) -> str:
    return f"{count(number, 'row')} of {table} {be(number)}"
