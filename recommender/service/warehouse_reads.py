"""Read from the warehouse what one request needs, with one statement over a pool of connections."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import asyncpg

from recommender.service.loaded_models import UserHistory
from recommender.service.state import APPLICATION
from recommender.stored_lists import StoredList, parse_reason
from warehouse import normalization
from warehouse.database import Warehouse

CONNECTIONS = 8
# Longer than a release waits for readers, and they for it: releases.DROP_TIMEOUT.
SECONDS = 4
# Parameters of libpq that asyncpg understands in an address. All others are for libpq itself.
TLS = ("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword")
SESSION = {
    "application_name": APPLICATION,
    "default_transaction_read_only": "on",
    "jit": "off",
    "search_path": "pg_catalog",
}
# Each statement is planned once per connection: the partition is chosen when it starts. Citus needs the values to plan.
PLAN_ONCE = """
select set_config('plan_cache_mode', 'force_generic_plan', false)
where not exists (select 1 from pg_extension where extname = 'citus')
"""
LONGEST_GENRE_BYTES = 1000

LIST = """
select model_version, model_items, genre_items, track_ids, scores, reasons
from recommendations.lists
where user_id = $1 and list = $2 and release_id = $3
"""
HEARD = """
select
    users.favorite_genres,
    listens.track_ids,
    listens.days
from marts.users as users
left join lateral (
    select
        array_agg(track_id) as track_ids,
        array_agg((listened_at at time zone 'UTC')::date - date '1970-01-01') as days
    from marts.listen_history
    where user_id = $1 and known_at <= now() and listened_at <= now()
) as listens on true
where users.id = $1 and users.deleted_at is null
"""


class WarehouseUnavailableError(Exception):
    """Report that the warehouse did not answer. The request may be repeated."""


class WarehouseReads:
    """Read over connections to the warehouse that `find_warehouse` returns now; None while there is none."""

    def __init__(self, find_warehouse: Callable[[], Warehouse | None]) -> None:
        self._find_warehouse = find_warehouse
        self._pool: asyncpg.Pool | None = None
        self._pool_warehouse: Warehouse | None = None
        self._opening = asyncio.Lock()

    async def read_list(self, release_id: int, user_id: int, list_name: str) -> StoredList | None:
        row = await self.read_row(LIST, user_id, list_name, release_id)
        if row is None:
            return None
        *columns, reasons = row
        return StoredList(release_id, user_id, list_name, *columns, [parse_reason(text) for text in reasons])

    async def read_history(self, user_id: int) -> UserHistory:
        """Return the history of a user as of now; nothing if there is no such user."""
        row = await self.read_row(HEARD, user_id)
        if row is None:
            return UserHistory()
        return UserHistory(row["track_ids"] or (), row["days"] or (), genres_in(row["favorite_genres"]))

    async def read_row(self, statement: str, *values: Any) -> asyncpg.Record | None:
        """Return the first row, or None. Raises WarehouseUnavailableError."""
        found = await self.read_rows(statement, *values)
        return found[0] if found else None

    async def read_rows(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Return the rows. Raises WarehouseUnavailableError."""
        try:
            pool = await self._open()
            try:
                return await pool.fetch(statement, *values, timeout=SECONDS)
            except (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, ConnectionError):
                # an idle connection was cut, such as by a restart of the server
                await pool.expire_connections()
                return await pool.fetch(statement, *values, timeout=SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise WarehouseUnavailableError(type(error).__name__) from None

    async def close(self) -> None:
        if self._pool:
            self._pool.terminate()

    async def _open(self) -> asyncpg.Pool:
        warehouse = self._find_warehouse()
        if warehouse is None:
            raise ConnectionError
        if self._pool_warehouse is warehouse:
            return self._pool
        async with self._opening:
            if self._pool_warehouse is not warehouse:
                former = self._pool
                self._pool = await asyncpg.create_pool(
                    _address(warehouse.parameters),
                    password=warehouse.parameters["password"],
                    min_size=0,
                    init_size=0,
                    max_size=CONNECTIONS,
                    timeout=SECONDS,
                    command_timeout=SECONDS,
                    server_settings=SESSION,
                    init=_plan_once,
                    reset=_keep,
                )
                self._pool_warehouse = warehouse
                if former:
                    former.terminate()
        return self._pool


def genres_in(text: str | None) -> list[str]:
    """Return the genres in a comma-separated list, as the feature store normalizes them: macro `genre_list`."""
    names = {name.strip(" ") for name in normalization.normalize(text or "").split(",")}
    return sorted(name for name in names if name and len(name.encode()) <= LONGEST_GENRE_BYTES)


async def _plan_once(connection: asyncpg.Connection) -> None:
    await connection.execute(PLAN_ONCE)


async def _keep(connection: asyncpg.Connection) -> None:
    """Reset nothing: no request changes a setting, and a reset is a round trip."""


def _address(parameters: dict[str, str]) -> str:
    """Return the parameters as an address for asyncpg, without the password."""
    known = {"host": parameters["host"], "port": parameters["port"], "user": parameters["user"]}
    known |= {"dbname": parameters["dbname"]}
    known |= {name: parameters[name] for name in TLS if name in parameters}
    return f"postgresql://?{urlencode(known)}"
