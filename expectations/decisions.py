"""What a person decides about a load: release what was held back, reject what was let through."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from expectations import ledger

RELEASABLE = ("blocked", "superseded", "rejected")
REJECTABLE = ("pending", "blocked", "accepted", "accepted_with_quarantine", "released")


class Undecidable(Exception):
    """The decision does not fit the load. One line: why, and what would."""


@dataclass(frozen=True)
class Standing:
    """How a table's load stands.

    Of its `versions` (rows and removals), `held` are kept back by rules of their own; `published` are let through, and
    `overtaken` of these are older than another published version of their key. `only_here` are the keys that readers
    know from this load alone.
    """

    load_id: str
    table: str
    state: str
    reason: str
    versions: int
    held: int
    published: int
    overtaken: int
    only_here: int


@dataclass(frozen=True)
class Decision:
    """A load before and after a decision."""

    before: Standing
    after: Standing


def release(connection: psycopg.Connection, load_id: str, table: str, reason: str, *, is_dry_run: bool) -> Decision:
    """Lift the verdict on a table's load: what no row rule holds is published, whenever it landed.

    An older version never overwrites a newer one: readers order versions, not publications. Raises Undecidable.
    """
    return _decide(connection, "release", load_id, table, reason, RELEASABLE, "released", is_dry_run)


def reject(connection: psycopg.Connection, load_id: str, table: str, reason: str, *, is_dry_run: bool) -> Decision:
    """Forget a table's load: nothing of it is published any more, and the next night lands those keys again.

    Raises Undecidable.
    """
    return _decide(connection, "reject", load_id, table, reason, REJECTABLE, "rejected", is_dry_run)


def standing(connection: psycopg.Connection, load_id: str, table: str) -> Standing:
    """Raises Undecidable for a load that the ledger does not know."""
    known = connection.execute(
        "select state, coalesce(reason, 'waits for the gate') from gate.loads where load_id = %s and table_name = %s",
        [load_id, table],
    ).fetchone()
    if known is None:
        raise Undecidable(_unknown(connection, load_id, table))
    versions, held, free, overtaken, only_here = connection.execute(
        sql.SQL("""
            select
                count(*),
                count(*) filter (where is_held),
                count(*) filter (where not is_held),
                count(*) filter (where not is_held and newest_other_seq > version_seq),
                count(distinct key) filter (where not is_held and payload is not null and not is_told_elsewhere)
            from (
                select
                    version.key,
                    version.payload,
                    version.version_seq,
                    exists (
                        select 1
                        from gate.quarantined_rows as held
                        where held.dlt_id = version._dlt_id and held.outcome is distinct from 'freed'
                    ) as is_held,
                    others.newest_other_seq,
                    coalesce(others.is_told_elsewhere, false) as is_told_elsewhere
                from {landing_table} as version
                cross join lateral (
                    select
                        max(other.version_seq) as newest_other_seq,
                        bool_or(other.payload is not null) as is_told_elsewhere
                    from {landing_table} as other
                    inner join gate.loads on other._dlt_load_id = loads.load_id and loads.table_name = %(table)s
                    where
                        other.key = version.key and other._dlt_load_id <> version._dlt_load_id
                        and loads.state = any(%(published)s)
                        and not exists (
                            select 1
                            from gate.quarantined_rows as held
                            where held.dlt_id = other._dlt_id and held.outcome is distinct from 'freed'
                        )
                ) as others
                where version._dlt_load_id = %(load_id)s
            ) as versions
        """).format(landing_table=sql.Identifier("staging", table)),
        {"load_id": load_id, "table": table, "published": ledger.PUBLISHED},
    ).fetchone()
    state, reason = known
    if state not in ledger.PUBLISHED:
        free = overtaken = only_here = 0
    return Standing(load_id, table, state, reason, versions, held, free, overtaken, only_here)


def _decide(
    connection: psycopg.Connection,
    verb: str,
    load_id: str,
    table: str,
    reason: str,
    fitting: tuple[str, ...],
    state: str,
    is_dry_run: bool,
) -> Decision:
    """Ledger, quarantine, publication and the record of the decision, in one transaction."""
    with connection.transaction(force_rollback=is_dry_run):
        connection.execute("select from gate.loads where load_id = %s and table_name = %s for update", [load_id, table])
        before = standing(connection, load_id, table)
        if before.state not in fitting:
            raise Undecidable(_misfit(verb, before))
        connection.execute(
            """
            update gate.loads
            set state = %s, decided_by = session_user, reason = %s
            where load_id = %s and table_name = %s
            """,
            [state, reason, load_id, table],
        )
        ledger.settle_quarantine(connection, load_id, table)
        if before.versions and (state in ledger.PUBLISHED) != (before.state in ledger.PUBLISHED):
            ledger.publish(connection, load_id, table, verb)
        after = standing(connection, load_id, table)
        details = {"state": before.state, "reason": before.reason}
        ledger.record_decision(connection, verb, reason, load_id=load_id, table=table, details={"before": details})
    return Decision(before, after)


def _misfit(verb: str, load: Standing) -> str:
    what = f"load {load.load_id} of {load.table} is {load.state}"
    if verb == "reject":
        return f"{what}: nothing of it is published, and its keys land again anyway; there is nothing to reject"
    if load.state == "pending":
        return f"{what}: it has no verdict to lift yet; let the gate judge it with: make gate"
    return f"{what}: it is published already; rows that a rule holds back are looked at again with: gate replay"


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
