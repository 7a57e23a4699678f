"""Test replay: quarantined rows are checked by the current rules, and only those that pass all of them are freed."""

import great_expectations as gx
import great_expectations.expectations as gxe
import pytest

from expectations import users
from expectations.decisions import DecisionError
from expectations.replay import ReplayResult, replay
from expectations.verdicts import GateError
from tests.integration.expectations.test_decisions import (
    decisions_of,
    everything,
    land,
    publications,
    quarantined_rows,
    reject,
    release,
)
from tests.integration.expectations.warehouse import track, user

pytestmark = pytest.mark.slow

NAME_IS_NOT_EVE = gxe.ExpectColumnValuesToNotBeInSet(
    column="first_name", value_set=["Eve"], severity="warning", meta={"rule": "name_is_not_eve", "shows": "first_name"}
)


def replayed(warehouse, *, is_dry_run=False, **which):
    return replay(warehouse.url, "the rule was wrong", is_dry_run=is_dry_run, **which)


@pytest.fixture
def without_rule(monkeypatch):
    """Return a function that removes rules from the suite of users and adds expectations."""
    original = users.suite

    def change(*rules, added=()):
        def suite():
            kept = [each for each in original().expectations if each.meta["rule"] not in rules]
            return gx.ExpectationSuite(name="users", expectations=[*kept, *added])

        monkeypatch.setattr(users, "suite", suite)

    return change


def test_rows_that_pass_the_fixed_rule_are_freed_and_published(warehouse, without_rule):
    bad = [user(2, email="nobody"), user(3, email="nobody", created_at="late"), user(4, email="nobody")]
    load_id = land(warehouse, user(1), *bad)
    without_rule("email_is_an_address")

    assert replayed(warehouse) == [ReplayResult("users", checked=3, freed=2)]

    assert warehouse.published() == ["[1]", "[2]", "[4]"]
    assert warehouse.rows("select key, rule, outcome, closed_at is null from gate.quarantined_rows order by 1, 2") == [
        ("[2]", "email_is_an_address", "freed", False),
        ("[3]", "created_at_is_a_time", None, True),
        ("[3]", "email_is_an_address", "freed", False),
        ("[4]", "email_is_an_address", "freed", False),
    ]
    assert publications(warehouse) == [(load_id, "users", "load"), (load_id, "users", "replay")], (
        "a load is published once"
    )
    assert decisions_of(warehouse) == [
        ("replay", None, "users", "the rule was wrong", {"rule": None, "looked_at": 3, "freed": 2})
    ]


def test_rows_that_break_a_new_rule_are_quarantined_under_it(warehouse, without_rule):
    land(warehouse, user(1, email="nobody", first_name="Eve"))
    without_rule("email_is_an_address", added=[NAME_IS_NOT_EVE])
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=0)]
    assert warehouse.published() == []
    assert warehouse.rows("select rule, detail from gate.quarantined_rows where closed_at is null") == [
        ("name_is_not_eve", "Eve")
    ]


def test_a_restored_rule_quarantines_the_rows_again_with_their_current_values(warehouse, without_rule):
    land(warehouse, user(1, email="nobody", created_at="late"))
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=0)]
    shows_the_name = gxe.ExpectColumnValuesToNotBeInSet(
        column="email",
        value_set=["nobody"],
        severity="warning",
        meta={"rule": "email_is_an_address", "shows": "first_name"},
    )
    without_rule("created_at_is_a_time", "email_is_an_address", added=[shows_the_name])
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=0)]
    assert warehouse.rows("select rule, outcome, detail, closed_at is null from gate.quarantined_rows order by 1") == [
        ("created_at_is_a_time", "freed", '"late"', False),
        ("email_is_an_address", None, "Ada", True),
    ]


def test_a_rule_changed_to_info_frees_its_rows(warehouse, without_rule):
    load_id = land(warehouse, user(1, email="nobody"))
    only_reported = gxe.ExpectColumnValuesToNotBeInSet(
        column="email", value_set=["nobody"], severity="info", meta={"rule": "email_is_an_address", "shows": "email"}
    )
    without_rule("email_is_an_address", added=[only_reported])
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=1)]
    assert warehouse.published() == ["[1]"]
    assert publications(warehouse) == [(load_id, "users", "load"), (load_id, "users", "replay")]


def test_freed_rows_are_not_checked_again(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"), user(2, email="nobody", created_at="late"))
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [ReplayResult("users", checked=2, freed=1)]
    without_rule()
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=0)]
    assert warehouse.published() == ["[1]"]


def test_replay_with_unchanged_rules_changes_nothing(warehouse, without_rule):
    land(warehouse, user(1), user(2, email="nobody", created_at="late"))
    land(warehouse, user(1))
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=0)]
    before = everything(warehouse)[:3]
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=0)]
    assert everything(warehouse)[:3] == before


