"""Compute from the API's rows, in plain Python, what the warehouse must hold after some runs."""

import hashlib
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from warehouse.normalization import normalize

Row = dict[str, Any]
Listen = tuple[int, int]
"""(user_id, track_id)."""


@dataclass
class WorldModel:
    """Track the rows of each run with `night`, and compute the marts and the features."""

    users: dict[int, Row] = field(default_factory=dict)
    tracks: dict[int, Row] = field(default_factory=dict)
    gone_users: set[int] = field(default_factory=set)
    gone_tracks: set[int] = field(default_factory=set)
    documents: dict[tuple[int, str], list[Row]] = field(default_factory=lambda: defaultdict(list))
    known_listens: set[int] | None = None
    """Those that count, if not all do."""

    def night(self, users: list[Row], tracks: list[Row], listen_history: list[Row]) -> None:
        for known, gone, rows in (
            (self.users, self.gone_users, users),
            (self.tracks, self.gone_tracks, tracks),
        ):
            known.update((row["id"], row) for row in rows)
            gone.clear()
            gone.update(known.keys() - {row["id"] for row in rows})
        for row in listen_history:
            versions = self.documents[row["user_id"], row["created_at"]]
            if not versions or versions[-1] != row:
                versions.append(row)

    def listens(self) -> dict[int, tuple[int, int, datetime, datetime]]:
        """Return id -> (user_id, track_id, listened_at, created_at) of every listen, also without known parents."""
        found = {}
        for (user_id, created_at), versions in self.documents.items():
            document_at = utc(created_at)
            newest: datetime | None = None
            before: Counter[int] = Counter()
            numbers: Counter[int] = Counter()
            for version in versions:
                updated_at = utc(version["updated_at"])
                if version["items"] is None or (newest and updated_at <= newest):
                    continue
                now = Counter(version["items"])
                for track_id in (now - before).elements():
                    numbers[track_id] += 1
                    number = listen_id(user_id, document_at, track_id, numbers[track_id])
                    found[number] = (user_id, track_id, updated_at, document_at)
                newest, before = updated_at, now
        return found

    def kept_listens(self) -> dict[int, tuple[int, int, datetime, datetime]]:
        return {
            listen_id: listen
            for listen_id, listen in self.listens().items()
            if listen[0] in self.users and listen[1] in self.tracks
            if self.known_listens is None or listen_id in self.known_listens
        }

    def genres_of(self, track_id: int) -> set[str]:
        return split_genres(self.tracks[track_id]["genres"])

    def affinities(self, as_of: datetime) -> dict[tuple[int, str], Row]:
        """Return (user_id, genre) -> the columns of features.user_genre_affinity."""
        ages: dict[tuple[int, str], list[timedelta]] = defaultdict(list)
        for user_id, track_id, listened_at, _ in self.kept_listens().values():
            if listened_at <= as_of:
                for genre in self.genres_of(track_id):
                    ages[user_id, genre].append(as_of - listened_at)
        totals: Counter[int] = Counter()
        for (user_id, _), found in ages.items():
            totals[user_id] += len(found)
        rows = {
            (user_id, genre): {
                "listens": len(found),
                "share": len(found) / totals[user_id],
                **{f"listens_{days}d": sum(age < timedelta(days=days) for age in found) for days in (7, 30, 90)},
                "affinity": math.fsum(0.5 ** (age / timedelta(days=30)) for age in found),
                "last_listened_at": as_of - min(found),
            }
            for (user_id, genre), found in ages.items()
        }
        for user_id in totals:
            mine = [key for key in rows if key[0] == user_id]
            mine.sort(key=lambda key: (-round(rows[key]["affinity"], 9), key[1]))
            for rank, key in enumerate(mine, start=1):
                rows[key]["genre_rank"] = rank
        return rows

    def profiles(self, as_of: datetime) -> dict[int, Row]:
        """Return user_id -> the columns of features.user_profile, also of removed users."""
        affinities = self.affinities(as_of)
        heard = defaultdict(list)
        for user_id, track_id, listened_at, _ in self.kept_listens().values():
            if listened_at <= as_of:
                heard[user_id].append((track_id, listened_at))
        profiles = {}
        for user_id, user in self.users.items():
            genres = {genre: row for (owner, genre), row in affinities.items() if owner == user_id}
            favorites = split_genres(user["favorite_genres"])
            shares = {genre: row["share"] for genre, row in genres.items()}
            listens = len(heard[user_id])
            distinct_tracks = len({track_id for track_id, _ in heard[user_id]})
            ages = [as_of - listened_at for _, listened_at in heard[user_id]]
            profiles[user_id] = {
                "listens": listens,
                "distinct_tracks": distinct_tracks,
                "active_days": len({listened_at.date() for _, listened_at in heard[user_id]}),
                "top_genre": next((genre for genre, row in genres.items() if row["genre_rank"] == 1), None),
                "genre_entropy": -math.fsum(share * math.log2(share) for share in shares.values()) if genres else None,
                "favorite_genre_share": math.fsum(share for genre, share in shares.items() if genre in favorites)
                if genres
                else None,
                "last_listened_at": max((listened_at for _, listened_at in heard[user_id]), default=None),
                "favorite_genres": sorted(favorites),
                **{f"listens_{days}d": sum(age < timedelta(days=days) for age in ages) for days in (7, 30, 90)},
                "repeat_share": 1 - distinct_tracks / listens if listens else None,
                "days_since_listen": min(ages) / timedelta(days=1) if ages else None,
            }
        return profiles

    def first_listens(self) -> set[int]:
        """Return the ids of each user's first listen of each track."""
        first: dict[tuple[int, int], tuple[datetime, int]] = {}
        for number, (user_id, track_id, listened_at, _) in self.kept_listens().items():
            pair = user_id, track_id
            first[pair] = min(first.get(pair, (listened_at, number)), (listened_at, number))
        return {number for _, number in first.values()}

    def analytics(self, as_of: datetime) -> dict[str, set[tuple]]:
        """Return by view of analysts its rows, with all columns in their order; floats are rounded to 9 digits."""
        first_listens = self.first_listens()
        kept = self.kept_listens().items()
        days: dict[date, dict[int, Listen]] = defaultdict(dict)
        user_days: dict[int, set[date]] = defaultdict(set)
        for number, (user_id, track_id, listened_at, _) in kept:
            days[listened_at.date()][number] = user_id, track_id
            user_days[user_id].add(listened_at.date())
        return {
            "listens": {
                (number, user_id, track_id, listened_at, listened_at.date(), number in first_listens)
                for number, (user_id, track_id, listened_at, _) in kept
            },
            "daily_listening": {(day, *_counts(listens, first_listens)) for day, listens in days.items()},
            "daily_genres": {
                (day, genre, *_counts(listens, first_listens))
                for day, of_day in days.items()
                for genre, listens in self._by_genre(of_day).items()
            },
            "daily_tracks": {row for day in days for row in _daily_tracks(day, days)},
            "active_users": _active_users(user_days, as_of.date()),
            "weekly_retention": _weekly_retention(user_days, as_of.date()),
            "artists": self._artists(as_of),
        }

    def _by_genre(self, listens: dict[int, Listen]) -> dict[str, dict[int, Listen]]:
        genres: dict[str, dict[int, Listen]] = defaultdict(dict)
        for number, (user_id, track_id) in listens.items():
            for genre in self.genres_of(track_id):
                genres[genre][number] = user_id, track_id
        return genres

    def _artists(self, as_of: datetime) -> set[tuple]:
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for track in self.tracks.values():
            if artist := normalize(track["artist"] or ""):
                spellings[artist][track["artist"]] += 1
        rows = set()
        for artist, names in spellings.items():
            tracks = {track_id for track_id, track in self.tracks.items() if normalize(track["artist"] or "") == artist}
            heard = [
                (user_id, listened_at)
                for user_id, track_id, listened_at, _ in self.kept_listens().values()
                if track_id in tracks and listened_at <= as_of
            ]
            recent = [user_id for user_id, listened_at in heard if listened_at > as_of - timedelta(days=30)]
            # of spellings that are equally common, the first in alphabetical order
            name = min(names, key=lambda each: (-names[each], each))
            users = {user_id for user_id, _ in heard}
            current = len(tracks - self.gone_tracks)
            rows.add((artist, name, current, len(heard), len(users), len(recent), len(set(recent))))
        return rows


