"""The end of a night on one screen."""

import datetime as dt
import io
import json

import pytest
from rich.console import Console

import extract
from expectations.judgement import Batch, Judgement, RuleResult
from pipeline import summary
from pipeline.dbt import DbtOutcome
from pipeline.night import Night
from pipeline.warehouse import Warehouse


@pytest.mark.parametrize(
    "state", ["pending", "accepted", "accepted_with_quarantine", "blocked", "superseded", "released", "rejected"]
)
def test_each_state_of_a_load_can_be_shown(state):
    """What somebody decided while the gate was judging is shown too."""
    batch = Batch("load 1", "users", rows_read=3, rows_landed=2, rows_removed=1)
    assert state in shown(Night(Warehouse({}), "run 1", judgements=[Judgement(batch, state)]))


def shown(night: Night) -> str:
    """As on a terminal, with the codes of its colours."""
    output = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard", highlight=False)
    summary.show(night, output)
    return output.file.getvalue()


YELLOW = "\x1b[33m"
MANY_REMOVALS = Judgement(
    Batch("load 1", "users", rows_read=383, rows_landed=0, rows_removed=1617),
    "accepted",
    failed_rules=(RuleResult("few_removals", "info", 1, [{"removed_share": "0.8085"}]),),
)


def test_many_removals_are_shouted_with_their_number_and_share_and_are_in_the_last_line_too():
    night = Night(Warehouse({}), "run 1", judgements=[MANY_REMOVALS], build=DbtOutcome((), ()))
    assert f"{YELLOW}users: 1,617 keys are gone from the source, 81% of all that were known." in shown(night)
    assert summary.closing_line(night) == (
        "all published, but 1,617 keys of users are gone from the source (81% of those known);"
        ' look at them with: make gate ARGS="show"'
    )


def test_the_last_line_names_all_that_is_worth_a_look():
    held = Judgement(Batch("load 1", "tracks", 9, 3, 0), "accepted_with_quarantine", rows_quarantined=2)
    night = Night(Warehouse({}), "run 1", judgements=[MANY_REMOVALS, held], build=DbtOutcome((), ()))
    assert summary.closing_line(night) == (
        "all published, but 1,617 keys of users are gone from the source (81% of those known)"
        ' and 2 rows of tracks are quarantined; look at them with: make gate ARGS="show"'
    )


MASS_CHANGE = "30 of the 50 known users (60 %, more than MAX_CHANGED_SHARE 50 %)"
WORTH_A_LOOK = [
    Judgement(
        Batch("load 1", "users", 9, 3, 0, rows_unreadable=12),
        "accepted_with_quarantine",
        rows_quarantined=3,
        failed_rules=(RuleResult("few_changes", "info", 1, [{"mass_change": MASS_CHANGE}]),),
    ),
    Judgement(Batch("load 1", "tracks", 9, 3, 0, rows_unreadable=1), "accepted", rows_quarantined=1),
]


def test_rows_held_back_for_any_reason_and_a_mass_change_are_in_the_last_line():
    night = Night(Warehouse({}), "run 1", judgements=WORTH_A_LOOK, build=DbtOutcome((), ()))
    assert summary.closing_line(night) == (
        f"all published, but {MASS_CHANGE} have changed, 12 rows of users are unreadable,"
        " 3 rows of users are quarantined, 1 row of tracks is unreadable and 1 row of tracks is quarantined;"
        ' look at them with: make gate ARGS="show"'
    )


def test_unreadable_rows_and_a_mass_change_are_warnings_of_the_event_log(capsys):
    summary.tell(Night(Warehouse({}), "run 1", judgements=WORTH_A_LOOK, build=DbtOutcome((), ())))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    warnings = [event["message"] for event in events if event["event"] == "notice" and event["level"] == "warning"]
    assert warnings == [
        f"users: {MASS_CHANGE} have changed. They are published; if the source is another system's, reject the load.",
        "12 rows of users are unreadable, and set aside; readers see what these records held before.",
        "1 row of tracks is unreadable, and set aside; readers see what these records held before.",
    ]


def test_what_only_landed_says_its_unreadable_rows_and_the_next_step():
    extraction = extract.Extraction("load 1", {"users": scan_of("users", rows_unreadable=2)})
    assert summary.closing_line(Night(Warehouse({}), "run 1", extraction=extraction)) == (
        "landed, not judged yet, but 2 rows of users are unreadable; the next step: make gate"
    )


def test_the_keys_of_bad_rows_are_for_a_terminal_alone(capsys):
    failed = RuleResult("email_is_an_address", "warning", 1, [{"key": "[4711]", "detail": "mary"}])
    judgement = Judgement(Batch("load 1", "users", 9, 3, 0), "accepted_with_quarantine", failed_rules=(failed,))
    night = Night(Warehouse({}), "run 1", judgements=[judgement])
    assert "users: email_is_an_address, 1 rows, such as [4711]" in shown(night)
    summary.tell(night)
    logged = capsys.readouterr().out
    assert "users: email_is_an_address, 1 rows" in logged
    assert "4711" not in logged and "mary" not in logged


def scan_of(table: str, **figures: int) -> extract.Scan:
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    known = {"total": 5, "rows_read": 5, "rows_unchanged": 5, "rows_landed": 0, "rows_removed": 0, "rows_unreadable": 0}
    known |= {"keys_known": 8, "keys_unsettled": 0, "keys_delivered": 8, "keys_lost": 0, "keys_changed": 0, "passes": 4}
    return extract.Scan(table, **known | figures, started_at=now, finished_at=now)


def test_keys_that_are_not_seen_and_not_proven_gone_are_told():
    scans = {name: scan_of(name, keys_unsettled=unsettled) for name, unsettled in {"users": 3, "tracks": 0}.items()}
    text = shown(Night(Warehouse({}), "run 1", extraction=extract.Extraction("load 1", scans)))
    assert f"{YELLOW}users: 3 known keys were not seen, and not proven to be gone" in text
    assert "tracks: 0" not in text
