"""Test the gate's verdicts: every state, its boundaries, and that a broken gate publishes nothing."""

import sys

import great_expectations as gx
import great_expectations.expectations as gxe
import psycopg
import pytest

from expectations import gate, ledger, scans, session, users
from expectations.verdicts import Shares
from tests.integration.expectations.warehouse import ABSENT, document, track, user


def bad(number: int):
    return user(number, email="nobody")


def failed_rules(verdict, severity):
    return [failed.rule for failed in verdict.failed_rules if failed.severity == severity]


def test_a_valid_load_is_accepted_and_published(warehouse):
    load_id = warehouse.land({"users": [user(1), user(2)]}, removed={"users": ["[3]"]})

    verdict = warehouse.check()["users"]

    assert (verdict.state, verdict.reason) == ("accepted", "all rules passed")
    assert verdict.batch == gate.Batch(load_id, "users", rows_read=1002, rows_landed=2, rows_removed=1)
    assert warehouse.published() == ["[1]", "[2]", "[3]"]
    assert warehouse.rows(
        "select load_id, state, rows_read, rows_landed, rows_removed, rows_quarantined, decided_by from gate.loads"
    ) == [(load_id, "accepted", 1002, 2, 1, 0, "gate")]


def test_bad_rows_are_quarantined_and_the_others_published(warehouse):
    warehouse.land({"users": [user(1), bad(2), user(3)]})

    verdict = warehouse.check()["users"]

    assert (verdict.state, verdict.rows_quarantined) == ("accepted_with_quarantine", 1)
    assert verdict.reason == "1 bad row of 1,003 read"
    assert warehouse.published() == ["[1]", "[3]"]
    assert warehouse.quarantined() == [("[2]", "email_is_an_address")]


def test_a_load_of_removals_only_is_published(warehouse):
    warehouse.land({"users": []}, removed={"users": ["[3]"]})
    assert warehouse.check()["users"].state == "accepted"
    assert warehouse.published() == ["[3]"]


@pytest.mark.parametrize(
    ("bad_rows", "read", "state"),
    [
        (2, 10, "accepted_with_quarantine"),
        (3, 10, "blocked"),
        (3, 15, "accepted_with_quarantine"),
        (1, 5, "accepted_with_quarantine"),
        (1, 4, "blocked"),
        (1, 1, "blocked"),
    ],
)
def test_more_than_a_fifth_of_bad_rows_among_the_rows_read_blocks_the_load(bad_rows, read, state, warehouse):
    warehouse.land({"users": [bad(number) for number in range(bad_rows)]}, rows_read=read)
    assert warehouse.check()["users"].state == state
    assert warehouse.rows("select count(*) from gate.publications") == [(0 if state == "blocked" else 1,)]
    # the bad rows are recorded in both cases
    assert len(warehouse.quarantined()) == bad_rows


def test_one_bad_row_is_compared_with_all_rows_read_not_with_the_landed_ones(warehouse):
    warehouse.land({"users": [bad(1)]}, rows_read=10_000)
    assert warehouse.check()["users"].state == "accepted_with_quarantine"


def test_a_row_with_many_faults_counts_as_one_bad_row(warehouse):
    warehouse.land({"users": [user(1, email="nobody", gender=5, created_at="no", updated_at=ABSENT)]}, rows_read=5)
    verdict = warehouse.check()["users"]
    assert (verdict.state, verdict.rows_quarantined) == ("accepted_with_quarantine", 1)
    assert len(warehouse.quarantined()) == 4


@pytest.mark.parametrize(("unreadable", "state"), [(1, "accepted_with_quarantine"), (2, "blocked")])
def test_an_unreadable_row_counts_as_a_bad_row(unreadable, state, warehouse):
    warehouse.land({"users": [bad(1)]}, rows_unreadable=unreadable, rows_read=10)
    verdict = warehouse.check()["users"]
    assert (verdict.state, verdict.rows_quarantined) == (state, 1)
    assert failed_rules(verdict, "info") == ["rows_are_readable"]


def test_a_load_of_mostly_unreadable_known_rows_is_blocked(warehouse):
    warehouse.land({"users": []}, rows_unreadable=3, rows_read=10)
    assert warehouse.check()["users"].state == "blocked"


