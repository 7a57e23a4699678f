"""Replay: held rows are judged again by today's rules, and only those that pass all of them go free."""

import great_expectations as gx
import great_expectations.expectations as gxe
import pytest

from expectations import users
from expectations.decisions import Undecidable
from expectations.judgement import GateBroken
from expectations.replay import Replayed, replay
from tests.expectations.test_decisions import decided, everything, held, land, publications, reject, release
from tests.expectations.warehouse import track, user

NAME_IS_NOT_EVE = gxe.ExpectColumnValuesToNotBeInSet(
    column="first_name", value_set=["Eve"], severity="warning", meta={"rule": "name_is_not_eve", "shows": "first_name"}
)


def replayed(warehouse, *, is_dry_run=False, **which):
    return replay(warehouse.url, "the rule was wrong", is_dry_run=is_dry_run, **which)


@pytest.fixture
def without_rule(monkeypatch):
    """Takes rules out of the suite of users, and adds expectations to it."""
    original = users.suite

    def change(*rules, added=()):
        def suite():
            kept = [each for each in original().expectations if each.meta["rule"] not in rules]
            return gx.ExpectationSuite(name="users", expectations=[*kept, *added])

        monkeypatch.setattr(users, "suite", suite)

    return change


def test_what_passes_the_mended_rule_goes_free_and_is_published(warehouse, without_rule):
    bad = [user(2, email="nobody"), user(3, email="nobody", created_at="late"), user(4, email="nobody")]
    load_id = land(warehouse, user(1), *bad)
    without_rule("email_is_an_address")

    assert replayed(warehouse) == [Replayed("users", looked_at=3, freed=2)]

    assert warehouse.published() == ["[1]", "[2]", "[4]"]
    assert warehouse.rows("select key, rule, outcome, closed_at is null from gate.quarantined_rows order by 1, 2") == [
        ("[2]", "email_is_an_address", "freed", False),
        ("[3]", "created_at_is_a_time", None, True),
        ("[3]", "email_is_an_address", "freed", False),
        ("[4]", "email_is_an_address", "freed", False),
    ]
    assert publications(warehouse) == [(load_id, "users", "load"), (load_id, "users", "replay")], "a load is told once"
    assert decided(warehouse) == [
        ("replay", None, "users", "the rule was wrong", {"rule": None, "looked_at": 3, "freed": 2})
    ]


def test_rows_that_break_a_rule_that_is_new_are_held_by_it(warehouse, without_rule):
    land(warehouse, user(1, email="nobody", first_name="Eve"))
    without_rule("email_is_an_address", added=[NAME_IS_NOT_EVE])
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=0)]
    assert warehouse.published() == []
    assert warehouse.rows("select rule, detail from gate.quarantined_rows where closed_at is null") == [
        ("name_is_not_eve", "Eve")
    ]


def test_a_rule_that_comes_back_holds_again_what_it_had_let_go_as_it_is_now(warehouse, without_rule):
    land(warehouse, user(1, email="nobody", created_at="late"))
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=0)]
    shows_the_name = gxe.ExpectColumnValuesToNotBeInSet(
        column="email",
        value_set=["nobody"],
        severity="warning",
        meta={"rule": "email_is_an_address", "shows": "first_name"},
    )
    without_rule("created_at_is_a_time", "email_is_an_address", added=[shows_the_name])
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=0)]
    assert warehouse.rows("select rule, outcome, detail, closed_at is null from gate.quarantined_rows order by 1") == [
        ("created_at_is_a_time", "freed", '"late"', False),
        ("email_is_an_address", None, "Ada", True),
    ]


def test_a_rule_that_is_only_worth_knowing_by_now_holds_nothing(warehouse, without_rule):
    load_id = land(warehouse, user(1, email="nobody"))
    worth_knowing = gxe.ExpectColumnValuesToNotBeInSet(
        column="email", value_set=["nobody"], severity="info", meta={"rule": "email_is_an_address", "shows": "email"}
    )
    without_rule("email_is_an_address", added=[worth_knowing])
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=1)]
    assert warehouse.published() == ["[1]"]
    assert publications(warehouse) == [(load_id, "users", "load"), (load_id, "users", "replay")]


def test_what_is_free_is_not_judged_again(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"), user(2, email="nobody", created_at="late"))
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [Replayed("users", looked_at=2, freed=1)]
    without_rule()
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=0)]
    assert warehouse.published() == ["[1]"]


def test_nothing_changes_when_the_rules_have_not(warehouse, without_rule):
    land(warehouse, user(1), user(2, email="nobody", created_at="late"))
    land(warehouse, user(1))
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=0)]
    before = everything(warehouse)[:3]
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=0)]
    assert everything(warehouse)[:3] == before


