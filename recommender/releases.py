"""Publish lists of recommendations as releases: readers see one whole release at a time. Imports nothing heavy."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from warehouse import binary_copy
from warehouse.errors import CommandError, ExitCode
from warehouse.names import LISTS

CHAMPION = "champion"
KEPT = 3
# Even if nothing changed: popularity of a week ago is not that of today.
LONGEST_KEPT = dt.timedelta(days=7)
# Two sessions that publish, or publish and take back, wait for each other. Readers do not.
LOCK = "select pg_advisory_xact_lock(hashtextextended('moovitamix release', 0))"
# Dropping a partition excludes readers of all of them, and readers queue behind the request.
DROP_TIMEOUT = "2s"
DISCOVER, AGAIN = LISTS
# The columns of `lists`, in the order of the rows that `copy_lists` stores.
COLUMNS = (
    "release_id",
    "user_id",
    "list",
    "model_version",
    "model_items",
    "genre_items",
    "track_ids",
    "scores",
    "reasons",
)
# What belongs to a list of a release, besides the number of the release.
COPIED = {
    "lists": COLUMNS[1:],
    "popular_tracks": ("list", "track_ids"),
    "release_models": ("list", "place", "model", "artefact", "checksum", "format_version"),
}

RELEASE = """
select release_id, released_at, as_of, until_seq, model_versions, artist_cap, users, lists, seconds, figures
from recommendations.releases
"""
PUBLISHED = f"""
{RELEASE}
where release_id = (select release_id from recommendations.release_history order by history_seq desc limit 1)
"""
NEWEST = f"{RELEASE} order by release_id desc limit 1"
BY_ALIAS = """
select distinct on (list) list, model_version
from recommendations.aliases
where alias = %s
order by list, alias_seq desc
"""
PARTITIONS = """
select substring(relname from '[0-9]+$')::bigint as release_id
from pg_inherits
inner join pg_class on inhrelid = pg_class.oid
where inhparent = 'recommendations.lists'::regclass
"""
MADE = "made"
# `is_copy`: its lists were copied from earlier releases, when the champion that made later ones was taken back.
PUBLICATIONS = """
select
    release_id,
    releases.model_versions,
    first_value(release_history.reason) over (partition by release_id order by history_seq) <> %s as is_copy
from recommendations.release_history
inner join recommendations.releases using (release_id)
order by history_seq
"""
HISTORY = f"""
select
    releases.*,
    last_publication.published_at,
    last_publication.decided_by,
    last_publication.reason,
    last_publication.history_seq = (select max(history_seq) from recommendations.release_history) as is_published,
    releases.release_id in (select release_id from ({PARTITIONS}) as kept) as is_kept
