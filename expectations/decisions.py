"""Apply an operator's decision on a load: release or reject it."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from expectations import ledger
from warehouse.names import PUBLISHED

RELEASABLE = ("blocked", "superseded", "rejected")
REJECTABLE = ("pending", "blocked", "accepted", "accepted_with_quarantine", "released")


class DecisionError(Exception):
    """Report that the decision does not fit the load. One line: why, and which command fits."""


@dataclass(frozen=True)
class LoadSummary:
    """Summarize a table's load.

    Of its `versions` (rows and removals), `quarantined` are quarantined by row rules; `published` are published, and
    `overtaken` of these are older than another published version of their key. `only_here` counts the keys that have a
    published row only in this load.
    """

    load_id: str
    table: str
    state: str
    reason: str
    versions: int
    quarantined: int
    published: int
    overtaken: int
    only_here: int


@dataclass(frozen=True)
class Decision:
    """Hold the summaries of a load before and after a decision."""

    before: LoadSummary
    after: LoadSummary


def release(connection: psycopg.Connection, load_id: str, table: str, reason: str, *, is_dry_run: bool) -> Decision:
    """Release a table's load: all rows except quarantined ones are published.

    An older version never overwrites a newer one, because readers order versions, not publications. Raises
    DecisionError.
    """
    return _apply(connection, "release", load_id, table, reason, RELEASABLE, "released", is_dry_run)


def reject(connection: psycopg.Connection, load_id: str, table: str, reason: str, *, is_dry_run: bool) -> Decision:
    """Reject a table's load: nothing of it stays published, and the next run lands its keys again.

    Raises DecisionError.
    """
    return _apply(connection, "reject", load_id, table, reason, REJECTABLE, "rejected", is_dry_run)


def summarize_load(connection: psycopg.Connection, load_id: str, table: str) -> LoadSummary:
    """Summarize a load. Raises DecisionError when the load ledger does not know it."""
    known = connection.execute(
        "select state, coalesce(reason, 'waits for the gate') from gate.loads where load_id = %s and table_name = %s",
        [load_id, table],
    ).fetchone()
    if known is None:
        raise DecisionError(_unknown(connection, load_id, table))
    versions, quarantined, free, overtaken, only_here = connection.execute(
        sql.SQL("""
            select
                count(*),
                count(*) filter (where is_quarantined),
                count(*) filter (where not is_quarantined),
                count(*) filter (where not is_quarantined and newest_other_seq > version_seq),
                count(distinct key) filter (where not is_quarantined and payload is not null and not is_in_other_load)
            from (
                select
                    version.key,
                    version.payload,
                    version.version_seq,
                    exists (
                        select 1
                        from gate.quarantined_rows as quarantined
                        where quarantined.dlt_id = version._dlt_id and quarantined.outcome is distinct from 'freed'
                    ) as is_quarantined,
                    others.newest_other_seq,
                    coalesce(others.is_in_other_load, false) as is_in_other_load
                from {landing_table} as version
                cross join lateral (
                    select
                        max(other.version_seq) as newest_other_seq,
                        bool_or(other.payload is not null) as is_in_other_load
                    from {landing_table} as other
                    inner join gate.loads on other._dlt_load_id = loads.load_id and loads.table_name = %(table)s
                    where
                        other.key = version.key and other._dlt_load_id <> version._dlt_load_id
                        and loads.state = any(%(published)s)
                        and not exists (
                            select 1
                            from gate.quarantined_rows as quarantined
                            where quarantined.dlt_id = other._dlt_id and quarantined.outcome is distinct from 'freed'
                        )
                ) as others
                where version._dlt_load_id = %(load_id)s
            ) as versions
        """).format(landing_table=sql.Identifier("staging", table)),
        {"load_id": load_id, "table": table, "published": list(PUBLISHED)},
    ).fetchone()
    state, reason = known
    if state not in PUBLISHED:
        free = overtaken = only_here = 0
    return LoadSummary(load_id, table, state, reason, versions, quarantined, free, overtaken, only_here)


def _apply(
    connection: psycopg.Connection,
    verb: str,
    load_id: str,
    table: str,
    reason: str,
    fitting: tuple[str, ...],
    state: str,
    is_dry_run: bool,
) -> Decision:
    """Update load ledger, quarantine and publications, and record the decision, in one transaction."""
    with connection.transaction(force_rollback=is_dry_run):
        connection.execute("select from gate.loads where load_id = %s and table_name = %s for update", [load_id, table])
        before = summarize_load(connection, load_id, table)
        if before.state not in fitting:
            raise DecisionError(_misfit(verb, before))
        connection.execute(
            """
            update gate.loads
            set state = %s, decided_by = session_user, reason = %s
            where load_id = %s and table_name = %s
            """,
            [state, reason, load_id, table],
        )
        ledger.settle_quarantine(connection, load_id, table)
        if before.versions and (state in PUBLISHED) != (before.state in PUBLISHED):
            ledger.publish(connection, load_id, table, verb)
        after = summarize_load(connection, load_id, table)
        details = {"state": before.state, "reason": before.reason}
        ledger.record_decision(connection, verb, reason, load_id=load_id, table=table, details={"before": details})
    return Decision(before, after)


def _misfit(verb: str, load: LoadSummary) -> str:
    what = f"load {load.load_id} of {load.table} is {load.state}"
    if verb == "reject":
        return f"{what}: nothing of it is published, and its keys land again anyway; there is nothing to reject"
    if load.state == "pending":
        return f"{what}: it has no verdict yet; let the gate check it with: make gate"
    replay = f"make gate ARGS=\"replay --table {load.table} --reason '...'\""
    return f"{what}: it is published already; check its quarantined rows again with: {replay}"


def _unknown(connection: psycopg.Connection, load_id: str, table: str) -> str:
    others = [
        name
        for (name,) in connection.execute(
            "select table_name from gate.loads where load_id = %s order by table_name", [load_id]
        )
    ]
    if others:
        return f"load {load_id} has no table {table}; it has {', '.join(others)}"
    return f"the gate knows no load {load_id}; see the open ones with: make status"
