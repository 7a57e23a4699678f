"""Generate a seeded world of listeners and tracks that changes daily. Pure: no HTTP, no clock, no files.

Everything is drawn from one generator per day, seeded with text ("7:3" is day 3 of world 7), and no result
depends on the order of a set or on `hash()`: the same arguments give the same rows in every process.
"""

import random
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from typing import Any, TypeVar

Row = dict[str, Any]
DocumentKey = tuple[int, str]
Key = TypeVar("Key")

HISTORY_DAYS = 60
ACCOUNT_DAYS = 400
MAX_ITEMS = 30

NEW_SHARE = 0.01
EDITED_SHARE = 0.01
REMOVED_SHARE = 0.003
NEW_DOCUMENT_SHARE = 0.02
LISTENING_SHARE = 0.25
DAYS_BETWEEN_RETURNS = 3
NULL_ITEMS_SHARE = 0.02
BACKDATED_SHARE = 0.03
OWN_GENRE_SHARE = 0.85
REPEAT_SHARE = 0.08
ODD_GENRES_SHARE = 0.06

GENRES = (
    "Rock", "Pop", "Jazz", "Hip Hop", "R&B", "Metal", "Classical", "Electronic",
    "Country", "Folk", "Blues", "Reggae", "Punk", "Funk", "Techno", "Indie",
)  # fmt: skip
FIRST_NAMES = (
    "Ann", "Peter", "Kelsey", "William", "Cameron", "Wanda", "Zoë", "José", "Mei", "Amara",
    "Łukasz", "Noor", "Björn", "Priya", "Kofi", "Yuki", "Olga", "Thandi", "Seán", "Chloé",
)  # fmt: skip
LAST_NAMES = (
    "Brown", "Harris", "Villegas", "Lin", "O'Brien", "Núñez", "van der Berg", "Okafor", "Washington",
    "Müller", "Sato", "Kowalski", "Singh", "Dubois", "Åberg", "Mensah", "Garcia", "Smith-Jones", "Haddad",
)  # fmt: skip
GENDERS = (
    "Female", "Male", "Non-binary", "Agender", "Bigender",
    "Genderfluid", "Genderqueer", "Gender nonconforming", "Gender questioning",
)  # fmt: skip
MAIL_HOSTS = ("example.com", "example.net", "example.org")
WORDS = (
    "before", "wrong", "strong", "hotel", "ahead", "river", "voice", "midnight", "garden", "ground",
    "tonight", "glass", "winter", "engine", "honey", "mirror", "paper", "signal", "harbour", "echo", "été",
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Hold the parameters of a world; `users`, `tracks` and `documents` are the row counts of day 0.

    Raises ValueError for sizes below 0, a start before 1970 or after 9000, documents without users or tracks.
    """

    seed: int = 7
    users: int = 1000
    tracks: int = 1000
    documents: int = 1000
    start: date = date(2026, 1, 1)

    def __post_init__(self) -> None:
        if min(self.users, self.tracks, self.documents) < 0:
            raise ValueError("a world cannot hold fewer than 0 users, tracks or documents")
        if not 1970 <= self.start.year <= 9000:
            raise ValueError(f"a world starts between 1970 and 9000, not in {self.start.year}")
        if self.documents and not (self.users and self.tracks):
            raise ValueError("documents need users and tracks")


@dataclass(frozen=True)
class Snapshot:
    """Hold the rows of the API at one moment, in the API's shape, in order of creation."""

    users: list[Row]
    tracks: list[Row]
    listen_history: list[Row]

    def tables(self) -> Mapping[str, list[Row]]:
        return {"users": self.users, "tracks": self.tracks, "listen_history": self.listen_history}


def snapshot(world: World, day: int) -> Snapshot:
    """Return the world at `world.start + day` 00:00; day 0 is the first. Replays days 0..day.

    Raises ValueError for a negative day and for one beyond the calendar.
    """
    if day < 0:
        raise ValueError(f"a world has no day {day}")
    if day > (date.max - world.start).days:
        raise ValueError(f"day {day} lies beyond the calendar")
    state = _first_day(world)
    for number in range(1, day + 1):
        _next_day(world, state, number)
    return Snapshot(
        users=list(state.users.values()),
        tracks=list(state.tracks.values()),
        listen_history=[document.row for document in state.documents.values()],
    )


@dataclass(slots=True)
class _Taste:
    genres: list[str]
    cumulative: list[float]


@dataclass(slots=True)
class _Document:
    row: Row
    habit: str  # grows | slides | once


@dataclass(slots=True)
class _Shelf:
    """Hold the tracks of one genre. Entries of removed or re-tagged tracks stay, and are skipped when drawn."""

    tracks: list[int] = field(default_factory=list)
    cumulative: list[float] = field(default_factory=list)

    def put(self, track: int, popularity: float) -> None:
        self.tracks.append(track)
        self.cumulative.append(popularity + (self.cumulative[-1] if self.cumulative else 0.0))

    def draw(self, rng: random.Random) -> int:
        target = rng.random() * self.cumulative[-1]
        return self.tracks[bisect_right(self.cumulative, target, hi=len(self.tracks) - 1)]


@dataclass(slots=True)
class _State:
    users: dict[int, Row] = field(default_factory=dict)
    tastes: dict[int, _Taste] = field(default_factory=dict)
    away: dict[int, Row] = field(default_factory=dict)
    tracks: dict[int, Row] = field(default_factory=dict)
    track_genres: dict[int, list[str]] = field(default_factory=dict)
    popularity: dict[int, float] = field(default_factory=dict)
    shelves: dict[str, _Shelf] = field(default_factory=lambda: {genre: _Shelf() for genre in GENRES})
    documents: dict[DocumentKey, _Document] = field(default_factory=dict)


def _first_day(world: World) -> _State:
    rng = random.Random(f"{world.seed}:0")
    now = datetime.combine(world.start, time())
    state = _State()
    opened = now - timedelta(days=ACCOUNT_DAYS)
    for _ in range(world.users):
        _add_user(rng, world, state, opened, now)
    for _ in range(world.tracks):
        _add_track(rng, world, state, opened, now)
    for rows in (state.users, state.tracks):
        for row in rows.values():
            _backdate(rng, row)

    listeners = list(state.users)
    for _ in range(world.documents):
        # The square gives few people many documents, and many people none.
        user = listeners[int(len(listeners) * rng.random() ** 2)]
        _add_document(rng, state, user, now - timedelta(days=HISTORY_DAYS), now)
    return state


def _next_day(world: World, state: _State, day: int) -> None:
    rng = random.Random(f"{world.seed}:{day}")
    until = datetime.combine(world.start, time()) + timedelta(days=day)
    since = until - timedelta(days=1)

    away_before = list(state.away)
    for user in _some(rng, state.users, REMOVED_SHARE):
        state.away[user] = state.users.pop(user)
    for track in _some(rng, state.tracks, REMOVED_SHARE):
        del state.tracks[track]
    for key in _some(rng, state.documents, REMOVED_SHARE):
        del state.documents[key]

    for user in _some(rng, state.users, EDITED_SHARE, at_least=1):
        _edit_user(rng, state, user, _moment(rng, since, until))
    for track in _some(rng, state.tracks, EDITED_SHARE, at_least=1):
        _edit_track(rng, state, track, _moment(rng, since, until))

    # Returned last, after all edits, so the user is exactly as before.
    if away_before and day % DAYS_BETWEEN_RETURNS == 0:
        returning = rng.choice(away_before)
        state.users[returning] = state.away.pop(returning)

    for _ in range(max(1, round(len(state.users) * NEW_SHARE)) if world.users else 0):
        _add_user(rng, world, state, since, until)
    for _ in range(max(1, round(len(state.tracks) * NEW_SHARE)) if world.tracks else 0):
        _add_track(rng, world, state, since, until)

    if not world.documents:
        return
    for document in state.documents.values():
        if document.habit != "once" and document.row["user_id"] in state.users and rng.random() < LISTENING_SHARE:
            _listen(rng, state, document, _moment(rng, since, until))
    listeners = list(state.users)
    for _ in range(max(1, round(len(state.documents) * NEW_DOCUMENT_SHARE))):
        _add_document(rng, state, rng.choice(listeners), since, until)


def _add_user(rng: random.Random, world: World, state: _State, since: datetime, until: datetime) -> None:
    user = _new_id(rng, state.tastes, world.users)
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    state.tastes[user] = taste = _draw_taste(rng)
    created = _moment(rng, since, until)
    state.users[user] = {
        "id": user,
        "first_name": first,
        "last_name": last,
        "email": _email(rng, first, last),
        "gender": rng.choice(GENDERS),
        "favorite_genres": _declared(rng, taste),
        "created_at": _iso(created),
        "updated_at": _iso(_moment(rng, created, until)),
    }


def _add_track(rng: random.Random, world: World, state: _State, since: datetime, until: datetime) -> None:
    track = _new_id(rng, state.track_genres, world.tracks)
    created = _moment(rng, since, until)
    seconds = min(3599, 30 + int(rng.lognormvariate(5.3, 0.5)))
    # A long tail: a fifth of the tracks get more than half of the listens; the cap avoids a single dominant hit.
    state.popularity[track] = min(rng.paretovariate(1.1), 150.0)
    state.tracks[track] = {
        "id": track,
        "name": " ".join(rng.choices(WORDS, k=rng.choice((1, 1, 2, 3)))),
        "artist": f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
        "songwriters": ", ".join(
            f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}" for _ in range(rng.choice((1, 1, 2)))
        ),
        "duration": f"{seconds // 60:02}:{seconds % 60:02}",
        "genres": _tag(rng, state, track),
        "album": rng.choice(WORDS),
        "created_at": _iso(created),
        "updated_at": _iso(_moment(rng, created, until)),
    }


