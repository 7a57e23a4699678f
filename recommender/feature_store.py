"""Read the features of users as known at a moment, and store them as snapshots, which later decisions do not change."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from recommender import known_range
from warehouse.errors import CommandError, ExitCode

FEATURE_SET = "user_profile"
VERSION = 1
# The dbt macro that renders the select for all users, or the one that is selected; MARKER stands for the moment in it.
MARKER = "'the moment'::timestamptz"
RENDERED_FOR_ALL = f'user_features("{MARKER}")'
RENDERED_FOR_ONE = f'user_features("{MARKER}", of_one=true)'
# Sums of floats depend on the order of the rows.
FLOATS = ("genre_entropy", "favorite_genre_share", "repeat_share", "days_since_listen", "genre_affinities")
SORT_MEMORY = "256MB"

STORE = sql.SQL("""
    insert into features.user_snapshots (snapshot_id, user_id, features)
    select {snapshot_id}, user_id, features
    from ({select}) as known
""")

# An id names user, document, track and number of a listen. Sums do not depend on the order of the rows.
DESCRIBE = """
    with

    known_listens as (

        select
            count(*) as listens,
            coalesce(sum((id # (extract(epoch from listened_at) * 1000000)::bigint)::numeric), 0) as checksum
        from marts.listen_history
        where known_at <= %(as_of)s and listened_at <= %(as_of)s

    ),

    known_users as (

        select
            count(*) as users,
            string_agg(md5(user_id || ' ' || (features - %(floats)s::text[])), '' order by user_id) as checksum
        from features.user_snapshots
        where snapshot_id = %(snapshot_id)s

    )

    select
        known_users.users,
        known_listens.listens,
        md5(concat_ws(' ', known_listens.listens, known_listens.checksum, known_users.checksum)) as fingerprint
    from known_listens
    cross join known_users
"""


def take_snapshot(connection: psycopg.Connection, select: str, as_of: dt.datetime | None, kept: int) -> tuple[int, int]:
    """Store the features of all users as known at `as_of` (None: now), and drop all snapshots but the newest `kept`.

    `select`: RENDERED_FOR_ALL, rendered. The caller holds the run lock. Returns the number of the snapshot, and how
    many were dropped. Raises CommandError(WRONG_SETTINGS) if features as of then cannot be computed.
    """
    with _transaction_at(connection, as_of) as (moment, built_seq):
        (snapshot_id,) = connection.execute(
            "insert into features.snapshots (feature_set, version, as_of, until_seq, definition)"
            " values (%s, %s, %s, %s, %s) returning snapshot_id",
            [FEATURE_SET, VERSION, moment, built_seq, hashlib.sha256(select.encode()).hexdigest()],
        ).fetchone()
        connection.execute(STORE.format(snapshot_id=sql.Literal(snapshot_id), select=_at(moment, select)))
        described = connection.execute(
            DESCRIBE, {"snapshot_id": snapshot_id, "as_of": moment, "floats": list(FLOATS)}
        ).fetchone()
        # apart, because Citus refuses an UPDATE that computes such values from marts
        connection.execute(
            "update features.snapshots set users = %s, listens = %s, fingerprint = %s where snapshot_id = %s",
            [*described, snapshot_id],
        )
        dropped = connection.execute(
            "delete from features.snapshots where snapshot_id not in"
            " (select snapshot_id from features.snapshots order by snapshot_id desc limit %s)",
            [kept],
        ).rowcount
    return snapshot_id, dropped


def compute_user(
    connection: psycopg.Connection, select: str, user_id: int, as_of: dt.datetime | None
) -> dict[str, Any] | None:
    """Return the features of the user as known at `as_of` (None: now), or None if the user was not known then.

    `select`: RENDERED_FOR_ONE, rendered. Stores nothing. Raises CommandError(WRONG_SETTINGS) if features as of
    then cannot be computed.
    """
    with _transaction_at(connection, as_of) as (moment, _):
        query = sql.SQL("select features from ({select}) as known where user_id = {user_id}")
        row = connection.execute(query.format(select=_at(moment, select), user_id=sql.Literal(user_id))).fetchone()
    return row and row[0]


def read_snapshots(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Return all snapshots, the newest first: the columns of features.snapshots."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from features.snapshots order by snapshot_id desc").fetchall()


def read_snapshot(connection: psycopg.Connection, snapshot_id: int) -> dict[str, Any]:
    """Return the columns of features.snapshots. Raises CommandError(WRONG_SETTINGS) if there is none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select * from features.snapshots where snapshot_id = %s", [snapshot_id])
        if found := cursor.fetchone():
            return found
    raise CommandError(ExitCode.WRONG_SETTINGS, f"there is no snapshot {snapshot_id}; see: features list")


def read_user_in_snapshot(connection: psycopg.Connection, snapshot_id: int, user_id: int) -> dict[str, Any] | None:
    """Return the stored features of the user, or None if the snapshot does not have the user."""
    row = connection.execute(
        "select features from features.user_snapshots where snapshot_id = %s and user_id = %s", [snapshot_id, user_id]
    ).fetchone()
    return row and row[0]


def drop_snapshot(connection: psycopg.Connection, snapshot_id: int) -> int:
    """Delete the snapshot, and return for how many users it had features.

    Raises CommandError(WRONG_SETTINGS) if there is none.
    """
    users = read_snapshot(connection, snapshot_id)["users"]
    connection.execute("delete from features.snapshots where snapshot_id = %s", [snapshot_id])
    return users


@contextmanager
def _transaction_at(connection: psycopg.Connection, as_of: dt.datetime | None) -> Iterator[tuple[dt.datetime, int]]:
    """Open a transaction that can compute features as of the moment; yield it, and the newest publication.

    Raises CommandError(WRONG_SETTINGS) if the moment is in the future or before the horizon of `prune`, or if the marts
    are not built up to the newest publication.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        known = known_range.read(connection)
        moment = as_of or known.now
        if moment > known.now:
            raise CommandError(
                ExitCode.WRONG_SETTINGS, f"{moment:%Y-%m-%d %H:%M %Z} is in the future; give a time that is past"
            )
        horizon = known.known_from
        if horizon and moment < horizon:
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                f"features before {horizon.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC can no longer be computed:"
                " older versions were pruned; give a later time, or read a stored snapshot: features list",
            )
        # JSON has times in the zone of the session
        connection.execute(
            "select set_config('TimeZone', 'UTC', true), set_config('work_mem', %s, true)", [SORT_MEMORY]
        )
        yield moment, known.until_seq


def _at(moment: dt.datetime, select: str) -> sql.SQL:
    """Return the rendered select for this moment, which is a constant: a setting would be read for each row."""
    return sql.SQL(select.replace(MARKER, f"'{moment.isoformat()}'::timestamptz"))
