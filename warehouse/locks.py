"""Allow one run at a time: take the run lock, and end the backends that a killed run left behind.

Shards of a release share the lock: they work beside each other, and beside no run.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from warehouse.database import Warehouse, check_is_direct, connect
from warehouse.errors import CommandError, ExitCode

RUN_LOCK = "moovitamix run"
# SQL. Reads pg_locks and does not try the lock: a run that starts at this moment must not find it taken.
HOLDERS = f"""
    select mode
    from pg_locks
    cross join hashtextextended('{RUN_LOCK}', 0) as lock_key
    where
        locktype = 'advisory' and granted and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = lock_key
"""
# Backends of a run carry this name, so that the next run finds those of a killed one. Every run uses the same name:
# dbt parses the whole project again if any part of its connection has changed.
RUN_APPLICATION = "moovitamix run"
# The connection that requests the lock has another name, so that no other run ends it as a leftover.
LOCK_APPLICATION = "moovitamix lock"


@contextmanager
def run_lock(warehouse: Warehouse, *, is_shared: bool = False) -> Iterator[psycopg.Connection]:
    """Hold the run lock on the yielded connection. Postgres frees the lock when the connection ends.

    `is_shared`: together with others who share it, for work that has another application name than a run. Ends the
    backends of a killed run first, because one of them could still commit. Raises CommandError(ALREADY_RUNNING).
    """
    with connect(warehouse.conninfo, application_name=LOCK_APPLICATION) as connection:
        if not try_run_lock(connection, is_shared=is_shared):
            raise CommandError(ExitCode.ALREADY_RUNNING, _describe_holder(connection, warehouse))
        check_is_direct(connection, warehouse.conninfo)
        _end_leftovers(connection)
        try:
            yield connection
        finally:
            # At once: the server notices the end of a connection a little later.
            with suppress(psycopg.Error):
                connection.execute("select pg_advisory_unlock_all()")


def try_run_lock(connection: psycopg.Connection, *, is_shared: bool = False) -> bool:
    """Take the run lock on this connection. Return False if another connection holds it, or does not share it."""
    function = "pg_try_advisory_lock_shared" if is_shared else "pg_try_advisory_lock"
    return connection.execute(f"select {function}(hashtextextended(%s, 0))", [RUN_LOCK]).fetchone()[0]


def is_running(connection: psycopg.Connection) -> bool:
    """Return whether a run, or a shard of a release, holds the lock now."""
    return connection.execute(f"select exists ({HOLDERS})").fetchone()[0]


def are_shards_running(connection: psycopg.Connection) -> bool:
    """Return whether shards of a release hold the lock now."""
    return {mode for (mode,) in connection.execute(HOLDERS)} == {"ShareLock"}


def _describe_holder(connection: psycopg.Connection, warehouse: Warehouse) -> str:
    """Return who holds the lock, and what to do, as the message of an error."""
    if are_shards_running(connection):
        return f"shards of a release are using {warehouse.display_name}; wait until their lists are made, and run again"
    return f"another run is using {warehouse.display_name}; wait for it, or see its progress with: make status"


def _end_leftovers(connection: psycopg.Connection) -> None:
    connection.execute(
        """
        select pg_terminate_backend(pid, 10000)
        from pg_stat_activity
        where
            application_name = %s
            and datname = current_database() and usename = current_user and pid <> pg_backend_pid()
        """,
        [RUN_APPLICATION],
    )
