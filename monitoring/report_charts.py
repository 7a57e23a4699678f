"""Build the report's charts from the run history, all over the same slots."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring import charts, unusual
from monitoring.charts import Chart, ComparedValue, Level, Part, Slots
from monitoring.formatting import count, duration, share, size
from monitoring.run_history import NIGHTS_SHOWN, Flow, Growth, Night, in_order
from monitoring.unusual import LEAST_BYTES, LEAST_ROWS, LEAST_SECONDS, Counts, Figure
from warehouse.counts import count as counted
from warehouse.names import PUBLISHED, STEPS

# A label needs the width of two slots, where there are few, else of five: a week is easier to read.
SLOTS_BETWEEN_LABELS = 7
FEW_SLOTS, FEW_SLOTS_BETWEEN_LABELS = 14, 2
# With few nights, the bars would be too wide.
LEAST_SLOTS = 10
LARGEST_SHOWN = 8
STEP_COLOURS = {"extract": "--c1", "gate": "--c2", "build": "--c3", "recommend": "--c3-strong"}
SCHEMA_COLOURS = {"staging": "--c1", "marts": "--c2", "other": "--c3"}


@dataclass(frozen=True)
class Cell:
    """Describe one cell of the strip: a night, or a day without one. `time`: of its start, if the day has several."""

    day: dt.date
    night: Night | None = None
    time: str = ""


def strip(nights: Sequence[Night], now: dt.datetime, zone: dt.tzinfo) -> list[Cell]:
    """Return the newest nights in the order of their start, with a cell for each past day without a night."""
    cells: list[Cell] = []
    starts = [night.started_at.astimezone(zone) for night in nights]
    for night, start, time in zip(nights, starts, times_of_day(starts), strict=True):
        if cells:
            cells += _days_without(cells[-1].day, start.date())
        cells.append(Cell(start.date(), night, time))
    if cells:
        cells += _days_without(cells[-1].day, now.astimezone(zone).date())
    return cells[-NIGHTS_SHOWN:]


def times_of_day(starts: Sequence[dt.datetime]) -> list[str]:
    """Return what tells the starts of one day apart: nothing for the only one, the minute, or the second."""
    of_day = Counter(start.date() for start in starts)
    of_minute = Counter((start.date(), start.hour, start.minute) for start in starts)
    return [
        ""
        if of_day[start.date()] == 1
        else f"{start:%H:%M}"
        if of_minute[start.date(), start.hour, start.minute] == 1
        else f"{start:%H:%M:%S}"
        for start in starts
    ]


def _days_without(last: dt.date, next_: dt.date) -> list[Cell]:
    missed = (next_ - last).days - 1
    return [Cell(next_ - dt.timedelta(days=back)) for back in range(min(missed, NIGHTS_SHOWN), 0, -1)]


def slots(cells: Sequence[Cell]) -> tuple[Slots, dict[int, Night]]:
    """Return the time axis of all charts, with the newest cell at its right end, and the night of each slot."""
    number = max(len(cells), LEAST_SLOTS)
    first = number - len(cells)
    between = FEW_SLOTS_BETWEEN_LABELS if number <= FEW_SLOTS else SLOTS_BETWEEN_LABELS
    labels = {
        first + index: [f"{cell.day.day} {cell.day:%b}", *([cell.time] if cell.time else [])]
        for index, cell in enumerate(cells)
        if (len(cells) - 1 - index) % between == 0
    }
    nights = {first + index: cell.night for index, cell in enumerate(cells) if cell.night}
    return Slots(number, labels), nights


@dataclass(frozen=True)
class Tile:
    """Hold a key figure as text. `usual`: empty if it is unknown; `sign`: ▲ or ▼ if the value is far from it."""

    name: str
    value: str
    usual: str
    sign: str


def tiles(nights: Sequence[Night]) -> list[Tile]:
    """Return key figures of the newest ended night, each with the usual one."""
    ended = [night for night in nights if night.finished_at]
    if not ended:
        return []
    *before, newest = ended
    good = [night for night in before if unusual.is_good(night)]

    def tile(name: str, of: Callable[[Night], float | None], format_value: Callable[..., str], least: int) -> Tile:
        figure = unusual.compare(of(newest), map(of, good), least)
        usual = "" if figure.usual is None else f"usually {format_value(figure.usual)}"
        return Tile(name, format_value(figure.value), usual, figure.sign)

    def rows(name: str, count_name: str) -> Tile:
        return tile(name, lambda night: unusual.total(night, count_name), count, LEAST_ROWS)

    def measure(name: str, measure_name: str, format_value: Callable[..., str], least: int) -> Tile:
        return tile(name, lambda night: night.measures[measure_name], format_value, least)

    return [
        tile("took", lambda night: night.seconds, duration, LEAST_SECONDS),
        rows("rows read", "rows_read"),
        rows("new or changed", "rows_landed"),
        rows("removed", "rows_removed"),
        rows("quarantined", "rows_quarantined"),
        rows("unreadable", "rows_unreadable"),
        measure("processor", "cpu_seconds", duration, LEAST_SECONDS),
        measure("peak memory", "peak_memory_bytes", size, LEAST_BYTES),
        measure("disk free", "disk_free_bytes", size, LEAST_BYTES),
    ]


@dataclass(frozen=True)
class TableFlow:
    """Describe one table of the night: `rows` are (label, figure) from the API to the marts, `state` is the gate's
    verdict, and `state_now` the current state of the load if it differs."""

    table: str
    load_id: str | None
    state: str
    state_now: str | None
    rows: Sequence[tuple[str, Figure]]
    chart: Chart | None


def flows(flow: Flow, counts: Counts) -> list[TableFlow]:
    """Return the flow of each table of the night, whose figures `counts` compares with the usual ones."""
    return [_table_flow(flow, table, counts.tables[table]) for table in in_order(flow.night.scans)]


def _table_flow(flow: Flow, table: str, figures: Mapping[str, Figure]) -> TableFlow:
    scan = flow.night.scans[table]
    verdict = flow.night.verdict(table)
    state_now = flow.night.states_now.get((scan["load_id"], table))
    state = verdict["state"] if verdict else "pending"
    quarantined = verdict["rows_quarantined"] if verdict else 0
    changed = (scan["rows_landed"] or 0) + (scan["rows_removed"] or 0)
    rest = changed - quarantined
    published = rest if state in PUBLISHED else 0
    blocked = rest if state in ("blocked", "superseded", "rejected") else 0
    waiting = rest if state == "pending" else 0
    written = flow.written.get(table)
    return TableFlow(
        table=table,
        load_id=scan["load_id"],
        state=state,
        state_now=state_now if state_now != state else None,
        rows=[
            ("read", figures["rows_read"]),
            ("unchanged", Figure(scan["rows_unchanged"])),
            ("unreadable", figures["rows_unreadable"]),
            ("new or changed", figures["rows_landed"]),
            ("removed", figures["rows_removed"]),
            ("quarantined", figures["rows_quarantined"]),
            ("blocked", Figure(blocked if verdict else None)),
            ("waiting", Figure(waiting)),
            ("published", Figure(published if verdict else None)),
            ("rows written to the mart", Figure(written)),
        ],
        chart=None
        if scan["rows_read"] is None
        else _flow_chart(table, scan, (published, quarantined, blocked, waiting), written),
    )


def _flow_chart(table: str, scan: Mapping[str, Any], verdict: tuple[int, int, int, int], written: int | None) -> Chart:
    landed, removed, unreadable = scan["rows_landed"], scan["rows_removed"], scan["rows_unreadable"]
    published, quarantined, blocked, waiting = verdict
    came = _join_counts(("new or changed", landed), ("unreadable", unreadable))
    levels = [
        Level(
            f"{count(scan['rows_read'])} read",
            came or ("all unchanged" if scan["rows_read"] else "the API sent no rows"),
            [("--flat", scan["rows_unchanged"]), ("--c2", landed), ("--bad", unreadable)],
            narrows=1,
            into=0,
        )
    ]
    if landed + removed:
        stopped = _join_counts(("quarantined", quarantined), ("blocked", blocked), ("waiting", waiting))
        levels += [
            Level(
                f"{count(landed + removed)} to check",
                _join_counts(("changed", landed), ("removed", removed)),
                [("--c2", landed), ("--c3", removed)],
            ),
            Level(
                f"{count(published)} published",
                stopped or "none quarantined",
                [("--c1", published), ("--warn", quarantined), ("--bad", blocked), ("--busy", waiting)],
                narrows=0,
            ),
        ]
    levels.append(Level(f"{count(written)} written", f"to marts.{table}", [("--c1", written or 0)]))
    text = "; ".join(f"{level.left}, {level.right}" for level in levels)
    return charts.flow(levels, f"{table}: {text}")


def _join_counts(*figures: tuple[str, int]) -> str:
    """Join the counts that are not zero: "1 quarantined, 2 blocked"."""
    return ", ".join(f"{count(number)} {what}" for what, number in figures if number)


def durations(nights: Mapping[int, Night], slots: Slots, symbols: Mapping[str, str]) -> Chart | None:
    """Draw the seconds per step, with the symbol of its outcome above each night that did not succeed."""
    steps: dict[str, dict[int, float]] = {name: {} for name in STEPS}
    for slot, night in nights.items():
        for step in night.steps:
            if step.name in steps and step.seconds is not None:
                steps[step.name][slot] = step.seconds
    whole = {slot: night.seconds for slot, night in nights.items() if night.seconds is not None}
    divisor, unit = (60, " min") if max(whole.values(), default=0) > 300 else (1, " s")
    parts = [
        Part(name, STEP_COLOURS[name], {slot: seconds / divisor for slot, seconds in values.items()})
        for name, values in steps.items()
    ]
    signs = {slot: symbols[night.outcome] for slot, night in nights.items() if night.outcome != "succeeded"}
    return charts.over_nights(
        parts, slots, _range("Time of the nights", whole.values(), duration), unit=unit, signs=signs, height=110
    )


@dataclass(frozen=True)
class Volume:
    """Hold the charts of the rows of a table; None without values."""

    table: str
    read: Chart | None
    changed: Chart | None


def volumes(nights: Mapping[int, Night], slots: Slots, counts: Mapping[tuple[str, ...], Counts]) -> list[Volume]:
    """Draw the rows of each table, with a sign above those that are far from usual. `counts`: by the night's runs."""

    def of(table: str, figure: str) -> dict[int, int]:
        return {
            slot: night.scans[table][figure]
            for slot, night in nights.items()
            if table in night.scans and night.scans[table][figure] is not None
        }

    def signs(table: str, *figures: str) -> dict[int, str]:
        found = {
            slot: "".join(dict.fromkeys(counts[night.run_ids].tables[table][figure].sign for figure in figures))
            for slot, night in nights.items()
            if table in night.scans
        }
        return {slot: sign for slot, sign in found.items() if sign}

    volumes = []
    for table in in_order({table for night in nights.values() for table in night.scans}):
        read, landed, removed = (of(table, figure) for figure in ("rows_read", "rows_landed", "rows_removed"))
        changed = _range(f"{table}: new or changed", landed.values(), count)
        volumes.append(
            Volume(
                table,
                charts.over_nights(
                    [Part("read", "--flat-strong", read)],
                    slots,
                    _range(f"{table}: rows read", read.values(), count),
                    signs=signs(table, "rows_read"),
                    sign_colour="--warn-ink",
                    height=80,
                ),
                charts.over_nights(
                    [Part("new or changed", "--c1", landed), Part("removed", "--c3-strong", removed)],
                    slots,
                    f"{changed}; {_range('removed', removed.values(), count)}",
                    signs=signs(table, "rows_landed", "rows_removed"),
                    sign_colour="--warn-ink",
                    height=95,
                ),
            )
        )
    return volumes


