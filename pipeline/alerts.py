"""What a night tells by itself to the addresses of ALERT_URLS: that it failed, that a load is blocked, that it was
published and is worth a look, that all is well again.

For places where nothing reads the metrics and evaluates monitoring/alert_rules.yml. A bad night is told each night: of
silence after a bad one, nobody could say whether it was mended. So is one that holds rows back, or removed or changed
many: the silence after it says that this is over. A good night after a good one is silent, and so is a
run that finds another at work: that is no night. What cannot be entered in the run ledger may be begun again within
minutes, and is told every few hours.
"""

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from pipeline import attention, messages, runs
from pipeline.exits import Exit, Stop
from pipeline.settings import Settings, secret
from pipeline.terminal import inert, minute

if TYPE_CHECKING:
    from expectations.gate import Judgement
    from pipeline.attention import Warned
    from pipeline.night import Night

LONGEST_LINE = 2000
BAD_NIGHTS_TOLD = 3
TOLD_AGAIN_AFTER = dt.timedelta(hours=6)
RUNBOOKS = "docs/runbooks"
WHEN_MENDED = "make run, when that is mended"
# What only a person can mend, and `make status` knows nothing of.
TO_MEND = (Exit.WRONG_SETTINGS, Exit.SOURCE_FAILED, Exit.WAREHOUSE_UNAVAILABLE)


@dataclass(frozen=True)
class Alert:
    """What happened, by which rule that is worth a message, the command to run next, and where to read on."""

    title: str
    what: str
    rule: str
    next_step: str
    runbook: str = "failed-run.md"


ALL_IS_WELL = Alert(
    title="the nights are good again",
    what="all published",
    rule="the first night that succeeded after a bad one",
    next_step="make status",
)


class Watch:
    """Watches over one night, from before it begins until it has ended."""

    def __init__(self) -> None:
        self._night: Night | None = None
        self._began_at = _now()

    def began(self, night: "Night") -> None:
        """The night is in the run ledger."""
        self._night = night

    def ended(self, code: Exit, message: str) -> None:
        """Tell how it ended, if that is worth a message. Raises nothing."""
        is_no_night = code == Exit.ALREADY_RUNNING or (code == Exit.PUBLISHED and self._night is None)
        if is_no_night or not _is_anybody_told():
            return
        before = _streak_before(self._night)
        trouble = Trouble()
        begins = [moment for moment in (trouble.since(), *(night.started_at for night in before.bad)) if moment]
        if code != Exit.PUBLISHED:
            alert = _about_failure(code, message, self._night)
            is_begun_again = code == Exit.WAREHOUSE_UNAVAILABLE and self._night is None
            if is_begun_again and trouble.was_just_told(alert.rule):
                return
            since = min([*begins, self._began_at])
            trouble.note(since, alert.rule)
            _send(alert, _since(since, before), "failure")
            return
        trouble.forget()
        since = f"bad since {_since(min(begins), before)}" if begins else _since(self._began_at, before)
        if warned := attention.in_night(self._night):
            _send(_about_warnings(self._night, warned), since, "warning")
        elif begins:
            _send(ALL_IS_WELL, since, "success")


class Trouble:
    """A file that stands from bad news to the next good news, and says since when, and what was told last.

    The run ledger knows which nights ended badly, and nothing of those that could not begin. On a full disk the file is
    empty; its time is that of the newest message all the same.
    """

    def __init__(self) -> None:
        self._file: Path = Settings().trouble_file

    def since(self) -> dt.datetime | None:
        try:
            return dt.datetime.fromisoformat(self._lines()[0]).astimezone(dt.UTC)
        except (IndexError, ValueError):
            return self._told_at()

    def was_just_told(self, rule: str) -> bool:
        """Whether the newest message was by this rule, as far as the file says, and is a few hours old at most."""
        told_at, lines = self._told_at(), self._lines()
        is_new = told_at is not None and _now() - told_at < TOLD_AGAIN_AFTER
        return is_new and (not lines or lines[1:] == [rule])

    def note(self, since: dt.datetime, rule: str) -> None:
        with contextlib.suppress(OSError):  # a full disk may be the very news
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

    def _told_at(self) -> dt.datetime | None:
        try:
            return dt.datetime.fromtimestamp(self._file.stat().st_mtime, dt.UTC)
        except OSError:
            return None


