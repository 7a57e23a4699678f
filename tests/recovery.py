"""Recover a crashed run without starting another."""

from pathlib import Path

from extract import recovery
from extract.database import connect, lock
from extract.recovery import Recovery


def recover(database_url: str, working_folder: Path, *, lands_packed_load: bool = True) -> Recovery:
    """Complete or drop the unfinished load, as the next extraction does first."""
    with connect(database_url) as connection:
        lock(connection)
        return recovery.recover(connection, database_url, working_folder, lands_packed_load=lands_packed_load)
