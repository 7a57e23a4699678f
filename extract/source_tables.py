"""The endpoints that are pulled every night. A new source table is one entry in `SOURCE_TABLES`."""

from typing import NamedTuple


class SourceTable(NamedTuple):
    """One endpoint: its landing table `name`, its `path` below the base URL, and the fields of its `key`."""

    name: str
    path: str
    key: tuple[str, ...]


SOURCE_TABLES = (
    SourceTable("users", "/users", ("id",)),
    SourceTable("tracks", "/tracks", ("id",)),
    SourceTable("listen_history", "/listen_history", ("user_id", "created_at")),
)
