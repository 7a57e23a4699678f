"""Hold the data as of a moment: users, their declared favourites and listens, and the catalogue of tracks."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from scipy.sparse import csr_matrix

from recommender import interactions
from recommender.interactions import Flags, Integers, Interactions


@dataclass(frozen=True)
class Catalogue:
    """Hold the tracks known at one moment, by position.

    `track_ids` are sorted. `is_candidate`: a candidate track, which may be recommended; others are gone.
    `artists`: equal numbers for equal artists, -1 for none. `genres`: tracks x genres, 1 where the track has the genre.
    """

    track_ids: Integers
    is_candidate: Flags
    artists: Integers
    genres: csr_matrix
    genre_names: Sequence[str] = ()


@dataclass(frozen=True)
class Users:
    """Hold what a model may know of users when it scores: one row per user in both.

    `favorites`: users x genres, 1 for a declared favourite.
    """

    listens: Interactions
    favorites: csr_matrix

    def __len__(self) -> int:
        return self.listens.user_count

    def batches(self, size: int) -> Iterator["Users"]:
        """Yield the users in order, this many at a time."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield Users(self.listens.batch(start, stop), self.favorites[start:stop])

    def take(self, positions: Integers) -> "Users":
        """Return these users, in this order."""
        return Users(self.listens.of_users(positions), self.favorites[positions])


@dataclass(frozen=True)
class Dataset:
    """Hold the data as of a moment. `user_ids` are sorted; `is_listed`: the user is not removed, and gets lists."""

    user_ids: Integers
    is_listed: Flags
    users: Users
    catalogue: Catalogue

    @property
    def listens(self) -> Interactions:
        return self.users.listens


USERS = """
select user_id, favorite_genres, (removed_at is null or removed_at > %(as_of)s) and created_at <= %(as_of)s
from features.user_history
where (valid_from is null or valid_from <= %(as_of)s) and (valid_to is null or valid_to > %(as_of)s)
order by user_id
"""
TRACKS = """
select
    track_id,
    genres,
    (removed_at is null or removed_at > %(as_of)s) and created_at <= %(as_of)s,
    dense_rank() over (order by artist),
    artist is null
from features.track_history
where (valid_from is null or valid_from <= %(as_of)s) and (valid_to is null or valid_to > %(as_of)s)
order by track_id
"""


def read(connection: psycopg.Connection, as_of: dt.datetime) -> Dataset:
    """Read the data as of `as_of` from the warehouse."""
    catalogue = read_catalogue(connection, as_of)
    users = connection.execute(USERS, {"as_of": as_of}).fetchall()
    user_ids = np.array([row[0] for row in users], np.int64)
    listens = interactions.read(connection, user_ids, catalogue.track_ids, until=as_of)
    favorites = make_indicators([row[1] for row in users], catalogue.genre_names)
    return Dataset(user_ids, np.array([row[2] for row in users], bool), Users(listens, favorites), catalogue)


def read_catalogue(connection: psycopg.Connection, as_of: dt.datetime) -> Catalogue:
    """Read the tracks known at `as_of` from the warehouse."""
    tracks = connection.execute(TRACKS, {"as_of": as_of}).fetchall()
    genre_names = sorted({genre for _, genres, *_ in tracks for genre in genres or ()})
    return Catalogue(
        np.array([row[0] for row in tracks], np.int64),
        np.array([row[2] for row in tracks], bool),
        np.array([-1 if is_null else rank for *_, rank, is_null in tracks], np.int32),
        make_indicators([row[1] for row in tracks], genre_names),
        genre_names,
    )


def make_indicators(genres: Sequence[Sequence[str] | None], names: Sequence[str]) -> csr_matrix:
    """Return a matrix with 1 where the row has the genre; genres that no track has are left out."""
    columns = {name: column for column, name in enumerate(names)}
    found = [sorted({columns[genre] for genre in row or () if genre in columns}) for row in genres]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int32)
    indices = np.array([column for row in found for column in row], np.int32)
    return csr_matrix((np.ones(len(indices), np.float32), indices, starts), shape=(len(genres), len(names)))
