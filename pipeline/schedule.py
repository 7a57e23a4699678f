"""`python -m pipeline schedule`: stays up, and runs the night at the same local time each day.

A night is a process of its own, `python -m pipeline run`: its memory goes back to the machine, and what kills it leaves
the schedule alone. It gets its settings by environment, because everybody can read a command line. Whether a slot still
waits for its night is in the run ledger: that is known after a restart, and to a second schedule of the same warehouse.
"""

import collections
import datetime as dt
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import click
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger

from pipeline import alerts, event_log, runs, warehouse
from pipeline.alerts import Alert
from pipeline.embedded_postgres import PostgresUnavailable
from pipeline.exits import Exit, Stop
from pipeline.timetable import Timetable
from pipeline.warehouse import Warehouse

NIGHT = (sys.executable, "-m", "pipeline", "run")
# Ends of a night that may have left its slot waiting; besides them, death by a signal.
MAYBE_NOT_BEGUN = (Exit.ALREADY_RUNNING, Exit.WAREHOUSE_UNAVAILABLE)
AGAIN = dt.timedelta(minutes=5)
# A night that was cut short is begun once more, and no oftener: it may be what takes the machine down.
MOST_BEGUN = 2
LATE = dt.timedelta(minutes=2)
# A timer stands still while the machine sleeps, so the clock is looked at this often.
CLOCK_SECONDS = 30
POLL_SECONDS = 0.1


