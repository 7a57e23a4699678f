"""Draw the report's charts as inline SVG with Vega-Lite.

Colours are the page's CSS variables, so one drawing works in light and dark mode and on paper. All charts over time
share their slots: one for each cell of the strip of nights.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert
from markupsafe import Markup

VEGA_LITE = "6.4"
# The width of a phone's screen.
WIDTH = 320
SMALL_WIDTH = 150
# A smaller share of a bar would be invisible.
LEAST_SHARE = 0.012

CONFIG = {
    "aria": False,  # each chart is one image with its own text
    "background": None,
    "font": "sans-serif",
    "padding": {"left": 2, "right": 10, "top": 6, "bottom": 0},
    "view": {"stroke": None},
    "bar": {"discreteBandSize": {"band": 0.8}},
    "axis": {
        "domain": False,
        "ticks": False,
        "labelColor": "var(--muted)",
        "labelFontSize": 11,
        "gridColor": "var(--line)",
        "labelPadding": 5,
        "title": None,
    },
}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """Hold a drawing and a `text` that describes it for screen readers."""

    svg: Markup
    text: str


@dataclass(frozen=True)
class Part:
    """Describe one part of the stacked bars: its name, the CSS variable of its colour, and its value by slot. The first
    part is at the bottom."""

    name: str
    colour: str
    values: Mapping[int, float]


@dataclass(frozen=True)
class Slots:
    """Describe a time axis: its number of slots, and the lines of the labels of some of them."""

    count: int
    labels: Mapping[int, Sequence[str]]


def over_nights(
    parts: Sequence[Part],
    slots: Slots,
    text: str,
    *,
    unit: str = "",
    height: int = 130,
    signs: Mapping[int, str] = {},
    sign_colour: str = "--bad",
) -> Chart | None:
    """Draw stacked bars, one per night; None when there is nothing to draw.

    `unit` is appended to each label of the axis; `signs` are drawn above the bars of their slots.
    """
    if not any(part.values for part in parts):
        return None
    spec = {
        **_stack(parts, slots),
        "width": WIDTH,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
    }
    spec["encoding"]["x"]["axis"] = _slot_axis(slots)
    spec["encoding"]["y"]["axis"] = {
        "tickCount": 3,
        "format": ",.2~f" if unit else "~s",
        "labelExpr": f"(datum.value ? datum.label : '0') + {unit!r}",
        "minExtent": 38,
        **({} if unit else {"tickMinStep": 1}),
    }
    if signs:
        heights: Counter[int] = Counter()
        for part in parts:
            heights.update(part.values)
        spec["layer"] = [{"mark": spec.pop("mark"), "encoding": {"color": spec["encoding"].pop("color")}}]
        spec["layer"][0]["encoding"]["order"] = spec["encoding"].pop("order")
        spec["layer"].append(
            {
                "data": {"values": [{"slot": at, "sign": sign, "value": heights[at]} for at, sign in signs.items()]},
                "mark": {
                    **{"type": "text", "baseline": "alphabetic", "dy": -3},
                    **{"color": f"var({sign_colour})", "fontSize": 11, "fontWeight": 700},
                },
                "encoding": {"text": {"field": "sign", "type": "nominal"}},
            }
        )
    return Chart(_svg(spec), text)


def small_over_nights(parts: Sequence[Part], slots: Slots, text: str) -> Chart:
    """Draw stacked bars without axes, for many charts side by side; the page prints the highest value."""
    spec = {**_stack(parts, slots), "width": SMALL_WIDTH, "height": 36, "padding": 0}
    spec["encoding"]["x"]["axis"] = {"labels": False, "domain": True, "domainColor": "var(--line)"}
    spec["encoding"]["y"]["axis"] = None
    spec["encoding"]["y"]["scale"] |= {"nice": False}
    return Chart(_svg(spec), text)


@dataclass(frozen=True)
class ComparedValue:
    """Hold a value with its interval, and the value that it is compared with."""

    value: float
    low: float
    high: float
    other: float


def comparison(values: Mapping[int, ComparedValue], slots: Slots, text: str) -> Chart | None:
    """Draw a dot with its interval per slot, and the value that it is compared with as a line; None without values."""
    if not values:
        return None
    rows = [{"slot": slot, **vars(each)} for slot, each in values.items()]
    x = {
        "field": "slot",
        "type": "ordinal",
        "scale": {"domain": list(range(slots.count))},
        "axis": _slot_axis(slots),
    }
    y = {
        "type": "quantitative",
        "scale": {"zero": True},
        "axis": {"tickCount": 4, "format": ".2f", "minExtent": 38},
    }
    dot = {"type": "point", "filled": True, "opacity": 1}
    spec = {
        "data": {"values": rows},
        "width": WIDTH,
        "height": 130,
        "autosize": {"type": "fit", "contains": "padding"},
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "line", "color": "var(--flat-strong)", "strokeWidth": 2},
                "encoding": {"y": {"field": "other", **y}},
            },
            {"mark": {**dot, "color": "var(--flat-strong)", "size": 18}, "encoding": {"y": {"field": "other", **y}}},
            {
                "mark": {"type": "rule", "color": "var(--c1)", "strokeWidth": 3, "opacity": 0.55},
                "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}},
            },
            {"mark": {**dot, "color": "var(--c1)", "size": 40}, "encoding": {"y": {"field": "value", **y}}},
        ],
    }
    return Chart(_svg(spec), text)


def _slot_axis(slots: Slots) -> Spec:
    return {
        "values": list(slots.labels),
        # an expression: it must contain only dates from this program
        "labelExpr": f"{ ({str(slot): list(lines) for slot, lines in slots.labels.items()})!r}[datum.label]",
        "labelAngle": 0,
        "labelOverlap": True,
        "domain": True,
        "domainColor": "var(--line)",
    }


def _stack(parts: Sequence[Part], slots: Slots) -> Spec:
    values = [
        {"slot": slot, "part": number, "value": value}
        for number, part in enumerate(parts)
        for slot, value in part.values.items()
    ]
    is_flat = not any(value["value"] for value in values)
    return {
        "data": {"values": values},
        "mark": "bar",
        "encoding": {
            "x": {"field": "slot", "type": "ordinal", "scale": {"domain": list(range(slots.count))}},
            "y": {
                "field": "value",
                "type": "quantitative",
                "scale": {"domainMin": 0, **({"domainMax": 1} if is_flat else {})},
            },
            "color": {
                "field": "part",
                "type": "nominal",
                "scale": {"domain": list(range(len(parts))), "range": [f"var({part.colour})" for part in parts]},
                "legend": None,
            },
            "order": {"field": "part", "type": "quantitative"},
        },
    }


def ranking(values: Mapping[str, tuple[float, str]], text: str) -> Chart:
    """Draw horizontal bars, the largest first: name -> (value, label at the end of the bar)."""
    rows = [{"name": name, "value": value, "label": label} for name, (value, label) in values.items()]
    spec = {
        "data": {"values": rows},
        "width": WIDTH,
        "height": 22 * len(rows),
        "autosize": {"type": "fit", "contains": "padding"},
        "encoding": {
            "y": {"field": "name", "type": "nominal", "sort": None, "axis": {"labelLimit": 170}},
            "x": {
                "field": "value",
                "type": "quantitative",
                "axis": None,
                # room for the longest label beside the longest bar
                "scale": {"domain": [0, 1.6 * max(row["value"] for row in rows) or 1]},
            },
        },
        "layer": [
            {"mark": {"type": "bar", "color": "var(--c1)", "height": 10}},
            {
                "mark": {"type": "text", "align": "left", "dx": 5, "color": "var(--ink)", "fontSize": 11},
                "encoding": {"text": {"field": "label"}},
            },
        ],
    }
    return Chart(_svg(spec), text)


@dataclass(frozen=True)
class Level:
    """Describe one bar of a flow: the texts above it on the left and right, and its segments (CSS variable of the
    colour, rows). A wedge leads from segment `narrows` to segment `into` of the next bar, or to the whole next bar."""

    left: str
    right: str
    segments: Sequence[tuple[str, int]]
    narrows: int | None = None
    into: int | None = None


def flow(levels: Sequence[Level], text: str) -> Chart:
    """Draw bars below each other, each with the full width; a wedge leads from a part of a bar to the next bar."""
    above, thick, between = 18, 14, 18
    rects, wedges, texts = [], [], []
    edges_by_level = [_edges([rows for _, rows in level.segments]) for level in levels]
    for number, (level, edges) in enumerate(zip(levels, edges_by_level, strict=True)):
        top = number * (above + thick + between) + above
        texts += [
            {"x": 0, "y": top - 5, "text": level.left, "side": "left"},
            {"x": 1, "y": top - 5, "text": level.right, "side": "right"},
        ]
        bottom = top + thick
        rects.append({"x": 0, "x2": 1, "y": top, "y2": bottom, "colour": "--empty"})
        rects += [
            {"x": start, "x2": end, "y": top, "y2": bottom, "colour": colour}
            for (colour, rows), (start, end) in zip(level.segments, edges, strict=True)
            if rows
        ]
        if level.narrows is not None and level.segments[level.narrows][1] and number + 1 < len(levels):
            start, end = edges[level.narrows]
            next_start, next_end = (0.0, 1.0) if level.into is None else edges_by_level[number + 1][level.into]
            wedges += [
                {"x": start, "x2": end, "y": bottom, "wedge": number},
                {"x": next_start, "x2": next_end, "y": bottom + between + above, "wedge": number},
            ]
    height = len(levels) * (above + thick + between) - between
    colours = sorted({rect["colour"] for rect in rects})
    x = {"type": "quantitative", "scale": {"domain": [0, 1], "nice": False}, "axis": None}
    y = {"type": "quantitative", "scale": {"domain": [0, height], "reverse": True, "nice": False}, "axis": None}
    ends = {"x": {"field": "x", **x}, "x2": {"field": "x2"}, "y": {"field": "y", **y}}
    spec = {
        "width": WIDTH,
        "height": height,
        "padding": 0,
        "layer": [
            {
                "data": {"values": wedges},
                "mark": {"type": "area", "orient": "horizontal", "color": "var(--wedge)"},
                "encoding": {**ends, "detail": {"field": "wedge"}},
            },
            {
                "data": {"values": rects},
                "mark": "rect",
                "encoding": {
                    **ends,
                    "y2": {"field": "y2"},
                    "color": {
                        "field": "colour",
                        "type": "nominal",
                        "scale": {"domain": colours, "range": [f"var({colour})" for colour in colours]},
                        "legend": None,
                    },
                },
            },
            *(
                {
                    "data": {"values": [text for text in texts if text["side"] == side]},
                    "mark": {
                        **{"type": "text", "align": side, "baseline": "alphabetic"},
                        **{"color": colour, "fontSize": 12, "fontWeight": weight},
                    },
                    "encoding": {
                        "x": {"field": "x", **x},
                        "y": {"field": "y", **y},
                        "text": {"field": "text", "type": "nominal"},
                    },
                }
                for side, colour, weight in (("left", "var(--ink)", 600), ("right", "var(--muted)", 400))
            ),
        ],
    }
    return Chart(_svg(spec), text)


def _edges(rows: Sequence[int]) -> list[tuple[float, float]]:
    """Return the start and end of each segment, as shares of the bar; each segment stays visible."""
    total = sum(rows)
    if not total:
        return [(0.0, 0.0)] * len(rows)
    shares = [max(count / total, LEAST_SHARE) if count else 0.0 for count in rows]
    whole = sum(shares)
    edges, start = [], 0.0
    for share in shares:
        edges.append((start, start + share / whole))
        start += share / whole
    return edges


def bars_and_lines(bars: Sequence[Part], lines: Sequence[Part], slots: Slots, text: str, *, height: int = 130) -> Chart:
    """Draw stacked bars, and a line for each of the other parts above them."""
    bar_layer = _stack(bars, slots)
    x = {
        **bar_layer["encoding"]["x"],
        "axis": {
            "values": list(slots.labels),
            # an expression: it must contain only dates from this program
            "labelExpr": f"{ ({str(slot): list(label) for slot, label in slots.labels.items()})!r}[datum.label]",
            "labelAngle": 0,
            "labelOverlap": True,
            "domain": True,
            "domainColor": "var(--line)",
        },
    }
    y = {"type": "quantitative", "axis": {"tickCount": 3, "format": "~s", "tickMinStep": 1, "minExtent": 38}}
    bar_layer["encoding"] |= {"x": x, "y": {**bar_layer["encoding"]["y"], **y}}
    line_layers = [
        {
            "data": {"values": [{"slot": slot, "value": value} for slot, value in line.values.items()]},
            "mark": {"type": "line", "color": f"var({line.colour})", "strokeWidth": 2, "point": len(line.values) == 1},
            "encoding": {"x": x, "y": {"field": "value", **y}},
        }
        for line in lines
    ]
    spec = {
        "width": WIDTH,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "layer": [bar_layer, *line_layers],
    }
    return Chart(_svg(spec), text)


def heat_map(rows: Sequence[str], cells: Mapping[tuple[str, int], float], text: str) -> Chart:
    """Draw a cell for each (row, column) with a share from 0 to 1: stronger for more, with the percentage in it."""
    values = [
        {"row": row, "column": column, "percent": str(round(100 * share)), "shade": 0.04 + 0.42 * share}
        for (row, column), share in cells.items()
    ]
    spec = {
        "data": {"values": values},
        "width": WIDTH,
        "height": 20 * len(rows) + 20,
        "autosize": {"type": "fit", "contains": "padding"},
        "encoding": {
            "x": {
                "field": "column",
                "type": "ordinal",
                "scale": {"domain": list(range(1, max(column for _, column in cells) + 1))},
                "axis": {"orient": "top", "labelAngle": 0},
            },
            "y": {"field": "row", "type": "nominal", "scale": {"domain": list(rows)}, "sort": None},
        },
        "layer": [
            {
                "mark": {"type": "rect", "color": "var(--c1)"},
                "encoding": {"opacity": {"field": "shade", "type": "quantitative", "scale": None}},
            },
            {
                "mark": {"type": "text", "color": "var(--ink)", "fontSize": 10},
                "encoding": {"text": {"field": "percent", "type": "nominal"}},
            },
        ],
    }
    return Chart(_svg(spec), text)


def _svg(spec: Spec) -> Markup:
    """Render the chart without network access."""
    drawn = vl_convert.vegalite_to_svg(
        _printable({"config": CONFIG, **spec}), vl_version=VEGA_LITE, allowed_base_urls=[]
    )
    # further digits of coordinates would only enlarge the page
    return Markup(re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), drawn))


def _printable(part: Any) -> Any:
    """Escape unprintable characters in the texts of a spec: characters that XML forbids make vl-convert abort the
    process."""
    if isinstance(part, str):
        return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in part)
    if isinstance(part, dict):
        return {name: _printable(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_printable(value) for value in part]
    return part
