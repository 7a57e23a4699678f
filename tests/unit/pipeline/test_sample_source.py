"""Test which day of the sample world a run reads."""

import datetime as dt

import pytest

from pipeline.run.sample_source import SampleDay, next_day
from warehouse.errors import CommandError, ExitCode


@pytest.mark.parametrize(
    ("first_run_on", "start"),
    [
        (dt.date(2026, 11, 29), dt.date(2026, 11, 23)),
        (dt.date(2028, 2, 29), dt.date(2028, 2, 23)),
        (dt.date(2028, 3, 1), dt.date(2028, 2, 24)),
        (dt.date(2027, 1, 1), dt.date(2026, 12, 26)),
        (dt.date(2026, 12, 31), dt.date(2026, 12, 25)),
    ],
    ids=str,
)
def test_the_runs_of_a_first_day_read_its_last_six_days_and_then_nothing_new(first_run_on, start):
    days = [next_day(None, None, first_run_on)]
    while not days[-1].is_repeated:
        days.append(next_day((days[-1].start, days[-1].day), None, first_run_on))
    assert [(each.start, each.day) for each in days] == [(start, day) for day in (0, 1, 2, 3, 4, 5, 6, 6)]
    assert days[-1].date == first_run_on


def test_a_run_reads_the_next_day_also_a_month_later():
    assert next_day((dt.date(2026, 1, 31), 6), None, dt.date(2026, 3, 9)) == SampleDay(dt.date(2026, 1, 31), 7)


def test_a_clock_that_was_set_back_repeats_the_newest_day():
    newest = (dt.date(2026, 1, 31), 6)
    assert next_day(newest, None, dt.date(2026, 1, 2)) == SampleDay(*newest, is_repeated=True)


@pytest.mark.parametrize("start", [dt.date(2024, 2, 29), dt.date(2026, 1, 31)])
def test_a_chosen_start_gives_room_for_more_runs(start):
    assert next_day(None, start, dt.date(2026, 1, 31)) == SampleDay(start, 0)
    assert next_day((start, 0), start, dt.date(2026, 2, 1)) == SampleDay(start, 1)


@pytest.mark.parametrize(
    ("previous", "wanted_start", "why"),
    [
        ((dt.date(2026, 1, 1), 3), dt.date(2026, 1, 2), "began on 2026-01-01; unset SAMPLE_START"),
        ((None, 3), None, "of an earlier version"),
    ],
)
def test_a_start_that_cannot_be_is_refused(previous, wanted_start, why):
    with pytest.raises(CommandError, match=why) as refusal:
        next_day(previous, wanted_start, dt.date(2026, 1, 31))
    assert refusal.value.code == ExitCode.WRONG_SETTINGS
