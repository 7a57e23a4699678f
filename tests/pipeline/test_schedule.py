"""The schedule: its nights under a clock that the test moves, and as a process that is stopped and killed."""

import contextlib
import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers import background, base, blocking

from pipeline import cli, messages, runs, schedule, warehouse
from pipeline.exits import Exit, Stop
from pipeline.timetable import Timetable, time_of_day, zone
from sample_api.server import serve
from tests.pipeline.command import PROJECT, command, last_run, step_is_running, until

MONTREAL = "America/Montreal"
HANGS, FAILS = "hang@listen_history=1", "redirect=http://127.0.0.1:1/"


class _Over(Exception):
    """The time that a test plays is up."""


class PlayedTime:
    """A clock that jumps to whatever is waited for, nights that take as long as the test says, and a ledger of them.

    The ledger is the real one. Its server has a clock of its own: a night lies as far back there as it does here.
    """

    def __init__(self, connection, database_url, moment):
        self.now = utc(moment)
        self.nights = []
        self.codes = {}
        self.not_entered = set()
        self.hours = {}
        self.awake_again = {}
        self.at = {}
        self._connection = connection
        self._database_url = database_url
        runs.prepare(connection)

    def find(self):
        """The warehouse, with all nights put where the clock of its server has them."""
        for started_at, run_id in self.nights:
            self._connection.execute(
                "update ops.runs set started_at = clock_timestamp() - %s where run_id = %s",
                [self.now - started_at, run_id],
            )
        return warehouse.find(self._database_url, "test")

    def night(self, *_, **__):
        """What stands for the process of a night. Its exit code is 0 unless `codes` has another for its number, and it
        is in the ledger unless its number is in `not_entered`."""
        number = len(self.nights)
        code = self.codes.get(number, 0)
        self.now += dt.timedelta(seconds=2)
        run_id = None
        if code != Exit.ALREADY_RUNNING and number not in self.not_entered:
            run_id = runs.start_run(self._connection, runs.WHOLE_NIGHT)
            if code >= 0:
                message = runs.INTERRUPTED if code == Exit.UNFORESEEN else "some message"
                runs.finish_run(self._connection, run_id, code, message, error_type=None, measures={})
        self.nights.append((self.now, run_id))
        self.now += dt.timedelta(hours=self.hours.get(number, 0.1))
        return Played(code)

    def play(self, runtime, place, until_moment):
        """A schedule from now until then; returns the nights' beginnings on the clocks of the place."""
        end = utc(until_moment)
        clock = self

        class Jump:
            """The event that the scheduler waits for: nothing else happens, so the wait is over at once."""

            def __init__(self):
                self._is_set = False

            def set(self):
                self._is_set = True

            def is_set(self):
                return self._is_set

            clear = __init__

            def wait(self, seconds):
                if self._is_set:
                    return
                clock.now += dt.timedelta(seconds=min(seconds, schedule.CLOCK_SECONDS))
                for asleep, awake in clock.awake_again.items():
                    if utc(asleep) <= clock.now < utc(awake):
                        clock.now = utc(awake)
                for moment in [moment for moment in clock.at if utc(moment) <= clock.now]:
                    clock.at.pop(moment)()
                if clock.now >= end:
                    raise _Over

        table = Timetable(time_of_day(runtime), zone(place))
        scheduler = blocking.BlockingScheduler(executors={"default": DebugExecutor()}, timezone=dt.UTC)
        first = len(self.nights)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocking, "Event", Jump)
            patch.setattr(base, "datetime", type("Frozen", (dt.datetime,), {"now": lambda zone=None: self.now}))
            patch.setattr(schedule, "_now", lambda: self.now)
            patch.setattr(schedule.subprocess, "Popen", self.night)
            schedule.Schedule(table, lambda: self.find()).enter(scheduler)
            with contextlib.suppress(_Over):
                scheduler.start()
        return [f"{moment.astimezone(table.zone):%m-%d %H:%M}" for moment, _ in self.nights[first:]]


class Played:
    """A night's process that has ended."""

    def __init__(self, code):
        self.returncode = code

    def wait(self):
        return self.returncode

    poll = wait

    def terminate(self):
        pass


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def played(connection, database_url):
    return lambda moment: PlayedTime(connection, database_url, moment)


