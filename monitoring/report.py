"""The report: one self-contained HTML page about the newest nights, for a screen of any width and for paper.

It fetches nothing and runs no script, and holds figures and names of ours only: no row, and no key of one.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from monitoring import figures
from monitoring.nights import TABLES
from monitoring.record import Record
from monitoring.wording import count, duration, share, size, words

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_TEXT = 600
# Beside each colour there is a sign.
SYMBOLS = {
    **{"succeeded": "✓", "blocked": "⊘", "failed": "✕", "crashed": "!", "running": "…", "none": "·"},
    **{"critical": "⊘", "warning": "▲", "info": "i", "stale": "▲"},
}
VERDICTS = {
    "succeeded": "succeeded",
    "blocked": "was blocked",
    "failed": "failed",
    "crashed": "crashed",
    "running": "is at work",
}


@dataclass(frozen=True)
class OpenLoad:
    """A load that waits, with why, and the commands that settle it: (what it does, command)."""

    load_id: str
    table: str
    state: str
    reason: str
    commands: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Standing:
    """What is to be done, in the words of whoever decides that. `quarantine`: (table, rule, rows, since).

    `warned`: what else is worth a look in the newest loads, (load_id, text).
    """

    next_step: str
    open_loads: Sequence[OpenLoad] = ()
    quarantine: Sequence[tuple[str, str, int, dt.datetime]] = ()
    warned: Sequence[tuple[str, str]] = ()
    listens_waiting: int | None = None


def page(
    record: Record,
    standing: Standing,
    *,
    zone: dt.tzinfo,
    zone_name: str,
    stale_after: dt.timedelta,
    inert: Callable[..., str],
) -> str:
    """The page as HTML. `inert` takes out of a text what could mislead a reader; it is applied to every one."""
    cells = figures.strip(record.nights, record.now, zone)
    slots, nights = figures.slots(cells)
    return (
        _environment(record.now, zone, inert)
        .get_template("report.html.j2")
        .render(
            record=record,
            standing=standing,
            newest=record.nights[-1] if record.nights else None,
            zone_name=zone_name,
            stale_after=stale_after,
            cells=cells,
            outcomes=Counter(cell.night.outcome if cell.night else "none" for cell in cells),
            symbols=SYMBOLS,
            verdicts=VERDICTS,
            tables=TABLES,
            tiles=figures.tiles(record.nights),
            flows=figures.flows(record.flow) if record.flow else [],
            durations=figures.durations(nights, slots, SYMBOLS),
            volumes=figures.volumes(nights, slots),
            columns=figures.columns(nights, slots),
            processor=figures.processor(nights, slots),
            memory=figures.memory(nights, slots),
            sizes=figures.sizes(nights, slots),
            largest=figures.largest(record.growth),
            step_colours=figures.STEP_COLOURS,
            schema_colours=figures.SCHEMA_COLOURS,
        )
    )


def _environment(now: dt.datetime, zone: dt.tzinfo, inert: Callable[..., str]) -> jinja2.Environment:
    def finalized(value: object) -> object:
        """Of what is printed; what is marked as safe was made so by us."""
        return inert(value, LONGEST_TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value

    def minute(moment: dt.datetime) -> str:
        there = moment.astimezone(zone)
        return f"{there:%a} {there.day} {there:%b %Y, %H:%M}"

    def day(day_: dt.date) -> str:
        return f"{day_:%a} {day_.day} {day_:%b %Y}"

    def ago(moment: dt.datetime) -> str:
        minutes = max(0, round((now - moment).total_seconds() / 60))
        if minutes < 60:
            return f"{minutes} min ago"
        hours = round(minutes / 60)
        return f"{hours} h ago" if hours < 48 else f"{round(hours / 24)} days ago"

    def command(text: str) -> Markup:
        """What follows the last colon, when it is a command, is shown as one."""
        before, colon, after = inert(text, LONGEST_TEXT).rpartition(": ")
        if not after.startswith("make "):
            return Markup("{}").format(before + colon + after)
        return Markup("{}{}<code>{}</code>").format(before, colon, after)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "ago": ago,
        "command": command,
        "count": count,
        "day": day,
        "duration": duration,
        "minute": minute,
        "share": share,
        "size": size,
        "words": words,
    }
    return environment
