"""Read what people listen to, and render it as one self-contained HTML page, for any screen width and for paper.

The page fetches nothing, runs no script and names no user.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import psycopg
from psycopg.rows import dict_row

from monitoring import charts
from monitoring.charts import Chart, Part, Slots
from monitoring.formatting import count
from warehouse import database
from warehouse.counts import count as count_with_noun
from warehouse.redaction import sanitize

TEMPLATES = Path(__file__).parent / "templates"
DAYS_SHOWN = 84
LEAST_DAYS_SHOWN = 14
COHORTS_SHOWN = 12
GENRES_SHOWN = 6
ARTISTS_SHOWN = 10
# Genres with fewer listens in both periods together change by chance.
LEAST_LISTENS = 20
LONGEST_NAME = 60
DAY = dt.timedelta(days=1)

Row = Mapping[str, Any]

ACTIVE_USERS = """
select day, daily_users, weekly_users, monthly_users from marts.active_users
where day > (select max(day) from marts.active_users where daily_users > 0) - %s
order by day
"""
LISTENS = """
select day, listens, new_listens, repeat_listens, listeners from marts.daily_listening
where day between %s and %s
order by day
"""
GENRES = """
select
    genre,
    coalesce(sum(listens) filter (where day > %(middle)s), 0)::bigint as listens,
    coalesce(sum(listens) filter (where day <= %(middle)s), 0)::bigint as listens_before
from marts.daily_genres
where day between %(first)s and %(last)s
group by genre
order by genre
"""
RETENTION = """
select cohort_week, week_number, users, retention from marts.weekly_retention
where cohort_week >= %(first)s and cohort_week + 7 * week_number + 6 <= %(last)s
order by cohort_week, week_number
"""
ARTISTS = """
select name, listens_30d, listeners_30d from marts.artists
where listeners_30d > 0
order by listeners_30d desc, listens_30d desc, artist
limit %s
"""
SIGN_UPS = """
select
    count(*) filter (where created_at >= %(week)s) as this_week,
    count(*) filter (where created_at < %(week)s) as last_week
from marts.users
where created_at >= %(week)s - interval '168 hours' and created_at < %(week)s + interval '168 hours'
"""
# Written by the recommender once released lists can be compared with what people listened to afterwards.
QUALITY = "recommendations.quality"
RECOMMENDATIONS = """
select
    list,
    max(day) as day,
    sum(users)::bigint as users,
    sum(plays)::bigint as plays,
    sum(recommended_plays)::bigint as recommended_plays,
    sum(hit_rate * users) / nullif(sum(users), 0) as hit_rate,
    sum(popularity_hit_rate * users) / nullif(sum(users), 0) as popularity_hit_rate
from recommendations.quality
where segment = 'all' and day > (select max(day) from recommendations.quality) - 28
group by list
order by list
"""


@dataclass(frozen=True)
class Listening:
    """Hold what the page shows, up to `last`, the newest day with a listen."""

    last: dt.date
    active_users: Sequence[Row]
    listens: Sequence[Row]
    genres: Sequence[Row]
    retention: Sequence[Row]
    artists: Sequence[Row]
    sign_ups: Row
    recommendations: Sequence[Row]


@dataclass(frozen=True)
class Tile:
    """Hold a figure as text, and a note that compares it."""

    name: str
    value: str
    note: str


def read(connection: psycopg.Connection) -> Listening | None:
    """Read the figures from the marts; None if there are no listens yet. Cost: see the views in the catalogue."""
    if not database.has(connection, "marts.active_users"):
        return None
    with connection.cursor(row_factory=dict_row) as cursor:

        def rows(query: str, values: object = None) -> list[Row]:
            return cursor.execute(query, values).fetchall()

        active_users = rows(ACTIVE_USERS, [DAYS_SHOWN])
        last = max((row["day"] for row in active_users if row["daily_users"]), default=None)
        if last is None:
            return None
        monday = last - last.weekday() * DAY
        return Listening(
            last=last,
            active_users=[row for row in active_users if row["day"] <= last],
            listens=rows(LISTENS, [last - (DAYS_SHOWN - 1) * DAY, last]),
            genres=rows(GENRES, {"first": last - 55 * DAY, "middle": last - 28 * DAY, "last": last}),
            retention=rows(RETENTION, {"first": monday - COHORTS_SHOWN * 7 * DAY, "last": last}),
            artists=rows(ARTISTS, [ARTISTS_SHOWN]),
            sign_ups=rows(SIGN_UPS, {"week": dt.datetime.combine(last - 6 * DAY, dt.time(), dt.UTC)})[0],
            recommendations=rows(RECOMMENDATIONS) if database.has(connection, QUALITY) else [],
        )


def page(listening: Listening) -> str:
    """Render the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["count"] = count
    slots, slot_of = _days(listening)
    rising, falling = _genres(listening.genres)
    return environment.get_template("insights.html.j2").render(
        last=listening.last,
        tiles=list(_tiles(listening)),
        listeners=_listeners(listening, slots, slot_of),
        listens=_listens(listening, slots, slot_of),
        days=slots.count,
        rising=rising,
        falling=falling,
        least_listens=LEAST_LISTENS,
        retention=_retention(listening.retention),
        artists=_artists(listening.artists),
        recommendations=listening.recommendations,
    )


def _days(listening: Listening) -> tuple[Slots, dict[dt.date, int]]:
    """Return the time axis of the charts, and the slot of each day."""
    shown = (listening.last - min(row["day"] for row in listening.active_users)).days + 1
    number = max(LEAST_DAYS_SHOWN, shown)
    slot_of = {listening.last - back * DAY: number - 1 - back for back in range(number)}
    between = max(2, 7 * round(number / 42))
    labels = {slot: [f"{day.day} {day:%b}"] for day, slot in slot_of.items() if (number - 1 - slot) % between == 0}
    return Slots(number, labels), slot_of