from recommendations.releases
inner join lateral (
    select *
    from recommendations.release_history
    where release_history.release_id = releases.release_id
    order by history_seq desc
    limit 1
) as last_publication on true
order by releases.release_id desc
limit %s
"""


@dataclass(frozen=True)
class Release:
    """Hold the columns of recommendations.releases."""

    release_id: int
    released_at: dt.datetime
    as_of: dt.datetime
    until_seq: int
    model_versions: Mapping[str, int]
    artist_cap: int
    users: int
    lists: int
    seconds: float
    figures: Mapping[str, Any]


def read_published(connection: psycopg.Connection) -> Release | None:
    """Return the release that readers see, or None if there is none yet."""
    with connection.cursor(row_factory=class_row(Release)) as cursor:
        return cursor.execute(PUBLISHED).fetchone()


def read_champions(connection: psycopg.Connection) -> dict[str, int]:
    """Return by list the version of its champion."""
    return read_versions_by_alias(connection, CHAMPION)


def read_versions_by_alias(connection: psycopg.Connection, alias: str) -> dict[str, int]:
    """Return by list the version that an alias names."""
    return dict(connection.execute(BY_ALIAS, [alias]).fetchall())


def find_unchanged(
    connection: psycopg.Connection, now: dt.datetime, until_seq: int, artist_cap: int, lists: Iterable[str]
) -> Release | None:
    """Return the newest release if nothing has changed since that a new one would follow, else None.

    It is not the published one after a rollback: the same lists again would undo that.
    """
    with connection.cursor(row_factory=class_row(Release)) as cursor:
        found = cursor.execute(NEWEST).fetchone()
    if found is None or (found.until_seq, found.artist_cap) != (until_seq, artist_cap):
        return None
    versions = read_champions(connection)
    # a list without a champion gets one only from new data
    is_same = all(versions.get(name, number) == number for name, number in found.model_versions.items())
    is_complete = set(lists) <= set(found.model_versions)
    return found if is_same and is_complete and now - found.released_at < LONGEST_KEPT else None


def lock(connection: psycopg.Connection) -> None:
    """Wait until no other session publishes, until the end of this transaction."""
    connection.execute(LOCK)


def begin(connection: psycopg.Connection) -> tuple[int, sql.Identifier]:
    """Return the number of a new release, and the empty table for its lists, in the transaction of the caller.

    The caller fills the table, and then calls `publish`.
    """
    (release_id,) = connection.execute(
        "select nextval(pg_get_serial_sequence('recommendations.releases', 'release_id'))"
    ).fetchone()
    partition = table_of(release_id)
    connection.execute(
        sql.SQL(
            "create table {partition}"
            " (like recommendations.lists including all, constraint of_release check (release_id = {number}))"
        ).format(partition=partition, number=sql.Literal(release_id))
    )
    return release_id, partition


def copy_lists(
    connection: psycopg.Connection, table: sql.Identifier, rows: Iterable[bytes], columns: Iterable[str] = COLUMNS
) -> None:
    """Store lists. `rows`: in the format of a binary COPY, in any pieces."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(table, names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in rows:
            copy.write(piece)


def read_lists(connection: psycopg.Connection, table: sql.Identifier, list_name: str) -> Iterator[bytes]:
    """Yield all lists with this name, as rows of a binary COPY. They must be read to the end."""
    statement = sql.SQL("copy (select {} from {} where list = {}) to stdout (format binary)").format(
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)), table, sql.Literal(list_name)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        yield from binary_copy.rows_in(copy)


def publish(connection: psycopg.Connection, release_id: int, columns: Mapping[str, Any], reason: str) -> None:
    """Let readers see a release that was begun, when the caller's transaction ends.

    `columns`: of recommendations.releases. Until here only the table of its lists is locked: it is attached when it is
    full.
    """
    partition, number = table_of(release_id), sql.Literal(release_id)
    # statistics of the arrays would take longer than the copy, and serve no query
    connection.execute(sql.SQL("analyze {} (user_id, list)").format(partition))
    # the check of the partition has proven its bound, so attaching does not read it
    connection.execute(
        sql.SQL(
            "alter table recommendations.lists attach partition {partition} for values in ({number});"
            " alter table {partition} drop constraint of_release"
        ).format(partition=partition, number=number)
    )
    row = {"release_id": release_id, **columns}
    values = [Jsonb(value) if isinstance(value, dict) else value for value in row.values()]
    connection.execute(
        f"insert into recommendations.releases ({', '.join(row)}) overriding system value"
        f" values ({', '.join(['%s'] * len(row))})",
        values,
    )
    publish_again(connection, release_id, reason)


def table_of(release_id: int) -> sql.Identifier:
    """Return the table of the lists of a release."""
    return sql.Identifier("recommendations", f"lists_{release_id}")


