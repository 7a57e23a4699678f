"""Test `gate show`: it prints the failed rules, and never a terminal escape code from the API."""

import io

import pytest
from rich.console import Console

from pipeline.operations import gate_report
from tests.hostile_text import HOSTILE, obeyed
from tests.integration.expectations.warehouse import ABSENT, document, track, user
from warehouse.errors import CommandError, ExitCode

pytestmark = pytest.mark.slow


def show_gate(warehouse, load_id=None, *, shows_rows=True) -> str:
    output = Console(file=io.StringIO(), width=100, highlight=False)
    gate_report.show(warehouse.connection, load_id, output, shows_rows=shows_rows)
    return output.file.getvalue()


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_values_are_checked_stored_and_printed_without_effect(what, warehouse):
    value = HOSTILE[what]
    warehouse.land(
        {
            "users": [user(1, email=value, first_name=value), user(2, **{value[:50]: value}), user(value[:150])],
            "tracks": [track(1, duration=value), track(2, name=value), track(value[:150])],
            "listen_history": [document(1, items=value), document(value[:100]), document(2, created_at=value[:100])],
        }
    )
    verdicts = warehouse.check()
    assert {verdict.state for verdict in verdicts.values()} == {"accepted_with_quarantine"}, verdicts
    assert (warehouse.published("users"), warehouse.published("tracks")) == (["[2]"], ["[2]"])
    assert warehouse.published("listen_history") == []

    printed = show_gate(warehouse)

    assert obeyed(printed) == set()
    assert len(printed) < 30_000
    assert "email_is_an_address: 1 row" in printed
    for line in printed.splitlines():
        assert line.startswith(("users", "tracks", "listen_history", "next:", "  ")), (
            "no value starts a line of its own"
        )


def test_markup_in_a_value_is_printed_unchanged(warehouse):
    warehouse.land({"users": [user(1, email="[bold]nobody[/bold]")]})
    warehouse.check()
    assert '"[bold]nobody[/bold]"' in show_gate(warehouse)


def test_each_rule_is_shown_with_its_count_and_the_first_rows_unchanged(warehouse):
    load_id = warehouse.land(
        {"users": [user(1, email="nobody"), *(user(number, created_at="yesterday") for number in range(2, 8))]}
    )
    warehouse.check()
    assert show_gate(warehouse).splitlines()[:6] == [
        f"users load {load_id}: accepted_with_quarantine, 7 bad rows of 1,007 read",
        "  1,007 read, 7 changed, 0 removed, 7 quarantined",
        "  warning email_is_an_address: 1 row",
        '    [1] "nobody"',
        '      {"id": 1, "email": "nobody", "gender": "Female", "last_name": "Brown", "created_at": '
        '"2026-01-01T10:00:00.000001", "first_name": "Ada", "updated_at": "2026-01-02T10:00:00", '
        '"favorite_genres": "Rock"}',
        "  warning created_at_is_a_time: 6 rows",
    ]
    assert show_gate(warehouse).count('"yesterday"') == 2 * gate_report.ROWS_PER_RULE


def test_absent_null_and_duplicate_values_are_shown_differently(warehouse):
    rows = [user(1, updated_at=ABSENT), user(2, updated_at=None), user(3, gender="one"), user(3, gender="two")]
    warehouse.land({"users": rows})
    warehouse.check()
    lines = show_gate(warehouse).splitlines()
    assert "    [1] absent" in lines
    assert "    [2] null" in lines
    assert [line for line in lines if '"one"' in line] != [line for line in lines if '"two"' in line] != []


def test_a_rule_about_the_scan_is_shown_with_its_value(warehouse):
    warehouse.land({"users": []}, removed={"users": ["[1]", "[2]"]}, keys_known=4)
    warehouse.check()
    assert "  info few_removals: removed_share 0.5" in show_gate(warehouse).splitlines()
    warehouse.land({"users": [user(1)]}, total=1)
    warehouse.check()
    assert "  critical all_of_the_total_was_read: rows_missing_of_total -1000" in show_gate(warehouse).splitlines()


def set_aside(warehouse, load_id, key, raw):
    warehouse.execute(
        "insert into staging.unreadable_rows (table_name, key, raw, reason, content_hash, _dlt_load_id, _dlt_id)"
        " values ('users', %s, %s, 'it is not UTF-8', %s, %s, %s)",
        key, raw, raw, load_id, f"{load_id} {raw}",
    )  # fmt: skip


def test_unreadable_rows_are_shown_including_those_set_aside_by_an_earlier_load(warehouse):
    first = warehouse.land({"users": [user(1)]}, rows_unreadable=1)
    set_aside(warehouse, first, "[7]", "[31mred")
    second = warehouse.land({"users": []}, rows_unreadable=2)
    set_aside(warehouse, second, None, "[bold]{[/bold]")
    later = warehouse.land({"users": [user(2)]})
    set_aside(warehouse, later, "[9]", "later")
    warehouse.check()

    printed = show_gate(warehouse, second)

    assert printed.splitlines()[2:7] == [
        "  info rows_are_readable: rows_unreadable 2",
        "    without a key it is not UTF-8",
        "      [bold]{[/bold]",
        f"    [7] it is not UTF-8 (set aside by load {first})",
        "      \\x1b[31mred",
    ]
    assert printed.splitlines()[-1].startswith(
        "next: inform the owner of the source about the unreadable rows of users;"
    )
    assert obeyed(printed) == set()


