"""The endpoints that are pulled every night. A new source table is one entry in `SOURCE_TABLES`."""

from typing import NamedTuple


class SourceTable(NamedTuple):
    """One endpoint: its landing table `name`, its `path` below the base URL, and the fields of its `key`.

    Rows about people: `person` is the field of the key that has the user's id, `alias` the field that still tells who
    it is when a row has no id.
    """

    name: str
    path: str
    key: tuple[str, ...]
    person: str | None = None
    alias: str | None = None


SOURCE_TABLES = (
    SourceTable("users", "/users", ("id",), person="id", alias="email"),
    SourceTable("tracks", "/tracks", ("id",)),
    SourceTable("listen_history", "/listen_history", ("user_id", "created_at"), person="user_id"),
)