@dataclass(frozen=True)
class Column:
    """Hold the shares of missing values of a column, from 0 to 1. `highest`: of null and absent together."""

    name: str
    nulls_now: float
    absent_now: float
    highest: float
    chart: Chart


@dataclass(frozen=True)
class Columns:
    """Hold the columns of a table that had missing values in some night, and the names of the others."""

    table: str
    lacking: Sequence[Column]
    complete: Sequence[str]


def columns(nights: Mapping[int, Night], slots: Slots) -> list[Columns]:
    """Return by table the columns that lacked values in some night, each with a chart, and the complete ones."""
    counted: dict[str, dict[str, dict[int, tuple[float, float]]]] = {}
    for slot, night in nights.items():
        for (table, column), (rows, nulls, absent) in night.columns.items():
            shares = (nulls / rows, absent / rows) if rows else (0.0, 0.0)
            counted.setdefault(table, {}).setdefault(column, {})[slot] = shares
    found = []
    for table in in_order(counted):
        lacking = {name: by_slot for name, by_slot in sorted(counted[table].items()) if any(map(any, by_slot.values()))}
        found.append(
            Columns(
                table,
                [_column(table, name, by_slot, slots) for name, by_slot in lacking.items()],
                sorted(set(counted[table]) - set(lacking)),
            )
        )
    return found


