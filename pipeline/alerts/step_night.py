"""Send one alert about a night that a task scheduler has run step by step, if one is due.

Each step is a run of its own in the run ledger, and the scheduler may have tried it several times. A step that could
not start is not in the run ledger: the scheduler says how the last attempt of each step has ended.
"""

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from expectations import ledger
from expectations.verdicts import Batch, RuleResult, Verdict
from monitoring import nights
from pipeline.alerts import run_notifier
from pipeline.alerts.run_notifier import Alert
from pipeline.records.run_ledger import Streak, UnsuccessfulRun
from pipeline.run import run_warnings, runbooks
from pipeline.run.message_parts import ALL_PUBLISHED, message_in_error_line
from pipeline.run.run_warnings import RunWarning
from warehouse import database, schema
from warehouse.database import Warehouse
from warehouse.embedded_postgres import PostgresUnavailableError
from warehouse.errors import CommandError, ExitCode
from warehouse.names import STEPS

NO_STREAK = Streak(None, ())


@dataclass(frozen=True)
class StepEnd:
    """Describe how the last attempt of a step has ended. `exit_code`: negative after a signal, None if unknown."""

    step: str
    exit_code: int | None = None
    last_line: str = ""
    began_at: dt.datetime | None = None

    @property
    def was_killed(self) -> bool:
        return self.exit_code is None or self.exit_code < 0

    @property
    def message(self) -> str:
        """Return what happened. The last line of the output is quoted only if the step's command wrote it."""
        if self.exit_code is None:
            return f"{self.step} was killed, or did not run"
        if self.exit_code < 0:
            return f"{self.step} was killed by signal {-self.exit_code}"
        return message_in_error_line(self.last_line) or (
            f"{self.step} ended with exit code {self.exit_code}; the end of its log says why"
        )


@dataclass(frozen=True)
class Records:
    """Hold what the run and load ledgers say about the night and earlier ones; empty if they cannot be read."""

    message: str = ALL_PUBLISHED
    verdicts: Sequence[Verdict] = ()
    warnings: Sequence[RunWarning] = ()
    before: Streak = NO_STREAK


def parse(text: str) -> list[StepEnd]:
    """Parse the ends of the steps: {"extract": {"began_at": ..., "exit_code": 3, "last_line": ...}, "gate": null, ...}.

    A step that is null was killed, or did not run, and so was one that is missing, except `recommend`: the scheduler
    leaves it out. Raises CommandError(WRONG_SETTINGS) for other text.
    """
    try:
        given = json.loads(text)
        if unknown := set(given) - set(STEPS):
            raise ValueError(f"unknown steps: {unknown}")
        return [_parse_end(step, given.get(step) or {}) for step in STEPS if step in given or step != "recommend"]
    except (ValueError, TypeError, AttributeError):
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "notify is for task schedulers: it reads from standard input how each step has ended, as JSON such as"
            ' {"extract": {"began_at": "2026-01-01T00:00:00Z", "exit_code": 0, "last_line": ""}}',
        ) from None


def _parse_end(step: str, end: Mapping[str, object]) -> StepEnd:
    code, began_at = end.get("exit_code"), end.get("began_at")
    return StepEnd(
        step,
        None if code is None else int(code),
        str(end.get("last_line") or ""),
        dt.datetime.fromisoformat(str(began_at)).astimezone(dt.UTC) if began_at else None,
    )