class SlotTrigger(BaseTrigger):
    """Fires at each slot of the timetable, and once at `also_at`."""

    def __init__(self, timetable: Timetable, also_at: dt.datetime) -> None:
        self.timetable = timetable
        self.also_at: dt.datetime | None = also_at

    def get_next_fire_time(self, previous_fire_time: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        slot = self.timetable.next_after(previous_fire_time or now)
        if self.also_at and (previous_fire_time is None or self.also_at > previous_fire_time):
            return min(slot, self.also_at)
        return slot


class Schedule:
    """Looks at each slot, and at once, whether a night is due, and runs it.

    `find` leads to the warehouse, anew for each look: its password may have changed since.
    """

    def __init__(self, timetable: Timetable, find: Callable[[], Warehouse]) -> None:
        self._timetable = timetable
        self._find = find
        self._began_at = _now()
        self._trigger = SlotTrigger(timetable, also_at=self._began_at)
        self._night: subprocess.Popen | None = None
        self._slot_told_of: dt.datetime | None = None
        self._killed: collections.Counter[str] = collections.Counter()
        self._is_stopping = False
        self._lock = threading.Lock()

    def enter(self, scheduler: BaseScheduler) -> None:
        """The one job. However late, it is done, and once for all the slots that passed meanwhile."""
        scheduler.add_job(self.look, self._trigger, misfire_grace_time=None, coalesce=True)

    def look(self) -> None:
        """Run the night, if its slot still waits for it, and say when the next one is. Raises nothing."""
        try:
            obstacle = self._run_what_is_due()
        except (Stop, PostgresUnavailable) as problem:
            obstacle = self._told_once(str(problem))
        except Exception as error:
            obstacle = self._told_once(f"unforeseen {type(error).__name__}")
        if self._is_stopping:
            return
        now = _now()
        if obstacle:
            self._trigger.also_at = now + AGAIN
            _say(f"{obstacle}; the next look is at {self._timetable.told(self._trigger.also_at)}")
        else:
            coming = self._timetable.next_after(now)
            _say(f"next night: {self._timetable.told(coming)}, {_ahead(coming - now)}")

    def stop(self) -> subprocess.Popen | None:
        """Begin no other night, and tell the one under way, which is returned, to end."""
        with self._lock:
            self._is_stopping = True
            if self._night:
                self._night.terminate()
            return self._night

    def _run_what_is_due(self) -> str | None:
        """What keeps a night that is due from being done, if anything does."""
        with self._find().connect() as connection:
            if warehouse.is_running(connection):
                return "another run works on the warehouse"
            now = _now()
            slot = self._timetable.last_until(now)
            # by its age, because the server has a clock of its own
            nights = runs.nights_since(connection, now - slot)
        known_from = self._began_at if nights.newest_age is None else now - nights.newest_age
        missed = self._timetable.count_after(known_from, slot)
        if nights.is_over or (nights.newest_age is None and not missed):
            return None
        told = self._timetable.told(slot)
        if nights.begun >= MOST_BEGUN:
            what = f"the night of {told} was cut short {nights.begun} times"
            _say(f"{what}; find out why, then: make run")
            rule = "a night that was cut short is begun once more, and no oftener"
            alerts.tell(Alert("the night is given up", what, rule, "make run", "crashed-run.md"))
            return None
        if nights.begun:
            _say(f"the night of {told} was cut short; it is begun once more")
        elif missed > 1:
            _say(f"{missed} nights were missed, the last of them that of {told}; one makes up for them now")
        elif now - slot > LATE:
            _say(f"the night of {told} was missed; it is run now")
        return self._run_night(told)

    def _told_once(self, obstacle: str) -> str:
        """Tell what keeps the schedule from looking, once for each slot: it looks again every few minutes."""
        slot = self._timetable.last_until(_now())
        if slot != self._slot_told_of:
            self._slot_told_of = slot
            rule = "the run ledger says whether a night is due, and could not be read"
            alerts.tell(Alert("no night can begin", obstacle, rule, alerts.WHEN_MENDED, "no-night.md"))
        return obstacle

    def _run_night(self, told: str) -> str | None:
        with self._lock:
            if self._is_stopping:
                return None
            # its own session: Ctrl-C reaches the schedule alone, which then tells the night, once
            self._night = subprocess.Popen(NIGHT, stdin=subprocess.DEVNULL, start_new_session=True)
        code = self._night.wait()
        with self._lock:
            self._night = None
        if code < 0:
            what = f"the night of {told} was killed by {signal.Signals(-code).name}"
            self._killed[told] += 1
            # one that is killed before it is in the ledger is begun again without end
            if self._killed[told] <= MOST_BEGUN:
                alerts.tell(Alert("the night crashed", what, "a night ends by itself", "make status", "crashed-run.md"))
            return what
        if code in MAYBE_NOT_BEGUN:
            return f"the night of {told} ended with exit code {code}"
        if not self._is_stopping:
            _say(f"the night of {told} " + (f"failed with exit code {code}, see above" if code else "is done"))
        return None


def run(timetable: Timetable, find: Callable[[], Warehouse]) -> None:
    """Stay up until a signal says to stop; a second one kills the night that is under way, and raises Stop."""
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            # nothing else is safe here: a handler interrupts whatever is being done, locks in hand
            signal.signal(number, lambda number, _: signals.put(number))
    schedule = Schedule(timetable, find)
    # each job in the scheduler's own thread, one after another: slots that pass during a long night wait for its end
    scheduler = BackgroundScheduler(executors={"default": DebugExecutor()}, timezone=dt.UTC)
    schedule.enter(scheduler)
    scheduler.start()
    while not _signal_within(CLOCK_SECONDS, signals):
        scheduler.wakeup()
    night = schedule.stop()
    if night is None:
        _say("stopped")
        return
    _say("stopping: the night is told to end; a second signal kills it")
    while night.poll() is None:
        if _signal_within(POLL_SECONDS, signals):
            night.kill()
    if night.returncode < 0:
        raise Stop(Exit.UNFORESEEN, "the night was killed; the next one clears up after it, begin it with: make run")
    _say("stopped; the night was done" if night.returncode == 0 else "stopped; the next start looks after the night")


def _signal_within(seconds: float, signals: queue.SimpleQueue) -> bool:
    try:
        signals.get(timeout=seconds)
    except queue.Empty:
        return False
    return True


def _say(line: str) -> None:
    line = " ".join(line.split())
    if sys.stdout.isatty():
        click.echo(f"schedule: {line}")
    else:
        event_log.tell("schedule", message=line)


def _ahead(span: dt.timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"in {minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"in {minutes} min"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
