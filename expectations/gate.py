"""Check the pending loads, and publish, quarantine or block them.

Great Expectations reports which rules failed. The query that GX reports for a failed rule then finds all its failing
rows inside the database, so any number of rows can be quarantined.
"""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from expectations import batch_tables, ledger, rule_failures
from expectations.session import fail_closed, open_session
from expectations.validation import Validator
from expectations.verdicts import (
    FIELDS_ARE_KNOWN,
    NO_MASS_REMOVAL,
    Batch,
    GateError,
    RuleResult,
    Shares,
    Verdict,
)
from warehouse.counts import be, count

__all__ = ["Batch", "GateError", "RuleResult", "Verdict", "check_pending"]

DEFAULT_SHARES = Shares()
# A load with more bad rows than this share of the rows read is blocked.
MAX_BAD_SHARE = 0.2


def check_pending(
    database_url: str,
    progress: Callable[[str, str], None] | None = None,
    *,
    shares: Shares = DEFAULT_SHARES,
    on_verdict: Callable[[Verdict], None] | None = None,
) -> list[Verdict]:
    """Check all pending loads in landing order; one transaction per load and table.

    A load that would remove more than `shares.max_removed` of the known rows of its table is blocked; one that changes
    more than `shares.max_changed` is published with a warning.
    `progress` is called with (load_id, table) before each, `on_verdict` with its verdict. A load that cannot be checked
    stays pending; the others are still checked. Raises psycopg.OperationalError when the database itself fails: the
    verdicts until then stand.
    """
    verdicts = []
    with open_session(database_url) as (connection, validator):
        ledger.register_pending(connection)
        blocked_before = ledger.blocked_loads(connection)
        for batch, is_quiet in ledger.pending_batches(connection):
            if progress:
                progress(batch.load_id, batch.table)
            try:
                verdict = _check(connection, validator, batch, is_quiet, blocked_before, shares)
            except GateError as error:
                verdict = Verdict(batch, "pending", error=_first_line(error))
            verdicts.append(verdict)
            if on_verdict:
                on_verdict(verdict)
    return verdicts


def _check(
    connection: psycopg.Connection,
    validator: Validator,
    batch: Batch,
    is_quiet: bool,
    blocked_before: set[str],
    shares: Shares,
) -> Verdict:
    with fail_closed(connection):
        landed_rows = _count_landed_rows(connection, batch)
        if is_quiet and not landed_rows:
            # nothing is new, changed or removed: there is no row to check, and importing Great Expectations would
            # cost seconds
            return _record_verdict(connection, batch, landed_rows, _unreadable_rows(batch), blocked_before)
        batch_tables.stage_batch(connection, batch, shares)
        results = rule_failures.check_scan(connection, validator)
        results += rule_failures.check_rows(connection, validator, batch.table)
        return _record_verdict(connection, batch, landed_rows, results, blocked_before)


def _first_line(message: object) -> str:
    """Return the first line of the message: in further lines Postgres quotes rows."""
    return " ".join(str(message).strip().partition("\n")[0].split())[:300]


def _count_landed_rows(connection: psycopg.Connection, batch: Batch) -> int:
    """Count the rows of the load in its landing table, independently of its scan."""
    return connection.execute(
        sql.SQL("select count(*) from {} where _dlt_load_id = %s").format(sql.Identifier("staging", batch.table)),
        [batch.load_id],
    ).fetchone()[0]


def _unreadable_rows(batch: Batch) -> list[RuleResult]:
    """Return the result that the suite of scans would have for the unreadable rows of an unchanged load."""
    if not batch.rows_unreadable:
        return []
    return [RuleResult("rows_are_readable", "info", 1, [{"rows_unreadable": str(batch.rows_unreadable)}])]


def _record_verdict(
    connection: psycopg.Connection, batch: Batch, landed_rows: int, results: list[RuleResult], blocked_before: set[str]
) -> Verdict:
    """Record verdict, quarantine and publication in one transaction, if the load is still pending."""
    has_bad_rows = any(result.severity == "warning" for result in results)
    quarantined = _count_bad_rows(connection) if has_bad_rows else 0
    state, reason = _choose_state(batch, landed_rows, results, quarantined)
    with connection.transaction():
        turned = connection.execute(
            """
            update gate.loads
            set state = %s, reason = %s, rows_quarantined = %s, verdict = %s, judged_at = now(), decided_by = 'gate'
            where load_id = %s and table_name = %s and state = 'pending'
            """,
            [state, reason, quarantined, Jsonb(_as_json(results)), batch.load_id, batch.table],
        ).rowcount
        if not turned:
            return _read_concurrent_decision(connection, batch)
        if has_bad_rows:
            _quarantine(connection, batch)
        if any(result.rule == FIELDS_ARE_KNOWN for result in results):
            batch_tables.note_new_fields(connection, batch)
        _supersede_blocked(connection, batch, blocked_before)
        if state != "blocked" and landed_rows:
            ledger.publish(connection, batch.load_id, batch.table, "load")
            ledger.settle_quarantine(connection, batch.load_id, batch.table)
    return Verdict(batch, state, quarantined, tuple(results), reason)