@pytest.mark.parametrize(
    ("figures", "next_step"),
    [
        ({"rows_unreadable": 1}, "next: inform the owner of the source"),
        (
            {"keys_changed": 900},
            "next: ask the owner of the source whether it is right that most of users has changed; if not: make",
        ),
    ],
    ids=["unreadable", "mass change"],
)
def test_without_an_id_warnings_of_the_newest_load_come_before_older_quarantine(figures, next_step, warehouse):
    quarantined = warehouse.land({"users": [user(1, email="nobody")]})
    newest = warehouse.land({"users": [user(2)]}, **figures)
    warehouse.check()
    assert f"load {newest}: accepted" in show_gate(warehouse)
    assert show_gate(warehouse).splitlines()[-1].startswith(next_step)
    warehouse.land({"users": [user(2)]})
    warehouse.check()
    assert f"load {quarantined}: accepted" in show_gate(warehouse), "that is over"


def test_a_mass_removal_is_shown_with_its_counts_and_the_release_command(warehouse):
    keys = [f"[{number}]" for number in range(45)]
    load_id = warehouse.land({"users": []}, removed={"users": keys}, keys_known=50)
    warehouse.check()
    lines = show_gate(warehouse).splitlines()
    figures = "45 of the 50 known users (90 %, more than MAX_REMOVED_SHARE 30 %)"
    assert f"  critical no_mass_removal: mass_removal {figures}" in lines
    assert lines[-1].endswith(f"""make gate ARGS="release {load_id} users --reason '...'\"""")


def test_rows_erased_later_leave_nothing_in_the_verdict(warehouse):
    warehouse.land({"users": [user(4711, email="lovelace", updated_at="2025-01-01T00:00:00")]})
    warehouse.check()
    for table in ("gate.quarantined_rows", "staging.users"):
        warehouse.execute(f"delete from {table}")
    assert "email_is_an_address: 1 row" in show_gate(warehouse)
    assert "lovelace" not in show_gate(warehouse)
    ((verdict,),) = warehouse.rows("select verdict::text from gate.loads")
    assert "lovelace" not in verdict
    assert "4711" not in verdict


def test_without_an_id_it_shows_the_most_urgent_load(warehouse):
    accepted = warehouse.land({"users": [user(1)]})
    warehouse.check()
    assert f"load {accepted}: accepted" in show_gate(warehouse)
    quarantined = warehouse.land({"users": [user(2, email="nobody")]})
    warehouse.check()
    warehouse.land({"users": [user(3)]})
    warehouse.check()
    assert f"load {quarantined}: accepted_with_quarantine" in show_gate(warehouse)
    blocked = warehouse.land({"tracks": [track(1)]}, total=1)
    warehouse.check()
    assert f"load {blocked}: blocked" in show_gate(warehouse)
    assert f"load {accepted}: accepted" in show_gate(warehouse, accepted)


def test_the_newest_load_is_the_last_one_landed_regardless_of_the_clock(warehouse):
    for number in (1, 2):
        newest = warehouse.land({"users": [user(number)]})
        warehouse.check()
    warehouse.execute("update gate.loads set judged_at = '2020-01-01' where load_id = %s", newest)
    assert f"load {newest}: accepted" in show_gate(warehouse)


@pytest.mark.parametrize(
    ("state", "next_step"),
    [
        (
            "blocked",
            "users of this load is not published; when the source is fixed: make run;"
            """ or publish the load as it is: make gate ARGS="release LOAD users --reason '...'\"""",
        ),
        ("pending", "users of this load is pending; check it with: make run"),
        (
            "accepted",
            "nothing; if this load should not be published:"
            """ make gate ARGS="reject LOAD tracks --reason '...'\"""",
        ),
        ("superseded", "nothing: later runs loaded the rows of this load again"),
        ("rejected", "nothing: later runs loaded the rows of this load again"),
    ],
)
def test_it_ends_with_the_command_that_fits(state, next_step, warehouse):
    load_id = warehouse.land({"users": [user(1)], "tracks": [track(1)]})
    warehouse.check()
    warehouse.execute("update gate.loads set state = %s where table_name = 'users'", state)
    assert show_gate(warehouse).splitlines()[-1] == "next: " + next_step.replace("LOAD", load_id)


def test_with_quarantined_rows_it_ends_with_the_replay_command(warehouse):
    warehouse.land({"users": [user(1), user(2, email="nobody")]})
    warehouse.check()
    assert show_gate(warehouse).splitlines()[-1] == (
        "next: nothing, if the source sends valid versions of the quarantined rows;"
        " if a rule was wrong and is now fixed:"
        """ make gate ARGS="replay --reason '...'\""""
    )


def test_an_unknown_load_is_a_wrong_setting(warehouse):
    with pytest.raises(CommandError) as nothing:
        show_gate(warehouse)
    warehouse.land({"users": [user(1)]})
    warehouse.check()
    with pytest.raises(CommandError) as unknown:
        show_gate(warehouse, "\x1b[31m17")
    assert {stop.value.code for stop in (nothing, unknown)} == {ExitCode.WRONG_SETTINGS}
    assert str(unknown.value) == "there is no load \\x1b[31m17; see the open loads with: make status"


def test_without_show_rows_a_load_names_rules_and_no_row_and_the_blocked_table_comes_first(warehouse):
    planted = "planted@example.org"
    load_id = warehouse.land(
        {
            "listen_history": [document(1)],
            "tracks": [track(1)],
            "users": [user(number, email=f"{planted} ", first_name="Wendelin") for number in range(1, 400)],
        },
        rows_read=400,
    )
    warehouse.check()
    printed = show_gate(warehouse, load_id, shows_rows=False)
    assert printed.startswith(f"users load {load_id}: blocked")
    assert "email_is_an_address: 399 rows" in printed and f"show {load_id} --show-rows" in printed
    assert planted not in printed and "Wendelin" not in printed
    assert planted in show_gate(warehouse, load_id)
