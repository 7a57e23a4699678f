"""Case 33: the machine's clock does not decide which version is the newest."""

import datetime as dt
import time

import pendulum
import psycopg
import pytest
from dlt.common.storages import load_package

from expectations import ledger
from expectations.gate import check_pending
from expectations.verdicts import Shares
from extract import extraction, scan
from sample_api.server import serve
from tests.databases import database_copy
from tests.integration.expectations.warehouse import document, track, user
from tests.marts import contents
from tests.runs import run_pipeline_on
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

LEAP_DAY, NO_DAY = "2024-02-29T02:30:00", "2023-02-29T02:30:00"
# In Berlin the hour from two to three comes twice on this day, and not at all on that one.
TWICE, NEVER = "2023-10-29T02:30:00", "2023-03-26T02:30:00"
LONG_AGO = {"created_at": "2023-01-01T00:00:00", "updated_at": "2023-01-01T00:00:00"}


def users(*changed):
    return [*changed, *(user(number, **LONG_AGO) for number in range(11, 16))]


def listens(number, items, updated_at, created_at=LONG_AGO["created_at"]):
    return document(number, items=items, updated_at=updated_at, created_at=created_at)


RUNS = [
    {
        "users": users(user(1, **LONG_AGO | {"created_at": NEVER}), user(2, **LONG_AGO | {"created_at": TWICE})),
        "tracks": [track(1, **LONG_AGO), track(2, **LONG_AGO)],
        "listen_history": [listens(1, [1], "2023-02-01T00:00:00"), listens(2, [1, 2], LEAP_DAY)],
    },
    {
        "users": users(user(1, last_name="Grey", **LONG_AGO), user(3, **LONG_AGO | {"updated_at": LEAP_DAY})),
        "tracks": [track(1, genres="Jazz", **LONG_AGO), track(2, **LONG_AGO)],
        "listen_history": [listens(1, [1, 2], "2023-02-02T00:00:00"), listens(2, [1, 2], LEAP_DAY)],
    },
    {
        "users": users(user(1, last_name="Black", **LONG_AGO), user(2, **LONG_AGO | {"updated_at": NO_DAY})),
        "tracks": [track(1, genres="Jazz, Soul", **LONG_AGO)],
        "listen_history": [listens(1, [2, 1], "2023-02-03T00:00:00"), listens(3, [1, 1], TWICE, TWICE)],
    },
    {
        "users": users(user(1, last_name="White", **LONG_AGO), user(2, **LONG_AGO | {"updated_at": NEVER})),
        "tracks": [track(1, genres="Soul", **LONG_AGO), track(2, name="Old song", **LONG_AGO)],
        "listen_history": [listens(1, [2, 1, 1], "2023-02-04T00:00:00"), listens(3, [1, 1], NEVER, NEVER)],
    },
    {
        "users": users(user(1, last_name="Brown", **LONG_AGO)),
        "tracks": [track(1, **LONG_AGO), track(2, name="Old song", **LONG_AGO)],
        "listen_history": [listens(1, [2, 1, 1, 1], "2023-02-05T00:00:00"), listens(3, [1, 1], NEVER, NEVER)],
    },
]


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


SOUND = [utc(f"2025-06-0{day}T00:00:00") for day in range(1, 6)]
UNSOUND = {
    "set back by an hour and by a year": [
        utc("2025-06-02T00:00:00"),
        utc("2025-06-02T23:00:00"),
        utc("2025-06-02T22:01:00"),
        utc("2025-06-02T22:31:00"),
        utc("2024-06-04T00:00:00"),
    ],
    "through summer and winter time": [
        utc("2025-03-30T00:30:00"),
        utc("2025-03-30T01:30:00"),
        utc("2025-10-26T00:30:00"),
        utc("2025-10-26T01:30:00"),
        utc("2025-10-26T02:30:00"),
    ],
    "on 29 February, and back to it": [
        utc("2024-02-29T00:00:00"),
        utc("2024-02-29T23:59:59"),
        utc("2024-03-01T00:00:00"),
        utc("2024-02-29T23:30:00"),
        utc("2024-02-29T23:45:00"),
    ],
}


@pytest.fixture
def machine(monkeypatch):
    """Sets the clock that the extraction and dlt read; in a zone with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()

    def set_to(moment):
        monkeypatch.setattr(scan, "_now", lambda: moment)
        monkeypatch.setattr(load_package, "increasing_precise_time", moment.timestamp)
        monkeypatch.setattr(pendulum, "now", lambda tz=None: pendulum.instance(moment, tz or pendulum.UTC))

    yield set_to
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def marts_after(machine, postgres_url, built_template, tmp_path):
    """The marts after RUNS, one at each of these moments."""

    def play(moments):
        with database_copy(postgres_url, built_template, "clocks") as url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("alter database clocks set timezone = 'Europe/Berlin'")
                for moment, rows in zip(moments, RUNS, strict=True):
                    machine(moment)
                    with serve(rows) as api:
                        extract_from(url, api.url, connection)
                    # the template's tracks are gone at once
                    verdicts = check_pending(url, shares=Shares(max_removed=1))
                    assert {verdict.state for verdict in verdicts} <= {"accepted", "accepted_with_quarantine"}
                    assert {verdict.batch.table for verdict in verdicts} == set(rows)
                connection.execute("alter database clocks reset timezone")
            assert run_pipeline_on(url, {}, steps=("build",)).exit_code == ExitCode.PUBLISHED
            return contents(url)

    def extract_from(url, api_url, connection):
        extraction.run(
            url,
            api_url,
            working_folder=tmp_path / "dlt",
            disregarded_loads=ledger.disregarded_loads(connection),
        )

    return play


def test_runs_with_a_wrong_clock_give_the_same_marts(marts_after):
    expected = marts_after(SOUND)
    for name, moments in UNSOUND.items():
        assert marts_after(moments) == expected, name
