"""Read lists from Redis or Valkey, where there is one; on anything wrong, the warehouse answers."""

import asyncio
from collections.abc import Callable

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from recommender import cache, stored_lists
from recommender.service.state import State
from recommender.stored_lists import StoredList

# A slow cache is worse than none: the warehouse answers in a millisecond.
SECONDS_OF_A_READ = 0.1
# A check, or a new connection, may need several round trips.
SECONDS_OF_SEVERAL = 0.5
MOST_IDLE_CONNECTIONS = 32
SECONDS_BETWEEN_CHECKS = 1

NO_CACHE, NOT_CHECKED, DAMAGED = "there is no cache", "it was not checked yet", "a list in it is damaged"


class CachedLists:
    """Read lists from the cache at `url`, while its `problem` is None. Checks it each second."""

    def __init__(self, url: str | None, find_state: Callable[[], State | None], log: Callable[..., None]) -> None:
        self.is_used = url is not None
        self.problem: str | None = NOT_CHECKED if url else NO_CACHE
        self._find_state, self._log = find_state, log
        # a release of which a list is damaged is not asked for again
        self._damaged: int | None = None
        self._checking: asyncio.Task[None] | None = None
        if url:
            self._checker = _connect(url, SECONDS_OF_SEVERAL)
            self._pool = redis.asyncio.ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), protocol=2)
            self._idle: list[redis.asyncio.Connection] = []

    def start(self) -> None:
        if self.is_used:
            self._checking = asyncio.create_task(self._check())

    async def stop(self) -> None:
        if self._checking:
            self._checking.cancel()
            await self._checker.aclose()
            for connection in self._idle:
                await connection.disconnect(nowait=True)

    async def read_list(self, state: State, user_id: int, list_name: str) -> StoredList | None:
        """Return the list of a user in the released lists, or None if the cache does not have it."""
        if self.problem is not None:
            return None
        release = state.release
        try:
            value = await self._ask(cache.lists_key(release.release_id, release.as_of, list_name), str(user_id))
        except (redis.RedisError, OSError) as error:
            self._report(_describe(error))
            return None
        if value is None:
            return None
        found = unpack(value, release.release_id, user_id, list_name)
        if found is None:
            self._damaged = release.release_id
            self._report(DAMAGED)
        return found

    async def _ask(self, key: str, field: str) -> bytes | None:
        """Return what `Redis.hget` does, in half its time: it makes a task per command, and statistics."""
        connection = self._idle.pop() if self._idle else self._pool.make_connection()
        try:
            # an idle connection may have been cut, such as by the server's `timeout`
            if connection.is_connected and await connection.can_read():
                await connection.disconnect(nowait=True)
            if not connection.is_connected:
                async with asyncio.timeout(SECONDS_OF_SEVERAL):
                    await connection.connect()
            async with asyncio.timeout(SECONDS_OF_A_READ):
                await connection.send_command("HGET", key, field)
                value = await connection.read_response()
        except BaseException:
            # a late answer would be taken for that to the next command
            await connection.disconnect(nowait=True)
            raise
        if len(self._idle) < MOST_IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            await connection.disconnect(nowait=True)
        return value

    async def _check(self) -> None:
        while True:
            state = self._find_state()
            if state:
                try:
                    self._report(await self._find_problem(state))
                except (redis.RedisError, OSError) as error:
                    self._report(_describe(error))
            await asyncio.sleep(SECONDS_BETWEEN_CHECKS)

    async def _find_problem(self, state: State) -> str | None:
        release = state.release
        if release.release_id == self._damaged:
            return DAMAGED
        count = await self._checker.get(cache.completeness_key(release.release_id, release.as_of))
        hashes = await self._checker.exists(*cache.keys_of(release.release_id, release.as_of))
        return cache.find_problem(release.release_id, count, hashes)

    def _report(self, problem: str | None) -> None:
        if problem != self.problem:
            self.problem = problem
            self._log("cache_unavailable" if problem else "cache_available", problem=problem)


def unpack(value: bytes, release_id: int, user_id: int, list_name: str) -> StoredList | None:
    """Return the list in a value of a hash, or None if the value is damaged or is another list."""
    found = stored_lists.unpack(value)
    return found if found and found[:3] == (release_id, user_id, list_name) else None


def _connect(url: str, seconds: float) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(
        url,
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


def _describe(error: Exception) -> str:
    return cache.describe(error) if isinstance(error, redis.RedisError | TimeoutError) else "it cannot be reached"
