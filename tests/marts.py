"""What a reader finds in the marts: to be compared with a twin, or looked at while something happens to them."""

import contextlib
import threading
from collections.abc import Iterator

import psycopg

SECONDS_BETWEEN_LOOKS = 0.01
# Not the load by which a row came and the time at which it was missed: these differ between twins.
COLUMNS = {
    "marts.users": (
        "id, first_name, last_name, email, gender, favorite_genres, created_at, updated_at, deleted_at is null"
    ),
    "marts.tracks": (
        "id, name, artist, songwriters, duration, genres, album, created_at, updated_at, deleted_at is null"
    ),
    "marts.track_genres": "track_id, genre",
    "marts.listen_history": "id, user_id, track_id, listened_at, created_at",
    "prep.parked_listens": "id, user_id, track_id, is_user_unknown, is_track_unknown, listened_at, created_at",
}


def contents(database_url: str) -> dict[str, list[tuple]]:
    """Per mart its rows, sorted, as far as twins have them in common."""
    with psycopg.connect(database_url) as connection:
        return {
            table: sorted(connection.execute(f"select {columns} from {table}").fetchall(), key=str)
            for table, columns in COLUMNS.items()
        }


def fingerprint(connection: psycopg.Connection, table: str) -> tuple[int, str]:
    """(rows, a hash of all that is in them)"""
    return connection.execute(
        f"select count(*), md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from {table} as t"
    ).fetchone()


def whole(connection: psycopg.Connection) -> set[tuple[str, tuple[int, str]]]:
    """(mart, fingerprint) of each mart as it is now."""
    return {(table, fingerprint(connection, table)) for table in COLUMNS}


def rows_on_disk(connection: psycopg.Connection) -> dict[str, list[tuple[str, str, str]]]:
    """Per mart its rows, each with its place and the transaction that wrote it: equal when nothing was written."""
    return {
        table: sorted(connection.execute(f"select ctid::text, xmin::text, t::text from {table} as t").fetchall())
        for table in COLUMNS
    }


@contextlib.contextmanager
def reader(database_url: str) -> Iterator[set[tuple[str, tuple[int, str]]]]:
    """Reads the marts over and over meanwhile; yields the set of all (mart, fingerprint) it has come across."""
    seen = set()
    rounds = 0
    ended = threading.Event()
    failures = []

    def read() -> None:
        nonlocal rounds
        try:
            with psycopg.connect(database_url, autocommit=True, application_name="reader") as connection:
                while not ended.wait(SECONDS_BETWEEN_LOOKS):
                    seen.update(whole(connection))
                    rounds += 1
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
    assert not failures and rounds > 50, (failures, rounds)
