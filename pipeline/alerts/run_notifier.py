"""Send alerts about runs to the addresses in ALERT_URLS: failed, blocked, published with warnings, succeeded again.

This is for deployments without Prometheus, which would evaluate monitoring/alert_rules.yml. Every failed run is sent:
otherwise silence after a failure would be ambiguous. Every run with warnings is sent too, so that silence means that
they are gone. A success after a success is silent, and so is a run that finds another one in progress. A run that
cannot be recorded may be retried within minutes, so its alert is repeated only every few hours.
"""

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from pipeline.alerts import messages
from pipeline.console.terminal import minute
from pipeline.records import run_ledger
from pipeline.run import run_warnings, runbooks
from pipeline.run.message_parts import ALL_PUBLISHED, append_when_fixed, show_command
from pipeline.settings import Settings, secret
from warehouse.errors import CommandError, ExitCode
from warehouse.redaction import sanitize

if TYPE_CHECKING:
    from expectations.gate import Verdict
    from pipeline.run.pipeline_run import PipelineRun
    from pipeline.run.run_warnings import RunWarning

LONGEST_LINE = 2000
BAD_RUNS_LISTED = 3
REPEAT_AFTER = dt.timedelta(hours=6)
# Failures that only a person can fix, and about which `make status` has no further information.
NEEDS_A_FIX = (ExitCode.WRONG_SETTINGS, ExitCode.SOURCE_FAILED, ExitCode.WAREHOUSE_UNAVAILABLE)


@dataclass(frozen=True)
class Alert:
    """Hold an alert: what happened, the rule that caused the alert, the command to run next, and the runbook."""

    title: str
    what: str
    rule: str
    next_step: str
    runbook: str | None = runbooks.FAILED_RUN


SUCCEEDED_AGAIN = Alert(
    title="runs succeed again",
    what=ALL_PUBLISHED,
    rule="the first run that succeeded after a failure",
    next_step="make status",
    runbook=None,
)


class RunNotifier:
    """Follow one run from before its start until its end, and send its alert."""

    def __init__(self) -> None:
        self._run: PipelineRun | None = None
        self._began_at = _now()

    def note_start(self, this_run: "PipelineRun") -> None:
        """Note that the run is in the run ledger."""
        self._run = this_run

    def report_end(self, code: ExitCode, message: str) -> None:
        """Send an alert about the end of the run, if one is due. Raises nothing."""
        has_not_run = code == ExitCode.ALREADY_RUNNING or (code == ExitCode.PUBLISHED and self._run is None)
        if has_not_run or not has_recipients():
            return
        before = _streak_before(self._run)
        if code != ExitCode.PUBLISHED:
            is_retried = code == ExitCode.WAREHOUSE_UNAVAILABLE and self._run is None
            verdicts = self._run.verdicts if self._run else ()
            title = "the run failed" if self._run else "the run could not start"
            alert = about_failure(code, message, verdicts, title)
            alert_failure(alert, self._began_at, before, is_retried=is_retried)
        else:
            found = run_warnings.find_in_run(self._run)
            alert_success(self._run.message, found, self._began_at, before)


def alert_failure(alert: Alert, began_at: dt.datetime, before: run_ledger.Streak, *, is_retried: bool = False) -> None:
    """Send the alert about a run that has failed, and note it for the next success.

    `before`: the unsuccessful runs before this one. `is_retried`: it may come again within minutes.
    """
    incident = OpenIncident()
    if is_retried and incident.was_sent_recently(alert.rule):
        return
    since = min([*_begins(incident, before), began_at])
    incident.note(since, alert.rule)
    _send(alert, _since(since, before), "failure")


def alert_success(
    message: str, found: Sequence["RunWarning"], began_at: dt.datetime, before: run_ledger.Streak
) -> None:
    """Send an alert about a run that has succeeded, if it has warnings or is the first after a failure."""
    incident = OpenIncident()
    begins = _begins(incident, before)
    incident.forget()
    since = f"failing since {_since(min(begins), before)}" if begins else _since(began_at, before)
    if found:
        _send(_about_warnings(message, found), since, "warning")
    elif begins:
        _send(SUCCEEDED_AGAIN, since, "success")


