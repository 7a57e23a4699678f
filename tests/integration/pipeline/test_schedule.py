"""The schedule under a simulated clock, and as a process that is stopped and killed."""

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

from pipeline.alerts import messages
from pipeline.cli import steps
from pipeline.records import run_ledger
from pipeline.schedule import scheduler
from pipeline.schedule.timetable import Timetable, time_of_day, zone
from sample_api.server import serve
from tests.command import PROJECT, command, last_run, step_is_running, until
from tests.databases import database_copy
from warehouse import database, locks
from warehouse.errors import CommandError, ExitCode

pytestmark = pytest.mark.slow

SCHEDULING = PROJECT / "docs" / "operations" / "scheduling.md"
MONTREAL = "America/Montreal"
HANGS, FAILS = "hang@listen_history=1", "redirect=http://127.0.0.1:1/"


class _Over(Exception):
    """Signal the end of the simulated time."""


class PlayedTime:
    """Simulate a clock that jumps to the next event, runs of a given duration, and their ledger.

    The ledger is the real one. Its server has a clock of its own: a night lies as far back there as it does here.
    """

    def __init__(self, connection, database_url, moment):
        self.now = utc(moment)
        self.nights = []
        self.trainings = []
        self.trains = True
        self.codes = {}
        self.not_entered = set()
        self.hours = {}
        self.awake_again = {}
        self.at = {}
        self._connection = connection
        self._database_url = database_url

    def find(self):
        """Return the warehouse, after moving its runs to the simulated time."""
        for started_at, run_id in self.nights:
            self._connection.execute(
                "update ops.runs set started_at = clock_timestamp() - %s where run_id = %s",
                [self.now - started_at, run_id],
            )
        return database.find(self._database_url, "test")

    def process(self, command, **__):
        """Stand for the process of a night, or for the training that follows it."""
        if command == scheduler.TRAIN_COMMAND:
            self.trainings.append(self.now)
            return Played(0)
        return self.night()

    def night(self):
        """What stands for the process of a night. Its exit code is 0 unless `codes` has another for its number, and it
        is in the ledger unless its number is in `not_entered`."""
        number = len(self.nights)
        code = self.codes.get(number, 0)
        self.now += dt.timedelta(seconds=2)
        run_id = None
        if code != ExitCode.ALREADY_RUNNING and number not in self.not_entered:
            run_id = run_ledger.start_run(self._connection, run_ledger.FULL_RUNS[0])
            if code >= 0:
                message = run_ledger.INTERRUPTED if code == ExitCode.UNEXPECTED_ERROR else "some message"
                run_ledger.finish_run(self._connection, run_id, code, message, error_type=None, measures={})
        self.nights.append((self.now, run_id))
        self.now += dt.timedelta(hours=self.hours.get(number, 0.1))
        return Played(code)

    def play(self, runtime, place, until_moment):
        """Run a schedule until then, and return the local start times of its runs."""
        end = utc(until_moment)
        clock = self

        class Jump:
            """Replace the event that the scheduler waits for: jump to its time at once."""

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
                clock.now += dt.timedelta(seconds=min(seconds, scheduler.CLOCK_SECONDS))
                for asleep, awake in clock.awake_again.items():
                    if utc(asleep) <= clock.now < utc(awake):
                        clock.now = utc(awake)
                for moment in [moment for moment in clock.at if utc(moment) <= clock.now]:
                    clock.at.pop(moment)()
                if clock.now >= end:
                    raise _Over

        table = Timetable(time_of_day(runtime), zone(place))
        blocking_scheduler = blocking.BlockingScheduler(executors={"default": DebugExecutor()}, timezone=dt.UTC)
        first = len(self.nights)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocking, "Event", Jump)
            patch.setattr(base, "datetime", type("Frozen", (dt.datetime,), {"now": lambda zone=None: self.now}))
            patch.setattr(scheduler, "_now", lambda: self.now)
            patch.setattr(scheduler.subprocess, "Popen", self.process)
            scheduler.Schedule(table, lambda: self.find(), trains=self.trains).enter(blocking_scheduler)
            with contextlib.suppress(_Over):
                blocking_scheduler.start()
        return [f"{moment.astimezone(table.zone):%m-%d %H:%M}" for moment, _ in self.nights[first:]]


class Played:
    """Stand for the process of a run that has ended."""

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
def database_url(postgres_url, migrated_template):
    """Yield the URL of a warehouse before its first run."""
    with database_copy(postgres_url, migrated_template, "test") as url:
        yield url