def _read_concurrent_decision(connection: psycopg.Connection, batch: Batch) -> Verdict:
    """Return the decision that was made while the gate checked the load: it stands, and this verdict is dropped."""
    decided = connection.execute(
        "select state, rows_quarantined, reason from gate.loads where load_id = %s and table_name = %s",
        [batch.load_id, batch.table],
    ).fetchone()
    if decided is None:
        raise GateError("the load was withdrawn while it was checked")
    state, quarantined, reason = decided
    return Verdict(batch, state, quarantined, reason=reason)


def _count_bad_rows(connection: psycopg.Connection) -> int:
    """Count the rows that fail a rule of severity warning."""
    return connection.execute(
        f"select count(distinct dlt_id) from {rule_failures.BAD_ROWS} where severity = 'warning'"
    ).fetchone()[0]


def _quarantine(connection: psycopg.Connection, batch: Batch) -> None:
    """Quarantine the rows that fail a rule of severity warning."""
    connection.execute(
        f"""
        insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule, detail)
        select %s, %s, key, dlt_id, rule, detail
        from {rule_failures.BAD_ROWS}
        where severity = 'warning'
        """,
        [batch.load_id, batch.table],
    )


def _choose_state(batch: Batch, landed_rows: int, results: list[RuleResult], quarantined: int) -> tuple[str, str]:
    critical = {result.rule: result for result in results if result.severity == "critical"}
    mass_removal = critical.pop(NO_MASS_REMOVAL, None)
    reasons = [f"the load cannot be trusted: {', '.join(critical)}"] if critical else []
    if mass_removal:
        reasons.append(f"it would remove {mass_removal.examples[0]['mass_removal']}")
    if reasons:
        return "blocked", "; ".join(reasons)
    bad = quarantined + batch.rows_unreadable
    bad_rows = count(bad, "bad row")
    bad_rows += f" ({batch.rows_unreadable:,} unreadable)" if batch.rows_unreadable else ""
    if bad > MAX_BAD_SHARE * batch.rows_read:
        rows_read = count(batch.rows_read, "row")
        return "blocked", (
            f"{bad_rows} {be(bad)} {100 * bad / batch.rows_read:.3g} % of the {rows_read} read"
            f" (more than {100 * MAX_BAD_SHARE:g} %)"
        )
    if quarantined:
        return "accepted_with_quarantine", f"{bad_rows} of {batch.rows_read:,} read"
    if not landed_rows:
        return "accepted", "nothing had changed"
    return "accepted", "all rules passed"


def _supersede_blocked(connection: psycopg.Connection, batch: Batch, blocked_before: set[str]) -> None:
    """Supersede the loads that were blocked before this one was extracted, and their quarantined rows.

    A load that was blocked only now, after the gate had failed, is not superseded: this load was compared with it, and
    does not contain its rows again.
    """
    connection.execute(
        """
        with superseded as (
            update gate.loads as older
            set
                state = 'superseded',
                reason = 'blocked: ' || older.reason || '; superseded by load ' || %(load_id)s
            from staging.scans as older_scan
            inner join staging.scans as scan on older_scan.table_name = scan.table_name
            where
                older.state = 'blocked' and older.table_name = %(table)s
                and older.load_id = any(%(blocked_before)s)
                and older_scan._dlt_load_id = older.load_id and older_scan.table_name = older.table_name
                and scan._dlt_load_id = %(load_id)s and older_scan.version_seq < scan.version_seq
            returning older.load_id
        )
        update gate.quarantined_rows as quarantined
        set closed_at = now(), outcome = 'superseded'
        from superseded
        where
            quarantined.load_id = superseded.load_id and quarantined.table_name = %(table)s
            and quarantined.closed_at is null
        """,
        {"load_id": batch.load_id, "table": batch.table, "blocked_before": list(blocked_before)},
    )


def _as_json(results: list[RuleResult]) -> dict[str, Any]:
    """Convert the results for the load ledger. Only the ids of rows are kept: an erasure searches only staging and
    quarantine for values."""
    return {
        "failed_rules": [
            {
                "rule": result.rule,
                "severity": result.severity,
                "rows": result.rows,
                "examples": [
                    {"dlt_id": example["dlt_id"]} if "dlt_id" in example else example for example in result.examples
                ],
            }
            for result in results
        ]
    }
