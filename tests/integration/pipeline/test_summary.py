"""The summary of a run fits on one screen."""

import datetime as dt
import io
import json

import pytest
from rich.console import Console

from expectations.verdicts import Batch, RuleResult, Verdict
from extract.extraction import Extraction, Scan
from pipeline.console import summary
from pipeline.run.dbt import DbtOutcome
from pipeline.run.pipeline_run import PipelineRun
from pipeline.run.recommending import RecommendResult
from recommender.releases import Release
from warehouse.database import Warehouse


@pytest.mark.parametrize(
    "state", ["pending", "accepted", "accepted_with_quarantine", "blocked", "superseded", "released", "rejected"]
)
def test_each_state_of_a_load_can_be_shown(state):
    """This includes states that a person decided while the gate was checking."""
    batch = Batch("load 1", "users", rows_read=3, rows_landed=2, rows_removed=1)
    assert state in show_summary(PipelineRun(Warehouse({}), "run 1", verdicts=[Verdict(batch, state)]))


def show_summary(night: PipelineRun) -> str:
    """Return the summary as on a terminal, with colour codes."""
    output = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard", highlight=False)
    summary.show(night, output)
    return output.file.getvalue()


YELLOW = "\x1b[33m"
MANY_REMOVALS = Verdict(
    Batch("load 1", "users", rows_read=383, rows_landed=0, rows_removed=1617),
    "accepted",
    failed_rules=(RuleResult("few_removals", "info", 1, [{"removed_share": "0.8085"}]),),
)


def test_many_removals_are_a_warning_with_number_and_share_and_in_the_last_line():
    night = PipelineRun(Warehouse({}), "run 1", verdicts=[MANY_REMOVALS], build=DbtOutcome((), ()))
    assert f"{YELLOW}users: 1,617 keys are gone from the source, 81% of the known keys." in show_summary(night)
    assert summary.closing_line(night) == (
        "all published, but 1,617 keys of users are gone from the source (81% of the known keys);"
        ' see the details with: make gate ARGS="show"'
    )


def test_the_last_line_lists_all_warnings():
    quarantined = Verdict(Batch("load 1", "tracks", 9, 3, 0), "accepted_with_quarantine", rows_quarantined=2)
    night = PipelineRun(
        Warehouse({}),
        "run 1",
        verdicts=[MANY_REMOVALS, quarantined],
        rows_quarantined={"tracks": 2},
        build=DbtOutcome((), ()),
    )
    assert summary.closing_line(night) == (
        "all published, but 1,617 keys of users are gone from the source (81% of the known keys)"
        ' and 2 rows of tracks are quarantined; see the details with: make gate ARGS="show"'
    )


def test_rows_in_quarantine_are_counted_once_for_several_loads_of_a_table():
    verdicts = [
        Verdict(Batch(f"load {number}", "users", 9, 3, 0), "accepted_with_quarantine", rows_quarantined=2)
        for number in (1, 2)
    ]
    # the newer load has closed one row of the older
    night = PipelineRun(
        Warehouse({}), "run 1", verdicts=verdicts, rows_quarantined={"users": 3}, build=DbtOutcome((), ())
    )
    assert summary.closing_line(night).startswith("all published, but 3 rows of users are quarantined;")


MASS_CHANGE = "30 of the 50 known users (60 %, more than MAX_CHANGED_SHARE 50 %)"
WITH_WARNINGS = [
    Verdict(
        Batch("load 1", "users", 9, 3, 0, rows_unreadable=12),
        "accepted_with_quarantine",
        rows_quarantined=3,
        failed_rules=(RuleResult("few_changes", "info", 1, [{"mass_change": MASS_CHANGE}]),),
    ),
    Verdict(Batch("load 1", "tracks", 9, 3, 0, rows_unreadable=1), "accepted", rows_quarantined=1),
]


def night_with_warnings() -> PipelineRun:
    return PipelineRun(
        Warehouse({}),
        "run 1",
        verdicts=WITH_WARNINGS,
        rows_quarantined={"users": 3, "tracks": 1},
        build=DbtOutcome((), ()),
    )


def test_quarantined_and_unreadable_rows_and_a_mass_change_are_in_the_last_line():
    assert summary.closing_line(night_with_warnings()) == (
        f"all published, but {MASS_CHANGE} have changed, 12 rows of users are unreadable,"
        " 3 rows of users are quarantined, 1 row of tracks is unreadable and 1 row of tracks is quarantined;"
        ' see the details with: make gate ARGS="show"'
    )