def _add_document(rng: random.Random, state: _State, user: int, since: datetime, until: datetime) -> None:
    habit = rng.choices(("grows", "slides", "once"), (45, 25, 30))[0]
    created = _moment(rng, since, until)
    while (key := (user, _iso(created))) in state.documents:
        created = _moment(rng, since, until)
    heard = int(rng.triangular(1, 12, 3)) if habit != "slides" else rng.randint(5, 10)
    row = {
        "user_id": user,
        "items": _draw_tracks(rng, state, user, [], heard) or None,
        "created_at": key[1],
        "updated_at": _iso(_moment(rng, created, until)),
    }
    if rng.random() < NULL_ITEMS_SHARE:
        row["items"] = None
    state.documents[key] = _Document(row, habit)


def _listen(rng: random.Random, state: _State, document: _Document, heard_at: datetime) -> None:
    row = document.row
    before = row["items"] or []
    heard = rng.randint(1, 3)
    if document.habit == "grows":
        heard = min(heard, MAX_ITEMS - len(before))
        document.habit = "grows" if len(before) + heard < MAX_ITEMS else "once"
    fresh = _draw_tracks(rng, state, row["user_id"], before, heard)
    if not fresh:
        return
    slides = document.habit == "slides" and before
    row["items"] = (before + fresh)[-len(before) :] if slides else before + fresh
    row["updated_at"] = _iso(heard_at)


