"""Each warehouse has its own sample world, which later runs continue."""

import datetime as dt

import psycopg
import pytest

from pipeline.run import sample_source
from tests.command import command
from tests.databases import new_database
from warehouse.errors import ExitCode

START = "2026-02-27"


@pytest.fixture
def today(monkeypatch):
    """Set the date that the runs of this test see."""

    def set_to(year, month, day):
        monkeypatch.setattr(sample_source, "today", lambda: dt.date(year, month, day))

    return set_to


def days_read(connection):
    return connection.execute(
        "select sample_start::text, sample_day from ops.current_runs where sample_day is not null order by run_seq"
    ).fetchall()


def test_later_runs_continue_the_world_until_today_and_then_say_so(database_url, connection, today):
    today(2026, 2, 28)
    settings = {"SAMPLE": "1", "DATABASE_URL": database_url}
    first = command("extract", **settings, SAMPLE_START=START)
    assert first.code == ExitCode.PUBLISHED and "nothing new" not in first.out
    second = command("extract", **settings)  # without SAMPLE_START: the warehouse knows it
    assert second.code == ExitCode.PUBLISHED and "nothing new" not in second.out
    third = command("extract", **settings, SAMPLE_START=START)
    assert third.code == ExitCode.PUBLISHED
    assert third.out.count("the sample world has reached today: it brings nothing new before 2026-03-01 00:00 UTC") == 1
    landed = connection.execute("""
        select sum(rows_landed + rows_removed)::int
        from ops.run_tables
        inner join ops.runs using (run_id)
        group by run_seq
        order by run_seq
    """).fetchall()
    assert landed[1] > (0,) and landed[2] == (0,)

    today(2026, 3, 1)
    assert command("extract", **settings).code == ExitCode.PUBLISHED
    assert days_read(connection) == [(START, 0), (START, 1), (START, 1), (START, 2)]

    line = command("extract", **settings, SAMPLE_START="2026-02-01").only_line(ExitCode.WRONG_SETTINGS)
    assert "began on 2026-02-27; unset SAMPLE_START" in line


def test_another_warehouse_has_a_world_of_its_own(database_url, connection, postgres_url, today):
    today(2026, 12, 31)
    command("extract", "--sample", f"--sample-start={START}", DATABASE_URL=database_url)
    with new_database(postgres_url, "other") as other_url:
        command("extract", "--sample", DATABASE_URL=other_url)
        with psycopg.connect(other_url) as other:
            assert days_read(other) == [("2026-12-25", 0)]
    assert days_read(connection) == [(START, 0)]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"SAMPLE_START": "yesterday"}, "must be a day of the calendar, such as 2026-01-31, not 'yesterday'"),
        ({"SAMPLE_START": "2026-02-30"}, "must be a day of the calendar, such as 2026-01-31, not '2026-02-30'"),
        ({"SAMPLE_START": "1969-12-31"}, "cannot begin before 1970"),
        ({"SAMPLE_START": "2999-01-01"}, "lies in the future"),
        ({"SAMPLE_START": START, "SAMPLE": "", "API_BASE_URL": "http://127.0.0.1:9"}, "is for the sample API"),
    ],
    ids=str,
)
def test_an_impossible_start_is_refused_before_anything_is_written(settings, why, database_url, connection):
    line = command("extract", **{"SAMPLE": "1", "DATABASE_URL": database_url} | settings).only_line(
        ExitCode.WRONG_SETTINGS
    )
    assert why in line and "SAMPLE_START" in line
    assert connection.execute("select to_regnamespace('ops') is null").fetchone()[0]


def test_the_world_of_an_earlier_version_is_not_continued(database_url, connection):
    assert command("migrate", DATABASE_URL=database_url).code == ExitCode.PUBLISHED
    connection.execute("insert into ops.runs (run_id, command, sample_day) values ('earlier', 'extract', 2)")
    line = command("extract", "--sample", DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)
    assert "sample world of an earlier version" in line and "make clean" in line