SCAN_FAULTS = {
    # columns of the scan, contradicting landed rows and removed keys, and the rule that must catch it
    "nothing read where keys are known": ({"rows_read": 0, "keys_known": 5}, 0, [], {"source_is_not_empty"}),
    "all that was known is gone": ({"rows_read": 0, "keys_known": 1}, 0, ["[1]"], {"source_is_not_empty"}),
    "less was read than there is": ({"rows_read": 1002, "total": 1003}, 2, [], {"all_of_the_total_was_read"}),
    "more was read than there is": ({"rows_read": 1002, "total": 1001}, 2, [], {"all_of_the_total_was_read"}),
    "less was read, and nothing new": ({"rows_read": 1000, "total": 1003}, 0, [], {"all_of_the_total_was_read"}),
    "nothing was read of what there is, and nothing is known": (
        {"rows_read": 0, "total": 3, "keys_known": 0},
        0,
        [],
        {"all_of_the_total_was_read"},
    ),
    "a row read has no outcome": ({"rows_read": 1003, "rows_unchanged": 1000}, 2, [], {"scan_figures_add_up"}),
    "an outcome too many": ({"rows_read": 1000, "rows_unchanged": 1000}, 2, [], {"scan_figures_add_up"}),
    "no outcome, and nothing new": ({"rows_read": 1000, "rows_unchanged": 999}, 0, [], {"scan_figures_add_up"}),
    "rows that a reader does not see": ({"rows_landed": 3}, 2, [], {"landed_rows_are_all_there"}),
    "no row of all that a reader should see": ({"rows_landed": 3}, 0, [], {"landed_rows_are_all_there"}),
    "rows that the scan does not count": ({"rows_landed": 0}, 2, [], {"landed_rows_are_all_there"}),
    "removals that a reader does not see": ({"rows_removed": 2}, 2, ["[9]"], {"removals_are_all_there"}),
    "removals that the scan does not count": ({"rows_removed": 0}, 2, ["[9]"], {"removals_are_all_there"}),
    "removals in the place of rows": (
        {"rows_landed": 2, "rows_removed": 1},
        1,
        ["[8]", "[9]"],
        {"landed_rows_are_all_there", "removals_are_all_there"},
    ),
}


@pytest.mark.parametrize("fault", SCAN_FAULTS)
def test_a_delivery_that_contradicts_itself_is_blocked(fault, warehouse):
    figures, landed, removed, rules = SCAN_FAULTS[fault]
    warehouse.land({"users": [user(number) for number in range(landed)]}, removed={"users": removed}, **figures)
    warehouse.land({"tracks": [track(1)]})

    verdicts = warehouse.check()

    assert verdicts["users"].state == "blocked"
    assert set(failed_rules(verdicts["users"], "critical")) == rules
    assert all(rule in verdicts["users"].reason for rule in rules)
    assert warehouse.published("users") == []
    assert verdicts["tracks"].state == "accepted"
    assert warehouse.published("tracks") == ["[1]"]


@pytest.mark.parametrize("rule", sorted({rule for *_, rules in SCAN_FAULTS.values() for rule in rules}))
def test_without_its_expectation_a_contradiction_is_not_caught(rule, warehouse, monkeypatch):
    fault = next(fault for fault, (*_, rules) in SCAN_FAULTS.items() if rules == {rule})
    figures, landed, removed, _ = SCAN_FAULTS[fault]
    made = scans.suite()
    made.expectations = [expectation for expectation in made.expectations if expectation.meta["rule"] != rule]
    monkeypatch.setattr(scans, "suite", lambda: made)
    warehouse.land({"users": [user(number) for number in range(landed)]}, removed={"users": removed}, **figures)
    assert warehouse.check()["users"].state == "accepted"


def test_there_is_a_fault_for_every_expectation_about_the_scan():
    expectations = {
        (expectation.meta["rule"], expectation.severity.value) for expectation in scans.suite().expectations
    }
    critical = {(rule, "critical") for *_, rules in SCAN_FAULTS.values() for rule in rules}
    assert expectations == critical | {
        ("no_mass_removal", "critical"), ("few_changes", "info"), ("few_removals", "info"),
        ("rows_are_readable", "info"),
    }  # fmt: skip


