"""Test release and reject: which states allow them, their effects, and that their order does not matter."""

import itertools

import psycopg
import pytest

from expectations import decisions, ledger
from expectations.decisions import DecisionError
from expectations.gate import check_pending
from tests.integration.expectations.warehouse import user

BAD = "nobody"


def release(warehouse, load_id, table="users", *, is_dry_run=False):
    return decisions.release(warehouse.connection, load_id, table, "it is right", is_dry_run=is_dry_run)


def reject(warehouse, load_id, table="users", *, is_dry_run=False):
    return decisions.reject(warehouse.connection, load_id, table, "it is wrong", is_dry_run=is_dry_run)


def land(warehouse, *users, **figures):
    load_id = warehouse.land({"users": list(users)}, **figures)
    warehouse.check()
    return load_id


def publications(warehouse):
    return warehouse.rows("select load_id, table_name, kind from gate.publications order by seq")


def decisions_of(warehouse):
    return warehouse.rows("select verb, load_id, table_name, reason, details from gate.decisions order by decision_seq")


def quarantined_rows(warehouse):
    """Return (key, outcome) of all quarantined rows; outcome None: open."""
    return warehouse.rows("select key, outcome from gate.quarantined_rows order by key, quarantined_at, dlt_id")


def everything(warehouse):
    return [
        warehouse.rows(f"select * from gate.{table} order by 1, 2, 3, 4")
        for table in ("loads", "quarantined_rows", "publications", "decisions")
    ]


def test_a_released_load_is_published_except_its_quarantined_rows(warehouse):
    load_id = land(warehouse, user(1), user(2, email=BAD), user(3, email=BAD), rows_read=3)
    assert warehouse.states() == ["blocked"] and warehouse.published() == []

    decision = release(warehouse, load_id)

    assert (decision.before.state, decision.after.state) == ("blocked", "released")
    assert (decision.after.versions, decision.after.published, decision.after.quarantined) == (3, 1, 2)
    assert warehouse.published() == ["[1]"] and quarantined_rows(warehouse) == [("[2]", None), ("[3]", None)]
    assert publications(warehouse) == [(load_id, "users", "release")]
    [(*decision, details)] = decisions_of(warehouse)
    assert decision == ["release", load_id, "users", "it is right"]
    assert details == {
        "before": {"state": "blocked", "reason": "2 bad rows are 66.7 % of the 3 rows read (more than 20 %)"}
    }


def test_a_released_load_counts_as_delivered_and_a_rejected_one_does_not(warehouse):
    blocked = land(warehouse, user(1), total=5)
    accepted = land(warehouse, user(2))
    assert ledger.disregarded_loads(warehouse.connection) == {"users": {blocked}}
    release(warehouse, blocked)
    reject(warehouse, accepted)
    assert ledger.disregarded_loads(warehouse.connection) == {"users": {accepted}}


def test_the_summary_counts_the_overtaken_rows_of_a_released_load(warehouse):
    old = land(warehouse, user(1, first_name="Old"), user(2), total=5)
    land(warehouse, user(1, first_name="New"))
    assert warehouse.states() == ["superseded", "accepted"]
    decision = release(warehouse, old)
    assert (decision.after.published, decision.after.overtaken) == (2, 1)


def test_a_rejected_load_is_unpublished_and_its_quarantined_rows_are_closed(warehouse):
    load_id = land(warehouse, user(1), user(2, email=BAD))
    decision = reject(warehouse, load_id)
    assert (decision.before.state, decision.after.state) == ("accepted_with_quarantine", "rejected")
    assert (decision.before.published, decision.after.published) == (1, 0)
    assert warehouse.published() == [] and quarantined_rows(warehouse) == [("[2]", "rejected")]
    assert publications(warehouse) == [(load_id, "users", "load"), (load_id, "users", "reject")]


def test_a_quarantined_row_overtaken_by_a_rejected_load_is_open_again(warehouse):
    land(warehouse, user(1, email=BAD))
    newer = land(warehouse, user(1))
    assert quarantined_rows(warehouse) == [("[1]", "superseded")]
    reject(warehouse, newer)
    assert quarantined_rows(warehouse) == [("[1]", None)]
    release(warehouse, newer)
    assert quarantined_rows(warehouse) == [("[1]", "superseded")]


def test_the_summary_counts_the_keys_that_only_the_rejected_load_has(warehouse):
    land(warehouse, user(1), user(2, email=BAD))
    accepted = warehouse.land({"users": [user(3)]})
    warehouse.check()
    blocked = land(warehouse, user(4), total=5)
    newest = warehouse.land(
        {"users": [user(1), user(2), user(3), user(4), user(5), user(6, email=BAD)]}, removed={"users": ["[7]"]}
    )
    warehouse.check()
    assert decisions.summarize_load(warehouse.connection, newest, "users").only_here == 3, "users 2, 4 and 5"
    assert decisions.summarize_load(warehouse.connection, blocked, "users").only_here == 0, "it is not published"
    reject(warehouse, accepted)
    decision = reject(warehouse, newest, is_dry_run=True)
    assert (decision.before.only_here, decision.after.only_here) == (4, 0)


