"""Hold listens as arrays, and read them from the warehouse as known at a moment."""

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import psycopg
from scipy.sparse import csr_matrix

from warehouse import binary_copy

Integers = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]

EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Interactions:
    """Hold the listens of users, by position of user and track.

    The listens of user u are those at `starts[u]:starts[u + 1]`, sorted by track and day. `days` count from 1970-01-01
    in UTC. `counts`: how many listens each one stands for; None: one. Ages count back from the day `today`.
    """

    starts: Integers
    tracks: Integers
    days: Integers
    track_count: int
    today: int
    counts: Floats | None = None

    @property
    def user_count(self) -> int:
        return len(self.starts) - 1

    def weights(self, half_life: float | None = None) -> csr_matrix:
        """Return users x tracks: how often each was heard, where a listen counts half after `half_life` days."""
        size = len(self.tracks)
        is_first = np.ones(size, bool)
        is_first[1:] = self.tracks[1:] != self.tracks[:-1]
        is_first[self.starts[:-1][self.starts[:-1] < size]] = True
        at = np.flatnonzero(is_first)
        value = np.ones(size, np.float32) if self.counts is None else self.counts
        if half_life is not None:
            value = value * np.exp2((self.days - self.today) / np.float32(half_life), dtype=np.float32)
        data = np.add.reduceat(value, at) if size else np.empty(0, np.float32)
        starts = np.concatenate([[0], np.cumsum(is_first)])[self.starts]
        shape = (self.user_count, self.track_count)
        return csr_matrix((data, self.tracks[at], starts.astype(np.int32)), shape=shape)

    def tastes(self, half_life: float | None = None) -> csr_matrix:
        """Return users x tracks: 1 for what was heard, or less if all listens are long ago. At most 1 per pair, so a
        user who repeats a track a thousand times speaks no louder than others."""
        weights = self.weights(half_life)
        np.minimum(weights.data, 1, out=weights.data)
        return weights

    def listens(self) -> Floats:
        """Return the number of listens of each user."""
        if self.counts is None:
            return np.diff(self.starts).astype(float)
        return np.diff(np.concatenate([[0], np.cumsum(self.counts, dtype=float)])[self.starts])

    def batch(self, start: int, stop: int) -> "Interactions":
        """Return the listens of the users from `start` up to `stop`, as views of the same arrays."""
        part = slice(self.starts[start], self.starts[stop])
        starts = self.starts[start : stop + 1] - self.starts[start]
        counts = None if self.counts is None else self.counts[part]
        return replace(self, starts=starts, tracks=self.tracks[part], days=self.days[part], counts=counts)

    def of_users(self, users: Integers) -> "Interactions":
        """Return the listens of these users, in their order."""
        sizes = np.diff(self.starts)[users]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        at = np.arange(starts[-1]) + np.repeat(self.starts[:-1][users] - starts[:-1], sizes)
        counts = None if self.counts is None else self.counts[at]
        return replace(self, starts=starts, tracks=self.tracks[at], days=self.days[at], counts=counts)

    def where(self, is_kept: Flags, today: int | None = None) -> "Interactions":
        """Return these listens only."""
        return replace(
            self,
            starts=np.concatenate([[0], np.cumsum(is_kept)])[self.starts],
            tracks=self.tracks[is_kept],
            days=self.days[is_kept],
            counts=None if self.counts is None else self.counts[is_kept],
            today=self.today if today is None else today,
        )


def number_of(day: dt.date) -> int:
    """Return the number of a day, counted from 1970-01-01."""
    return (day - EPOCH).days


def day_of(number: int) -> dt.date:
    """Return the day with this number."""
    return EPOCH + dt.timedelta(days=int(number))


KNOWN = """
from marts.listen_history
where known_at <= %(as_of)s and listened_at > %(after)s and listened_at <= %(until)s
group by user_id
"""
SIZES = f"select user_id, count(*) {KNOWN} order by user_id"
# A row per user: psycopg hands over one message per row, which is what makes reading pairs one by one slow.
ARRAYS = f"""
copy (
    select user_id, array_agg(track_id), array_agg((listened_at at time zone 'UTC')::date - date '1970-01-01') {KNOWN}
) to stdout (format binary)
"""
# A binary array begins with its dimensions, flags, type, size and lower bound, each in 4 bytes.
ARRAY_HEADER = 20
TRACK_IDS = np.dtype([("bytes", ">i4"), ("value", ">i8")])
DAYS = np.dtype([("bytes", ">i4"), ("value", ">i4")])