@pytest.mark.parametrize(("removed", "failed"), [(2, []), (3, ["few_removals"])])
def test_many_removals_are_reported_and_block_nothing(removed, failed, warehouse):
    keys = [f"[{number}]" for number in range(removed)]
    warehouse.land({"users": []}, removed={"users": keys}, keys_known=10)
    verdict = warehouse.check()["users"]
    assert verdict.state == "accepted"
    assert failed_rules(verdict, "info") == failed
    assert warehouse.published() == keys


MASS_REMOVAL = "it would remove {} known users ({} %, more than MAX_REMOVED_SHARE 30 %)"


@pytest.mark.parametrize(
    ("removed", "figures", "reason"),
    [
        (19, {"keys_known": 20}, None),
        (20, {"keys_known": 20}, MASS_REMOVAL.format("20 of the 20", 100)),
        (20, {"keys_known": 66}, MASS_REMOVAL.format("20 of the 66", "30.3")),
        (21, {"keys_known": 70}, None),
        (22, {"keys_known": 70}, MASS_REMOVAL.format("22 of the 70", "31.4")),
        (300, {"keys_known": 1000}, None),
        (301, {"keys_known": 1000}, MASS_REMOVAL.format("301 of the 1,000", "30.1")),
        # readers lose no rows that only blocked loads had
        (30, {"keys_known": 40, "keys_delivered": 20, "keys_lost": 10}, None),
        # and such rows do not make the share of removals smaller
        (45, {"keys_known": 1000, "keys_delivered": 50, "keys_lost": 45}, MASS_REMOVAL.format("45 of the 50", 90)),
    ],
)
def test_a_mass_removal_is_blocked_and_a_smaller_one_published(removed, figures, reason, warehouse):
    keys = [f"[{number}]" for number in range(removed)]
    warehouse.land({"users": []}, removed={"users": keys}, **figures)
    warehouse.land({"tracks": [track(1)]})

    verdicts = warehouse.check()

    verdict = verdicts["users"]
    assert failed_rules(verdict, "critical") == (["no_mass_removal"] if reason else [])
    assert verdict.state == ("blocked" if reason else "accepted")
    assert warehouse.published() == ([] if reason else sorted(keys))
    if reason:
        assert verdict.reason == reason
        assert "few_removals" not in failed_rules(verdict, "info"), "nothing is removed"
    assert verdicts["tracks"].state == "accepted"


def test_many_removed_documents_are_reported_and_block_nothing(warehouse):
    keys = [f"[{number}]" for number in range(90)]
    removed = {"listen_history": keys}
    warehouse.land({"listen_history": [document(1)]}, removed=removed, keys_known=100, keys_changed=100)
    verdict = warehouse.check()["listen_history"]
    assert (verdict.state, failed_rules(verdict, "critical")) == ("accepted", [])
    assert {"few_removals", "few_changes"} & set(failed_rules(verdict, "info")) == {"few_removals"}


@pytest.mark.parametrize("table", ["users", "tracks"])
@pytest.mark.parametrize(
    ("changed", "figures", "reported"),
    [
        (19, {"keys_known": 19}, None),
        (20, {"keys_known": 39}, "20 of the 39 known {} (51.3 %, more"),
        (20, {"keys_known": 40}, None),
        (30, {"keys_known": 1000, "keys_delivered": 50}, "30 of the 50 known {} (60 %, more"),
    ],
)
def test_a_mass_change_is_published_and_reported(changed, figures, reported, table, warehouse):
    row = {"users": user, "tracks": track}[table](1)
    warehouse.land({table: [row]}, keys_changed=changed, **figures)
    verdict = warehouse.check()[table]
    assert verdict.state == "accepted"
    assert warehouse.published(table) == ["[1]"]
    found = [example for failed in verdict.failed_rules for example in failed.examples]
    assert found == ([{"mass_change": f"{reported.format(table)} than MAX_CHANGED_SHARE 50 %)"}] if reported else [])


def test_the_shares_are_settings(warehouse):
    keys = [f"[{number}]" for number in range(25)]
    for _ in range(2):
        warehouse.land({"users": [user(1)]}, removed={"users": keys}, keys_known=100, keys_changed=60)
        (verdict,) = gate.check_pending(warehouse.url, shares=Shares(0.245, 0.6))
        assert verdict.reason.endswith("25 of the 100 known users (25 %, more than MAX_REMOVED_SHARE 24.5 %)")
        assert failed_rules(verdict, "info") == []
    warehouse.land({"users": [user(1)]}, removed={"users": keys}, keys_known=100, keys_changed=60)
    (verdict,) = gate.check_pending(warehouse.url, shares=Shares(1, 1))
    assert (verdict.state, failed_rules(verdict, "info")) == ("accepted", ["few_removals"])


