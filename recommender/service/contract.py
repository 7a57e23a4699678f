"""Define the requests and answers of the service: what the app may rely on."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# Nearly the largest bigint: the OpenAPI document holds limits as floats, and this one reads the same in every language.
LARGEST_ID = 9_223_372_036_854_774_000
MOST_ITEMS = 50
LARGEST_OFFSET = 500
MOST_RECENT = 100


def _to_whole_number(value: object) -> object:
    """Return 7 for 7.0, which JSON does not distinguish, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[int, Field(ge=-LARGEST_ID, le=LARGEST_ID, strict=True), BeforeValidator(_to_whole_number)]
ListName = Literal["discover", "again"]
Source = Literal["model", "genres", "popular"]


class TrackReason(BaseModel):
    """The user heard this track."""

    type: Literal["track"]
    track_id: int


class GenreReason(BaseModel):
    """The user likes this genre."""

    type: Literal["genre"]
    genre: str


class PopularReason(BaseModel):
    """Many users heard it lately."""

    type: Literal["popular"]


class Item(BaseModel):
    """A recommended track. Scores of different sources do not compare."""

    rank: int = Field(ge=1)
    track_id: int
    score: float
    reason: Annotated[TrackReason | GenreReason | PopularReason, Field(discriminator="type")]


class Answer(BaseModel):
    """Tracks, best first, made by one model version as of one release. `source`: where the first item is from."""

    items: list[Item]
    model_version: int
    released_at: dt.datetime
    source: Source


class Recommendations(Answer):
    """The list of a user. An unknown user gets popular tracks."""

    user_id: int
    list: ListName


class SimilarTracks(Answer):
    """Tracks for those who like this one."""

    track_id: int


class PopularTracks(Answer):
    """Tracks that many users heard lately."""


class UserPath(BaseModel):
    """The user in the path."""

    user_id: int = Field(ge=-LARGEST_ID, le=LARGEST_ID)


class PageQuery(BaseModel):
    """A part of a list."""

    # one object serves all requests with the same text
    model_config = ConfigDict(frozen=True)

    limit: int = Field(20, ge=1, le=MOST_ITEMS)
    offset: int = Field(0, ge=0, le=LARGEST_OFFSET)
    genre: str | None = Field(None, min_length=1, max_length=200, description="Only tracks of this genre.")


class ListQuery(PageQuery):
    """A part of one of the two lists."""

    list: ListName = "discover"
    fresh: bool = Field(False, description="Score now, instead of reading the released list.")


class Session(BaseModel):
    """Tracks that the user heard since the warehouse was loaded. Tracks that it does not know are left out."""

    model_config = ConfigDict(extra="forbid")

    recent: list[Id] = Field(max_length=MOST_RECENT, examples=[[101, 205]])
    list: ListName = "discover"
    limit: Annotated[int, Field(ge=1, le=MOST_ITEMS, strict=True), BeforeValidator(_to_whole_number)] = 20


class Problem(BaseModel):
    """Why there is no answer, in one line."""

    detail: str


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Readiness(BaseModel):
    """Whether the service answers requests. `degraded`: it does, and something needs attention."""

    status: Literal["ready", "degraded", "not ready"]
    problems: list[str]
    release_id: int | None
    released_at: dt.datetime | None


class HeardTrack(BaseModel):
    """A track with the user's number of listens."""

    track_id: int
    name: str | None
    artist: str | None
    listens: int


class HeardGenre(BaseModel):
    """A genre with the user's number of listens."""

    genre: str
    listens: int


class Week(BaseModel):
    """The number of listens of a week that begins on this Monday (UTC)."""

    starts_on: dt.date
    listens: int


class Listens(BaseModel):
    """What a user listened to: the top of all time, and the last weeks."""

    user_id: int
    listens: int
    distinct_tracks: int
    last_listened_at: dt.datetime | None
    tracks: list[HeardTrack]
    genres: list[HeardGenre]
    weeks: list[Week]
