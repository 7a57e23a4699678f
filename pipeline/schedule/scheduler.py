"""Start the nightly run at the same local time each day: `python -m pipeline schedule`.

Each run is a separate process, `python -m pipeline run`: its memory is freed at the end, and killing it does not affect
the schedule. It gets its settings by environment, because every user can read a command line. The run ledger shows
whether the run of a slot is still due, also after a restart and to a second schedule of the same warehouse.
"""

import collections
import datetime as dt
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import click
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger

from pipeline.alerts import run_notifier
from pipeline.alerts.run_notifier import Alert
from pipeline.console import event_log
from pipeline.records import run_ledger
from pipeline.run import runbooks
from pipeline.run.message_parts import append_when_fixed
from pipeline.schedule.timetable import Timetable
from warehouse import locks
from warehouse.database import Warehouse
from warehouse.embedded_postgres import PostgresUnavailableError
from warehouse.errors import CommandError, ExitCode

RUN_COMMAND = (sys.executable, "-m", "pipeline", "run")
# After each run that published. An interrupted training continues after the next one.
TRAIN_COMMAND = (sys.executable, "-m", "pipeline", "train", "--if-due")
PUBLISHED = (ExitCode.PUBLISHED, ExitCode.BLOCKED)
# Exit codes after which the run of the slot may still be due. So may it be after death by a signal.
MAY_NOT_HAVE_STARTED = (ExitCode.ALREADY_RUNNING, ExitCode.WAREHOUSE_UNAVAILABLE)
RETRY_AFTER = dt.timedelta(minutes=5)
# An interrupted run is started once more, but no more often: it may be what crashes the machine.
MAX_ATTEMPTS = 2
LATE = dt.timedelta(minutes=2)
# A timer stops while the machine sleeps, so the clock is checked this often.
CLOCK_SECONDS = 30
POLL_SECONDS = 0.1


