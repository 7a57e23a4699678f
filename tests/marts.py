"""Read the marts, to compare them with a twin or to watch them during a run."""

import contextlib
import threading
from collections.abc import Iterator

import psycopg

# A killed build leaves its state for longer; more often would cost more than the runs that are watched.
SECONDS_BETWEEN_READS = 0.05
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
    """Return by mart its sorted rows, without the columns in which twins differ."""
    with psycopg.connect(database_url) as connection:
        return {
            table: sorted(connection.execute(f"select {columns} from {table}").fetchall(), key=str)
            for table, columns in COLUMNS.items()
        }


def fingerprint(connection: psycopg.Connection, table: str) -> tuple[int, str]:
    """Return the number of rows and a hash of their content."""
    return connection.execute(
        f"select count(*), md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from {table} as t"
    ).fetchone()


def whole(connection: psycopg.Connection) -> set[tuple[str, tuple[int, str]]]:
    """Return (mart, fingerprint) of each mart now."""
    return {(table, fingerprint(connection, table)) for table in COLUMNS}


def rows_on_disk(connection: psycopg.Connection) -> dict[str, list[tuple[str, str, str]]]:
    """Return by mart its rows with their ctid and transaction: equal if nothing was written."""
    return {
        table: sorted(connection.execute(f"select ctid::text, xmin::text, t::text from {table} as t").fetchall())
        for table in COLUMNS
    }


@contextlib.contextmanager
def reader(database_url: str) -> Iterator[set[tuple[str, tuple[int, str]]]]:
    """Read the marts repeatedly during the block; yield the set of all (mart, fingerprint) seen."""
    seen = set()
    rounds = 0
    ended = threading.Event()
    failures = []

    def read() -> None:
        nonlocal rounds
        try:
            with psycopg.connect(database_url, autocommit=True, application_name="reader") as connection:
                while not ended.wait(SECONDS_BETWEEN_READS):
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
    assert not failures and rounds > 20, (failures, rounds)