def _edit_user(rng: random.Random, state: _State, user: int, edited_at: datetime) -> None:
    row = state.users[user]
    what = rng.choice(("favorite_genres", "email", "last_name"))
    if what == "favorite_genres":
        state.tastes[user] = _draw_taste(rng)
        row["favorite_genres"] = _declared(rng, state.tastes[user])
    elif what == "last_name":
        row["last_name"] = rng.choice([name for name in LAST_NAMES if name != row["last_name"]])
    else:
        row["email"] = _email(rng, row["first_name"], row["last_name"])
    row["updated_at"] = _iso(edited_at)


def _edit_track(rng: random.Random, state: _State, track: int, edited_at: datetime) -> None:
    row = state.tracks[track]
    if rng.random() < 0.7:
        row["genres"] = _tag(rng, state, track)
    else:
        row["album"] = rng.choice([word for word in WORDS if word != row["album"]])
    row["updated_at"] = _iso(edited_at)


def _tag(rng: random.Random, state: _State, track: int) -> str:
    """Put the track on the shelves of one to three genres; return their text, sometimes in an unusual spelling."""
    genres = rng.sample(GENRES, rng.choice((1, 1, 1, 2, 2, 3)))
    state.track_genres[track] = genres
    for genre in genres:
        state.shelves[genre].put(track, state.popularity[track])
    if rng.random() >= ODD_GENRES_SHARE:
        return ", ".join(genres)
    return rng.choice(
        (
            ",  ".join([genres[0].lower(), *genres[1:]]),
            ",".join(genres).upper(),
            ", ".join([*genres, ""]),
            f" {', '.join(genres)} ",
        )
    )


