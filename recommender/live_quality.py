"""Compare released lists with what their users listened to afterwards, beside popularity on the same users and days.

Only listens that the release did not know count. `discover` is compared with plays of tracks that were new to the user
when the release was made, `again` with plays of tracks that the user knew.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from recommender import releases
from recommender.dataset import Catalogue, Dataset
from recommender.evaluation import SEGMENTS, intervals
from recommender.interactions import Flags, Floats, Integers, day_of, find
from recommender.list_making import Recommender
from recommender.metrics import NDCG_DEPTH
from recommender.releases import AGAIN, LISTS
from warehouse import binary_copy

# What fewer users did would say something about one of them.
LEAST_USERS = 3
SEED = 0
# A listen that becomes known even later counts as known before. Without this, each night would read all listens.
LATEST = dt.timedelta(days=31)
# The place of a track that is in no list.
NOWHERE = 2**31 - 1

KEPT = f"""
select release_id, as_of, model_versions
from recommendations.releases
inner join ({releases.PARTITIONS}) as kept using (release_id)
where exists (select from recommendations.popular_tracks where popular_tracks.release_id = releases.release_id)
order by as_of, release_id
"""
POPULAR_TRACKS = "select list, track_ids from recommendations.popular_tracks where release_id = %s"
# The listens since the first of these releases. `release_id`: the release that they are compared with, 0 for none; the
# one that readers saw when the listen became known stands in for one whose lists are gone, or for none. `known_after`:
# so many of the releases were made before the listen was known. Places begin at 1; 0: not in the list; -1: no list.
LISTENS = """
copy (
    with publications as (
        select
            release_id,
            published_at,
            coalesce(
                min(published_at) over (
                    order by history_seq rows between 1 following and unbounded following
                ),
                'infinity'
            ) as ended_at
        from recommendations.release_history
    ),
    seen as (
        select * from publications where release_id = any({release_ids})
    )
    select
        listens.user_id,
        listens.track_id,
        (listens.listened_at at time zone 'UTC')::date - date '1970-01-01' as day,
        coalesce(heard_with.release_id, known_with.release_id, 0)::bigint as release_id,
        (select count(*)::integer from unnest({as_ofs}::timestamptz[]) as made (at) where made.at < listens.known_at)
            as known_after,
        case when discover.user_id is null then -1
            else coalesce(array_position(discover.track_ids, listens.track_id), 0) end as place_in_discover,
        case when again.user_id is null then -1
            else coalesce(array_position(again.track_ids, listens.track_id), 0) end as place_in_again
    from marts.listen_history as listens
    left join seen as heard_with
        on heard_with.published_at <= listens.listened_at and listens.listened_at < heard_with.ended_at
    left join seen as known_with
        on known_with.published_at <= listens.known_at and listens.known_at < known_with.ended_at
    left join recommendations.lists as discover
        on
            discover.list = 'discover' and listens.user_id = discover.user_id
            and coalesce(heard_with.release_id, known_with.release_id) = discover.release_id
    left join recommendations.lists as again
        on
            again.list = 'again' and listens.user_id = again.user_id
            and coalesce(heard_with.release_id, known_with.release_id) = again.release_id
    where
        listens.known_at > {first} and listens.known_at <= {now}
        and listens.listened_at > {first} - {latest} and listens.listened_at <= {now}
) to stdout (format binary)
"""
NAMES = ("user_id", "track_id", "day", "release_id", "known_after", *LISTS)
KINDS = (">i8", ">i8", ">i4", ">i8", ">i4", ">i4", ">i4")
ROW = np.dtype(
    [
        ("fields", ">i2"),
        *(part for name, kind in zip(NAMES, KINDS, strict=True) for part in ((f"{name} size", ">i4"), (name, kind))),
    ]
)


@dataclass(frozen=True)
class Plays:
    """Hold the listens to compare with a release, one per element. `users` and `tracks` are positions.

    `places`: by list, the place of the track in the user's list, from 0; NOWHERE: not in it. `has_list`: by list,
    whether the user has one.
    """

    users: Integers
    tracks: Integers
    days: Integers
    places: Mapping[str, Integers]
    has_list: Mapping[str, Flags]


@dataclass(frozen=True)
class HeardPairs:
    """Hold what some users knew when a release was made: sorted keys, which are user * tracks + track, and the number
    of listens of each user."""

    keys: Integers
    listens: Integers
    track_count: int

    def has(self, users: Integers, tracks: Integers) -> Flags:
        return find(self.keys, users * self.track_count + tracks)[1]


def rank_popular_tracks(recommender: Recommender, catalogue: Catalogue) -> list[int]:
    """Return the ids of the tracks that may be recommended by popularity, without those that nobody heard."""
    popularity = (recommender.fallbacks or (recommender.model,))[-1].popularity.ravel()
    order = np.argsort(-popularity, kind="stable")
    return catalogue.track_ids[order[(popularity > 0)[order] & catalogue.is_candidate[order]]].tolist()


def store_popular_tracks(connection: psycopg.Connection, release_id: int, by_list: Mapping[str, list[int]]) -> None:
    """Store with a release the rankings that it will be compared with."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into recommendations.popular_tracks (release_id, list, track_ids) values (%s, %s, %s)",
            [(release_id, name, track_ids) for name, track_ids in by_list.items()],
        )