@pytest.fixture
def played(connection, database_url):
    return lambda moment: PlayedTime(connection, database_url, moment)


def test_the_run_starts_once_if_its_time_occurs_twice(played):
    assert played("2026-10-31T12:00").play("01:30", MONTREAL, "2026-11-03T12:00") == [
        "11-01 01:30",
        "11-02 01:30",
        "11-03 01:30",
    ]


def test_the_run_starts_once_if_its_time_is_skipped(played):
    assert played("2026-03-07T12:00").play("02:30", MONTREAL, "2026-03-10T12:00") == [
        "03-08 03:30",
        "03-09 02:30",
        "03-10 02:30",
    ]


@pytest.mark.parametrize(("trains", "expected"), [(True, ["07-02 00:06", "07-03 00:17", "07-06 00:06"]), (False, [])])
def test_each_run_that_published_is_followed_by_a_training_if_it_is_due(trains, expected, played):
    time = played("2026-07-01T12:00")
    time.trains = trains
    codes = (ExitCode.PUBLISHED, -signal.SIGKILL, ExitCode.BLOCKED, ExitCode.SOURCE_FAILED, ExitCode.BUILD_FAILED)
    time.codes = {number: int(code) for number, code in enumerate(codes)}
    time.play("00:00", "UTC", "2026-07-06T12:00")
    # the second run, which was killed, starts once more
    assert [moment.strftime("%m-%d %H:%M") for moment in time.trainings] == expected


def test_a_first_start_waits_for_its_slot_and_names_it(played, capsys):
    assert played("2026-07-01T12:00").play("00:00", MONTREAL, "2026-07-02T12:00") == ["07-02 00:00"]
    first, *_ = capsys.readouterr().out.splitlines()
    assert json.loads(first)["message"] == "next run: 2026-07-02 00:00 America/Montreal (UTC-04:00), in 16 h 0 min"


@pytest.mark.parametrize(
    "code", [code for code in ExitCode if code not in (ExitCode.UNEXPECTED_ERROR, *scheduler.MAY_NOT_HAVE_STARTED)]
)
def test_a_completed_run_is_followed_by_that_of_the_next_day(code, played, capsys):
    time = played("2026-07-01T12:00")
    time.codes = {0: code}
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-02 00:00", "07-03 00:00"]
    assert ("failed with exit code" in capsys.readouterr().out) == (code != ExitCode.PUBLISHED)


def test_runs_missed_while_the_machine_slept_are_replaced_by_one_and_logged(played, capsys):
    time = played("2026-07-01T12:00")
    time.awake_again = {"2026-07-02T20:00": "2026-07-04T09:00"}
    assert time.play("00:00", "UTC", "2026-07-05T12:00") == ["07-02 00:00", "07-04 09:00", "07-05 00:00"]
    output = capsys.readouterr().out
    assert "2 runs were missed, the last one at 2026-07-04 00:00 UTC" in output
    assert output.count("next run: ") == 4, "at the start, and after each night"


def test_a_run_missed_while_the_schedule_was_down_starts_once_and_is_logged(played, capsys):
    time = played("2026-07-01T12:00")
    time.play("00:00", "UTC", "2026-07-02T12:00")
    time.now = utc("2026-07-03T07:00")
    capsys.readouterr()
    assert time.play("00:00", "UTC", "2026-07-04T12:00") == ["07-03 07:00", "07-04 00:00"]
    assert "the run of 2026-07-03 00:00 UTC (UTC+00:00) was missed; it starts now" in capsys.readouterr().out
    time.now = utc("2026-07-04T13:00")
    assert time.play("00:00", "UTC", "2026-07-04T23:00") == [], "a night that failed or not, it was not missed"
    assert "missed" not in capsys.readouterr().out


def test_a_run_longer_than_a_day_is_followed_by_the_delayed_run(played, capsys):
    time = played("2026-07-01T12:00")
    time.hours = {0: 26}
    assert time.play("00:00", "UTC", "2026-07-04T12:00") == ["07-02 00:00", "07-03 02:00", "07-04 00:00"]
    assert "the run of 2026-07-03 00:00 UTC (UTC+00:00) was missed; it starts now" in capsys.readouterr().out


def test_a_scheduled_run_waits_until_another_run_ends(played, database_url, capsys):
    time = played("2026-07-01T12:00")
    with contextlib.ExitStack() as other_run:
        other_run.enter_context(locks.run_lock(database.find(database_url, "other")))
        time.at = {"2026-07-02T00:12": other_run.close}
        assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:15"]
    assert "another run is using the warehouse; the next check is at 2026-07-02 00:05" in capsys.readouterr().out


