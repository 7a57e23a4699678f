"""Read the features of users as known at a moment, and store them as snapshots, which later decisions do not change."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from warehouse import database
from warehouse.errors import CommandError, ExitCode

FEATURE_SET = "user_profile"
VERSION = 1
# The dbt macro that renders the select, with the moment as a setting of the session: one rendering serves any moment.
MOMENT = "moovitamix.as_of"
RENDERED_BY = f"user_features(\"current_setting('{MOMENT}')::timestamptz\")"
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

    update features.snapshots
    set
        users = known_users.users,
        listens = known_listens.listens,
        fingerprint = md5(concat_ws(' ', known_listens.listens, known_listens.checksum, known_users.checksum))
    from known_listens
    cross join known_users
    where snapshot_id = %(snapshot_id)s
"""


def take_snapshot(connection: psycopg.Connection, select: str, as_of: dt.datetime | None, kept: int) -> int:
    """Store the features of all users as known at `as_of` (None: now), and return the number of the snapshot.

    `select`: RENDERED_BY, rendered. The caller holds the run lock. Of the snapshots, the newest `kept` stay.
    Raises CommandError(WRONG_SETTINGS) for a moment that cannot be looked at.
    """
    with _looking_back(connection, as_of) as (moment, until_seq):
        (snapshot_id,) = connection.execute(
            "insert into features.snapshots (feature_set, version, as_of, until_seq) values (%s, %s, %s, %s)"
            " returning snapshot_id",
            [FEATURE_SET, VERSION, moment, until_seq],
        ).fetchone()
        connection.execute(STORE.format(snapshot_id=sql.Literal(snapshot_id), select=sql.SQL(select)))
        connection.execute(DESCRIBE, {"snapshot_id": snapshot_id, "as_of": moment, "floats": list(FLOATS)})
        connection.execute(
            "delete from features.snapshots where snapshot_id not in"
            " (select snapshot_id from features.snapshots order by snapshot_id desc limit %s)",
            [kept],
        )
    return snapshot_id


def user_as_known(
    connection: psycopg.Connection, select: str, user_id: int, as_of: dt.datetime | None
) -> dict[str, Any] | None:
    """Return the features of the user as known at `as_of` (None: now), or None if the user was not known then.

    Stores nothing. Raises CommandError(WRONG_SETTINGS) for a moment that cannot be looked at.
    """
    with _looking_back(connection, as_of):
        query = sql.SQL("select features from ({select}) as known where user_id = {user_id}")
        row = connection.execute(query.format(select=sql.SQL(select), user_id=sql.Literal(user_id))).fetchone()
    return row and row[0]


def snapshots(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Return all snapshots, the newest first: the columns of features.snapshots."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from features.snapshots order by snapshot_id desc").fetchall()


def snapshot(connection: psycopg.Connection, snapshot_id: int) -> dict[str, Any]:
    """Return the columns of features.snapshots. Raises CommandError(WRONG_SETTINGS) if there is none."""
    for found in snapshots(connection):
        if found["snapshot_id"] == snapshot_id:
            return found
    raise CommandError(ExitCode.WRONG_SETTINGS, f"there is no snapshot {snapshot_id}; see: features list")


def user_in_snapshot(connection: psycopg.Connection, snapshot_id: int, user_id: int) -> dict[str, Any] | None:
    """Return the stored features of the user, or None if the snapshot does not have the user."""
    row = connection.execute(
        "select features from features.user_snapshots where snapshot_id = %s and user_id = %s", [snapshot_id, user_id]
    ).fetchone()
    return row and row[0]


def drop_snapshot(connection: psycopg.Connection, snapshot_id: int) -> int:
    """Delete the snapshot, and return for how many users it had features.

    Raises CommandError(WRONG_SETTINGS) if there is none.
    """
    users = snapshot(connection, snapshot_id)["users"]
    connection.execute("delete from features.snapshots where snapshot_id = %s", [snapshot_id])
    return users


@contextmanager
def _looking_back(connection: psycopg.Connection, as_of: dt.datetime | None) -> Iterator[tuple[dt.datetime, int]]:
    """Open a transaction that looks at the moment; yield it, and the publication up to which the marts are built.

    Raises CommandError(WRONG_SETTINGS) if the moment is in the future or before the horizon of `prune`, or if the marts
    are not built up to the newest publication: marts and histories would tell of different decisions.
    """
    if not database.has(connection, "features.known_range"):
        raise CommandError(ExitCode.WRONG_SETTINGS, "nothing is built yet; first run: make run")
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        now, known_from, built_seq, published_seq = connection.execute(
            "select now(), known_from, built_seq, published_seq from features.known_range"
        ).fetchone()
        moment = as_of or now
        if moment > now:
            raise CommandError(
                ExitCode.WRONG_SETTINGS, f"{moment:%Y-%m-%d %H:%M %Z} is in the future; give a past time"
            )
        if known_from and moment < known_from:
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                f"what was known before {known_from.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC cannot be told: older"
                " versions were pruned; give a later time, or read a stored snapshot: features list",
            )
        if built_seq != published_seq:
            raise CommandError(
                ExitCode.WRONG_SETTINGS, "the marts are not built up to the newest decision; first run: make build"
            )
        connection.execute(
            "select set_config(%s, %s, true), set_config('TimeZone', 'UTC', true), set_config('work_mem', %s, true)",
            [MOMENT, moment.isoformat(), SORT_MEMORY],
        )
        yield moment, built_seq