def test_a_key_that_came_twice_is_not_freed_by_looking_at_its_rows_one_by_one(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"), user(1, first_name="Bob"))
    without_rule("email_is_an_address")
    assert replayed(warehouse, rule="email_is_an_address") == [Replayed("users", looked_at=1, freed=0)]
    assert warehouse.published() == []


def test_only_rows_of_the_table_and_the_rule_that_are_named_go_free(warehouse, monkeypatch, without_rule):
    warehouse.land({"users": [user(1, email="nobody"), user(2, created_at="late")], "tracks": [track(1, duration="x")]})
    warehouse.judge()
    without_rule("email_is_an_address", "created_at_is_a_time")
    monkeypatch.setattr("expectations.tracks.suite", users.suite)
    assert replayed(warehouse, table="users", is_dry_run=True) == [Replayed("users", 2, 2)]
    assert replayed(warehouse, table="users", rule="created_at_is_a_time") == [Replayed("users", 1, 1)]
    [(*_, details)] = decided(warehouse)
    assert details == {"rule": "created_at_is_a_time", "looked_at": 1, "freed": 1}
    assert (warehouse.published("users"), warehouse.published("tracks")) == (["[2]"], [])


@pytest.mark.parametrize("newer", ["published", "held too", "removal", "not judged yet"])
def test_a_row_that_is_not_the_newest_of_its_key_stays_where_it_is(newer, warehouse, without_rule):
    land(warehouse, user(1, email="nobody", first_name="Old"))
    if newer == "removal":
        warehouse.land({"users": []}, removed={"users": ["[1]"]})
    else:
        warehouse.land({"users": [user(1, email="nobody" if newer == "held too" else "a@b.org")]})
    if newer != "not judged yet":
        warehouse.judge()
    without_rule("email_is_an_address")
    if newer == "held too":
        assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=1)]
        assert held(warehouse) == [("[1]", "superseded"), ("[1]", "freed")]
    else:
        with pytest.raises(Undecidable, match=r"^no row waits that is the newest of its key"):
            replayed(warehouse)


@pytest.mark.parametrize("passed_by", ["blocked", "rejected", "left by a crash", "given up by dlt"])
def test_a_newer_version_that_counts_as_never_delivered_is_none(passed_by, warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    newer = warehouse.land(
        {"users": [user(1)], "tracks": [track(1)]},
        is_complete=passed_by in ("blocked", "rejected"),
        **({"total": 5} if passed_by == "blocked" else {}),
    )
    if passed_by == "given up by dlt":
        warehouse.execute("insert into staging._dlt_loads values (%s, 'moovitamix', 1, now(), '')", newer)
    warehouse.judge()
    if passed_by == "rejected":  # and its tracks are not
        reject(warehouse, newer)
    without_rule("email_is_an_address")
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=1)]


def test_rows_of_a_blocked_load_wait_for_its_release(warehouse, without_rule):
    load_id = land(warehouse, user(1, email="nobody"), rows_read=1)
    without_rule("email_is_an_address")
    with pytest.raises(Undecidable):
        replayed(warehouse)
    release(warehouse, load_id)
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=1)]
    assert warehouse.published() == ["[1]"]


def test_what_was_freed_stays_free_through_rejection_and_release(warehouse, without_rule):
    load_id = land(warehouse, user(1, email="nobody"))
    without_rule("email_is_an_address")
    replayed(warehouse)
    reject(warehouse, load_id)
    assert warehouse.published() == []
    release(warehouse, load_id)
    assert warehouse.published() == ["[1]"]


def test_a_dry_run_tells_the_same_and_changes_nothing(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    without_rule("email_is_an_address")
    before = everything(warehouse)
    told = replayed(warehouse, is_dry_run=True)
    assert everything(warehouse) == before
    assert replayed(warehouse) == told == [Replayed("users", looked_at=1, freed=1)]


def test_rules_that_cannot_run_free_nothing(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    broken = gxe.ExpectColumnValuesToNotBeNull(column="none", severity="info", meta={"rule": "b", "shows": "none"})
    without_rule("email_is_an_address", added=[broken])
    before = everything(warehouse)
    with pytest.raises(GateBroken, match="rule b could not run"):
        replayed(warehouse)
    assert everything(warehouse) == before
    assert warehouse.rows("select to_regclass('gate.judged_rows')") == [(None,)]


def test_rows_that_the_staging_view_does_not_show_are_not_taken_for_good_ones(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"), user(2, email="nobody"))
    without_rule("email_is_an_address")
    warehouse.execute("alter view prep.stg_moovitamix__users rename to whole")
    warehouse.execute("create view prep.stg_moovitamix__users as select * from prep.whole where key <> '[1]'")
    before = everything(warehouse)
    with pytest.raises(GateBroken, match="the staging view does not show 1 of the rows to judge"):
        replayed(warehouse)
    assert everything(warehouse) == before


def test_what_a_killed_gate_left_is_not_looked_at(warehouse, without_rule):
    land(warehouse, user(1, email="nobody"))
    without_rule("email_is_an_address")
    warehouse.execute("create table gate.judged_rows as select 'of a gate that was killed' as what")
    assert replayed(warehouse) == [Replayed("users", looked_at=1, freed=1)]


def test_what_is_not_there_is_told(warehouse):
    with pytest.raises(Undecidable, match="no row of tracks held by odd waits"):
        replayed(warehouse, table="tracks", rule="odd")