def test_the_night_runs_once_when_its_time_comes_twice(played):
    assert played("2026-10-31T12:00").play("01:30", MONTREAL, "2026-11-03T12:00") == [
        "11-01 01:30",
        "11-02 01:30",
        "11-03 01:30",
    ]


def test_the_night_runs_once_when_its_time_does_not_come(played):
    assert played("2026-03-07T12:00").play("02:30", MONTREAL, "2026-03-10T12:00") == [
        "03-08 03:30",
        "03-09 02:30",
        "03-10 02:30",
    ]


def test_a_first_start_waits_for_its_time_and_says_when_that_is(played, capsys):
    assert played("2026-07-01T12:00").play("00:00", MONTREAL, "2026-07-02T12:00") == ["07-02 00:00"]
    first, *_ = capsys.readouterr().out.splitlines()
    assert json.loads(first)["message"] == "next night: 2026-07-02 00:00 America/Montreal (UTC-04:00), in 16 h 0 min"


@pytest.mark.parametrize("code", [code for code in Exit if code not in (Exit.UNFORESEEN, *schedule.MAYBE_NOT_BEGUN)])
def test_a_night_with_an_end_of_its_own_is_followed_by_that_of_the_next_day(code, played, capsys):
    time = played("2026-07-01T12:00")
    time.codes = {0: code}
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-02 00:00", "07-03 00:00"]
    assert ("failed with exit code" in capsys.readouterr().out) == (code != Exit.PUBLISHED)


def test_nights_missed_while_the_machine_slept_are_made_up_for_once_and_told(played, capsys):
    time = played("2026-07-01T12:00")
    time.awake_again = {"2026-07-02T20:00": "2026-07-04T09:00"}
    assert time.play("00:00", "UTC", "2026-07-05T12:00") == ["07-02 00:00", "07-04 09:00", "07-05 00:00"]
    said = capsys.readouterr().out
    assert "2 nights were missed, the last of them that of 2026-07-04 00:00 UTC" in said
    assert said.count("next night: ") == 4, "at the start, and after each night"


def test_a_night_missed_while_the_schedule_was_down_is_run_once_at_its_start_and_told(played, capsys):
    time = played("2026-07-01T12:00")
    time.play("00:00", "UTC", "2026-07-02T12:00")
    time.now = utc("2026-07-03T07:00")
    capsys.readouterr()
    assert time.play("00:00", "UTC", "2026-07-04T12:00") == ["07-03 07:00", "07-04 00:00"]
    assert "the night of 2026-07-03 00:00 UTC (UTC+00:00) was missed; it is run now" in capsys.readouterr().out
    time.now = utc("2026-07-04T13:00")
    assert time.play("00:00", "UTC", "2026-07-04T23:00") == [], "a night that failed or not, it was not missed"
    assert "missed" not in capsys.readouterr().out


def test_a_night_longer_than_a_day_is_followed_by_the_one_it_delayed(played, capsys):
    time = played("2026-07-01T12:00")
    time.hours = {0: 26}
    assert time.play("00:00", "UTC", "2026-07-04T12:00") == ["07-02 00:00", "07-03 02:00", "07-04 00:00"]
    assert "the night of 2026-07-03 00:00 UTC (UTC+00:00) was missed; it is run now" in capsys.readouterr().out


def test_a_night_waits_for_another_run_to_end(played, database_url, capsys):
    time = played("2026-07-01T12:00")
    with contextlib.ExitStack() as other_run:
        other_run.enter_context(warehouse.only_run(warehouse.find(database_url, "other")))
        time.at = {"2026-07-02T00:12": other_run.close}
        assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:15"]
    assert "another run works on the warehouse; the next look is at 2026-07-02 00:05" in capsys.readouterr().out


def test_a_night_that_found_another_run_at_work_is_begun_again(played):
    time = played("2026-07-01T12:00")
    time.codes = {0: Exit.ALREADY_RUNNING}
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:00", "07-02 00:11"]


def test_a_night_whose_warehouse_was_lost_is_not_begun_again_once_its_end_is_known(played):
    time = played("2026-07-01T12:00")
    time.codes = {0: Exit.WAREHOUSE_UNAVAILABLE}
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:00"]


