"""Render the report: one self-contained HTML page about the newest nights, for any screen width and for paper.

The page fetches nothing and runs no script. It contains no row and no key of a row.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from monitoring import report_charts, timeline, unusual
from monitoring.formatting import count, duration, share, size, spaced
from monitoring.recommendations import Recommendations, shares
from monitoring.run_history import DECISIONS_SHOWN, OTHER_RUNS_SHOWN, RunHistory
from warehouse.counts import count as count_with_noun
from warehouse.names import SOURCE_TABLE_NAMES

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_TEXT = 600
# A command follows a colon, or another command.
COMMAND = re.compile(r"""((?:(?<=: )|(?<=" and ))make [a-z-]+(?: ARGS="[^"]*")?)""")
# Each colour has a symbol, for readers who do not see colours.
SYMBOLS = {
    **{"succeeded": "✓", "blocked": "⊘", "failed": "✕", "crashed": "!", "running": "…", "none": "·"},
    **{"critical": "⊘", "warning": "▲", "info": "i", "stale": "▲", "decision": "✎"},
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
class ListModel:
    """Describe the champion of a list: its NDCG@10 and that of popularity, in the final window and since it is served.

    `due`: why a retraining is due; None: it is not.
    """

    name: str
    version: int
    model: str
    trained_at: dt.datetime
    ndcg: float | None
    popularity_ndcg: float | None
    live_ndcg: float | None
    live_popularity_ndcg: float | None
    last_training: dt.datetime | None
    outcome: str | None
    reason: str | None
    due: str | None


@dataclass(frozen=True)
class ActionItems:
    """List the actions for an operator. `quarantine`: (table, rule, rows, since).

    `warned`: warnings about the newest loads, (load_id, text).
    """

    next_step: str
    open_loads: Sequence[OpenLoad] = ()
    quarantine: Sequence[tuple[str, str, int, dt.datetime]] = ()
    warned: Sequence[tuple[str, str]] = ()
    parked_listens: int | None = None


def page(
    history: RunHistory,
    action_items: ActionItems,
    *,
    zone: dt.tzinfo,
    zone_name: str,
    stale_after: dt.timedelta,
    sanitize: Callable[..., str],
    without_blocked_advice: Callable[[str], str],
    recommendations: Recommendations | None = None,
    evaluation: str | None = None,
    models: Sequence[ListModel] = (),
) -> str:
    """Render the page as HTML.

    `sanitize` removes control characters from a text; it is applied to every text. `without_blocked_advice` removes
    from the message of a run what to do about a blocked load: the page says it elsewhere, and older loads were decided
    on or superseded since. `recommendations`: None if there is no release. `evaluation`: the name of the page beside
    this one that compares the recommendation models. `models`: the champion of each list.
    """
    counts = {
        night.run_ids: of_night for night, of_night in zip(history.nights, unusual.counts(history.nights), strict=True)
    }
    cells = report_charts.strip(history.nights, history.now, zone)
    slots, nights = report_charts.slots(cells)
    return (
        _environment(history, zone, sanitize, without_blocked_advice)
        .get_template("report.html.j2")
        .render(
            history=history,
            action_items=action_items,
            newest=history.nights[-1] if history.nights else None,
            zone_name=zone_name,
            evaluation=evaluation,
            recommendations=recommendations,
            qualities={name: report_charts.quality(rows, name) for name, rows in recommendations.quality.items()}
            if recommendations
            else {},
            coverage=report_charts.coverage(recommendations.releases) if recommendations else None,
            shares=shares,
            models=models,
            stale_after=stale_after,
            cells=cells,
            outcomes=Counter(cell.night.outcome if cell.night else "none" for cell in cells),
            symbols=SYMBOLS,
            verdicts=VERDICTS,
            tables=SOURCE_TABLE_NAMES,
            counts=counts,
            cell_numbers={cell.night.run_ids: number for number, cell in enumerate(cells, 1) if cell.night},
            timeline=timeline.entries(history),
            is_cut=len(history.other_runs) == OTHER_RUNS_SHOWN or len(history.decisions) >= DECISIONS_SHOWN,
            usual=unusual,
            tiles=report_charts.tiles(history.nights),
            flows=report_charts.flows(history.flow, counts[history.flow.night.run_ids]) if history.flow else [],
            durations=report_charts.durations(nights, slots, SYMBOLS),
            volumes=report_charts.volumes(nights, slots, counts),
            columns=report_charts.columns(nights, slots),
            processor=report_charts.processor(nights, slots),
            memory=report_charts.memory(nights, slots),
            sizes=report_charts.sizes(nights, slots),
            largest=report_charts.largest(history.growth),
            step_colours=report_charts.STEP_COLOURS,
            schema_colours=report_charts.SCHEMA_COLOURS,
        )
    )


def _environment(
    history: RunHistory,
    zone: dt.tzinfo,
    sanitize: Callable[..., str],
    without_blocked_advice: Callable[[str], str],
) -> jinja2.Environment:
    now = history.now
    starts = Counter(_minute(run.started_at, zone) for run in (*history.nights, *history.other_runs))

    def sanitize_text(value: object) -> object:
        """Sanitize a printed text; Markup was made safe by this module."""
        return sanitize(value, LONGEST_TEXT) if isinstance(value, str) and not isinstance(value, Markup) else value

    def minute(moment: dt.datetime) -> str:
        return _minute(moment, zone)

    def start(moment: dt.datetime) -> str:
        """Format the start of a run. Where two started within one minute, the seconds tell them apart."""
        text = _minute(moment, zone)
        return f"{text}:{moment:%S}" if starts[text] > 1 else text

    def day(day_: dt.date) -> str:
        return f"{day_:%a} {day_.day} {day_:%b %Y}"

    def ago(moment: dt.datetime) -> str:
        minutes = max(0, round((now - moment).total_seconds() / 60))
        if minutes < 60:
            return f"{minutes} min ago"
        hours = round(minutes / 60)
        return f"{hours} h ago" if hours < 48 else f"{round(hours / 24)} days ago"

    def command(text: str) -> Markup:
        """Mark up the commands in a text as code."""
        pieces = COMMAND.split(sanitize(text, LONGEST_TEXT))
        return Markup().join(
            Markup("<code>{}</code>").format(piece) if number % 2 else escape(piece)
            for number, piece in enumerate(pieces)
        )

    def what_happened(message: str) -> str:
        """Return the message of a run without what to do about it."""
        return without_blocked_advice(message).removeprefix("blocked: ")

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
        "describe": timeline.describe,
        "duration": duration,
        "group_failures": timeline.group_failures,
        "minute": minute,
        "share": share,
        "size": size,
        "spaced": spaced,
        "start": start,
        "what_happened": what_happened,
        "with_noun": count_with_noun,
    }
    return environment


def _minute(moment: dt.datetime, zone: dt.tzinfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"