def read(
    connection: psycopg.Connection,
    user_ids: Integers,
    track_ids: Integers,
    *,
    until: dt.datetime,
    after: dt.datetime | None = None,
    as_of: dt.datetime | None = None,
) -> Interactions:
    """Read the listens of these users to these tracks, up to `until` and, if given, later than `after`.

    Only listens known at `as_of` are read, by default at `until`. Both arrays of ids are sorted, and their positions
    become those of the result. Needs 8 bytes per listen, and one user's listens in addition.
    """
    moments = {"as_of": as_of or until, "after": after or dt.datetime.min.replace(tzinfo=dt.UTC), "until": until}
    sizes = np.zeros(len(user_ids), np.int64)
    with psycopg.ClientCursor(connection) as cursor, connection.transaction():
        # both statements must see the same rows
        cursor.execute("set transaction isolation level repeatable read, read only")
        read_sizes = np.array(cursor.execute(SIZES, moments).fetchall(), np.int64).reshape(-1, 2)
        positions, is_wanted = find(user_ids, read_sizes[:, 0])
        sizes[positions[is_wanted]] = read_sizes[is_wanted, 1]
        ends = np.cumsum(sizes)
        tracks, days = np.empty(sizes.sum(), np.int32), np.empty(sizes.sum(), np.int32)
        with cursor.copy(ARRAYS, moments) as copy:
            for row in binary_copy.rows_in(copy):
                user_id = int.from_bytes(row[6:14], signed=True)
                (user,), (is_known,) = find(user_ids, np.array([user_id]))
                if is_known:
                    part = slice(ends[user] - sizes[user], ends[user])
                    tracks[part], days[part] = _sorted_listens(row, track_ids)
    starts = np.concatenate([[0], ends])
    found = Interactions(starts, tracks, days, len(track_ids), number_of(until.astimezone(dt.UTC).date()))
    is_wanted = tracks >= 0
    return found if is_wanted.all() else found.where(is_wanted)


def make_for_one_user(track_ids: Integers, heard: Integers, days: Integers, today: int) -> Interactions:
    """Return the listens of one user from the ids of the heard tracks and the days; tracks not in `track_ids` are left
    out."""
    positions, is_known = find(track_ids, heard)
    positions, days = positions[is_known], days[is_known]
    order = np.lexsort((days, positions))
    starts = np.array([0, len(order)])
    return Interactions(starts, positions[order].astype(np.int32), days[order].astype(np.int32), len(track_ids), today)


def _sorted_listens(row: bytes, track_ids: Integers) -> tuple[Integers, Integers]:
    """Return the positions of the tracks and the days in a row of ARRAYS; -1 for a track that is not asked for."""
    first = 18 + ARRAY_HEADER
    size = int.from_bytes(row[30:34])
    second = first + size * TRACK_IDS.itemsize + 4 + ARRAY_HEADER
    ids = np.frombuffer(row, TRACK_IDS, size, first)["value"].astype(np.int64)
    days = np.frombuffer(row, DAYS, size, second)["value"].astype(np.int64)
    tracks, is_wanted = find(track_ids, ids)
    # the server's order may differ from one reading to the next, and sums of fractions depend on it
    keys = (np.where(is_wanted, tracks, -1) << 32) + (days + 2**31)
    keys.sort()
    return keys >> 32, (keys & (2**32 - 1)) - 2**31


def find(sorted_ids: Integers, ids: Integers) -> tuple[Integers, Flags]:
    """Return the positions of the ids among the sorted ones, and whether each is there."""
    if not len(sorted_ids):
        return np.zeros(len(ids), np.int64), np.zeros(len(ids), bool)
    positions = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    return positions, sorted_ids[positions] == ids
