"""Keep the lists of a release in Redis or Valkey, too. Postgres is the truth: a missing list is read from there.

One hash per list, with the release in its name: a field per user holds the short form of `stored_lists.pack`. Imports
nothing heavy.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from random import Random

import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from recommender import releases, stored_lists
from recommender.releases import LISTS, Release
from warehouse.errors import CommandError, ExitCode

PREFIX = "moovitamix"
CONNECT_SECONDS = 2
SECONDS = 10
# Longer than a release is kept.
LIFETIME = dt.timedelta(days=10)
ROWS_AT_ONCE = 2000
# So many rows of each piece are read back.
COMPARED = 20
# Changes with the form of the lists, so that a service and a run of different versions do not misread each other.
FORM = "lists2"


def completeness_key(release_id: int, as_of: dt.datetime) -> str:
    """Return the key that says that all lists of a release are there.

    `as_of` tells apart releases with the same id. Even so, each warehouse needs a Redis database of its own: each run
    deletes the keys of all other releases.
    """
    return f"{PREFIX}:{FORM}:{release_id}:{as_of.timestamp():.6f}"


@lru_cache(16)
def lists_key(release_id: int, as_of: dt.datetime, list_name: str) -> str:
    """Return the key of the hash with the lists of all users."""
    return f"{completeness_key(release_id, as_of)}:{list_name}"


def keys_of(release_id: int, as_of: dt.datetime) -> list[str]:
    """Return the keys of the hashes of a release."""
    return [lists_key(release_id, as_of, name) for name in LISTS]


def find_problem(release_id: int, count: bytes | None, hashes: int) -> str | None:
    """Return why a release is not in the cache, or None.

    `count`: the value of `completeness_key`; `hashes`: the number of hashes that exist.
    """
    if count is None:
        return f"it does not hold release {release_id}"
    return None if count == b"%d" % hashes else f"it lost lists of release {release_id}"


class Cache:
    """Write the lists of a release. Never raises: the first problem ends it, and stays in `problem`.

    Does nothing if `url` is None.
    """

    def __init__(self, url: str | None, as_of: dt.datetime) -> None:
        self.problem: str | None = None
        self._as_of = as_of
        self._sizes: Counter[str] = Counter()
        self._url = url
        self._client: redis.Redis | None = None
        if url:
            try:
                self._client = connect(url)
            except Exception as error:
                self._end(describe(error))

    def holds(self, release_id: int) -> bool:
        """Return whether all lists of a release are there; True without a cache, which lacks none."""
        if not self._client:
            return True
        try:
            count = self._client.get(completeness_key(release_id, self._as_of))
            hashes = self._client.exists(*keys_of(release_id, self._as_of))
            return find_problem(release_id, count, hashes) is None
        except Exception as error:
            self._end(describe(error))
            return True

    def remove(self, release_id: int) -> None:
        """Remove what is there of a release, also the key that says it is complete."""
        if self._client:
            try:
                self._client.unlink(completeness_key(release_id, self._as_of), *keys_of(release_id, self._as_of))
            except Exception as error:
                self._end(describe(error))

    def fill(self, connection: psycopg.Connection, release_id: int, table: sql.Identifier) -> None:
        """Store the lists in a table of recommendations."""
        for name in LISTS:
            if self._client:
                rows = releases.read_lists(connection, table, name)
                # also after a problem: to break off a COPY would undo the caller's transaction
                while some := list(islice(rows, ROWS_AT_ONCE)):
                    self.add(release_id, name, some)

    def add(self, release_id: int, list_name: str, rows: Sequence[bytes]) -> None:
        """Store rows in the format of `list_rows.encode`, and read some of them back."""
        if not (self._client and rows):
            return
        key = lists_key(release_id, self._as_of, list_name)
        try:
            values = {str(each.user_id): stored_lists.pack(each) for each in map(stored_lists.decode, rows)}
            compared = Random(0).sample(sorted(values), min(COMPARED, len(values)))
            self._client.hset(key, mapping=values)
            self._client.expire(key, LIFETIME)
            if self._client.hmget(key, compared) != [values[user] for user in compared]:
                self._end("it returned other lists than it was given")
        except Exception as error:
            self._end(describe(error))
        self._sizes[key] += len(rows)

    def verify(self, release_id: int) -> None:
        """Check that all lists are there, and mark the release as complete."""
        if not self._client:
            return
        try:
            if all(self._client.hlen(key) == size for key, size in self._sizes.items()):
                self._client.set(completeness_key(release_id, self._as_of), len(self._sizes), ex=LIFETIME)
            else:
                self._end("it does not hold all lists")
        except Exception as error:
            self._end(describe(error))

    def remove_older(self, release_id: int) -> None:
        """Remove the lists of all other releases, and also of this one if there was a problem.

        Tried after any problem: a full server would stay full. The first command without an answer ends it.
        """
        if not self._url:
            return
        kept = None if self.problem else completeness_key(release_id, self._as_of)
        try:
            client = connect(self._url)
            for key in client.scan_iter(f"{PREFIX}:*", count=1000):
                if kept is None or not key.decode().startswith(kept):
                    client.unlink(key)
        except Exception as error:
            self._end(describe(error))

    def _end(self, problem: str) -> None:
        self.problem, self._client = self.problem or problem, None


def refill(connection: psycopg.Connection, release: Release, url: str | None) -> str | None:
    """Store the lists of a published release if the cache lost them. Return why it does not hold them, if so."""
    cache = Cache(url, release.as_of)
    if not cache.holds(release.release_id):
        # nothing that is left says that the lists are complete while they are stored
        cache.remove(release.release_id)
        with connection.transaction():
            cache.fill(connection, release.release_id, releases.table_of(release.release_id))
        cache.verify(release.release_id)
        cache.remove_older(release.release_id)
    return cache.problem


def connect(url: str) -> redis.Redis:
    """Return a client that gives up soon, and does not try again. Raises ValueError for another address."""
    return redis.Redis.from_url(
        url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=SECONDS, retry=Retry(NoBackoff(), 0)
    )


def check_address(url: str) -> None:
    """Raise CommandError(WRONG_SETTINGS) if this is not an address of Redis. The message does not quote it."""
    try:
        # a wrong option of the address shows only in a connection
        connect(url).connection_pool.make_connection()
    except Exception:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "REDIS_URL is not an address of Redis; it must look like redis://:password@host:6379/0, or rediss:// or"
            " unix://; a password with a # or / in it must be percent-encoded",
        ) from None


def forget(url: str, user_id: int) -> None:
    """Remove the lists of a user. Raises redis.RedisError."""
    client = connect(url)
    for key in client.scan_iter(f"{PREFIX}:*", count=1000, _type="hash"):
        client.hdel(key, str(user_id))


def describe(error: Exception) -> str:
    """Return the problem without the server's text, which may quote the address."""
    if isinstance(error, redis.exceptions.AuthenticationError):
        return "it refuses the login of REDIS_URL"
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "its memory is full"
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return "it does not answer in time"
    if isinstance(error, redis.ConnectionError):
        return "it cannot be reached"
    return f"it answers with an error ({type(error).__name__})"
