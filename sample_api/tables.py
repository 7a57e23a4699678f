"""The three tables of the API and the fields that identify a row in each."""

TABLES = ("users", "tracks", "listen_history")

KEYS: dict[str, tuple[str, ...]] = {
    "users": ("id",),
    "tracks": ("id",),
    "listen_history": ("user_id", "created_at"),
}