def test_a_duplicate_key_is_not_freed_when_only_one_of_its_rows_is_replayed(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"), user(1, first_name="Bob"))
    without_rule("email_is_an_address")
    assert replayed(warehouse, rule="email_is_an_address") == [ReplayResult("users", checked=1, freed=0)]
    assert warehouse.published() == []


def test_only_rows_of_the_given_table_and_rule_are_freed(warehouse, monkeypatch, without_rule):
    warehouse.land({"users": [user(1, email="nobody"), user(2, created_at="late")], "tracks": [track(1, duration="x")]})
    warehouse.check()
    without_rule("email_is_an_address", "created_at_is_a_time")
    monkeypatch.setattr("expectations.tracks.suite", users.suite)
    assert replayed(warehouse, table="users", is_dry_run=True) == [ReplayResult("users", 2, 2)]
    assert replayed(warehouse, table="users", rule="created_at_is_a_time") == [ReplayResult("users", 1, 1)]
    [(*_, details)] = decisions_of(warehouse)
    assert details == {"rule": "created_at_is_a_time", "looked_at": 1, "freed": 1}
    assert (warehouse.published("users"), warehouse.published("tracks")) == (["[2]"], [])


@pytest.mark.parametrize("newer", ["published", "quarantined too", "removal", "not checked yet"])
def test_a_row_that_is_not_the_newest_of_its_key_is_not_replayed(newer, warehouse, without_rule):
    land(warehouse, user(1, email="nobody", first_name="Old"))
    if newer == "removal":
        warehouse.land({"users": []}, removed={"users": ["[1]"]})
    else:
        warehouse.land({"users": [user(1, email="nobody" if newer == "quarantined too" else "a@b.org")]})
    if newer != "not checked yet":
        warehouse.check()
    without_rule("email_is_an_address")
    if newer == "quarantined too":
        assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=1)]
        assert quarantined_rows(warehouse) == [("[1]", "superseded"), ("[1]", "freed")]
    else:
        with pytest.raises(DecisionError, match=r"^no quarantined row is the newest of its key"):
            replayed(warehouse)


@pytest.mark.parametrize("passed_by", ["blocked", "rejected", "left by a crash", "given up by dlt"])
def test_a_newer_version_that_counts_as_not_delivered_is_ignored(passed_by, warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    newer = warehouse.land(
        {"users": [user(1)], "tracks": [track(1)]},
        is_complete=passed_by in ("blocked", "rejected"),
        **({"total": 5} if passed_by == "blocked" else {}),
    )
    if passed_by == "given up by dlt":
        warehouse.execute("insert into staging._dlt_loads values (%s, 'moovitamix', 1, now(), '')", newer)
    warehouse.check()
    if passed_by == "rejected":  # but not its tracks
        reject(warehouse, newer)
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=1)]


def test_rows_of_a_blocked_load_wait_for_its_release(warehouse, without_rule):
    load_id = land(warehouse, user(1, email="nobody"), rows_read=1)
    without_rule("email_is_an_address")
    with pytest.raises(DecisionError):
        replayed(warehouse)
    release(warehouse, load_id)
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=1)]
    assert warehouse.published() == ["[1]"]


def test_a_freed_row_stays_free_through_rejection_and_release(warehouse, without_rule):
    load_id = land(warehouse, user(1, email="nobody"))
    without_rule("email_is_an_address")
    replayed(warehouse)
    reject(warehouse, load_id)
    assert warehouse.published() == []
    release(warehouse, load_id)
    assert warehouse.published() == ["[1]"]


def test_a_dry_run_returns_the_same_and_changes_nothing(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    without_rule("email_is_an_address")
    before = everything(warehouse)
    expected = replayed(warehouse, is_dry_run=True)
    assert everything(warehouse) == before
    assert replayed(warehouse) == expected == [ReplayResult("users", checked=1, freed=1)]


def test_rules_that_cannot_run_free_nothing(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    broken = gxe.ExpectColumnValuesToNotBeNull(column="none", severity="info", meta={"rule": "b", "shows": "none"})
    without_rule("email_is_an_address", added=[broken])
    before = everything(warehouse)
    with pytest.raises(GateError, match="rule b could not run"):
        replayed(warehouse)
    assert everything(warehouse) == before
    assert warehouse.rows("select count(*) from gate.batch_users") == [(0,)]


def test_rows_missing_in_the_staging_view_are_not_freed(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"), user(2, email="nobody"))
    without_rule("email_is_an_address")
    warehouse.execute("alter view prep.stg_moovitamix__users rename to whole")
    warehouse.execute("create view prep.stg_moovitamix__users as select * from prep.whole where key <> '[1]'")
    before = everything(warehouse)
    with pytest.raises(GateError, match="the staging view does not show 1 of the rows to check"):
        replayed(warehouse)
    assert everything(warehouse) == before


def test_rows_left_by_a_killed_gate_are_ignored(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    without_rule("email_is_an_address")
    warehouse.execute("insert into gate.batch_users (key, _dlt_id) values ('[7]', 'of a gate that was killed')")
    assert replayed(warehouse) == [ReplayResult("users", checked=1, freed=1)]


def test_a_filter_without_matching_rows_is_reported(warehouse):
    with pytest.raises(DecisionError, match="no quarantined row of tracks under rule odd is the newest"):
        replayed(warehouse, table="tracks", rule="odd")
