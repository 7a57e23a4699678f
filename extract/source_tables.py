"""List the endpoints that are extracted every night. A new source table is one entry in `SOURCE_TABLES`."""

from typing import NamedTuple


class SourceTable(NamedTuple):
    """Describe one endpoint: its landing table `name`, its `path` below the base URL, and the fields of its `key`.

    `fields` are those of the API's contract; their nulls are counted. For rows about people, `person` is the key field
    with the user's id, and `alias` is the field that identifies the user when a row has no id.
    """

    name: str
    path: str
    key: tuple[str, ...]
    fields: tuple[str, ...] = ()
    person: str | None = None
    alias: str | None = None


SOURCE_TABLES = (
    SourceTable(
        "users",
        "/users",
        key=("id",),
        fields=("id", "first_name", "last_name", "email", "gender", "favorite_genres", "created_at", "updated_at"),
        person="id",
        alias="email",
    ),
    SourceTable(
        "tracks",
        "/tracks",
        key=("id",),
        fields=("id", "name", "artist", "songwriters", "duration", "genres", "album", "created_at", "updated_at"),
    ),
    SourceTable(
        "listen_history",
        "/listen_history",
        key=("user_id", "created_at"),
        fields=("user_id", "items", "created_at", "updated_at"),
        person="user_id",
    ),
)