def test_a_run_that_found_the_lock_taken_is_started_again(played):
    time = played("2026-07-01T12:00")
    time.codes = {0: ExitCode.ALREADY_RUNNING}
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:00", "07-02 00:11"]


def test_a_run_that_lost_its_warehouse_is_not_restarted_once_its_end_is_recorded(played):
    time = played("2026-07-01T12:00")
    time.codes = {0: ExitCode.WAREHOUSE_UNAVAILABLE}
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:00"]


@pytest.mark.parametrize(
    "problem", [CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, "nobody there"), KeyError("nobody foresaw")]
)
def test_the_schedule_survives_an_unreachable_ledger(problem, played, capsys):
    time = played("2026-07-01T12:00")
    find = time.find

    def fail():
        raise problem

    time.find = fail
    time.at = {"2026-07-02T00:12": lambda: setattr(time, "find", find)}
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:15"]
    assert "nobody foresaw" not in capsys.readouterr().out


@pytest.mark.parametrize("code", [-signal.SIGKILL, ExitCode.UNEXPECTED_ERROR], ids=["killed", "interrupted"])
def test_an_interrupted_run_is_restarted_once_at_the_next_start(code, played, capsys):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(2), code)
    assert time.play("00:00", "UTC", "2026-07-02T00:03") == ["07-02 00:00"]
    assert time.play("00:00", "UTC", "2026-07-02T00:20") == ["07-02 00:06"]
    assert "was interrupted; it starts once more" in capsys.readouterr().out
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-03 00:00"]
    assert "was interrupted 2 times and is not started again; find the cause, then: make run" in capsys.readouterr().out


def test_a_killed_run_is_restarted_only_once(played, capsys):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(2), -signal.SIGKILL)
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-02 00:00", "07-02 00:11", "07-03 00:00"]
    output = capsys.readouterr().out
    assert output.count("was killed by SIGKILL; the next check is at") == 2
    assert "was interrupted 2 times and is not started again; find the cause, then: make run" in output


def test_only_one_of_two_schedules_starts_the_run(played):
    time = played("2026-07-01T12:00")
    time.play("00:00", "UTC", "2026-07-02T00:06")
    time.now = utc("2026-07-02T00:00:30")
    assert time.play("00:00", "UTC", "2026-07-02T12:00") == []


def test_decisions_and_single_steps_are_not_scheduled_runs(played, connection):
    time = played("2026-07-01T12:00")
    time.play("00:00", "UTC", "2026-07-02T12:00")
    time.now = utc("2026-07-03T07:00")
    for done in ("gate release build", "extract", "erase"):
        run_id = run_ledger.start_run(connection, done)
        run_ledger.finish_run(connection, run_id, ExitCode.PUBLISHED, "done", error_type=None, measures={})
    assert time.play("00:00", "UTC", "2026-07-03T12:00") == ["07-03 07:00"]


def test_the_schedule_checks_the_clock_as_soon_as_the_machine_wakes_up(database_url, monkeypatch):
    clock = {"now": utc("2026-07-01T12:00")}
    begun = []
    is_waiting = threading.Event()

    class Timer(threading.Event):
        def wait(self, seconds):
            if seconds <= 12 * 3600:
                is_waiting.set()
            return super().wait(seconds)

    def night(command, **__):
        if command == scheduler.TRAIN_COMMAND:
            return Played(ExitCode.PUBLISHED)
        begun.append(clock["now"])
        os.kill(os.getpid(), signal.SIGTERM)
        return Played(ExitCode.PUBLISHED)

    def sleep():
        is_waiting.wait()
        clock["now"] = utc("2026-07-02T07:00")

    monkeypatch.setattr(base, "datetime", type("Frozen", (dt.datetime,), {"now": lambda zone=None: clock["now"]}))
    monkeypatch.setattr(scheduler, "_now", lambda: clock["now"])
    monkeypatch.setattr(scheduler, "CLOCK_SECONDS", 0.05)
    monkeypatch.setattr(background, "Event", Timer)
    monkeypatch.setattr(scheduler.subprocess, "Popen", night)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    machine = threading.Thread(target=sleep)
    machine.start()
    in_vain = threading.Timer(20, os.kill, [os.getpid(), signal.SIGTERM])
    in_vain.start()
    try:
        table = Timetable(time_of_day("00:00"), zone("UTC"))
        scheduler.run(table, lambda: database.find(database_url, "test"), trains=True)
    finally:
        in_vain.cancel()
        machine.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert begun == [utc("2026-07-02T07:00")]