def _column(table: str, name: str, by_slot: Mapping[int, tuple[float, float]], slots: Slots) -> Column:
    nulls_now, absent_now = by_slot[max(by_slot)]
    highest = max(map(sum, by_slot.values()))
    chart = charts.small_over_nights(
        [
            Part("null", "--c1", {slot: nulls for slot, (nulls, _) in by_slot.items()}),
            Part("absent", "--warn", {slot: absent for slot, (_, absent) in by_slot.items()}),
        ],
        slots,
        f"{table}.{name}: null {share(nulls_now)}, absent {share(absent_now)}; together {share(highest)} at most",
    )
    return Column(name, nulls_now, absent_now, highest, chart)


def processor(nights: Mapping[int, Night], slots: Slots) -> Chart | None:
    """Draw the processor seconds of the run and of the embedded Postgres."""

    def of(measure: str) -> dict[int, float]:
        return {slot: night.measures[measure] for slot, night in nights.items() if night.measures[measure] is not None}

    own, database = of("cpu_seconds"), of("database_cpu_seconds")
    text = _range("Processor seconds of the run", own.values(), duration)
    if database:
        text += f"; {_range('of the embedded Postgres', database.values(), duration)}"
    return charts.over_nights(
        [Part("run", "--c1", own), Part("Postgres", "--c2", database)], slots, text, unit=" s", height=110
    )


