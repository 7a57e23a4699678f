"""When the night is due: at the same local time each day, in the zone of a place."""

import datetime as dt
import difflib
import importlib.resources
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

UNIVERSAL = {"UTC", "UCT", "Universal", "Zulu", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu"}
# Names of an offset; those below Etc/ are others. In places without daylight saving nobody expects any.
OFFSETS = {"EST", "MST", "HST", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich"}
NO_ZONE = "Factory"  # the database's word for a clock that nobody has set
SUGGESTIONS = 3
NEAR_ENOUGH = 0.6  # difflib's own


@dataclass(frozen=True)
class Timetable:
    """`runtime`, without a zone, on the clocks of `zone`. Moments come in UTC and are taken in any zone."""

    runtime: dt.time
    zone: ZoneInfo

    def last_until(self, moment: dt.datetime) -> dt.datetime:
        """The newest slot that is not later than the moment."""
        return max(slot for slot in self._around(moment) if slot <= moment)

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """The first slot later than the moment."""
        return min(slot for slot in self._around(moment) if slot > moment)

    def count_after(self, moment: dt.datetime, until: dt.datetime) -> int:
        """How many slots are later than `moment`, and not later than `until`."""
        count = 0
        while (moment := self.next_after(moment)) <= until:
            count += 1
        return count

    def told(self, moment: dt.datetime) -> str:
        """The moment on the zone's clocks: 2026-11-25 00:00 America/Montreal (UTC-05:00)."""
        there = moment.astimezone(self.zone)
        return f"{there:%Y-%m-%d %H:%M} {self.zone.key} ({offset(there)})"

    def _around(self, moment: dt.datetime) -> Iterator[dt.datetime]:
        today = moment.astimezone(self.zone).date()
        # two days, because a zone that crosses the date line leaves a day out
        for days in range(-2, 3):
            # A time that the clocks jump over counts as if they had not jumped: 02:30 is 03:30 then. Of one that comes
            # twice it is the first. The zone database itself says so, for `fold=0`.
            there = dt.datetime.combine(today + dt.timedelta(days=days), self.runtime, self.zone)
            yield there.astimezone(dt.UTC)


def offset(moment: dt.datetime) -> str:
    """UTC-05:00"""
    text = f"{moment:%z}"
    return f"UTC{text[:3]}:{text[3:5]}"


def time_of_day(text: str) -> dt.time:
    """Raises ValueError for what is not HH:MM."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError(f"it must be a time from 00:00 to 23:59, not {text!r}")
    return dt.time.fromisoformat(text)


def zone(name: str) -> ZoneInfo:
    """Raises ValueError, naming the nearest zones, for a name that is not in the IANA time zone database."""
    known = _names()
    if name not in known:
        near = " or ".join(_nearest(name, known)) or "the name of a place, such as America/Montreal, or UTC"
        raise ValueError(f"there is no time zone {name!r}; did you mean {near}?")
    return ZoneInfo(name)


def warning_about(place: ZoneInfo, now: dt.datetime) -> str | None:
    """What to know about a zone that is an offset and no place; None for the others."""
    if place.key in UNIVERSAL or not _is_offset(place.key):
        return None
    return (
        f"{place.key} is {offset(now.astimezone(place))} all year, it ignores daylight saving;"
        " name a place, such as America/Montreal, if the night is to follow the clocks there"
    )


def _names() -> set[str]:
    """Of the tzdata package: a machine's own database may be missing, old, or hold what is no zone."""
    return set(importlib.resources.files("tzdata").joinpath("zones").read_text().split()) - {NO_ZONE}


def _is_offset(name: str) -> bool:
    return name in OFFSETS or name.startswith("Etc/")


def _nearest(name: str, known: set[str]) -> list[str]:
    """Places whose clocks call their time so, or else those that are spelled alike, the nearest first."""
    places = sorted(place for place in known if not _is_offset(place))
    if name.isalpha() and name.isupper():
        found = [place for place in places if name in _abbreviations(place)]
        if found:
            return found[:SUGGESTIONS]
    wanted = "_".join(name.lower().split())
    city = wanted.rpartition("/")[2]
    # by the whole name or by its last part: Montreal is America/Montreal
    likeness = {
        place: max(_ratio(wanted, place.lower()), _ratio(city, place.lower().rpartition("/")[2])) for place in places
    }
    best = sorted(places, key=lambda place: -likeness[place])
    return [place for place in best if likeness[place] >= NEAR_ENOUGH][:SUGGESTIONS]


def _abbreviations(place: str) -> set[str | None]:
    year = dt.date.today().year
    return {dt.datetime(year, month, 1, tzinfo=ZoneInfo(place)).tzname() for month in (1, 7)}


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
