"""Slots of the timetable across clock changes, and the check of time zones."""

import datetime as dt
import os
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest

from pipeline.schedule.timetable import Timetable, time_of_day, zone, zone_warning
from tests.command import PROJECT, command
from warehouse.errors import ExitCode

MONTREAL = "America/Montreal"
NOW = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)


def timetable(runtime, place=MONTREAL):
    return Timetable(time_of_day(runtime), zone(place))


def slots(table, first, last):
    """All of them from `first` to `last`, both in UTC."""
    found = []
    moment = utc(first)
    while (moment := table.next_after(moment)) <= utc(last):
        found.append(moment)
    return found


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_a_time_that_is_skipped_in_spring_moves_one_hour_later():
    table = timetable("02:30")
    assert [table.describe(slot) for slot in slots(table, "2026-03-07T00:00", "2026-03-09T12:00")] == [
        "2026-03-07 02:30 America/Montreal (UTC-05:00)",
        "2026-03-08 03:30 America/Montreal (UTC-04:00)",
        "2026-03-09 02:30 America/Montreal (UTC-04:00)",
    ]


def test_a_time_that_occurs_twice_in_autumn_counts_the_first_time():
    table = timetable("01:30")
    assert [table.describe(slot) for slot in slots(table, "2026-10-31T00:00", "2026-11-02T12:00")] == [
        "2026-10-31 01:30 America/Montreal (UTC-04:00)",
        "2026-11-01 01:30 America/Montreal (UTC-04:00)",
        "2026-11-02 01:30 America/Montreal (UTC-05:00)",
    ]
    second_time = dt.datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo(MONTREAL), fold=1)
    assert table.describe(table.last_until(second_time)) == "2026-11-01 01:30 America/Montreal (UTC-04:00)"


@pytest.mark.parametrize(
    ("place", "year"),
    [
        (MONTREAL, 2026),
        ("Australia/Lord_Howe", 2026),  # moved by half an hour
        ("America/Havana", 2026),  # moved at midnight
        ("Africa/Casablanca", 2026),  # moved for Ramadan
        ("Antarctica/Troll", 2026),  # moved by two hours
        ("Asia/Kathmandu", 2026),
        ("UTC", 2026),
    ],
)
@pytest.mark.parametrize("runtime", ["00:00", "00:30", "01:30", "02:30", "23:59"])
def test_each_day_of_the_year_has_one_slot_everywhere(place, year, runtime):
    table = timetable(runtime, place)
    found = slots(table, f"{year}-01-03T00:00", f"{year}-12-29T00:00")
    days = [slot.astimezone(table.zone).date() for slot in found]
    assert days == [days[0] + dt.timedelta(number) for number in range(len(days))]
    assert len(days) >= 360
    for slot in found:
        assert table.last_until(slot) == table.last_until(slot + dt.timedelta(hours=20)) == slot
    assert table.count_after(found[0], found[-1]) == len(found) - 1


def test_a_day_that_a_zone_skipped_has_no_slot_and_the_next_day_has_one():
    """Samoa went over the date line."""
    table = timetable("00:00", "Pacific/Apia")
    days = [table.describe(slot)[:10] for slot in slots(table, "2011-12-28T12:00", "2012-01-01T00:00")]
    assert days == ["2011-12-29", "2011-12-31", "2012-01-01"]


@pytest.mark.parametrize("name", ["EST", "MST", "HST", "GMT", "Etc/GMT+5", "Etc/GMT"])
def test_a_zone_that_is_a_fixed_offset_gives_a_warning(name):
    warning = zone_warning(zone(name), NOW)
    assert warning.startswith(f"{name} is UTC") and "daylight saving" in warning


@pytest.mark.parametrize(
    "name", [MONTREAL, "EST5EDT", "CET", "America/Phoenix", "Asia/Tokyo", "UTC", "Etc/UTC", "Japan"]
)
def test_a_place_and_universal_time_give_no_warning(name):
    assert zone_warning(zone(name), NOW) is None


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PST", "America/Los_Angeles"),
        ("CST", "America/Chicago"),
        ("Montreal", "America/Montreal"),
        ("america/montreal", "America/Montreal"),
        ("Canada/Montreal", "America/Montreal"),
        ("New York", "America/New_York"),
        ("Europe/Berln", "Europe/Berlin"),
        ("../../etc/passwd", "such as America/Montreal"),
        ("/usr/share/zoneinfo/UTC", ""),
        ("America", ""),
        ("Factory", ""),
        ("localtime", ""),
        (" ", "such as America/Montreal"),
        ("\x1b[31m", "such as America/Montreal"),
    ],
)
def test_an_unknown_zone_is_refused_with_similar_names(name, nearest):
    with pytest.raises(ValueError, match="there is no time zone") as refusal:
        zone(name)
    assert nearest in str(refusal.value) and str(refusal.value).isprintable()


def test_zones_are_known_on_a_machine_without_a_zone_database():
    code = (
        "from pipeline.schedule.timetable import zone; import zoneinfo;"
        " print(zone('America/Montreal'), zoneinfo.TZPATH)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "America/Montreal ()\n"


@pytest.mark.parametrize("text", ["24:00", "7:00", "12:60", "0000", "12:00:00", "noon", "", "１２:00"])
def test_an_invalid_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="from 00:00 to 23:59"):
        time_of_day(text)


@pytest.mark.parametrize(
    ("arguments", "environment", "word"),
    [
        (["--timezone", "PST"], {}, "America/Los_Angeles"),
        ([], {"TIMEZONE": "Montreal"}, "America/Montreal"),
        (["--pipeline_runtime", "25:00"], {}, "23:59"),
        ([], {"PIPELINE_RUNTIME": "midnight"}, "23:59"),
        (["--batch-size", "0"], {}, "--batch-size"),
        (["--api-base-url", "api.example.com"], {}, "API_BASE_URL"),
        ([], {"DATABASE_URL": "a warehouse", "SAMPLE": "1"}, "DATABASE_URL"),
        ([], {"DATABASE_URL": "postgresql:///nowhere"}, "--sample"),
    ],
)
def test_an_invalid_setting_is_reported_when_the_schedule_starts(arguments, environment, word):
    assert word in command("schedule", *arguments, **environment).only_line(ExitCode.WRONG_SETTINGS)
