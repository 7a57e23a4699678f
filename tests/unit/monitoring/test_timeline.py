"""Test the order of the timeline, and its descriptions of decisions and failed rules."""

import pytest

from monitoring import timeline
from monitoring.run_history import RunHistory
from monitoring.timeline import RuleFailures
from tests.unit.monitoring.nights import START, decision, night, rule_failure, run


def test_nights_runs_and_decisions_come_in_the_order_of_their_runs_the_newest_first():
    history = RunHistory(
        now=START,
        nights=[night(1), night(4)],
        other_runs=[run(6, "build"), run(5, "prune", "crashed"), run(3, "erase")],
        decisions=[decision("reject", 4, run_id=None), decision("erase", 3), decision("release", 2)],
    )
    entries = timeline.entries(history)
    assert [
        entry.decision.verb if entry.decision else entry.run.command if entry.run else "night" for entry in entries
    ] == ["build", "prune", "reject", "night", "erase", "release", "night"]
    assert {entry.decision.verb: entry.after.run_seq for entry in entries if entry.decision} == {
        "release": 1,
        "erase": 1,
        "reject": 4,
    }, "the night that a decision follows"


def test_a_run_is_shown_beside_its_decision_unless_it_succeeded():
    decisions = [decision("release", 2)]
    for outcome, shown in {"succeeded": ["release"], "failed": ["release", "gate release build"]}.items():
        history = RunHistory(START, other_runs=[run(2, "gate release build", outcome)], decisions=decisions)
        entries = timeline.entries(history)
        assert [entry.decision.verb if entry.decision else entry.run.command for entry in entries] == shown


def test_several_decisions_of_one_run_are_all_shown_in_their_order():
    tables = ["users", "tracks"]
    history = RunHistory(START, decisions=[decision("replay", 2, table=table) for table in tables])
    assert [entry.decision.table for entry in timeline.entries(history)] == tables


@pytest.mark.parametrize(
    ("verb", "details", "text"),
    [
        ("release", {"before": {"state": "blocked", "reason": "secret"}}, "users of load 17.5, blocked until then"),
        (
            "reject",
            {"before": {"state": "accepted_with_quarantine"}},
            "users of load 17.5, accepted with quarantine until then",
        ),
        ("release", {}, "users of load 17.5"),
        ("release", {"before": ["odd"]}, "users of load 17.5"),
        (
            "replay",
            {"rule": None, "looked_at": 8, "freed": 5},
            "8 rows of users quarantined checked again, 5 published",
        ),
        (
            "replay",
            {"rule": "email_is_an_address", "looked_at": 1, "freed": 0},
            "1 row of users quarantined by the rule email is an address checked again, 0 published",
        ),
        ("replay", {}, "rows of users quarantined checked again"),
        ("erase", {"deleted": {"staging.users": 2, "marts.users": 1}}, "1 user: 3 rows deleted"),
        ("erase", {"deleted": {"staging.users": "odd"}}, "1 user: 0 rows deleted"),
        ("erase", {}, "1 user"),
        (
            "prune",
            {"keep": "30 days", "deleted": {"staging.users": 1}},
            "versions superseded more than 30 days earlier: 1 row deleted",
        ),
    ],
)
def test_a_decision_is_described_with_its_effect(verb, details, text):
    assert timeline.describe(decision(verb, 2, details)) == text


def test_a_repeated_erasure_is_described_as_one():
    again = decision("erase", 2, {"deleted": {}}, is_repeated=True)
    assert timeline.describe(again) == "a user who had been erased before: 0 rows deleted"


@pytest.mark.parametrize(
    ("rule", "consequence"),
    [
        (rule_failure("r", rows=8, outcomes={None: 8}), "still quarantined"),
        (rule_failure("r", rows=8, outcomes={"superseded": 8}), "replaced by newer versions"),
        (
            rule_failure("r", rows=8, outcomes={"superseded": 5, None: 2, "freed": 1}),
            "2 still quarantined, 5 replaced by newer versions, 1 published by a replay",
        ),
        (rule_failure("r", rows=8, outcomes={None: 7}), "7 still quarantined, 1 erased"),
        (rule_failure("r", rows=8), "erased"),
        (rule_failure("r", rows=8, outcomes={None: 9}), "still quarantined"),
        (
            rule_failure("r", rows=8, state="blocked", outcomes={None: 8}),
            "still quarantined, the load is still blocked",
        ),
        (
            rule_failure("r", rows=8, state="superseded", outcomes={"superseded": 8}),
            "left out with the superseded load",
        ),
        (rule_failure("r", rows=8, state="rejected", outcomes={"rejected": 8}), "left out with the rejected load"),
        (rule_failure("r", "info", 3), "noted only"),
        (rule_failure("r", "critical", state="blocked"), "the load is still blocked"),
        (rule_failure("r", "critical", state="superseded"), "a newer load superseded the load"),
        (rule_failure("r", "critical", state="released"), "the load was released"),
        (rule_failure("r", "critical", state="rejected"), "the load was rejected"),
    ],
)
def test_a_rule_failure_has_a_consequence_for_its_rows(rule, consequence):
    assert timeline.consequence(rule) == consequence


def test_rules_with_the_same_consequence_are_grouped_by_load():
    rules = [
        rule_failure("no_mass_removal", "critical", state="blocked", is_about_rows=False),
        rule_failure("key_comes_once", rows=12, outcomes={None: 12}),
        rule_failure("id_is_a_whole_number", rows=1, outcomes={None: 1}),
        rule_failure("email_is_an_address", rows=2, outcomes={"superseded": 2}),
        rule_failure("key_comes_once", rows=3, load_id="16", outcomes={None: 3}),
        rule_failure("key_comes_once", rows=4, table="tracks", outcomes={None: 4}),
    ]
    assert timeline.group_failures(rules) == [
        RuleFailures("critical", "users", ["no mass removal (the delivery)"], "the load is still blocked"),
        RuleFailures(
            "warning", "users", ["key comes once (12 rows)", "id is a whole number (1 row)"], "still quarantined"
        ),
        RuleFailures("warning", "users", ["email is an address (2 rows)"], "replaced by newer versions"),
        RuleFailures("warning", "users", ["key comes once (3 rows)"], "still quarantined"),
        RuleFailures("warning", "tracks", ["key comes once (4 rows)"], "still quarantined"),
    ]
