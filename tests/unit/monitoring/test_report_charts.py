"""Test that the time axis of the report tells the nights of one day apart."""

import datetime as dt
from dataclasses import replace

import pytest

from monitoring import report_charts
from tests.unit.monitoring.nights import night

DAY = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)


def at(hour: int, minute: int, second: int = 0, days: int = 0) -> dt.datetime:
    return DAY + dt.timedelta(days=days, hours=hour, minutes=minute, seconds=second)


@pytest.mark.parametrize(
    ("starts", "times"),
    [
        ([at(2, 20), at(2, 20, days=1)], ["", ""]),
        ([at(2, 20), at(9, 5), at(2, 20, days=1)], ["02:20", "09:05", ""]),
        ([at(2, 20, 4), at(2, 20, 41), at(9, 5)], ["02:20:04", "02:20:41", "09:05"]),
        ([], []),
    ],
)
def test_nights_of_one_day_differ_by_their_time(starts, times):
    assert report_charts.times_of_day(starts) == times


def test_each_night_of_a_day_has_its_own_cell_and_slot_with_its_time():
    starts = [at(2, 20, days=-2), at(2, 20), at(9, 5), at(14, 30)]
    nights = [replace(night(number), started_at=start) for number, start in enumerate(starts)]
    cells = report_charts.strip(nights, at(15, 0), dt.UTC)
    assert [(cell.day.day, cell.time, cell.night is not None) for cell in cells] == [
        (26, "", True),
        (27, "", False),
        (28, "02:20", True),
        (28, "09:05", True),
        (28, "14:30", True),
    ]
    slots, by_slot = report_charts.slots(cells)
    assert list(by_slot.values()) == nights and len(by_slot) == 4
    assert list(slots.labels.values()) == [["26 Nov"], ["28 Nov", "02:20"], ["28 Nov", "14:30"]]
