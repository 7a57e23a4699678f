"""Keep the lists that shards of users made, until one release publishes them. Imports nothing heavy.

A draft says what all lists of a release follow from, so its shards may be made one after the other, and on any machine.
There is at most one draft. It is removed when a release is published, when another draft begins, and when a user is
erased.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from recommender import releases

# The popularity of a draft is that of its moment.
LONGEST_KEPT = dt.timedelta(days=1)
DRAFT_LISTS = sql.Identifier("recommendations", "draft_lists")
# In the order of the rows that `store` copies.
COLUMNS = ("draft_id", *releases.COLUMNS[1:])

FIND = """
select
    draft_id,
    as_of,
    shards,
    array(
        select shard from recommendations.draft_shards where draft_shards.draft_id = drafts.draft_id order by shard
    ) as made,
    coalesce(
        (select sum(seconds) from recommendations.draft_shards where draft_shards.draft_id = drafts.draft_id), 0
    ) as seconds
from recommendations.drafts
where
    until_seq = %(until_seq)s and model_versions = %(model_versions)s and artist_cap = %(artist_cap)s
    and seed = %(seed)s and code_version = %(code_version)s and as_of > %(oldest)s
"""
BEGIN = """
insert into recommendations.drafts
    (as_of, until_seq, model_versions, artist_cap, seed, code_version, shards)
values
    (%(as_of)s, %(until_seq)s, %(model_versions)s, %(artist_cap)s, %(seed)s, %(code_version)s, %(shards)s)
"""
# The shard's lists follow in the same transaction; another process that stores the same shard waits for its end.
CLAIM = """
insert into recommendations.draft_shards (draft_id, shard, seconds) values (%s, %s, %s) on conflict do nothing
"""
COPY = sql.SQL(
    "insert into {partition} (release_id, {names})"
    " select {release_id}, {names} from {lists} where draft_id = {draft_id}"
)


class DraftReplacedError(Exception):
    """Report that a draft is gone while one of its shards was made."""


@dataclass(frozen=True)
class Shard:
    """Hold which part of the users is meant: those with an id of `number` - 1 modulo `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class Basis:
    """Hold what all lists of a release follow from, besides the moment. `model_versions`: by list its champion."""

    until_seq: int
    model_versions: Mapping[str, int]
    artist_cap: int
    seed: int
    code_version: str


@dataclass(frozen=True)
class Draft:
    """Hold a draft. `made`: the shards that are complete, of `shards`. `seconds`: how long they took in all."""

    draft_id: int
    as_of: dt.datetime
    shards: int
    made: Sequence[int]
    seconds: float

    @property
    def is_complete(self) -> bool:
        return len(self.made) == self.shards


def find(connection: psycopg.Connection, basis: Basis, now: dt.datetime) -> Draft | None:
    """Return the draft with this basis, or None if there is none, or if it is too old."""
    row = connection.execute(FIND, {**_columns(basis), "oldest": now - LONGEST_KEPT}).fetchone()
    return row and Draft(*row)


def exists(connection: psycopg.Connection) -> bool:
    """Return whether there is a draft, with any basis."""
    return connection.execute("select exists (select 1 from recommendations.drafts)").fetchone()[0]


def find_or_begin(connection: psycopg.Connection, basis: Basis, as_of: dt.datetime, shards: int) -> Draft:
    """Return the draft with this basis and number of shards.

    If there is none, begin one with the data as of `as_of`, and remove others.
    """
    with connection.transaction():
        # two shards that come first begin one draft
        releases.lock(connection)
        found = find(connection, basis, as_of)
        if found and found.shards == shards:
            return found
        remove(connection)
        connection.execute(BEGIN, {**_columns(basis), "as_of": as_of, "shards": shards})
        return find(connection, basis, as_of)


def store(connection: psycopg.Connection, draft: Draft, shard: int, rows: Iterable[bytes], seconds: float) -> None:
    """Store the lists of a shard, unless another process has stored them since.

    `rows`: of `list_rows.encode` for the number of the draft, in the format of a binary COPY. Raises
    DraftReplacedError if the draft is gone.
    """
    try:
        with connection.transaction():
            if connection.execute(CLAIM, [draft.draft_id, shard, seconds]).rowcount:
                releases.copy_lists(connection, DRAFT_LISTS, rows, COLUMNS)
    except psycopg.errors.ForeignKeyViolation:
        raise DraftReplacedError from None


def copy_lists(connection: psycopg.Connection, draft: Draft, release_id: int, partition: sql.Identifier) -> None:
    """Copy the lists of a draft into the table of a release. The caller holds the run lock."""
    connection.execute(
        COPY.format(
            partition=partition,
            names=sql.SQL(", ").join(map(sql.Identifier, COLUMNS[1:])),
            release_id=sql.Literal(release_id),
            lists=DRAFT_LISTS,
            draft_id=sql.Literal(draft.draft_id),
        )
    )


def remove(connection: psycopg.Connection) -> None:
    """Remove the draft, if there is one, in the transaction of the caller."""
    # in this order: it waits for a shard that is being stored, whose lists are then removed, too
    connection.execute("delete from recommendations.drafts")
    connection.execute("delete from recommendations.draft_lists")


def _columns(basis: Basis) -> dict[str, object]:
    return {**asdict(basis), "model_versions": Jsonb(dict(basis.model_versions))}