def restore(connection: psycopg.Connection, model_versions: Mapping[str, int], reason: str) -> int | None:
    """Publish the kept lists that these versions made: an earlier release, or a copy from several. Return its number.

    None if the lists of a version are no longer kept; then nothing is changed. The caller opens the transaction, and
    holds the lock.
    """
    kept: list[Release] = []
    with connection.cursor(row_factory=class_row(Release)) as cursor:
        kept = cursor.execute(
            f"{RELEASE} where release_id in (select release_id from ({PARTITIONS}) as kept) order by release_id desc"
        ).fetchall()
    for release in kept:
        if release.model_versions == model_versions:
            publish_again(connection, release.release_id, reason)
            return release.release_id
    made = {
        name: next((release for release in kept if release.model_versions.get(name) == number), None)
        for name, number in model_versions.items()
    }
    if not made or None in made.values():
        return None
    by_list = {name: release.figures["by_list"][name] for name, release in made.items()}
    oldest = min(made.values(), key=lambda release: release.as_of)
    columns = {
        "as_of": oldest.as_of,
        "until_seq": min(release.until_seq for release in made.values()),
        "model_versions": dict(model_versions),
        "artist_cap": oldest.artist_cap,
        "users": max(release.users for release in made.values()),
        "lists": sum(each["lists"] for each in by_list.values()),
        "seconds": 0,
        "figures": {**oldest.figures, "by_list": by_list},
    }
    release_id, partition = begin(connection)

    def copy(table: str, into: sql.Identifier) -> None:
        for name, release in made.items():
            connection.execute(
                sql.SQL(
                    "insert into {} (release_id, {others}) select {}, {others} from {}"
                    " where release_id = {} and list = {}"
                ).format(
                    into,
                    sql.Literal(release_id),
                    sql.Identifier("recommendations", table),
                    sql.Literal(release.release_id),
                    sql.Literal(name),
                    others=sql.SQL(", ").join(map(sql.Identifier, COPIED[table])),
                )
            )

    copy("lists", partition)
    publish(connection, release_id, columns, reason)
    for table in COPIED.keys() - {"lists"}:
        copy(table, sql.Identifier("recommendations", table))
    return release_id


def drop_old(connection: psycopg.Connection) -> list[int]:
    """Drop the lists of all releases but the newest KEPT and the published one; return the numbers of those that stay
    too long because somebody reads them. The next call tries them again."""
    with connection.transaction():
        lock(connection)
        kept = sorted((number for (number,) in connection.execute(PARTITIONS)), reverse=True)
        current = read_published(connection)
        old = [number for number in kept[KEPT:] if current is None or number != current.release_id]
    for place, number in enumerate(old):
        try:
            with connection.transaction():
                lock(connection)
                connection.execute(f"set local lock_timeout = '{DROP_TIMEOUT}'")
                connection.execute(sql.SQL("drop table {}").format(table_of(number)))
                for table in COPIED.keys() - {"lists"}:
                    connection.execute(f"delete from recommendations.{table} where release_id = %s", [number])
        except psycopg.errors.LockNotAvailable:
            return old[place:]
    return []


def list_effective_releases(connection: psycopg.Connection) -> list[int]:
    """Return the releases that readers saw, in this order, up to the one that they see now.

    Those that were taken back are left out: with a rollback, or with the champion that made them.
    """
    seen: dict[int, Mapping[str, int]] = {}
    for release_id, model_versions, is_copy in connection.execute(PUBLICATIONS, [MADE]):
        if release_id in seen:
            while next(reversed(seen)) != release_id:
                seen.popitem()
        else:
            if is_copy and seen:
                taken_back = next(reversed(seen.values())).items() - model_versions.items()
                while seen and taken_back & next(reversed(seen.values())).items():
                    seen.popitem()
            seen[release_id] = model_versions
    return list(seen)


def roll_back(connection: psycopg.Connection, reason: str) -> tuple[int, int]:
    """Publish the release again that readers saw before, without those taken back; a second rollback goes one further.

    Returns the numbers of both releases, that of the one taken back first. Raises CommandError(WRONG_SETTINGS) if there
    is no earlier release.
    """
    with connection.transaction():
        lock(connection)
        *earlier, current = list_effective_releases(connection) or [None]
        kept = {number for (number,) in connection.execute(PARTITIONS)}
        before = next((number for number in reversed(earlier) if number in kept), None)
        if before is None:
            raise CommandError(
                ExitCode.WRONG_SETTINGS, "there is no earlier release to go back to; see: recommendations releases"
            )
        publish_again(connection, before, f"rollback from {current}: {reason}")
    return current, before


def publish_again(connection: psycopg.Connection, release_id: int, reason: str) -> None:
    """Let readers see an earlier release when the caller's transaction ends."""
    connection.execute(
        "insert into recommendations.release_history (release_id, reason) values (%s, %s)", [release_id, reason]
    )


def read_history(connection: psycopg.Connection, limit: int) -> list[dict[str, Any]]:
    """Return the newest releases, the newest first: their columns, and when, by whom and why they were published."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(HISTORY, [limit]).fetchall()
