"""Render the report: one self-contained HTML page about the newest nights, for any screen width and for paper.

The page fetches nothing and runs no script. It contains no row and no key of a row.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from monitoring import report_charts
from monitoring.formatting import count, duration, share, size, spaced
from monitoring.run_history import RunHistory
from warehouse.names import SOURCE_TABLE_NAMES

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_TEXT = 600
# Each colour has a symbol, for readers who do not see colours.
SYMBOLS = {
    **{"succeeded": "✓", "blocked": "⊘", "failed": "✕", "crashed": "!", "running": "…", "none": "·"},
    **{"critical": "⊘", "warning": "▲", "info": "i", "stale": "▲"},
}
VERDICTS = {
    "succeeded": "succeeded",
    "blocked": "was blocked",
    "failed": "failed",
    "crashed": "crashed",
    "running": "is running",
}


@dataclass(frozen=True)
class OpenLoad:
    """Describe an open load: why it waits, and the commands that resolve it, as (effect, command)."""

    load_id: str
    table: str
    state: str
    reason: str
    commands: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ActionItems:
    """List the actions for an operator. `quarantine`: (table, rule, rows, since).

    `warned`: warnings about the newest loads, (load_id, text).
    """

    next_step: str
    open_loads: Sequence[OpenLoad] = ()
    quarantine: Sequence[tuple[str, str, int, dt.datetime]] = ()
    warned: Sequence[tuple[str, str]] = ()
    listens_waiting: int | None = None


def page(
    history: RunHistory,
    action_items: ActionItems,
    *,
    zone: dt.tzinfo,
    zone_name: str,
    stale_after: dt.timedelta,
    sanitize: Callable[..., str],
) -> str:
    """Render the page as HTML. `sanitize` removes control characters from a text; it is applied to every text."""
    cells = report_charts.strip(history.nights, history.now, zone)
    slots, nights = report_charts.slots(cells)
    return (
        _environment(history.now, zone, sanitize)
        .get_template("report.html.j2")
        .render(
            history=history,
            action_items=action_items,
            newest=history.nights[-1] if history.nights else None,
            zone_name=zone_name,
            stale_after=stale_after,
            cells=cells,
            outcomes=Counter(cell.night.outcome if cell.night else "none" for cell in cells),
            symbols=SYMBOLS,
            verdicts=VERDICTS,
            tables=SOURCE_TABLE_NAMES,
            tiles=report_charts.tiles(history.nights),
            flows=report_charts.flows(history.flow) if history.flow else [],
            durations=report_charts.durations(nights, slots, SYMBOLS),
            volumes=report_charts.volumes(nights, slots),
            columns=report_charts.columns(nights, slots),
            processor=report_charts.processor(nights, slots),
            memory=report_charts.memory(nights, slots),
            sizes=report_charts.sizes(nights, slots),
            largest=report_charts.largest(history.growth),
            step_colours=report_charts.STEP_COLOURS,
            schema_colours=report_charts.SCHEMA_COLOURS,
        )
    )


def _environment(now: dt.datetime, zone: dt.tzinfo, sanitize: Callable[..., str]) -> jinja2.Environment:
    def sanitize_text(value: object) -> object:
        """Sanitize a printed text; Markup was made safe by this module."""
        return sanitize(value, LONGEST_TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value

    def minute(moment: dt.datetime) -> str:
        local = moment.astimezone(zone)
        return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"

    def day(day_: dt.date) -> str:
        return f"{day_:%a} {day_.day} {day_:%b %Y}"

    def ago(moment: dt.datetime) -> str:
        minutes = max(0, round((now - moment).total_seconds() / 60))
        if minutes < 60:
            return f"{minutes} min ago"
        hours = round(minutes / 60)
        return f"{hours} h ago" if hours < 48 else f"{round(hours / 24)} days ago"

    def command(text: str) -> Markup:
        """Mark up the text after the last colon as code if it is a command."""
        before, colon, after = sanitize(text, LONGEST_TEXT).rpartition(": ")
        if not after.startswith("make "):
            return Markup("{}").format(before + colon + after)
        return Markup("{}{}<code>{}</code>").format(before, colon, after)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=sanitize_text,
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
        "spaced": spaced,
    }
    return environment