def test_a_pending_load_can_be_rejected_and_is_never_checked(warehouse, monkeypatch):
    load_id = warehouse.land({"users": [user(1)]})
    with monkeypatch.context() as patch:
        patch.setattr("expectations.users.suite", lambda: 1 / 0)
        check_pending(warehouse.url)
    assert warehouse.states() == ["pending"]
    reject(warehouse, load_id)
    assert warehouse.check() == {} and warehouse.states() == ["rejected"] and publications(warehouse) == []


@pytest.mark.parametrize("verb", [release, reject])
def test_a_dry_run_returns_the_same_and_changes_nothing(verb, warehouse):
    load_id = land(warehouse, user(1), user(2, email=BAD), total=5 if verb is release else 1002)
    before = everything(warehouse)
    expected = verb(warehouse, load_id, is_dry_run=True)
    assert everything(warehouse) == before
    assert verb(warehouse, load_id) == expected


MISFITS = {
    ("release", "pending"): "is pending: it has no verdict yet; let the gate check it with: make gate",
    ("release", "accepted"): "is accepted: it is published already",
    (
        "release",
        "accepted_with_quarantine",
    ): 'check its quarantined rows again with: make gate ARGS="replay --table users',
    ("release", "released"): "is released: it is published already",
    ("reject", "superseded"): "is superseded: nothing of it is published",
    ("reject", "rejected"): "there is nothing to reject",
}


@pytest.mark.parametrize(("verb", "state"), MISFITS)
def test_a_decision_that_does_not_fit_the_state_is_refused_and_changes_nothing(verb, state, warehouse):
    load_id = land(warehouse, user(1))
    warehouse.execute("update gate.loads set state = %s", state)
    before = everything(warehouse)
    with pytest.raises(DecisionError, match=r"^load ") as refused:
        {"release": release, "reject": reject}[verb](warehouse, load_id)
    assert MISFITS[verb, state] in str(refused.value)
    assert everything(warehouse) == before


def test_every_verb_and_state_is_allowed_or_refused_with_a_reason():
    states = {"pending", "accepted", "accepted_with_quarantine", "blocked", "superseded", "released", "rejected"}
    for verb, fitting in (("release", decisions.RELEASABLE), ("reject", decisions.REJECTABLE)):
        assert {state for name, state in MISFITS if name == verb} == states - set(fitting)


def test_an_unknown_load_or_table_is_reported(warehouse):
    load_id = land(warehouse, user(1))
    with pytest.raises(DecisionError, match="the gate knows no load nine"):
        release(warehouse, "nine")
    with pytest.raises(DecisionError, match=f"load {load_id} has no table tracks; it has users"):
        reject(warehouse, load_id, "tracks")


def test_a_decision_updates_ledger_publications_and_record_in_one_transaction(warehouse):
    load_id = land(warehouse, user(1))
    before = everything(warehouse)
    warehouse.execute("create function fail() returns trigger language plpgsql as 'begin raise ''disk on fire''; end'")
    for relation in ("gate.publications", "gate.decisions", "gate.loads"):
        event = "update" if relation == "gate.loads" else "insert"
        warehouse.execute(f"create trigger fails after {event} on {relation} execute function fail()")
        with pytest.raises(psycopg.errors.RaiseException):
            reject(warehouse, load_id)
        assert everything(warehouse) == before
        warehouse.execute(f"drop trigger fails on {relation}")
    assert reject(warehouse, load_id).after.state == "rejected"


@pytest.mark.parametrize(
    "statement",
    [
        "update gate.decisions set reason = 'another'",
        "delete from gate.decisions",
        "truncate gate.decisions",
        "insert into gate.decisions (verb, reason, operator) values ('prune', ' ', 'me')",
    ],
)
def test_decisions_cannot_be_changed_and_always_have_a_reason(statement, warehouse):
    reject(warehouse, land(warehouse, user(1)))
    before = decisions_of(warehouse)
    with pytest.raises((psycopg.errors.RaiseException, psycopg.errors.CheckViolation)):
        warehouse.execute(statement)
    assert decisions_of(warehouse) == before


def test_a_decision_is_signed_with_the_login_that_made_it(warehouse):
    warehouse.execute(
        "insert into gate.decisions (verb, reason, operator, decided_by, decided_at)"
        " values ('prune', 'why not', 'me', 'somebody else', '2001-01-01')"
    )
    assert warehouse.rows("select decided_by = session_user, decided_at > '2020-01-01' from gate.decisions") == [
        (True, True)
    ]


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_the_order_of_decisions_does_not_matter(order, warehouse):
    """Release three loads of one key and reject the second, in any order that the states allow."""
    loads = [land(warehouse, user(1, email=BAD if number == 0 else f"{number}@x.org"), total=5) for number in range(3)]
    for number in order:
        release(warehouse, loads[number])
    reject(warehouse, loads[1])
    assert warehouse.states() == ["released", "rejected", "released"]
    assert quarantined_rows(warehouse) == [("[1]", "superseded")]
    assert warehouse.published() == ["[1]"]