def tell(alert: Alert) -> None:
    """Tell bad news that no night can tell by itself. Raises nothing."""
    if not _is_anybody_told():
        return
    trouble = Trouble()
    since = trouble.since() or _now()
    trouble.note(since, alert.rule)
    _send(alert, f"{minute(since)} UTC", "failure")


def _is_anybody_told() -> bool:
    try:
        return secret("ALERT_URLS") is not None
    except Stop:  # which is how this command ended, and nobody can be told
        return False


def _streak_before(night: "Night | None") -> runs.Streak:
    if night:
        with contextlib.suppress(Stop, psycopg.Error), night.warehouse.connect() as connection:
            return runs.streak_before(connection, night.run_id)
    return runs.Streak(None, ())


def _about_failure(code: Exit, message: str, night: "Night | None") -> Alert:
    rule = f"exit code {int(code)}, {code.name}"
    next_step = WHEN_MENDED if code in TO_MEND else "make status"
    if night is None:
        return Alert("the night could not begin", message, rule, next_step)
    blocked = [judgement for judgement in night.judgements if judgement.state == "blocked"]
    rule += "".join(f"; {judgement.batch.table}: {_broken_rules(judgement)}" for judgement in blocked)
    if code != Exit.BLOCKED:
        return Alert("the night failed", message, rule, next_step)
    return Alert(
        title=f"blocked: {', '.join(judgement.batch.table for judgement in blocked)}",
        what=message,
        rule=rule,
        next_step=f'make gate ARGS="show {blocked[0].batch.load_id}"',
        runbook="blocked-load.md",
    )


def _about_warnings(night: "Night", warned: Sequence["Warned"]) -> Alert:
    kinds: dict[str, list[str]] = {}
    for each in warned:
        kinds.setdefault(each.kind, []).append(each.table)
    listed = ", ".join(f"{kind} of {' and '.join(tables)}" for kind, tables in kinds.items())
    return Alert(
        title=f"published, but worth a look: {listed}",
        what=f"{night.message}, but {attention.listed(warned)}",
        rule=f"a night that succeeded with {', '.join(kinds)}",
        next_step=f'make gate ARGS="show {warned[0].load_id}"',
        runbook=warned[0].runbook,
    )


def _broken_rules(judgement: "Judgement") -> str:
    """Those that block, by themselves or by their number of rows; not a word of the rows, which are personal data."""
    by_severity = {
        severity: [failed for failed in judgement.failed_rules if failed.severity == severity]
        for severity in ("critical", "warning")
    }
    worst = by_severity["critical"] or by_severity["warning"]
    return ", ".join(f"{failed.rule} ({failed.rows:,})" for failed in worst) or "rows are unreadable"


def _since(since: dt.datetime, before: runs.Streak) -> str:
    told = f"{minute(since)} UTC"
    if before.bad:
        newest = before.bad[-BAD_NIGHTS_TOLD:]
        ends = ", ".join(
            f"{minute(night.started_at)} UTC {night.status}" + (f" ({night.exit_code})" if night.exit_code else "")
            for night in newest
        )
        more = len(before.bad) - len(newest)
        told += f"; bad nights before this one: {f'{more} more, ' if more else ''}{ends}"
    if before.last_success:
        told += f"; the last good one ended {minute(before.last_success)} UTC"
    return told


def _send(alert: Alert, since: str, kind: messages.Kind) -> None:
    lines = {
        "What": alert.what,
        "Since": since,
        "Rule": alert.rule,
        "Next": alert.next_step,
        "Runbook": f"{RUNBOOKS}/{alert.runbook}",
    }
    text = "\n".join(f"{name}: {inert(' '.join(line.split()), LONGEST_LINE)}" for name, line in lines.items())
    messages.send(f"MooVitamix: {alert.title}", text, kind=kind)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
