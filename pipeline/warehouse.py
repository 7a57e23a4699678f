"""The warehouse as a whole: reaching it, one run at a time, and who we are while connected."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from pipeline.exits import Exit, Stop

OLDEST_VERSION = 150000
SCHEMAS = ("staging", "prep", "gate", "marts", "features", "ops")
RUN_LOCK = "moovitamix run"
# Backends of a run carry this name, so that the next run finds what a killed one left behind.
RUN_APPLICATION = "moovitamix run"
CONNECT_SECONDS = 15


@dataclass(frozen=True)
class Warehouse:
    """Where the warehouse is. `url` holds the password: never print it."""

    url: str = field(repr=False)
    parameters: dict[str, str] = field(repr=False)

    @property
    def place(self) -> str:
        """For messages: user, host, port and database, without the password."""
        known = self.parameters
        return f"{known['user']}@{known['host']}:{known['port']}/{known['dbname']}"

    def connect(self) -> psycopg.Connection:
        """An autocommit connection. Raises Stop(WAREHOUSE_UNAVAILABLE)."""
        return _connect(self.url)


def find(database_url: str, application_name: str) -> Warehouse:
    """Resolve any form that libpq knows (URL or key=value, password file, PG* variables) into one plain URL.

    Raises Stop: WRONG_SETTINGS for text that is no address, WAREHOUSE_UNAVAILABLE when nothing answers, the login
    fails, or the server is too old.
    """
    try:
        given = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError as error:
        raise Stop(
            Exit.WRONG_SETTINGS,
            "DATABASE_URL is not a Postgres address"
            " (expected postgresql://user:password@host:5432/database, special characters percent-encoded):"
            f" {redacted(error, database_url)}",
        ) from None
    with _connect(database_url) as connection:
        info = connection.info
        if info.server_version < OLDEST_VERSION:
            raise Stop(
                Exit.WAREHOUSE_UNAVAILABLE,
                f"the warehouse is Postgres {info.server_version // 10000}; it must be 15 or newer",
            )
        parameters = {
            **{name: str(value) for name, value in given.items() if name not in ("service", "passfile")},
            "host": info.host,
            "port": str(info.port),
            "user": info.user,
            # dlt wants a password, also where the server asks for none
            "password": info.password or "none-needed",
            "dbname": info.dbname,
            "application_name": application_name,
        }
    return Warehouse(_url(parameters), parameters)


def _url(parameters: dict[str, str]) -> str:
    in_front = ("user", "password", "host", "port", "dbname")
    user, password, host, port, dbname = (quote(parameters[name], safe="") for name in in_front)
    if parameters["host"].startswith("/"):  # a socket's folder has no place in front of the path
        rest = {"host": parameters["host"], "port": parameters["port"]}
        host = port = ""
    else:
        rest = {}
        host = f"[{parameters['host']}]" if ":" in parameters["host"] else host
    rest |= {name: value for name, value in parameters.items() if name not in in_front and name != "hostaddr"}
    return (
        f"postgresql://{user}:{password}@{host}{':' if port else ''}{port}/{dbname}?{urlencode(rest, quote_via=quote)}"
    )


def export(warehouse: Warehouse) -> None:
    """Put the connection into this process' environment, where dbt's profile looks for it."""
    for option in pq.Conninfo.get_defaults():
        value = warehouse.parameters.get(option.keyword.decode())
        if option.envvar and value is not None and option.keyword != b"password":
            os.environ[option.envvar.decode()] = value
    # dbt hides variables of this prefix in everything it writes
    os.environ["DBT_ENV_SECRET_PGPASSWORD"] = warehouse.parameters["password"]


def create_schemas(connection: psycopg.Connection) -> None:
    """Raises Stop(WAREHOUSE_UNAVAILABLE) when the user may not."""
    there = {name for (name,) in connection.execute("select nspname from pg_namespace")}
    try:
        for schema in SCHEMAS:
            if schema not in there:
                connection.execute(f"create schema if not exists {schema}")
    except psycopg.errors.InsufficientPrivilege:
        info = connection.info
        raise Stop(
            Exit.WAREHOUSE_UNAVAILABLE,
            f"the user {info.user} may not create schemas in the database {info.dbname};"
            f' as its owner run: grant create, temporary on database "{info.dbname}" to "{info.user}"',
        ) from None


@contextmanager
def only_run(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """Hold the run lock on the yielded connection. The lock is free as soon as its holder dies.

    Raises Stop(ALREADY_RUNNING). Ends the backends of a killed run first: one of them could still commit.
    """
    with warehouse.connect() as connection:
        if not connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK]).fetchone()[0]:
            raise Stop(
                Exit.ALREADY_RUNNING,
                f"another run works on {warehouse.place}; wait for it, or see what it does with: make status",
            )
        _end_leftovers(connection)
        yield connection


def is_running(connection: psycopg.Connection) -> bool:
    """Whether some run holds the lock now."""
    lock_free = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK]).fetchone()[0]
    if lock_free:
        connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [RUN_LOCK])
    return not lock_free


def _end_leftovers(connection: psycopg.Connection) -> None:
    connection.execute(
        """
        select pg_terminate_backend(pid, 10000)
        from pg_stat_activity
        where
            application_name like %s and application_name <> current_setting('application_name')
            and datname = current_database() and usename = current_user and pid <> pg_backend_pid()
        """,
        [RUN_APPLICATION + "%"],
    )


def _connect(conninfo: str) -> psycopg.Connection:
    try:
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise Stop(
            Exit.WAREHOUSE_UNAVAILABLE,
            f"the warehouse cannot be reached: {redacted(error, conninfo)};"
            " check DATABASE_URL, and that the server runs and lets this user in",
        ) from None


def redacted(message: object, conninfo: str) -> str:
    """The message on one line, without anything of the address that is or could be a password.

    An unescaped @ or / in a password makes libpq take a part of it for the host or the database and quote it.
    """
    secrets = set()
    with suppress(psycopg.ProgrammingError):
        secrets.add(conninfo_to_dict(conninfo).get("password"))
    after_user = re.search(r"//[^:/@]*:(.*)", conninfo, re.DOTALL)
    if after_user:
        userinfo, at, _ = after_user[1].rpartition("@")
        if at:
            secrets |= {userinfo, *re.split(r"[@/:?#]", userinfo)}
    in_pairs = re.search(r"password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", conninfo)
    if in_pairs:
        secrets |= {in_pairs[1], in_pairs[1].strip("'")}
    line = " ".join(str(message).split())
    for secret in sorted((str(secret) for secret in secrets if secret), key=len, reverse=True):
        line = line.replace(secret, "***")
    return line


UNAVAILABLE = (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege)


def unavailable(error: psycopg.Error, warehouse: Warehouse) -> Stop:
    """What to tell the operator when the database fails in the middle of a step."""
    if isinstance(error, psycopg.errors.DiskFull):
        advice = "the disk of the warehouse is full; free space there and run again: nothing was lost"
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        advice = "a right is missing; the README names the rights the user needs"
    else:
        advice = "run again when the server is back: nothing was lost"
    return Stop(Exit.WAREHOUSE_UNAVAILABLE, f"the warehouse failed: {redacted(error, warehouse.url)}; {advice}")


def run_application_name() -> str:
    """A name of our own that still says that it is a run."""
    return f"{RUN_APPLICATION} {uuid.uuid4().hex[:12]}"
