"""Declare the API's contract as its server does; a test compares the generated document with the real one."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

Out = TypeVar("Out")
AtLeast0 = Annotated[int, Field(ge=0)]
AtLeast1 = Annotated[int, Field(ge=1)]


class UsersOut(BaseModel):
    id: int
    first_name: str
    last_name: str
    email: str
    gender: str
    favorite_genres: str
    created_at: datetime
    updated_at: datetime


class TracksOut(BaseModel):
    id: int
    name: str
    artist: str
    songwriters: str
    duration: str
    genres: str
    album: str
    created_at: datetime
    updated_at: datetime


class ListenHistoryOut(BaseModel):
    user_id: int | None
    items: list[int] | None
    created_at: datetime
    updated_at: datetime


class PageCustomized(BaseModel, Generic[Out]):
    items: list[Out]
    total: AtLeast0 | None
    page: AtLeast1 | None
    size: AtLeast1 | None
    pages: AtLeast0 | None = None


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the app's OpenAPI document in the form of the real server's older FastAPI."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    # Newer versions also describe these two in an answer 422; both send them.
    described = document["components"]["schemas"]["ValidationError"]["properties"]
    for name in ("input", "ctx"):
        described.pop(name, None)
    return document