@pytest.mark.parametrize("problem", [Stop(Exit.WAREHOUSE_UNAVAILABLE, "nobody there"), KeyError("nobody foresaw")])
def test_what_keeps_the_schedule_from_the_ledger_keeps_it_from_nothing_else(problem, played, capsys):
    time = played("2026-07-01T12:00")
    find = time.find

    def fail():
        raise problem

    time.find = fail
    time.at = {"2026-07-02T00:12": lambda: setattr(time, "find", find)}
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:15"]
    assert "nobody foresaw" not in capsys.readouterr().out


@pytest.mark.parametrize("code", [-signal.SIGKILL, Exit.UNFORESEEN], ids=["killed", "interrupted"])
def test_a_night_that_was_cut_short_is_begun_once_more_at_the_next_start_and_no_oftener(code, played, capsys):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(2), code)
    assert time.play("00:00", "UTC", "2026-07-02T00:03") == ["07-02 00:00"]
    assert time.play("00:00", "UTC", "2026-07-02T00:20") == ["07-02 00:06"]
    assert "was cut short; it is begun once more" in capsys.readouterr().out
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-03 00:00"]
    assert "was cut short 2 times; find out why, then: make run" in capsys.readouterr().out


def test_a_night_that_was_killed_is_begun_once_more_and_no_oftener(played, capsys):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(2), -signal.SIGKILL)
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-02 00:00", "07-02 00:11", "07-03 00:00"]
    said = capsys.readouterr().out
    assert said.count("was killed by SIGKILL; the next look is at") == 2
    assert "was cut short 2 times; find out why, then: make run" in said


def test_of_two_schedules_of_one_warehouse_one_runs_the_night(played):
    time = played("2026-07-01T12:00")
    time.play("00:00", "UTC", "2026-07-02T00:06")
    time.now = utc("2026-07-02T00:00:30")
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == []


def test_decisions_and_single_steps_are_no_nights(played, connection):
    time = played("2026-07-01T12:00")
    time.play("00:00", "UTC", "2026-07-02T12:00")
    time.now = utc("2026-07-03T07:00")
    for done in ("gate release build", "extract", "erase"):
        run_id = runs.start_run(connection, done)
        runs.finish_run(connection, run_id, Exit.PUBLISHED, "done", error_type=None, measures={})
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-03 07:00"]


def test_the_schedule_wakes_up_with_the_machine_and_not_when_its_timer_ends(database_url, monkeypatch):
    clock = {"now": utc("2026-07-01T12:00")}
    begun = []
    is_waiting = threading.Event()

    class Timer(threading.Event):
        def wait(self, seconds):
            if seconds <= 12 * 3600:
                is_waiting.set()
            return super().wait(seconds)

    def night(*_, **__):
        begun.append(clock["now"])
        os.kill(os.getpid(), signal.SIGTERM)
        return Played(Exit.PUBLISHED)

    def sleep():
        is_waiting.wait()
        clock["now"] = utc("2026-07-02T07:00")

    monkeypatch.setattr(base, "datetime", type("Frozen", (dt.datetime,), {"now": lambda zone=None: clock["now"]}))
    monkeypatch.setattr(schedule, "_now", lambda: clock["now"])
    monkeypatch.setattr(schedule, "CLOCK_SECONDS", 0.05)
    monkeypatch.setattr(background, "Event", Timer)
    monkeypatch.setattr(schedule.subprocess, "Popen", night)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    machine = threading.Thread(target=sleep)
    machine.start()
    in_vain = threading.Timer(20, os.kill, [os.getpid(), signal.SIGTERM])
    in_vain.start()
    try:
        schedule.run(Timetable(time_of_day("00:00"), zone("UTC")), lambda: warehouse.find(database_url, "test"))
    finally:
        in_vain.cancel()
        machine.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert begun == [utc("2026-07-02T07:00")]