class OpenIncident:
    """Keep a file from the first alert until the next success. It holds the start of the incident and the last rule.

    The run ledger lists failed runs, but not runs that could not start. On a full disk the file is empty; its
    modification time is still that of the newest alert.
    """

    def __init__(self) -> None:
        self._file: Path = Settings().incident_file

    def since(self) -> dt.datetime | None:
        try:
            return dt.datetime.fromisoformat(self._lines()[0]).astimezone(dt.UTC)
        except (IndexError, ValueError):
            return self._sent_at()

    def was_sent_recently(self, rule: str) -> bool:
        """Return whether the newest alert had this rule, as far as the file shows, and is newer than REPEAT_AFTER."""
        sent_at, lines = self._sent_at(), self._lines()
        is_new = sent_at is not None and _now() - sent_at < REPEAT_AFTER
        return is_new and (not lines or lines[1:] == [rule])

    def note(self, since: dt.datetime, rule: str) -> None:
        with contextlib.suppress(OSError):  # a full disk may be the reason for the alert
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(f"{since.isoformat()}\n{rule}\n", "utf-8")

    def forget(self) -> None:
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return []

    def _sent_at(self) -> dt.datetime | None:
        try:
            return dt.datetime.fromtimestamp(self._file.stat().st_mtime, dt.UTC)
        except OSError:
            return None


def send_alert(alert: Alert) -> None:
    """Send an alert about a run that could not send it itself. Raises nothing."""
    if not has_recipients():
        return
    incident = OpenIncident()
    since = incident.since() or _now()
    incident.note(since, alert.rule)
    _send(alert, f"{minute(since)} UTC", "failure")


def has_recipients() -> bool:
    """Return whether ALERT_URLS is set."""
    try:
        return secret("ALERT_URLS") is not None
    except CommandError:  # the command ends with this error, which cannot be sent
        return False


def _streak_before(this_run: "PipelineRun | None") -> run_ledger.Streak:
    if this_run:
        with contextlib.suppress(CommandError, psycopg.Error), this_run.warehouse.connect() as connection:
            return run_ledger.streak_before(connection, this_run.run_id)
    return run_ledger.Streak(None, ())


def about_failure(code: ExitCode, message: str, verdicts: Sequence["Verdict"], title: str = "the run failed") -> Alert:
    """Return the alert about a run that has failed. `title`: unless its code says that it has blocked a load."""
    rule = f"exit code {int(code)}, {code.name}"
    next_step = append_when_fixed("make run") if code in NEEDS_A_FIX else "make status"
    blocked = [verdict for verdict in verdicts if verdict.state == "blocked"]
    rule += "".join(f"; {verdict.batch.table}: {_blocking_rules(verdict)}" for verdict in blocked)
    if code == ExitCode.BLOCKED and blocked:
        title = f"blocked: {', '.join(verdict.batch.table for verdict in blocked)}"
        next_step = show_command(blocked[0].batch.load_id)
    return Alert(title, message, rule, next_step, runbooks.find_runbook(code))


def _begins(incident: "OpenIncident", before: run_ledger.Streak) -> list[dt.datetime]:
    """Return the known times at which something went wrong since the last success; empty if nothing did."""
    return [moment for moment in (incident.since(), *(this_run.started_at for this_run in before.bad)) if moment]


def _about_warnings(message: str, found: Sequence["RunWarning"]) -> Alert:
    kinds: dict[str, list[str]] = {}
    for each in found:
        kinds.setdefault(each.kind, []).append(each.table)
    listed = ", ".join(f"{kind} of {' and '.join(tables)}" for kind, tables in kinds.items())
    return Alert(
        title=f"published with warnings: {listed}",
        what=f"{message}, but {run_warnings.join(found)}",
        rule=f"a run that succeeded with {', '.join(kinds)}",
        next_step=show_command(found[0].load_id),
        runbook=found[0].runbook,
    )


def _blocking_rules(verdict: "Verdict") -> str:
    """List the rules that blocked the load with their row counts. The rows are personal data and are not shown."""
    by_severity = {
        severity: [failed for failed in verdict.failed_rules if failed.severity == severity]
        for severity in ("critical", "warning")
    }
    worst = by_severity["critical"] or by_severity["warning"]
    return ", ".join(f"{failed.rule} ({failed.rows:,})" for failed in worst) or "rows are unreadable"


def _since(since: dt.datetime, before: run_ledger.Streak) -> str:
    text = f"{minute(since)} UTC"
    if before.bad:
        newest = before.bad[-BAD_RUNS_LISTED:]
        ends = ", ".join(
            f"{minute(this_run.started_at)} UTC {this_run.status}"
            + (f" ({this_run.exit_code})" if this_run.exit_code else "")
            for this_run in newest
        )
        more = len(before.bad) - len(newest)
        text += f"; previous unsuccessful runs: {f'{more} more, ' if more else ''}{ends}"
    if before.last_success:
        text += f"; the last successful run ended {minute(before.last_success)} UTC"
    return text


def _send(alert: Alert, since: str, kind: messages.Kind) -> None:
    lines = {
        "What": alert.what,
        "Since": since,
        "Rule": alert.rule,
        "Next": alert.next_step,
        "Runbook": alert.runbook,
    }
    text = "\n".join(
        f"{name}: {sanitize(' '.join(line.split()), LONGEST_LINE)}" for name, line in lines.items() if line
    )
    messages.send(f"MooVitamix: {alert.title}", text, kind=kind)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