class SlotTrigger(BaseTrigger):
    """Fire at each slot of the timetable, and once at `also_at`."""

    def __init__(self, timetable: Timetable, also_at: dt.datetime) -> None:
        self.timetable = timetable
        self.also_at: dt.datetime | None = also_at

    def get_next_fire_time(self, previous_fire_time: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        slot = self.timetable.next_after(previous_fire_time or now)
        if self.also_at and (previous_fire_time is None or self.also_at > previous_fire_time):
            return min(slot, self.also_at)
        return slot


class Schedule:
    """Check at the start and at each slot whether a run is due, and start it.

    `find` returns the warehouse. It is called for each check, because the password may have changed. `trains`: whether
    a training follows each run that published, if one is due.
    """

    def __init__(self, timetable: Timetable, find: Callable[[], Warehouse], *, trains: bool = True) -> None:
        self._timetable = timetable
        self._find = find
        self._trains = trains
        self._began_at = _now()
        self._trigger = SlotTrigger(timetable, also_at=self._began_at)
        self._process: subprocess.Popen | None = None
        self._alerted_slot: dt.datetime | None = None
        self._killed: collections.Counter[str] = collections.Counter()
        self._is_stopping = False
        self._lock = threading.Lock()

    def enter(self, scheduler: BaseScheduler) -> None:
        """Add the job to the scheduler. It runs however late, and once for all slots that were missed."""
        scheduler.add_job(self.check, self._trigger, misfire_grace_time=None, coalesce=True)

    def check(self) -> None:
        """Start the run if it is due, and log when the next one is. Raises nothing."""
        try:
            obstacle = self._run_what_is_due()
        except (CommandError, PostgresUnavailableError) as problem:
            obstacle = self._alert_once(str(problem))
        except Exception as error:
            obstacle = self._alert_once(f"unexpected error {type(error).__name__}")
        if self._is_stopping:
            return
        now = _now()
        if obstacle:
            self._trigger.also_at = now + RETRY_AFTER
            _log(f"{obstacle}; the next check is at {self._timetable.describe(self._trigger.also_at)}")
        else:
            coming = self._timetable.next_after(now)
            _log(f"next run: {self._timetable.describe(coming)}, {_ahead(coming - now)}")

    def stop(self) -> subprocess.Popen | None:
        """Start no further run. Terminate the current one, and return it."""
        with self._lock:
            self._is_stopping = True
            if self._process:
                self._process.terminate()
            return self._process

    def _run_what_is_due(self) -> str | None:
        """Start the run if it is due. Return what prevents it, or None."""
        with self._find().connect() as connection:
            if locks.is_running(connection):
                user = "shards of a release are" if locks.are_shards_running(connection) else "another run is"
                return f"{user} using the warehouse"
            now = _now()
            slot = self._timetable.last_until(now)
            # by age, because the server has its own clock
            runs = run_ledger.full_runs_since(connection, now - slot)
        known_from = self._began_at if runs.newest_age is None else now - runs.newest_age
        missed = self._timetable.count_after(known_from, slot)
        if runs.is_over or (runs.newest_age is None and not missed):
            return None
        slot_text = self._timetable.describe(slot)
        if runs.begun >= MAX_ATTEMPTS:
            what = f"the run of {slot_text} was interrupted {runs.begun} times"
            _log(f"{what} and is not started again; find the cause, then: make run")
            rule = "an interrupted run is started once more, but no more often"
            run_notifier.send_alert(Alert("the run is not started again", what, rule, "make run", runbooks.CRASHED_RUN))
            return None
        if runs.begun:
            _log(f"the run of {slot_text} was interrupted; it starts once more")
        elif missed > 1:
            _log(f"{missed} runs were missed, the last one at {slot_text}; one run now replaces them")
        elif now - slot > LATE:
            _log(f"the run of {slot_text} was missed; it starts now")
        return self._start_run(slot_text)

    def _alert_once(self, obstacle: str) -> str:
        """Send an alert that the check failed, once for each slot: the check repeats every few minutes."""
        slot = self._timetable.last_until(_now())
        if slot != self._alerted_slot:
            self._alerted_slot = slot
            rule = "the run ledger, which shows whether a run is due, could not be read"
            run_notifier.send_alert(
                Alert("no run can start", obstacle, rule, append_when_fixed("make run"), runbooks.NO_RUN)
            )
        return obstacle

    def _start_run(self, slot: str) -> str | None:
        code = self._complete(RUN_COMMAND)
        if code is None:
            return None
        if code < 0:
            what = f"the run of {slot} was killed by {signal.Signals(-code).name}"
            self._killed[slot] += 1
            # a run that is killed before it is in the ledger is started again without limit
            if self._killed[slot] <= MAX_ATTEMPTS:
                run_notifier.send_alert(
                    Alert(
                        "the run crashed",
                        what,
                        "a run that was killed by a signal",
                        "make status",
                        runbooks.CRASHED_RUN,
                    )
                )
            return what
        if code in MAY_NOT_HAVE_STARTED:
            return f"the run of {slot} ended with exit code {code}"
        if not self._is_stopping:
            _log(f"the run of {slot} " + (f"failed with exit code {code}, see above" if code else "is done"))
        if self._trains and code in PUBLISHED and (code := self._complete(TRAIN_COMMAND)):
            _log(f"the training ended with exit code {code}, see above; the next run does not wait for it")
        return None

    def _complete(self, command: Sequence[str]) -> int | None:
        """Run a command to its end, and return its exit code; None if the schedule is stopping."""
        with self._lock:
            if self._is_stopping:
                return None
            # a session of its own: Ctrl-C reaches only the schedule, which then terminates the command once
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        code = self._process.wait()
        with self._lock:
            self._process = None
        return code


def run(timetable: Timetable, find: Callable[[], Warehouse], *, trains: bool) -> None:
    """Keep running until a signal arrives. A second signal kills the current run, and raises CommandError."""
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            # only this is safe in a handler, which may interrupt code that holds a lock
            signal.signal(number, lambda number, _: signals.put(number))
    schedule = Schedule(timetable, find, trains=trains)
    # jobs run one after another in the scheduler's own thread: slots that pass during a long run wait for its end
    scheduler = BackgroundScheduler(executors={"default": DebugExecutor()}, timezone=dt.UTC)
    schedule.enter(scheduler)
    scheduler.start()
    while not _signal_within(CLOCK_SECONDS, signals):
        scheduler.wakeup()
    process = schedule.stop()
    if process is None:
        _log("stopped")
        return
    _log("stopping: waiting for the run to end; a second signal kills it")
    while process.poll() is None:
        if _signal_within(POLL_SECONDS, signals):
            process.kill()
    if process.returncode < 0:
        raise CommandError(
            ExitCode.UNEXPECTED_ERROR, "the run was killed; the next run recovers from that, start it with: make run"
        )
    _log(
        "stopped; the run is done"
        if process.returncode == 0
        else "stopped; the next start repeats the run if it is due"
    )


def _signal_within(seconds: float, signals: queue.SimpleQueue) -> bool:
    try:
        signals.get(timeout=seconds)
    except queue.Empty:
        return False
    return True


def _log(line: str) -> None:
    line = " ".join(line.split())
    if sys.stdout.isatty():
        click.echo(f"schedule: {line}")
    else:
        event_log.log_event("schedule", message=line)


def _ahead(span: dt.timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"in {minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"in {minutes} min"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
