"""Simulate users whose tastes drift, in a warehouse with the tables that the recommender reads and no dbt."""

import datetime as dt

import numpy as np
import psycopg

# What dbt builds, as plain tables.
TABLES = """
create table marts.users (id bigint primary key, deleted_at timestamptz);
create table marts.tracks (id bigint primary key, deleted_at timestamptz);
create table marts.listen_history (user_id bigint, track_id bigint, listened_at timestamptz, known_at timestamptz);
create table features.user_history (
    user_id bigint, favorite_genres text[], removed_at timestamptz, created_at timestamptz, valid_from timestamptz,
    valid_to timestamptz
);
create table features.track_history (
    track_id bigint, genres text[], artist text, removed_at timestamptz, created_at timestamptz, valid_from timestamptz,
    valid_to timestamptz
);
"""
TASTES = 20
# A user mostly hears tracks of the own taste, the popular ones more often.
OWN_SHARE = 0.8
LISTENS_PER_DAY = 2.5
# The share of the users whose taste changes each night.
DRIFT = 0.005


class ListeningWorld:
    """Hold users with tastes and tracks with popularities. `next_day` draws what is heard, by the seed."""

    def __init__(self, seed: int, users: int, tracks: int, start: dt.date) -> None:
        self._draw = np.random.default_rng(seed)
        self.users, self.tracks, self.day = users, tracks, start
        self._taste = self._draw.integers(0, TASTES, users)
        self._popularity = self._draw.exponential(1, tracks) ** 1.5

    def create(self, connection: psycopg.Connection) -> None:
        """Create the tables, with all users and tracks known from the start."""
        connection.execute(TABLES)
        for table, size in (("users", self.users), ("tracks", self.tracks)):
            connection.execute(f"insert into marts.{table} select generate_series(1, {size})")
            connection.execute(
                f"insert into features.{table[:-1]}_history ({table[:-1]}_id, created_at)"
                f" select id, timestamptz '2020-01-01' from marts.{table}"
            )

    def next_day(self, connection: psycopg.Connection) -> tuple[np.ndarray, np.ndarray]:
        """Let a day pass: tastes drift, users listen. Return users and tracks of the listens, by number from 0."""
        changed = np.flatnonzero(self._draw.random(self.users) < DRIFT)
        self._taste[changed] = self._draw.integers(0, TASTES, len(changed))
        self._popularity *= self._draw.lognormal(0, 0.03, self.tracks)
        heard = np.repeat(np.arange(self.users), self._draw.poisson(LISTENS_PER_DAY, self.users))
        anything = self._choose(np.arange(self.tracks), len(heard))
        own = np.empty_like(anything)
        for taste in range(TASTES):
            mine = np.flatnonzero(self._taste[heard] == taste)
            own[mine] = self._choose(np.arange(taste, self.tracks, TASTES), len(mine))
        tracks = np.where(self._draw.random(len(heard)) < OWN_SHARE, own, anything)
        at = dt.datetime.combine(self.day, dt.time(12), dt.UTC)
        with connection.cursor().copy(
            "copy marts.listen_history (user_id, track_id, listened_at, known_at) from stdin"
        ) as copy:
            for user, track in zip(heard.tolist(), tracks.tolist(), strict=True):
                copy.write_row((user + 1, track + 1, at, at))
        self.day += dt.timedelta(days=1)
        return heard, tracks

    def _choose(self, among: np.ndarray, size: int) -> np.ndarray:
        weights = self._popularity[among]
        return self._draw.choice(among, size, p=weights / weights.sum())