def send_alert(ends: Sequence[StepEnd], find: Callable[[], Warehouse]) -> None:
    """Send an alert about the end of the night, if one is due. `find` returns the warehouse; it may fail.

    A step that found another run in progress is neither good nor bad: the other run reports how it ends. After a build
    that failed, `recommend` was not to run.
    """
    failed = [end for end in ends if end.exit_code not in (ExitCode.PUBLISHED, ExitCode.ALREADY_RUNNING)]
    if any(end.step == "build" for end in failed):
        failed = [end for end in failed if end.step != "recommend" or end.exit_code is not None]
    if not run_notifier.has_recipients() or (
        not failed and any(end.exit_code == ExitCode.ALREADY_RUNNING for end in ends)
    ):
        return
    now = dt.datetime.now(dt.UTC)
    began_at = min((end.began_at for end in ends if end.began_at), default=now)
    records = Records()
    with contextlib.suppress(CommandError, PostgresUnavailableError):  # the steps have failed for this reason too
        warehouse = find()
        with warehouse.connect() as connection, database.translate_database_errors(warehouse):
            if schema.is_current(connection):
                # by age, because the server has its own clock
                records = _read(connection, now - began_at)
    if not failed:
        run_notifier.alert_success(records.message, records.warnings, began_at, records.before)
        return
    message = "; ".join(end.message for end in failed)
    if failed[0].was_killed:
        alert = Alert("the run crashed", message, "a step that was killed", "make status", runbooks.CRASHED_RUN)
    else:
        known = failed[0].exit_code in list(ExitCode)
        code = ExitCode(failed[0].exit_code) if known else ExitCode.UNEXPECTED_ERROR
        alert = run_notifier.about_failure(code, message, records.verdicts)
    run_notifier.alert_failure(alert, began_at, records.before)


def _read(connection: psycopg.Connection, age: dt.timedelta) -> Records:
    """Read the records of a night that began this long ago."""
    built = connection.execute(
        """
        select message from ops.runs
        where command = 'build' and started_at >= clock_timestamp() - %s
        order by run_seq desc
        limit 1
        """,
        [age],
    ).fetchone()
    verdicts = _verdicts(connection, age)
    return Records(
        built[0] if built else Records.message,
        verdicts,
        run_warnings.find_in_verdicts(verdicts, ledger.count_quarantined_rows(connection)),
        _streak_before(connection, age),
    )


def _verdicts(connection: psycopg.Connection, age: dt.timedelta) -> list[Verdict]:
    """Return the newest verdict on each load, of all attempts of the gate: one may have lost its connection midway."""
    rows = connection.execute(
        """
        with checked as (
            select distinct on (run_loads.load_id, run_loads.table_name) run_loads.*
            from ops.run_loads
            inner join ops.runs on run_loads.run_id = runs.run_id
            where runs.command = 'gate' and runs.started_at >= clock_timestamp() - %s
            order by run_loads.load_id, run_loads.table_name, runs.run_seq desc
        )
        select
            checked.load_id, checked.table_name, scans.rows_read, scans.rows_landed, scans.rows_removed,
            scans.rows_unreadable, checked.state, checked.rows_quarantined, loads.verdict
        from checked
        inner join gate.loads on checked.load_id = loads.load_id and checked.table_name = loads.table_name
        inner join staging.scans on checked.load_id = scans._dlt_load_id and checked.table_name = scans.table_name
        order by scans.version_seq
        """,
        [age],
    )
    return [
        Verdict(
            Batch(*batch),
            state,
            quarantined,
            tuple(RuleResult(**rule) for rule in (verdict or {}).get("failed_rules", [])),
        )
        for *batch, state, quarantined, verdict in rows
    ]


def _streak_before(connection: psycopg.Connection, age: dt.timedelta) -> Streak:
    """Return the unsuccessful nights before a night that began this long ago."""
    rows = connection.execute(
        f"""{nights.NIGHTS}
        select started_at, finished_at, status, exit_code
        from nights
        where started_at < clock_timestamp() - %(age)s
        order by night
        """,
        nights.PARAMETERS | {"age": age},
    )
    last_success, bad = None, []
    for started_at, finished_at, status, exit_code in rows:
        if status == "succeeded":
            last_success, bad = finished_at, []
        else:
            bad.append(UnsuccessfulRun(started_at, status, exit_code))
    return Streak(last_success, tuple(bad))
