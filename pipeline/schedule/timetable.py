"""Compute when the nightly run is due: at the same local time each day, in a time zone."""

import datetime as dt
import difflib
import importlib.resources
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

UNIVERSAL = {"UTC", "UCT", "Universal", "Zulu", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu"}
# Zones that are a fixed offset, besides those below Etc/.
OFFSETS = {"EST", "MST", "HST", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich"}
NO_ZONE = "Factory"  # the database's name for an unset time zone
SUGGESTIONS = 3
NEAR_ENOUGH = 0.6  # the default of difflib


@dataclass(frozen=True)
class Timetable:
    """Hold the daily run time, as local time in `zone`. Methods accept moments in any zone, and return UTC."""

    runtime: dt.time
    zone: ZoneInfo

    def last_until(self, moment: dt.datetime) -> dt.datetime:
        """Return the newest slot that is not later than the moment."""
        return max(slot for slot in self._around(moment) if slot <= moment)

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first slot later than the moment."""
        return min(slot for slot in self._around(moment) if slot > moment)

    def count_after(self, moment: dt.datetime, until: dt.datetime) -> int:
        """Count the slots that are later than `moment`, and not later than `until`."""
        count = 0
        while (moment := self.next_after(moment)) <= until:
            count += 1
        return count

    def describe(self, moment: dt.datetime) -> str:
        """Format the moment in local time: 2026-11-25 00:00 America/Montreal (UTC-05:00)."""
        there = moment.astimezone(self.zone)
        return f"{there:%Y-%m-%d %H:%M} {self.zone.key} ({offset(there)})"

    def _around(self, moment: dt.datetime) -> Iterator[dt.datetime]:
        today = moment.astimezone(self.zone).date()
        # two days, because a zone that crosses the date line skips a day
        for days in range(-2, 3):
            # A local time that daylight saving skips counts as if it had not: 02:30 becomes 03:30. Of a local time that
            # occurs twice, the first counts. Both are the rules of `fold=0`.
            there = dt.datetime.combine(today + dt.timedelta(days=days), self.runtime, self.zone)
            yield there.astimezone(dt.UTC)


def offset(moment: dt.datetime) -> str:
    """Format the offset of the moment: UTC-05:00."""
    text = f"{moment:%z}"
    return f"UTC{text[:3]}:{text[3:5]}"


def time_of_day(text: str) -> dt.time:
    """Parse HH:MM. Raises ValueError."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError(f"it must be a time from 00:00 to 23:59, not {text!r}")
    return dt.time.fromisoformat(text)


def zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name. Raises ValueError, which suggests similar names, for an unknown one."""
    known = _names()
    if name not in known:
        near = " or ".join(_nearest(name, known)) or "the name of a place, such as America/Montreal, or UTC"
        raise ValueError(f"there is no time zone {name!r}; did you mean {near}?")
    return ZoneInfo(name)


def zone_warning(zone: ZoneInfo, now: dt.datetime) -> str | None:
    """Return a warning if the zone is a fixed offset, which ignores daylight saving; None for other zones."""
    if zone.key in UNIVERSAL or not _is_offset(zone.key):
        return None
    return (
        f"{zone.key} is {offset(now.astimezone(zone))} all year and ignores daylight saving;"
        " to follow local time, name a place, such as America/Montreal"
    )


def _names() -> set[str]:
    """Return the zones of the tzdata package: the machine's own database may be missing, old or incomplete."""
    return set(importlib.resources.files("tzdata").joinpath("zones").read_text().split()) - {NO_ZONE}


def _is_offset(name: str) -> bool:
    return name in OFFSETS or name.startswith("Etc/")


def _nearest(name: str, known: set[str]) -> list[str]:
    """Return places with this time zone abbreviation, or else places with a similar name, the most similar first."""
    places = sorted(place for place in known if not _is_offset(place))
    if name.isalpha() and name.isupper():
        found = [place for place in places if name in _abbreviations(place)]
        if found:
            return found[:SUGGESTIONS]
    wanted = "_".join(name.lower().split())
    city = wanted.rpartition("/")[2]
    # compare with the whole name and with its last part: Montreal is America/Montreal
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