def memory(nights: Mapping[int, Night], slots: Slots) -> Chart | None:
    """Draw the peak memory of each night."""
    peaks = {
        slot: night.measures["peak_memory_bytes"]
        for slot, night in nights.items()
        if night.measures["peak_memory_bytes"] is not None
    }
    divisor, unit = _unit(peaks.values())
    return charts.over_nights(
        [Part("peak", "--c1", {slot: peak / divisor for slot, peak in peaks.items()})],
        slots,
        _range("Peak memory", peaks.values(), size),
        unit=unit,
        height=110,
    )


def sizes(nights: Mapping[int, Night], slots: Slots) -> Chart | None:
    """Draw the size of all tables by schema."""
    by_schema: dict[str, Counter[int]] = {name: Counter() for name in SCHEMA_COLOURS}
    for slot, night in nights.items():
        for relation, measured in night.sizes.items():
            schema = relation.partition(".")[0]
            by_schema[schema if schema in by_schema else "other"][slot] += measured.bytes
    whole = sum(by_schema.values(), Counter())
    divisor, unit = _unit(whole.values())
    parts = [
        Part(name, SCHEMA_COLOURS[name], {slot: number / divisor for slot, number in by_slot.items()})
        for name, by_slot in by_schema.items()
    ]
    text = _range("Size of all tables", [whole[slot] for slot in sorted(whole)], size)
    return charts.over_nights(parts, slots, text, unit=unit, height=110)


def quality(rows: Sequence[Mapping[str, Any]], list_name: str) -> Chart | None:
    """Draw NDCG@10 of a list by day, with the interval of its difference to popularity drawn from popularity on."""
    if not rows:
        return None
    days = (rows[-1]["day"] - rows[0]["day"]).days + 1
    number = max(days, LEAST_SLOTS)
    last = rows[-1]["day"]
    between = FEW_SLOTS_BETWEEN_LABELS if number <= FEW_SLOTS else SLOTS_BETWEEN_LABELS
    labels = {
        number - 1 - back: [f"{day.day} {day:%b}"]
        for back in range(0, days, between)
        for day in [last - dt.timedelta(days=back)]
    }
    values = {
        number - 1 - (last - row["day"]).days: ComparedValue(
            row["ndcg"], row["low"], row["high"], row["popularity_ndcg"]
        )
        for row in rows
    }
    newest = rows[-1]
    text = (
        f"NDCG@10 of {list_name} on {counted(len(rows), 'day')}: {newest['ndcg']:.3f} on the newest,"
        f" popularity {newest['popularity_ndcg']:.3f}, interval {newest['low']:.3f} to {newest['high']:.3f}"
    )
    return charts.comparison(values, Slots(number, labels), text)


def coverage(releases: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw the share of the tracks that the newest releases show among the first 10 of their lists, side by side."""
    newest = releases[0]["figures"]["by_list"]
    values = {
        f"{name}, release {release['release_id']}": (figures["coverage"], share(figures["coverage"]))
        for name in sorted(newest, reverse=True)
        for release in releases[:2]
        if (figures := release["figures"]["by_list"].get(name))
    }
    text = "Coverage: " + ", ".join(f"{name} {label}" for name, (_, label) in values.items())
    return charts.ranking(values, text)


def _unit(values: Iterable[float]) -> tuple[int, str]:
    """Return the divisor for bytes, and the name of the unit."""
    largest = max(values, default=0)
    return (1024**3, " GiB") if largest >= 2 * 1024**3 else (1024**2, " MiB")


def largest(growth: Sequence[Growth]) -> Chart | None:
    """Draw the sizes of the largest tables."""
    largest = growth[:LARGEST_SHOWN]
    if not largest:
        return None
    text = "The largest tables: " + ", ".join(f"{table.relation} {size(table.bytes)}" for table in largest)
    return charts.ranking({table.relation: (table.bytes, size(table.bytes)) for table in largest}, text)


def _range(label: str, values: Iterable[float], format_value: Callable[..., str]) -> str:
    """Describe a chart over nights in one sentence; the values are in the order of the nights."""
    known = list(values)
    if not known:
        return f"{label}: no values"
    if len(known) == 1:
        return f"{label}: {format_value(known[0])} in 1 night"
    least, most, newest = map(format_value, (min(known), max(known), known[-1]))
    return f"{label}: {least} to {most} in {len(known)} nights, {newest} in the newest"