def test_a_scan_without_a_total_contradicts_nothing(warehouse):
    warehouse.land({"users": [user(1)]}, total=None)
    assert warehouse.check()["users"].state == "accepted"
    warehouse.land({"users": []}, total=None)
    ledger.register_pending(warehouse.connection)
    ((batch, is_quiet),) = ledger.pending_batches(warehouse.connection)
    assert batch.table == "users" and is_quiet


def test_scans_of_the_previous_version_have_removals_and_no_changes(warehouse):
    keys = [f"[{number}]" for number in range(25)]
    warehouse.land({"users": []}, removed={"users": keys}, keys_known=50)
    warehouse.land({"tracks": [track(1)]}, keys_known=50)
    warehouse.execute("update staging.scans set keys_delivered = null, keys_lost = null, keys_changed = null")
    verdicts = warehouse.check()
    assert verdicts["users"].reason == MASS_REMOVAL.format("25 of the 50", 50)
    assert verdicts["tracks"].reason == "all rules passed"


def test_a_mass_removal_with_other_failures_reports_all_of_them(warehouse):
    keys = [f"[{number}]" for number in range(25)]
    warehouse.land({"users": []}, removed={"users": keys}, keys_known=50, rows_read=0)
    assert warehouse.check()["users"].reason == (
        f"the load cannot be trusted: source_is_not_empty; {MASS_REMOVAL.format('25 of the 50', 50)}"
    )


def test_a_source_that_has_always_been_empty_is_accepted(warehouse):
    warehouse.land({"users": []}, rows_read=0, keys_known=0)
    assert warehouse.check()["users"].state == "accepted"


def test_a_load_of_only_known_rows_is_accepted_and_not_published(warehouse):
    warehouse.land({"users": []})
    verdict = warehouse.check()["users"]
    assert (verdict.state, verdict.reason) == ("accepted", "nothing had changed")
    assert warehouse.rows("select count(*) from gate.publications") == [(0,)]


def test_bad_rows_of_earlier_loads_do_not_affect_the_verdict(warehouse):
    warehouse.land({"users": [bad(number) for number in range(5)]})
    warehouse.check()
    warehouse.execute("truncate gate.quarantined_rows")  # as if other rules had applied then
    warehouse.land({"users": [user(10)]}, rows_read=5)

    verdict = warehouse.check()["users"]

    assert (verdict.state, verdict.failed_rules) == ("accepted", ())


# Superseded


@pytest.mark.parametrize(
    ("next_night", "state"),
    [
        ({"users": [user(1)]}, "accepted"),
        ({"users": [user(1), bad(2)]}, "accepted_with_quarantine"),
        ({"users": []}, "accepted"),
    ],
)
def test_a_blocked_load_does_not_block_the_next_one_and_is_superseded_by_it(next_night, state, warehouse):
    first = warehouse.land({"users": [bad(1)]}, rows_read=1)
    assert warehouse.check()["users"].state == "blocked"
    second = warehouse.land(next_night)

    assert warehouse.check()["users"].state == state

    assert warehouse.states() == ["superseded", state]
    ((reason,),) = warehouse.rows("select reason from gate.loads where load_id = %s", first)
    assert reason == (f"blocked: 1 bad row is 100 % of the 1 row read (more than 20 %); superseded by load {second}")
    quarantined = warehouse.rows(
        "select closed_at is null, outcome from gate.quarantined_rows where load_id = %s", first
    )
    assert quarantined == [(False, "superseded")], "rows of a load that is passed by wait for nothing"


def test_a_blocked_load_is_superseded_by_another_blocked_one(warehouse):
    for _ in range(3):
        warehouse.land({"users": [bad(1)]}, rows_read=1)
        warehouse.check()
    assert warehouse.states() == ["superseded", "superseded", "blocked"]
    assert warehouse.rows("select count(*) from gate.quarantined_rows where closed_at is null") == [(1,)]


def test_a_blocked_load_is_not_superseded_by_another_table(warehouse):
    warehouse.land({"users": [bad(1)]}, rows_read=1)
    warehouse.land({"tracks": [track(1)]})
    warehouse.check()
    assert (warehouse.states("users"), warehouse.states("tracks")) == (["blocked"], ["accepted"])