def _counts(listens: dict[int, Listen], first_listens: set[int]) -> tuple[int, int, int, int]:
    """Return the listens, new listens, repeat listens and listeners."""
    new = len(listens.keys() & first_listens)
    return len(listens), new, len(listens) - new, len({user_id for user_id, _ in listens.values()})


def _daily_tracks(day: date, days: dict[date, dict[int, Listen]]) -> list[tuple]:
    def counted(first: int, last: int) -> Counter[int]:
        """Count the listens of each track from `first` to `last` days before."""
        return Counter(
            track_id for back in range(first, last) for _, track_id in days.get(day - timedelta(days=back), {}).values()
        )

    now, this_week, last_week = counted(0, 1), counted(0, 7), counted(7, 14)
    return [
        (
            day,
            track_id,
            listens,
            len({user_id for user_id, heard in days[day].values() if heard == track_id}),
            1 + sum(other > listens for other in now.values()),
            round(math.log2((1 + this_week[track_id]) / (1 + last_week[track_id])), 9),
        )
        for track_id, listens in now.items()
    ]


def _active_users(user_days: dict[int, set[date]], today: date) -> set[tuple]:
    first = min((day for days in user_days.values() for day in days), default=today + timedelta(days=1))

    def active(day: date, length: int) -> int:
        window = {day - timedelta(days=back) for back in range(length)}
        return sum(not days.isdisjoint(window) for days in user_days.values())

    rows = (first + timedelta(days=number) for number in range((today - first).days + 1))
    return {(day, active(day, 1), active(day, 7), active(day, 30)) for day in rows}


def _weekly_retention(user_days: dict[int, set[date]], today: date) -> set[tuple]:
    weeks = {user: {day - timedelta(days=day.weekday()) for day in days} for user, days in user_days.items()}
    rows = set()
    for cohort in {min(found) for found in weeks.values()}:
        members = [found for found in weeks.values() if min(found) == cohort]
        for number in range((today - cohort).days // 7 + 1):
            listeners = sum(cohort + timedelta(weeks=number) in found for found in members)
            rows.add((cohort, number, len(members), listeners, round(listeners / len(members), 9)))
    return rows


def utc(text: str) -> datetime:
    """Parse a time of the API, which has no zone and is UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def split_genres(text: str | None) -> set[str]:
    return {genre.strip(" ") for genre in normalize(text or "").split(",") if genre.strip(" ")}


def listen_id(user_id: int, document_at: datetime, track_id: int, number: int) -> int:
    microseconds = (document_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    digest = hashlib.md5(f"{user_id}|{microseconds}|{track_id}|{number}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
