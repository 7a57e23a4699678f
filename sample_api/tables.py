"""List the three tables of the API and the key fields of each."""

TABLES = ("users", "tracks", "listen_history")

KEYS: dict[str, tuple[str, ...]] = {
    "users": ("id",),
    "tracks": ("id",),
    "listen_history": ("user_id", "created_at"),
}
