"""Edit a small source: add, change, spoil, remove and restore users, tracks and history documents."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
# The features count what is less than 90 days old one by one: a history begins before that and ends after it.
BEGINNING = datetime.combine(datetime.now(UTC).date(), datetime.min.time()) - timedelta(days=96)
ARTISTS = ("Band", "The\u00a0BAND", "the band", None)
GENRES = ("Rock", "Pop,\u3000ＲＯＣＫ", "jazz", " JA\u200bZZ\t,pop,", "")
NOBODYS_TRACK = 99


class Source:
    """Hold the current rows of the API. Each edit moves the time by 7 hours."""

    def __init__(self) -> None:
        self.users: dict[int, Row] = {}
        self.tracks: dict[int, Row] = {}
        self.documents: dict[int, Row] = {}
        self._gone: list[tuple[dict[int, Row], int, Row]] = []
        self._before: tuple[list[dict[int, Row]], list] | None = None
        self._edits = 0
        for _ in range(3):
            self._add_user(0)
            self._add_track(0)
            self._add_document(0)

    def rows(self) -> dict[str, list[Row]]:
        tables = {"users": self.users, "tracks": self.tracks, "listen_history": self.documents}
        return {name: copy.deepcopy(list(table.values())) for name, table in tables.items()}

    def edit(self, edits: list[tuple[str, int]]) -> None:
        """Apply edits: a name in `KINDS`, and a number that selects the row."""
        before = copy.deepcopy(self._tables()), list(self._gone)
        for kind, number in edits:
            self._edits += 1
            KINDS[kind](self, number)
        self._before = before

    def _tables(self) -> list[dict[int, Row]]:
        return [self.users, self.tracks, self.documents]

    def _now(self) -> str:
        return (BEGINNING + timedelta(hours=7 * self._edits)).isoformat()

    def _add_user(self, number: int) -> None:
        new = len(self.users) + sum(table is self.users for table, *_ in self._gone) + 1
        self.users[new] = {
            "id": new,
            "first_name": f"Name {number}",
            "last_name": "Brown",
            "email": f"{new}@example.org",
            "gender": "Female",
            "favorite_genres": GENRES[number % len(GENRES)],
            "created_at": self._now(),
            "updated_at": self._now(),
        }

    def _add_track(self, number: int) -> None:
        new = len(self.tracks) + sum(table is self.tracks for table, *_ in self._gone) + 1
        self.tracks[new] = {
            "id": new,
            "name": f"Song {number}",
            "artist": ARTISTS[number % len(ARTISTS)],
            "songwriters": "Writer",
            "duration": "04:42",
            "genres": GENRES[number % len(GENRES)],
            "album": "Album",
            "created_at": self._now(),
            "updated_at": self._now(),
        }

    def _add_document(self, number: int) -> None:
        new = len(self.documents) + sum(table is self.documents for table, *_ in self._gone) + 1
        self.documents[new] = {
            "user_id": number % 5 + 1,
            "items": [number % 4 + 1, 1],
            "created_at": (BEGINNING - timedelta(days=new)).isoformat(),
            "updated_at": self._now(),
        }

    def _add_late_document(self, number: int) -> None:
        """Add a document that the app wrote long ago: of tracks that its user may have heard since."""
        self._add_document(number)
        row = list(self.documents.values())[-1]
        row["updated_at"] = (BEGINNING - timedelta(days=1, minutes=self._edits)).isoformat()

    def _change(self, table: dict[int, Row], number: int, **fields: object) -> None:
        if table:
            row = list(table.values())[number % len(table)]
            row.update(fields, updated_at=self._now())

    def _change_items(self, number: int, change: Callable[[list[int]], Any]) -> None:
        if self.documents:
            row = list(self.documents.values())[number % len(self.documents)]
            row["items"] = change(row["items"] if isinstance(row["items"], list) else [])
            row["updated_at"] = self._now()

    def _drop(self, table: dict[int, Row], number: int) -> None:
        if table:
            place = list(table)[number % len(table)]
            self._gone.append((table, place, table.pop(place)))

    def _revive(self, number: int) -> None:
        if self._gone:
            table, place, row = self._gone.pop(number % len(self._gone))
            table[place] = row

    def _take_back(self, number: int) -> None:
        """Undo the edits of the previous step."""
        if self._before:
            tables, self._gone = copy.deepcopy(self._before[0]), list(self._before[1])
            for table, before in zip(self._tables(), tables, strict=True):
                table.clear()
                table.update(before)

    def _date_back(self, number: int) -> None:
        """Change the content but not its time, like a server that was set up again."""
        for table in (self.users, self.documents):
            if table:
                row = list(table.values())[number % len(table)]
                row["updated_at"] = (BEGINNING - timedelta(days=900, minutes=number)).isoformat()


KINDS: dict[str, Callable[[Source, int], None]] = {
    "add a user": Source._add_user,
    "add a track": Source._add_track,
    "add a document": Source._add_document,
    "add a late document": Source._add_late_document,
    "rename a user": lambda source, number: source._change(source.users, number, first_name=f"Renamed {number}"),
    "retag a track": lambda source, number: source._change(source.tracks, number, genres=GENRES[number % len(GENRES)]),
    "spoil a user": lambda source, number: source._change(source.users, number, email="nobody"),
    "mend a user": lambda source, number: source._change(source.users, number, email="mended@example.org"),
    "spoil a track": lambda source, number: source._change(source.tracks, number, duration="long"),
    "mend a track": lambda source, number: source._change(source.tracks, number, duration="01:00"),
    "grow a document": lambda source, number: source._change_items(
        number, lambda items: [*items, number % 4 + 1 if number % 7 else NOBODYS_TRACK]
    ),
    "slide a document": lambda source, number: source._change_items(number, lambda items: [*items[1:], number % 4 + 1]),
    "turn a document around": lambda source, number: source._change_items(number, lambda items: items[::-1]),
    "spoil a document": lambda source, number: source._change_items(number, lambda items: "none"),
    "empty a document": lambda source, number: source._change_items(number, lambda items: None),
    "drop a user": lambda source, number: source._drop(source.users, number),
    "drop a track": lambda source, number: source._drop(source.tracks, number),
    "drop a document": lambda source, number: source._drop(source.documents, number),
    "revive": Source._revive,
    "take back": Source._take_back,
    "date back": Source._date_back,
}

EDITS = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 30)), max_size=5)