def compute(connection: psycopg.Connection, known: Dataset, now: dt.datetime) -> int:
    """Compute the quality of all releases whose lists are kept, in one transaction; return the number of rows.

    `known`: the data as of `now`. The caller holds the run lock. Rows of releases whose lists were dropped stay.
    """
    with connection.transaction():
        kept = connection.execute(KEPT).fetchall()
        rows = list(_rows(connection, known, now, kept)) if kept else []
        connection.execute(
            "delete from recommendations.quality where release_id = any(%s)", [[release_id for release_id, *_ in kept]]
        )
        if rows:
            names = ", ".join(rows[0])
            places = ", ".join(f"%({name})s" for name in rows[0])
            with connection.cursor() as cursor:
                cursor.executemany(f"insert into recommendations.quality ({names}) values ({places})", rows)
    return len(rows)


def _rows(
    connection: psycopg.Connection, known: Dataset, now: dt.datetime, kept: list[tuple[int, dt.datetime, dict]]
) -> Iterator[dict[str, Any]]:
    listens = _read(connection, known, now, kept)
    track_count = len(known.catalogue.track_ids)
    everybody = np.unique(listens["user"][listens["release_id"] > 0])
    if not len(everybody):
        return
    pairs, counts = _pairs(known, everybody)
    user, is_theirs = find(everybody, listens["user"])
    for number, (release_id, _, model_versions) in enumerate(kept):
        is_later = is_theirs & (listens["known_after"] > number)
        later, times = np.unique(user[is_later] * track_count + listens["track"][is_later], return_counts=True)
        left = counts.copy()
        left[np.searchsorted(pairs, later)] -= times
        totals = np.bincount(pairs // track_count, weights=left, minlength=len(everybody)).astype(np.int64)
        heard = HeardPairs(pairs[left > 0], totals, track_count)
        mine = np.flatnonzero(is_theirs & (listens["release_id"] == release_id))
        plays = Plays(
            user[mine],
            listens["track"][mine],
            listens["day"][mine],
            {name: np.where(listens[name][mine] > 0, listens[name][mine] - 1, NOWHERE) for name in LISTS},
            {name: listens[name][mine] >= 0 for name in LISTS},
        )
        rankings = dict(connection.execute(POPULAR_TRACKS, [release_id]).fetchall())
        for name in LISTS:
            ranks = np.full(track_count, NOWHERE)
            positions, is_known = find(known.catalogue.track_ids, np.array(rankings[name], np.int64))
            ranks[positions[is_known]] = np.flatnonzero(is_known)
            for figures in _measure_list(name, plays, heard, ranks):
                yield {"release_id": release_id, "list": name, "model_version": model_versions[name], **figures}


def _pairs(known: Dataset, users: Integers) -> tuple[Integers, Integers]:
    """Return the sorted keys of what these users heard, and how often. A key is number of user * tracks + track."""
    history = known.listens.of_users(users)
    keys = np.repeat(np.arange(len(users)) * len(known.catalogue.track_ids), np.diff(history.starts))
    keys += history.tracks
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.diff(first, append=len(keys)).astype(np.int32)


def _read(
    connection: psycopg.Connection, known: Dataset, now: dt.datetime, kept: list[tuple[int, dt.datetime, dict]]
) -> dict[str, Integers]:
    """Return the columns of LISTENS, with the positions of user and track."""
    query = sql.SQL(LISTENS).format(
        release_ids=sql.Literal([release_id for release_id, *_ in kept]),
        as_ofs=sql.Literal([as_of for _, as_of, _ in kept]),
        first=sql.Literal(kept[0][1]),
        latest=sql.Literal(LATEST),
        now=sql.Literal(now),
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        content = b"".join(copy)
    found = np.frombuffer(content[len(binary_copy.HEADER) : -len(binary_copy.END)], ROW)
    columns = {name: found[name].astype(np.int64) for name in NAMES}
    user, is_user = find(known.user_ids, columns["user_id"])
    track, is_track = find(known.catalogue.track_ids, columns["track_id"])
    is_known = is_user & is_track
    return {name: values[is_known] for name, values in (columns | {"user": user, "track": track}).items()}


def _measure_list(name: str, plays: Plays, heard: HeardPairs, ranks: Integers) -> Iterator[dict[str, Any]]:
    """Yield the figures of each day and segment. `ranks`: by track, its place in popularity, from 0, or NOWHERE."""
    is_counted = plays.has_list[name] & (heard.has(plays.users, plays.tracks) == (name == AGAIN))
    users, tracks = plays.users[is_counted], plays.tracks[is_counted]
    days, places = plays.days[is_counted], plays.places[name][is_counted]
    user_count, track_count = len(heard.listens), heard.track_count
    # a target is a track that a user played on a day, however often
    targets, first, times = np.unique(
        (days * user_count + users) * track_count + tracks, return_index=True, return_counts=True
    )
    if not len(targets):
        return
    places = places[first]
    popular_places = _popular_places(name, targets // track_count % user_count, targets % track_count, heard, ranks)
    people, first, count = np.unique(targets // track_count, return_index=True, return_counts=True)
    ndcg, is_hit = _measure(places, first, count)
    popular_ndcg, is_popular_hit = _measure(popular_places, first, count)
    plays_of = np.add.reduceat(times, first)
    recommended_of = np.add.reduceat(np.where(places < NOWHERE, times, 0), first)
    listens, days = heard.listens[people % user_count], people // user_count
    for day in np.unique(days):
        for segment, fewest, most in SEGMENTS:
            members = np.flatnonzero((days == day) & (listens >= fewest) & (listens <= most))
            if len(members) < LEAST_USERS:
                continue
            difference = ndcg[members] - popular_ndcg[members]
            (low,), (high,) = intervals(difference[:, None], SEED)
            yield {
                "segment": segment,
                "day": day_of(day),
                "users": len(members),
                "plays": int(plays_of[members].sum()),
                "recommended_plays": int(recommended_of[members].sum()),
                "hit_rate": float(is_hit[members].mean()),
                "ndcg": float(ndcg[members].mean()),
                "popularity_hit_rate": float(is_popular_hit[members].mean()),
                "popularity_ndcg": float(popular_ndcg[members].mean()),
                "ndcg_difference": float(difference.mean()),
                "ndcg_difference_low": low,
                "ndcg_difference_high": high,
            }


def _popular_places(name: str, users: Integers, tracks: Integers, heard: HeardPairs, ranks: Integers) -> Integers:
    """Return the place of each track among the popular ones that its user knew (`again`), or did not (`discover`)."""
    known_ranks = ranks[heard.keys % heard.track_count]
    is_ranked = known_ranks < NOWHERE
    known = heard.keys[is_ranked] // heard.track_count * heard.track_count + known_ranks[is_ranked]
    known.sort()
    rank = ranks[tracks]
    before = np.searchsorted(known, users * heard.track_count + np.minimum(rank, heard.track_count - 1))
    before -= np.searchsorted(known, users * heard.track_count)
    return np.where(rank == NOWHERE, NOWHERE, before if name == AGAIN else rank - before)


def _measure(places: Integers, first: Integers, count: Integers) -> tuple[Floats, Flags]:
    """Return NDCG@10, and whether there is a hit, of each group of targets. `first`: where each group begins."""
    is_hit = places < NDCG_DEPTH
    gains = np.where(is_hit, 1 / np.log2(np.where(is_hit, places, 0) + 2), 0)
    ideal = np.cumsum(1 / np.log2(np.arange(2, NDCG_DEPTH + 2)))[np.minimum(count, NDCG_DEPTH) - 1]
    return np.add.reduceat(gains, first) / ideal, np.logical_or.reduceat(is_hit, first)
