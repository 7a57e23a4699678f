"""Render the page of an evaluation of the recommendation models: self-contained, without scripts and personal data."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from monitoring.charts import Chart, ranking

TEMPLATES = Path(__file__).parent / "templates"
QUESTIONS = {
    "discover": "tracks the user has not heard",
    "again": "tracks the user knows and will want now",
}
SEGMENTS = {
    "all": "all users",
    "cold": "cold: no listen in training",
    "light": "light: 1 to 9 listens in training",
    "regular": "regular: 10 listens or more in training",
}


@dataclass(frozen=True)
class ListSection:
    """Hold what the page shows about one list: its rows for all users by window, and a chart per segment."""

    name: str
    question: str
    chosen: str
    final: Sequence[Mapping[str, Any]]
    tuning: Sequence[Mapping[str, Any]]
    charts: Sequence[tuple[str, Chart]]


def page(
    rows: Sequence[Mapping[str, Any]],
    *,
    chosen: Mapping[str, str],
    notes: Sequence[str],
    warnings: Sequence[str],
    written_at: dt.datetime,
) -> str:
    """Render the page as HTML. `rows`: a mapping per list, model and segment, with popularity first in each."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    sections = [_section(name, model, rows) for name, model in chosen.items()]
    return environment.get_template("evaluation.html.j2").render(
        sections=sections, notes=notes, warnings=warnings, written_at=written_at
    )


def _section(name: str, chosen: str, rows: Sequence[Mapping[str, Any]]) -> ListSection:
    mine = [row for row in rows if row["list"] == name]
    charts = [
        (f"{title} ({found[0]['users']:,})", _chart(title, found))
        for segment, title in SEGMENTS.items()
        if (found := [row for row in mine if row["segment"] == segment and row["window"] == "final"])
    ]
    final, tuning = (
        [row for row in mine if row["segment"] == "all" and row["window"] == window] for window in ("final", "tuning")
    )
    return ListSection(name, QUESTIONS[name], chosen, final, tuning, charts)


def _chart(title: str, rows: Sequence[Mapping[str, Any]]) -> Chart:
    ordered = sorted(rows, key=lambda row: -row["ndcg@10"])
    values = {row["model"]: (row["ndcg@10"], _label(row)) for row in ordered}
    described = ", ".join(f"{row['model']} {row['ndcg@10']:.3f}" for row in ordered)
    return ranking(values, f"NDCG@10 of {title}: {described}")


def _label(row: Mapping[str, Any]) -> str:
    return "{:.3f} ({:.3f} to {:.3f})".format(*(row[name] for name in ("ndcg@10", "low", "high")))