def test_options_reach_the_nights_by_environment_and_go_before_variables_and_files(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("postgresql://of-the-file")
    seen = {}
    monkeypatch.setattr(schedule, "run", lambda timetable, find: seen.update(os.environ, timetable=timetable))
    ended = command(
        "schedule",
        "--pipeline_runtime=02:30",
        f"--timezone={MONTREAL}",
        "--database-url=postgresql://of-the-option",
        "--batch_size=7",
        "--sample",
        DATABASE_URL_FILE=str(tmp_path / "url"),
        BATCH_SIZE="9",
        WINDOW="3",
    )
    assert ended.code == Exit.PUBLISHED, ended
    assert seen["timetable"] == Timetable(time_of_day("02:30"), zone(MONTREAL))
    assert (seen["DATABASE_URL"], seen["BATCH_SIZE"], seen["WINDOW"]) == ("postgresql://of-the-option", "7", "3")
    assert "DATABASE_URL_FILE" not in seen
    with cli.run.make_context("run", [], auto_envvar_prefix=None) as context:
        assert context.params["sample"] is False
    monkeypatch.setenv("SAMPLE", seen["SAMPLE"])
    with cli.run.make_context("run", []) as context:
        assert context.params["sample"] is True


def test_an_offset_is_warned_of(monkeypatch):
    monkeypatch.setattr(schedule, "run", lambda *_: None)
    ended = command("schedule", "--timezone", "EST")
    assert ended.code == Exit.PUBLISHED and "warning: EST is UTC-05:00 all year" in ended.err


def test_the_units_in_the_readme_are_what_systemd_takes(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    units = re.findall(r"`/etc/systemd/system/(moovitamix\.\w+)`.*?```ini\n(.*?)```", readme(), re.DOTALL)
    assert [name for name, _ in units] == ["moovitamix.service", "moovitamix.timer"]
    for name, unit in units:
        (tmp_path / name).write_text(unit.replace("/srv/moovitamix", str(PROJECT)).replace("=moovitamix\n", "=root\n"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name, _ in units)], capture_output=True, text=True
    )
    assert checked.returncode == 0 and "moovitamix" not in checked.stderr, checked.stderr


def readme():
    return (PROJECT / "README.md").read_text()


@pytest.fixture
def api(third_night):
    """The third night once more, with faults of its own."""
    with serve(third_night.rows) as server:
        yield server


@pytest.fixture
def ledger(built_database_url):
    """Connection to a warehouse whose last night was two days ago."""
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        opened.execute("""
            update ops.runs
            set started_at = started_at - interval '2 days' + (select now() - max(started_at) from ops.runs)
        """)
        yield opened


class Started:
    """A schedule in a process of its own, whose slot has just been missed."""

    def __init__(self, output: Path, **environment):
        minute_ago = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
        self._output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "schedule", f"--pipeline-runtime={minute_ago:%H:%M}"],
                cwd=PROJECT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def said(self):
        return self._output.read_text()

    def messages(self):
        """Those of the schedule itself."""
        events = [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]
        return [event["message"] for event in events if event["event"] == "schedule"]

    def says(self, words):
        until(lambda: words in self.said() or self.process.poll() is not None)
        assert words in self.said()

    def night(self):
        """The pid of the night's process."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        (child,) = [pid for thread in threads for pid in (thread / "children").read_text().split()]
        return int(child)

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def started(built_database_url, api, ledger, tmp_path):
    """Starts them, and sees to it that none outlives the test."""
    running = []

    def start(**environment):
        output = tmp_path / f"said-{len(running)}"
        running.append(Started(output, DATABASE_URL=built_database_url, API_BASE_URL=api.url, **environment))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            with contextlib.suppress(ValueError):
                os.kill(one.night(), signal.SIGKILL)
            one.process.kill()
            one.process.wait()


def test_a_failing_night_ends_nothing_but_itself_and_a_signal_ends_the_schedule_cleanly(started, api, ledger):
    api.faults.add(FAILS)
    process = started(DBT_TARGET="nowhere")  # so that the night is over sooner
    process.says("next night: ")
    assert process.stop() == Exit.PUBLISHED
    assert last_run(ledger)[:2] == ("failed", Exit.SOURCE_FAILED)
    lines = process.said().splitlines()
    assert any(line.startswith("moovitamix: ") and line.endswith("(exit 3)") for line in lines)
    missed, failed, coming, stopped = process.messages()
    assert re.search(r"^2 nights were missed, the last of them that of .* UTC \(UTC\+00:00\);", missed)
    assert re.search(r"^the night of .* failed with exit code 3, see above$", failed)
    assert re.search(r"^next night: .* UTC \(UTC\+00:00\), in 23 h 5\d min$", coming)
    assert stopped == "stopped"


def test_a_schedule_that_is_stopped_in_the_night_ends_it_in_order_and_the_next_start_begins_it_again(
    started, api, ledger
):
    api.faults.add(HANGS)
    for beginning in ("2 nights were missed", "was cut short; it is begun once more"):
        process = started()
        until(lambda: step_is_running(ledger, "extract") and api.requests.in_flight)
        assert process.stop() == Exit.PUBLISHED
        assert beginning in process.said()
        assert process.messages()[-1] == "stopped; the next start looks after the night"
        assert last_run(ledger) == ("failed", Exit.UNFORESEEN, "interrupted")
    process = started()
    process.says("next night: ")
    assert "was cut short 2 times; find out why, then: make run" in process.messages()[-2]
    assert process.stop() == Exit.PUBLISHED


def test_a_night_that_is_killed_ends_nothing_but_itself(started, api, ledger):
    api.faults.add(HANGS)
    process = started()
    until(lambda: step_is_running(ledger, "extract"))
    os.kill(process.night(), signal.SIGKILL)
    process.says("was killed by SIGKILL; the next look is at ")
    assert process.stop() == Exit.PUBLISHED


def test_a_second_signal_kills_the_night_that_would_not_end(started, api, ledger):
    api.faults.add(HANGS)
    process = started()
    until(lambda: step_is_running(ledger, "extract"))
    os.kill(process.night(), signal.SIGSTOP)
    process.process.terminate()
    process.says("a second signal kills it")
    assert process.process.poll() is None
    assert process.stop() == Exit.UNFORESEEN
    assert "the night was killed" in process.said().splitlines()[-1]
    until(lambda: not warehouse.is_running(ledger))


@pytest.fixture
def told(monkeypatch, home):
    """What is told to the addresses of ALERT_URLS."""
    alerts = []
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1:1")
    monkeypatch.setattr(messages, "send", lambda title, text, kind: alerts.append((title, text, kind)))
    return alerts


def test_that_the_ledger_is_away_is_told_once_for_each_slot(played, told, home):
    time = played("2026-07-01T12:00")

    def fail():
        raise Stop(Exit.WAREHOUSE_UNAVAILABLE, "nobody there")

    time.find = fail
    assert time.play("00:00", "UTC", "2026-07-02T00:30") == []
    assert [title for title, _, _ in told] == ["MooVitamix: no night can begin"] * 2, "at the start, and at midnight"
    assert "What: nobody there\n" in told[0][1] and "Next: make run" in told[0][1] and told[0][2] == "failure"
    assert (home / ".trouble").exists(), "the next good night tells that it is over"


def test_a_night_that_is_killed_and_one_that_is_given_up_are_told(played, told):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(2), -signal.SIGKILL)
    time.play("00:00", "UTC", "2026-07-02T12:00")
    assert [title for title, _, _ in told] == [
        "MooVitamix: the night crashed",
        "MooVitamix: the night crashed",
        "MooVitamix: the night is given up",
    ]
    assert "What: the night of 2026-07-02 00:00 UTC (UTC+00:00) was killed by SIGKILL\n" in told[0][1]
    assert "Runbook: docs/runbooks/crashed-run.md" in told[2][1]


def test_nights_that_are_killed_before_they_are_entered_are_told_no_oftener_than_others(played, told):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(10), -signal.SIGKILL)
    time.not_entered = set(range(5))
    time.play("00:00", "UTC", "2026-07-02T00:50")
    assert len(time.nights) > schedule.MOST_BEGUN + 1
    assert [title for title, _, _ in told] == ["MooVitamix: the night crashed"] * schedule.MOST_BEGUN


def test_what_a_night_tells_by_itself_and_another_run_at_work_are_not_told_again(played, told, database_url):
    time = played("2026-07-01T12:00")
    time.codes = {0: Exit.ALREADY_RUNNING, 1: Exit.SOURCE_FAILED}
    with contextlib.ExitStack() as other_run:
        other_run.enter_context(warehouse.only_run(warehouse.find(database_url, "other")))
        time.at = {"2026-07-02T00:12": other_run.close}
        assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:15", "07-02 00:26"]
    assert told == []