def test_a_blocked_load_waits_until_its_own_table_is_checked(warehouse, monkeypatch):
    warehouse.land({"users": [bad(1)], "tracks": [track(1, duration="long")]}, rows_read=1)
    warehouse.check()
    warehouse.land({"users": [user(1)], "tracks": [track(1)]})
    monkeypatch.setattr("expectations.tracks.suite", broken_suite)

    warehouse.check()

    assert (warehouse.states("users"), warehouse.states("tracks")) == (
        ["superseded", "accepted"],
        ["blocked", "pending"],
    )
    assert warehouse.rows("select table_name from gate.quarantined_rows where closed_at is null") == [("tracks",)]


def test_a_blocked_load_is_not_superseded_by_an_older_one_that_is_checked_late(warehouse):
    late = warehouse.land({"users": [user(1)]}, is_complete=False)
    warehouse.land({"users": [user(2)]}, rows_read=0)
    assert warehouse.check()["users"].state == "blocked"
    warehouse.complete(late)

    assert warehouse.check()["users"].state == "accepted"

    assert warehouse.states() == ["accepted", "blocked"]


# The gate fails closed


def broken_suite():
    raise RuntimeError("no suite today")


def broken_by(expectation_type, **arguments):
    expectation = expectation_type(severity="info", meta={"rule": "a_broken_rule", "shows": "key"}, **arguments)
    expectations = users.suite().expectations
    return lambda: gx.ExpectationSuite(name="changed", expectations=[*expectations, expectation])


SUITES = {
    "an expectation raises": (
        lambda: broken_by(gxe.ExpectColumnValuesToBeBetween, column="key", min_value=1),
        "rule a_broken_rule could not run",
    ),
    "a column is missing": (
        lambda: broken_by(gxe.ExpectColumnValuesToNotBeNull, column="shoe_size"),
        "rule a_broken_rule could not run",
    ),
    "a query does not parse": (
        lambda: broken_by(gxe.UnexpectedRowsExpectation, unexpected_rows_query="select from where {batch}"),
        "rule a_broken_rule could not run",
    ),
    "a rule finds rows and does not say which": (
        lambda: broken_by(gxe.ExpectTableRowCountToBeBetween, min_value=1_000_000),
        "no query for the rows that fail a_broken_rule",
    ),
    "the suite is empty": (
        lambda: lambda: gx.ExpectationSuite(name="users"),
        "the suite for users holds no expectation",
    ),
    "the suite raises": (lambda: broken_suite, "RuntimeError: no suite today"),
}


def assert_nothing_came_of(warehouse, verdict, why):
    assert verdict.state == "pending"
    assert why in verdict.error
    assert warehouse.states("users") == ["pending"]
    assert warehouse.published("users") == []
    assert warehouse.quarantined("users") == []
    assert warehouse.rows("select verdict, judged_at, reason from gate.loads where state = 'pending'") == [
        (None, None, None)
    ]


def assert_only_users_are_broken(warehouse, why):
    """Assert that the other tables are checked, before and after the broken one."""
    verdicts = warehouse.check()
    assert_nothing_came_of(warehouse, verdicts.pop("users"), why)
    assert {table: verdict.state for table, verdict in verdicts.items()} == {
        "tracks": "accepted",
        "listen_history": "accepted",
    }
    assert warehouse.published("tracks") == ["[1]"]
    assert warehouse.rows("select count(*) from gate.batch_users union all select count(*) from gate.batch_scan") == [
        (0,),
        (0,),
    ]


def assert_the_next_gate_checks(warehouse):
    verdicts = warehouse.check()
    assert {table: verdict.state for table, verdict in verdicts.items()} == {"users": "accepted_with_quarantine"}
    assert warehouse.published("users") == ["[1]"]


@pytest.fixture
def landed(warehouse):
    """Land a load of all tables with one bad user."""
    warehouse.land({"tracks": [track(1)], "users": [user(1), bad(2)], "listen_history": [document(1)]})
    return warehouse


@pytest.mark.parametrize("what", SUITES)
def test_a_rule_that_cannot_run_leaves_the_load_pending(what, landed, monkeypatch):
    make, why = SUITES[what]
    with monkeypatch.context() as patch:
        patch.setattr(users, "suite", make())
        assert_only_users_are_broken(landed, why)
    assert_the_next_gate_checks(landed)