def test_unreadable_rows_and_a_mass_change_are_warnings_of_the_event_log(capsys):
    summary.log_summary(night_with_warnings())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    warnings = [event["message"] for event in events if event["event"] == "notice" and event["level"] == "warning"]
    assert warnings == [
        f"users: {MASS_CHANGE} have changed. They are published."
        " If the API serves another system's data, reject the load.",
        "12 rows of users are unreadable and kept in staging.unreadable_rows;"
        " the marts keep the previous version of these rows.",
        "1 row of tracks is unreadable and kept in staging.unreadable_rows;"
        " the marts keep the previous version of these rows.",
    ]


def test_an_extraction_alone_reports_unreadable_rows_and_the_next_step():
    extraction = Extraction("load 1", {"users": scan_of("users", rows_unreadable=2)})
    assert summary.closing_line(PipelineRun(Warehouse({}), "run 1", extraction=extraction)) == (
        "loaded, not checked yet, but 2 rows of users are unreadable; next: make gate"
    )


def test_keys_of_failing_rows_are_shown_only_on_a_terminal(capsys):
    failed = RuleResult("email_is_an_address", "warning", 1, [{"key": "[4711]", "detail": "mary"}])
    verdict = Verdict(Batch("load 1", "users", 9, 3, 0), "accepted_with_quarantine", failed_rules=(failed,))
    night = PipelineRun(Warehouse({}), "run 1", verdicts=[verdict])
    assert "users: email_is_an_address, 1 row, such as [4711]" in show_summary(night)
    summary.log_summary(night)
    logged = capsys.readouterr().out
    assert "users: email_is_an_address, 1 row" in logged
    assert "4711" not in logged and "mary" not in logged


def scan_of(table: str, **figures: int) -> Scan:
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    known = {"total": 5, "rows_read": 5, "rows_unchanged": 5, "rows_landed": 0, "rows_removed": 0, "rows_unreadable": 0}
    known |= {"keys_known": 8, "keys_unsettled": 0, "keys_delivered": 8, "keys_lost": 0, "keys_changed": 0, "passes": 4}
    return Scan(table, **known | figures, started_at=now, finished_at=now)


def test_unseen_keys_without_a_proven_removal_are_reported():
    scans = {name: scan_of(name, keys_unsettled=unsettled) for name, unsettled in {"users": 3, "tracks": 0}.items()}
    text = show_summary(PipelineRun(Warehouse({}), "run 1", extraction=Extraction("load 1", scans)))
    assert f"{YELLOW}users: 3 known keys were not seen, but the removal is not proven" in text
    assert "tracks: 0" not in text


RELEASE = Release(
    release_id=3,
    released_at=dt.datetime(2026, 11, 28, 2, 3, tzinfo=dt.UTC),
    as_of=dt.datetime(2026, 11, 28, 2, 2, tzinfo=dt.UTC),
    until_seq=9,
    model_versions={"again": 12, "discover": 11},
    artist_cap=3,
    users=608,
    lists=1204,
    seconds=12.34,
    figures={
        "cold_users": 12,
        "candidates": 1000,
        "by_list": {
            "again": {
                "model": "popularity", "lists": 596, "coverage": 0.125, "items": {"model": 0, "genres": 0, "popular": 9}
            },
            "discover": {
                "model": "als", "lists": 608, "coverage": 0.5, "items": {"model": 90, "genres": 6, "popular": 4}
            },
        },
    },
)  # fmt: skip


def test_recommendations_are_a_table_that_fits_and_the_reason_for_popularity_is_said():
    why = {"again": "als does not beat popularity: NDCG@10 0.1"}
    made = RecommendResult("release 3 is published", RELEASE, True, why, [1])
    assert made.figures | {"kept_too_long": [1], "quality_problem": None, "cache_problem": None} == made.figures
    night = PipelineRun(Warehouse({}), "run 1", recommendations=made)
    output = Console(file=io.StringIO(), width=100)
    summary.show(night, output)
    lines = output.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert [" ".join(line.split()) for line in lines[1:8]] == [
        "somebody reads lists of old releases (1); the next release drops them",
        "recommendations: release 3 is published",
        "list model users model genres popular coverage",
        "discover als v11 608 90% 6% 4% 50%",
        "again popularity v12 596 0% 0% 100% 12%",
        "608 users with lists, 12 without listens; made in 12.3 s",
        "again: popular tracks are served, because als does not beat popularity: NDCG@10 0.1",
    ]
    assert summary.closing_line(night).startswith("release 3 is published; look at a user's lists with: make rec")
    nothing = PipelineRun(Warehouse({}), "run 1", recommendations=RecommendResult("nothing is built yet"))
    assert summary.closing_line(nothing) == "nothing is built yet; start a whole run with: make run"