def _draw_tracks(rng: random.Random, state: _State, user: int, heard: list[int], count: int) -> list[int]:
    """Draw up to `count` track ids; none if no track is left."""
    if not state.tracks:
        return []
    taste = state.tastes[user]
    return [
        rng.choice(heard) if heard and rng.random() < REPEAT_SHARE else _draw_track(rng, state, taste)
        for _ in range(count)
    ]


def _draw_track(rng: random.Random, state: _State, taste: _Taste) -> int:
    for _ in range(8):
        own = rng.random() < OWN_GENRE_SHARE
        genre = rng.choices(taste.genres, cum_weights=taste.cumulative)[0] if own else rng.choice(GENRES)
        shelf = state.shelves[genre]
        if shelf.tracks:
            track = shelf.draw(rng)
            if track in state.tracks and genre in state.track_genres[track]:
                return track
    return rng.choice(list(state.tracks))


def _draw_taste(rng: random.Random) -> _Taste:
    genres = rng.sample(GENRES, rng.randint(1, 4))
    return _Taste(genres, list(accumulate(1.0 / rank for rank in range(1, len(genres) + 1))))


def _declared(rng: random.Random, taste: _Taste) -> str:
    """Return the declared genres: the first one to three of the genres in the taste."""
    return ", ".join(taste.genres[: rng.randint(1, 3)])


def _email(rng: random.Random, first: str, last: str) -> str:
    plain = unicodedata.normalize("NFKD", f"{first}.{last}").encode("ascii", "ignore").decode().lower()
    name = "".join(letter for letter in plain if letter.isalnum() or letter == ".")
    return f"{name}{rng.randrange(10_000)}@{rng.choice(MAIL_HOSTS)}"


def _backdate(rng: random.Random, row: Row) -> None:
    """Give a few rows an `updated_at` before their `created_at`, as the real API does."""
    if rng.random() < BACKDATED_SHARE:
        created = datetime.fromisoformat(row["created_at"])
        row["updated_at"] = _iso(_moment(rng, created - timedelta(days=90), created))


def _new_id(rng: random.Random, taken: Mapping[int, object], size: int) -> int:
    """Return an unused id: `taken` must also contain the ids of removed rows."""
    span = max(100_000, 100 * size)
    while (number := rng.randrange(1, span)) in taken:
        pass
    return number


def _some(rng: random.Random, rows: Mapping[Key, object], share: float, at_least: int = 0) -> list[Key]:
    """Return a sample of the keys, `share` of them on average."""
    wanted = len(rows) * share
    count = int(wanted) + (rng.random() < wanted % 1)
    return rng.sample(list(rows), min(len(rows), max(at_least, count)))


def _moment(rng: random.Random, since: datetime, until: datetime) -> datetime:
    """Return a random moment in [since, until), to the microsecond."""
    return since + timedelta(microseconds=int(rng.random() * ((until - since) // timedelta(microseconds=1))))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