def _tiles(listening: Listening) -> Iterator[Tile]:
    newest, week_before = listening.active_users[-1], listening.active_users[-8:-7]
    this_week = [row for row in listening.listens if row["day"] > listening.last - 7 * DAY]
    last_week = [row for row in listening.listens if 7 <= (listening.last - row["day"]).days < 14]

    def total(rows: Sequence[Row], name: str) -> int:
        return sum(row[name] for row in rows)

    def versus(value: int, before: int) -> str:
        return f"{_signed_percent(value / before - 1)} on the 7 days before" if before else "none in the 7 days before"

    yield Tile(
        "listeners in 7 days",
        count(newest["weekly_users"]),
        versus(newest["weekly_users"], total(week_before, "weekly_users")),
    )
    yield Tile(
        "listeners in 30 days",
        count(newest["monthly_users"]),
        f"{_percent(newest['weekly_users'], newest['monthly_users'])} of them in the last 7",
    )
    listens = total(this_week, "listens")
    yield Tile("listens in 7 days", count(listens), versus(listens, total(last_week, "listens")))
    new = total(this_week, "new_listens")
    yield Tile("new to the listener", _percent(new, listens), f"{count(new)} first listens of a track")
    sign_ups = listening.sign_ups
    yield Tile("sign-ups in 7 days", count(sign_ups["this_week"]), versus(sign_ups["this_week"], sign_ups["last_week"]))


def _listeners(listening: Listening, slots: Slots, slot_of: Mapping[dt.date, int]) -> Chart:
    def of(name: str) -> dict[int, float]:
        return {slot_of[row["day"]]: row[name] for row in listening.active_users}

    newest = listening.active_users[-1]
    text = (
        f"Listeners of {count_with_noun(slots.count, 'day')} up to {listening.last}: on the last day "
        f"{newest['daily_users']}, within 7 days {newest['weekly_users']}, within 30 days {newest['monthly_users']}"
    )
    bars = [Part("on the day", "--c3", of("daily_users"))]
    lines = [Part("within 7 days", "--c1", of("weekly_users")), Part("within 30 days", "--ink", of("monthly_users"))]
    return charts.bars_and_lines(bars, lines, slots, text)


def _listens(listening: Listening, slots: Slots, slot_of: Mapping[dt.date, int]) -> Chart | None:
    parts = [
        Part(label, colour, {slot_of[row["day"]]: row[name] for row in listening.listens if row["day"] in slot_of})
        for name, label, colour in (
            ("repeat_listens", "heard before", "--c2"),
            ("new_listens", "new to the listener", "--c1"),
        )
    ]
    total, new = (sum(row[name] for row in listening.listens) for name in ("listens", "new_listens"))
    return charts.over_nights(parts, slots, f"Listens by day: {count(total)} in all, {count(new)} new to the listener")


def _genres(genres: Sequence[Row]) -> tuple[Chart | None, Chart | None]:
    """Draw the genres whose share of the listens rises most and falls most against the 28 days before."""
    total, total_before = (sum(row[name] for row in genres) for name in ("listens", "listens_before"))
    changes = {
        _name(row["genre"]): (row["listens"] * total_before / (row["listens_before"] * total) - 1, row["listens"])
        for row in genres
        if row["listens_before"] and row["listens"] + row["listens_before"] >= LEAST_LISTENS and total
    }
    rising = sorted((each for each in changes.items() if each[1][0] > 0), key=lambda each: -each[1][0])
    falling = sorted((each for each in changes.items() if each[1][0] < 0), key=lambda each: each[1][0])
    return _changes("Rising genres", rising[:GENRES_SHOWN]), _changes("Falling genres", falling[:GENRES_SHOWN])


def _changes(title: str, changes: Sequence[tuple[str, tuple[float, int]]]) -> Chart | None:
    if not changes:
        return None
    labels = {
        name: (abs(change), f"{_signed_percent(change)} ({count(listens)})") for name, (change, listens) in changes
    }
    return charts.ranking(labels, f"{title}: " + ", ".join(f"{name} {label}" for name, (_, label) in labels.items()))


def _artists(artists: Sequence[Row]) -> Chart | None:
    if not artists:
        return None
    labels = {
        _name(row["name"]): (
            row["listeners_30d"],
            f"{count(row['listeners_30d'])} ({count_with_noun(row['listens_30d'], 'listen')})",
        )
        for row in artists
    }
    return charts.ranking(
        labels, "Artists by listeners: " + ", ".join(f"{name} {label}" for name, (_, label) in labels.items())
    )


def _retention(retention: Sequence[Row]) -> Chart | None:
    """Draw a row per cohort that is at least a week old."""
    users = {row["cohort_week"]: row["users"] for row in retention if row["week_number"]}
    if not users:
        return None
    names = {week: f"{week.day} {week:%b} ({count(number)})" for week, number in users.items()}
    cells = {
        (names[row["cohort_week"]], row["week_number"]): row["retention"] for row in retention if row["week_number"]
    }
    first = [share for (_, number), share in cells.items() if number == 1]
    average = round(100 * sum(first) / len(first))
    text = f"Retention of {count_with_noun(len(users), 'cohort')}: {average} % on average in the week after the first"
    return charts.heat_map(list(names.values()), cells, text)


def _name(text: str) -> str:
    return sanitize(text, LONGEST_NAME)


def _signed_percent(change: float) -> str:
    percent = round(100 * change)
    return "±0 %" if percent == 0 else f"{'+' if percent > 0 else '−'}{abs(percent):,} %"


def _percent(part: float, whole: float) -> str:
    return f"{round(100 * part / whole)} %" if whole else "–"