def test_a_missing_suite_leaves_the_load_pending(landed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "expectations.users", None)
        assert_only_users_are_broken(landed, "there is no suite for users")
    assert_the_next_gate_checks(landed)


@pytest.mark.parametrize(
    ("wrong", "right", "why"),
    [
        (
            "alter view prep.stg_moovitamix__users rename to gone",
            "alter view prep.gone rename to stg_moovitamix__users",
            'UndefinedTable: relation "prep.stg_moovitamix__users" does not exist',
        ),
        (
            "alter table gate.batch_users rename column email_raw to gone",
            "alter table gate.batch_users rename column gone to email_raw",
            "rule email_is_an_address could not run",
        ),
        (
            "alter view prep.stg_moovitamix__users rename to whole;"
            " create view prep.stg_moovitamix__users as select * from prep.whole where key <> '[1]'",
            "drop view prep.stg_moovitamix__users; alter view prep.whole rename to stg_moovitamix__users",
            "the staging view shows 1 of the load's 2 rows",
        ),
        (
            "alter view prep.stg_moovitamix__users rename to whole;"
            " create view prep.stg_moovitamix__users as"
            " select * from prep.whole union all select * from prep.whole where key = '[1]'",
            "drop view prep.stg_moovitamix__users; alter view prep.whole rename to stg_moovitamix__users",
            "the staging view shows 3 of the load's 2 rows",
        ),
        (
            "alter table staging.scans drop constraint scans__dlt_id_key;"
            " create table twice as select * from staging.scans where table_name = 'users';"
            " insert into staging.scans select * from twice",
            "delete from staging.scans where ctid = (select max(ctid) from staging.scans where table_name = 'users')",
            "the load has 2 scans of this table",
        ),
    ],
)
def test_rows_missing_in_the_staging_view_leave_the_load_pending(wrong, right, why, landed):
    landed.connection.execute(wrong)
    assert_only_users_are_broken(landed, why)
    landed.connection.execute(right)
    assert_the_next_gate_checks(landed)


def test_a_missing_landing_table_leaves_the_load_pending(warehouse):
    """Drop users, not tracks: the rules of documents read both."""
    warehouse.land({"users": [user(1), bad(2)], "tracks": [track(1)]})
    warehouse.execute("alter table staging.users rename to gone")
    verdicts = warehouse.check()
    assert verdicts["users"].error == 'UndefinedTable: relation "staging.users" does not exist'
    assert verdicts["tracks"].state == "accepted"
    warehouse.execute("alter table staging.gone rename to users")
    assert_the_next_gate_checks(warehouse)


@pytest.mark.parametrize("where", ["in Great Expectations", "in the gate itself"])
def test_a_statement_that_hangs_leaves_the_load_pending(where, landed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(session, "STATEMENT_TIMEOUT", "1s")
        if where == "in Great Expectations":
            query = "select _dlt_id from {batch} where pg_sleep(60) is null"
            patch.setattr(users, "suite", broken_by(gxe.UnexpectedRowsExpectation, unexpected_rows_query=query))
        else:
            landed.connection.execute(
                "alter view prep.stg_moovitamix__users rename to quick;"
                " create view prep.stg_moovitamix__users as select * from prep.quick where pg_sleep(60) is not null"
            )
        assert_only_users_are_broken(landed, "statement timeout")
    if where == "in the gate itself":
        landed.connection.execute(
            "drop view prep.stg_moovitamix__users; alter view prep.quick rename to stg_moovitamix__users"
        )
    assert_the_next_gate_checks(landed)


def test_a_database_that_fails_is_not_a_failed_rule(landed, monkeypatch):
    def suite_while_the_server_restarts():
        landed.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        return sound_suite()

    sound_suite = users.suite
    with monkeypatch.context() as patch:
        patch.setattr(users, "suite", suite_while_the_server_restarts)
        with pytest.raises(psycopg.OperationalError):
            landed.check()
    assert (landed.states("tracks"), landed.states("users")) == (["accepted"], ["pending"])
    assert {table: verdict.state for table, verdict in landed.check().items()} == {
        "users": "accepted_with_quarantine",
        "listen_history": "accepted",
    }