def test_options_reach_scheduled_runs_by_environment_and_override_variables_and_files(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("postgresql://of-the-file")
    seen = {}
    monkeypatch.setattr(
        scheduler, "run", lambda table, find, trains: seen.update(os.environ, table=table, trains=trains)
    )
    ended = command(
        "schedule",
        "--pipeline_runtime=02:30",
        f"--timezone={MONTREAL}",
        "--database-url=postgresql://of-the-option",
        "--batch_size=7",
        "--sample",
        "--sample-start=2026-01-31",
        DATABASE_URL_FILE=str(tmp_path / "url"),
        BATCH_SIZE="9",
        WINDOW="3",
        RECOMMEND="false",
    )
    assert ended.code == ExitCode.PUBLISHED, ended
    assert (seen["trains"], seen["RECOMMEND"]) == (False, "false")
    assert seen["table"] == Timetable(time_of_day("02:30"), zone(MONTREAL))
    assert (seen["DATABASE_URL"], seen["BATCH_SIZE"], seen["WINDOW"]) == ("postgresql://of-the-option", "7", "3")
    assert "DATABASE_URL_FILE" not in seen
    assert seen["SAMPLE_START"] == "2026-01-31"
    with steps.run.make_context("run", [], auto_envvar_prefix=None) as context:
        assert context.params["sample"] is False
    monkeypatch.setenv("SAMPLE", seen["SAMPLE"])
    with steps.run.make_context("run", []) as context:
        assert context.params["sample"] is True


def test_a_fixed_offset_zone_gives_a_warning(monkeypatch):
    monkeypatch.setattr(scheduler, "run", lambda *_, **__: None)
    ended = command("schedule", "--timezone", "EST")
    assert ended.code == ExitCode.PUBLISHED and "warning: EST is UTC-05:00 all year" in ended.err


def test_the_units_in_the_documentation_pass_systemd_analyze(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    units = re.findall(r"`/etc/systemd/system/(moovitamix\.\w+)`.*?```ini\n(.*?)```", SCHEDULING.read_text(), re.DOTALL)
    assert [name for name, _ in units] == ["moovitamix.service", "moovitamix.timer"]
    for name, unit in units:
        (tmp_path / name).write_text(unit.replace("/srv/moovitamix", str(PROJECT)).replace("=moovitamix\n", "=root\n"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name, _ in units)], capture_output=True, text=True
    )
    assert checked.returncode == 0 and "moovitamix" not in checked.stderr, checked.stderr


@pytest.fixture
def api(third_run_api):
    """Serve the API of the third run, with its own faults."""
    with serve(third_run_api.rows) as server:
        yield server


@pytest.fixture
def ledger(built_database_url):
    """Yield a connection to a warehouse whose last run was two days ago."""
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        opened.execute("""
            update ops.runs
            set started_at = started_at - interval '2 days' + (select now() - max(started_at) from ops.runs)
        """)
        yield opened


class Started:
    """Start a schedule as a process, just after its slot."""

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

    def output(self):
        return self._output.read_text()

    def messages(self):
        """Return the messages of the schedule itself."""
        events = [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]
        return [event["message"] for event in events if event["event"] == "schedule"]

    def wait_for(self, text):
        until(lambda: text in self.output() or self.process.poll() is not None)
        assert text in self.output()

    def night(self):
        """Return the pid of the run's process."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        (child,) = [pid for thread in threads for pid in (thread / "children").read_text().split()]
        return int(child)

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def started(built_database_url, api, ledger, tmp_path):
    """Return a function that starts a schedule; kill all of them at the end."""
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


def test_the_schedule_survives_a_failed_run_and_ends_cleanly_on_a_signal(started, api, ledger):
    api.faults.add(FAILS)
    process = started()
    process.wait_for("next run: ")
    assert process.stop() == ExitCode.PUBLISHED
    assert last_run(ledger)[:2] == ("failed", ExitCode.SOURCE_FAILED)
    lines = process.output().splitlines()
    assert any(line.startswith("moovitamix: ") and line.endswith("(exit 3)") for line in lines)
    missed, failed, coming, stopped = process.messages()
    assert re.search(r"^2 runs were missed, the last one at .* UTC \(UTC\+00:00\);", missed)
    assert re.search(r"^the run of .* failed with exit code 3, see above$", failed)
    assert re.search(r"^next run: .* UTC \(UTC\+00:00\), in 23 h 5\d min$", coming)
    assert stopped == "stopped"


def test_stopping_the_schedule_ends_its_run_in_order_and_the_next_start_repeats_it(started, api, ledger):
    api.faults.add(HANGS)
    for beginning in ("2 runs were missed", "was interrupted; it starts once more"):
        process = started()
        until(lambda: step_is_running(ledger, "extract") and api.requests.in_flight)
        assert process.stop() == ExitCode.PUBLISHED
        assert beginning in process.output()
        assert process.messages()[-1] == "stopped; the next start repeats the run if it is due"
        assert last_run(ledger) == ("failed", ExitCode.UNEXPECTED_ERROR, "interrupted")
    process = started()
    process.wait_for("next run: ")
    assert "was interrupted 2 times and is not started again; find the cause, then: make run" in process.messages()[-2]
    assert process.stop() == ExitCode.PUBLISHED


def test_the_schedule_survives_a_killed_run(started, api, ledger):
    api.faults.add(HANGS)
    process = started()
    until(lambda: step_is_running(ledger, "extract"))
    os.kill(process.night(), signal.SIGKILL)
    process.wait_for("was killed by SIGKILL; the next check is at ")
    assert process.stop() == ExitCode.PUBLISHED


def test_a_second_signal_kills_a_run_that_does_not_end(started, api, ledger):
    api.faults.add(HANGS)
    process = started()
    until(lambda: step_is_running(ledger, "extract"))
    os.kill(process.night(), signal.SIGSTOP)
    process.process.terminate()
    process.wait_for("a second signal kills it")
    assert process.process.poll() is None
    assert process.stop() == ExitCode.UNEXPECTED_ERROR
    assert "the run was killed" in process.output().splitlines()[-1]
    until(lambda: not locks.is_running(ledger))


@pytest.fixture
def sent(monkeypatch, home):
    """Collect the alerts that are sent to ALERT_URLS."""
    alerts = []
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1:1")
    monkeypatch.setattr(messages, "send", lambda title, text, kind: alerts.append((title, text, kind)))
    return alerts


def test_an_unreachable_ledger_sends_one_alert_per_slot(played, sent, home):
    time = played("2026-07-01T12:00")

    def fail():
        raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, "nobody there")

    time.find = fail
    assert time.play("00:00", "UTC", "2026-07-02T00:30") == []
    assert [title for title, _, _ in sent] == ["MooVitamix: no run can start"] * 2, "at the start, and at midnight"
    assert "What: nobody there\n" in sent[0][1] and "Next: make run" in sent[0][1] and sent[0][2] == "failure"
    assert (home / ".incident").exists(), "the next good night reports the end"


def test_a_killed_run_and_one_that_is_not_restarted_send_alerts(played, sent):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(2), -signal.SIGKILL)
    time.play("00:00", "UTC", "2026-07-02T12:00")
    assert [title for title, _, _ in sent] == [
        "MooVitamix: the run crashed",
        "MooVitamix: the run crashed",
        "MooVitamix: the run is not started again",
    ]
    assert "What: the run of 2026-07-02 00:00 UTC (UTC+00:00) was killed by SIGKILL\n" in sent[0][1]
    assert "Runbook: docs/runbooks/crashed-run.md" in sent[2][1]


def test_runs_killed_before_they_are_recorded_send_a_limited_number_of_alerts(played, sent):
    time = played("2026-07-01T12:00")
    time.codes = dict.fromkeys(range(10), -signal.SIGKILL)
    time.not_entered = set(range(5))
    time.play("00:00", "UTC", "2026-07-02T00:50")
    assert len(time.nights) > scheduler.MAX_ATTEMPTS + 1
    assert [title for title, _, _ in sent] == ["MooVitamix: the run crashed"] * scheduler.MAX_ATTEMPTS


def test_the_schedule_sends_no_second_alert_about_a_failed_run_or_a_taken_lock(played, sent, database_url):
    time = played("2026-07-01T12:00")
    time.codes = {0: ExitCode.ALREADY_RUNNING, 1: ExitCode.SOURCE_FAILED}
    with contextlib.ExitStack() as other_run:
        other_run.enter_context(locks.run_lock(database.find(database_url, "other")))
        time.at = {"2026-07-02T00:12": other_run.close}
        assert time.play("00:00", "UTC", "2026-07-02T12:00") == ["07-02 00:15", "07-02 00:26"]
    assert sent == []
