"""The warehouse as a whole: reaching it, one run at a time, and who we are while connected."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import quote, quote_plus, unquote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.exits import Exit, Stop
from pipeline.settings import SECRETS, secret

OLDEST_VERSION = 150000
SCHEMAS = ("staging", "prep", "gate", "marts", "features", "ops")
# Per step, the role that `grant` makes for it (see roles.py), and the schema in which that role makes things.
STEP_ROLES = {
    "extract": ("moovitamix_loader", "staging"),
    "gate": ("moovitamix_gate", "gate"),
    "build": ("moovitamix_transformer", "prep"),
}
RUN_LOCK = "moovitamix run"
# SQL. Only looks: a run that begins meanwhile must not find the lock taken.
IS_RUNNING = f"""exists (
    select 1
    from pg_locks
    cross join hashtextextended('{RUN_LOCK}', 0) as lock_key
    where
        locktype = 'advisory' and granted and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = lock_key
)"""
# Backends of a run carry this name, so that the next run finds what a killed one left behind. The same for every run:
# dbt parses the whole project anew when anything of its connection has changed.
RUN_APPLICATION = "moovitamix run"
# The connection that asks for the lock does not: a run that begins at the same moment must not take it for a leftover.
LOCK_APPLICATION = "moovitamix lock"
CONNECT_SECONDS = 15
# Whatever the address or the environment say: no other holds all that comes.
ENCODING = "utf8"
# Ways to other parameters, which are known by then.
RESOLVED = ("service", "servicefile", "passfile", "hostaddr", "load_balance_hosts")
# Of what is blotted out of the text of an error, besides whole secrets.
SHORTEST_TOKEN = 8
# What Postgres says -> what to do.
ADVICE = {
    "No space left on device|Disk quota exceeded": "free space on its disk and run again: nothing was lost",
    "permission denied|must be owner": (
        "a right is missing: where `make grant` was run, the user needs the step's role"
        f" ({', '.join(role for role, _ in STEP_ROLES.values())}), and after a new release its owner runs it once more;"
        f" elsewhere create and temporary on the database,"
        f" and to own the schemas {', '.join(SCHEMAS)} and what is in them; then run again"
    ),
    "terminating connection|closed the connection|connection .* failed|the database system is|too many clients": (
        "run again when the server is back: nothing was lost"
    ),
}


@dataclass(frozen=True)
class Warehouse:
    """Where the warehouse is: libpq's parameters by name, the password among them; never print them.

    `roles`: by step, the role that `grant` made for it here, where the user may take it. `server`: the process of the
    embedded Postgres.
    """

    parameters: dict[str, str] = field(repr=False)
    roles: Mapping[str, str] = field(default_factory=dict)
    server: int | None = None

    @property
    def conninfo(self) -> str:
        """The parameters as one text, for whoever speaks libpq."""
        return make_conninfo(**self.parameters)

    @property
    def place(self) -> str:
        """For messages: user, host, port and database, without the password."""
        known = self.parameters
        return f"{known['user']}@{known['host']}:{known['port']}/{known['dbname']}"

    def at_work(self, step: str) -> "Warehouse":
        """The same place, entered in the step's role, if the user has one: what a step makes belongs to that role then,
        whoever runs it, and the next login can go on with it."""
        if step not in self.roles:
            return self
        options = f"{self.parameters['options']} -c role={self.roles[step]}".strip()
        return replace(self, parameters={**self.parameters, "options": options})

    def connect(self) -> psycopg.Connection:
        """An autocommit connection. Raises Stop(WAREHOUSE_UNAVAILABLE)."""
        return _connect(self.conninfo)


def find(database_url: str, application_name: str) -> Warehouse:
    """Resolve any form that libpq knows (URL or key=value, password file, PG* variables) into plain parameters.

    Raises Stop: WRONG_SETTINGS for text that is no address, WAREHOUSE_UNAVAILABLE when nothing answers, the login
    fails, the server is too old, or the database cannot hold every text.
    """
    given = parameters_in(database_url)
    with _connect(database_url) as connection:
        info = connection.info
        if info.server_version < OLDEST_VERSION:
            raise Stop(
                Exit.WAREHOUSE_UNAVAILABLE,
                f"the warehouse is Postgres {info.server_version // 10000}; it must be 15 or newer",
            )
        encoding = info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise Stop(
                Exit.WAREHOUSE_UNAVAILABLE,
                f"the database {info.dbname} is encoded in {encoding}, which cannot hold every text; set DATABASE_URL"
                " to one made with: create database ... template template0 encoding 'UTF8' locale 'C.UTF-8'",
            )
        parameters = {
            # the connection knows more than the address: a service, PG* variables, which of several hosts answered
            **{name: value for name, value in info.get_parameters().items() if name not in RESOLVED},
            **({"hostaddr": info.hostaddr} if "hostaddr" in given else {}),
            "host": info.host,
            "port": str(info.port),
            "user": info.user,
            # dlt wants a password, also where the server asks for none
            "password": info.password or "none-needed",
            "dbname": info.dbname,
            # also when there are none, or libpq would look into PGOPTIONS, where `export` leaves those of another step
            "options": info.options,
            # nor into PGCLIENTENCODING
            "client_encoding": ENCODING,
            "application_name": application_name,
        }
        roles = _roles(connection)
    return Warehouse(parameters, roles)


def look(database_url: str, application_name: str, connect_seconds: int) -> psycopg.Connection:
    """An autocommit connection for a look at what is there, or Stop(WAREHOUSE_UNAVAILABLE) after that many seconds."""
    return _connect(database_url, application_name=application_name, connect_timeout=connect_seconds)


def parameters_in(database_url: str) -> dict[str, str]:
    """What the address says, and no more. Raises Stop(WRONG_SETTINGS) for text that is no address."""
    try:
        return conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        # the parser's own words quote the address, password and all
        raise Stop(
            Exit.WRONG_SETTINGS,
            "DATABASE_URL is not a Postgres address; it must look like postgresql://user:password@host:5432/database"
            " with special characters percent-encoded",
        ) from None


def _roles(connection: psycopg.Connection) -> dict[str, str]:
    """By step, the role that `grant` made for it in this database, if the user may take it.

    Roles belong to the whole server: one that may make nothing in this database was made for another.
    """
    rows = connection.execute(
        """
        select wanted.step, roles.rolname
        from unnest(%s::text[], %s::text[], %s::text[]) as wanted (step, role_name, schema_name)
        inner join pg_roles as roles on wanted.role_name = roles.rolname
        inner join pg_namespace as schemas on wanted.schema_name = schemas.nspname
        where has_schema_privilege(roles.oid, schemas.oid, 'create') and pg_has_role(roles.oid, %s)
        """,
        [
            list(STEP_ROLES),
            [role for role, _ in STEP_ROLES.values()],
            [schema for _, schema in STEP_ROLES.values()],
            may_take_role(connection),
        ],
    )
    return dict(rows.fetchall())


def may_take_role(connection: psycopg.Connection) -> str:
    """What `pg_has_role` calls the right to `set role`."""
    return "set" if connection.info.server_version >= 160000 else "member"


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
    with _connect(warehouse.conninfo, application_name=LOCK_APPLICATION) as connection:
        if not connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK]).fetchone()[0]:
            raise Stop(
                Exit.ALREADY_RUNNING,
                f"another run works on {warehouse.place}; wait for it, or see what it does with: make status",
            )
        # the lock's connection says nothing while a step works
        connection.execute("set idle_session_timeout = 0")
        _end_leftovers(connection)
        yield connection


def has(connection: psycopg.Connection, relation: str) -> bool:
    """Whether the warehouse has the relation, named with its schema."""
    return connection.execute("select to_regclass(%s) is not null", [relation]).fetchone()[0]


def is_running(connection: psycopg.Connection) -> bool:
    """Whether some run holds the lock now."""
    return connection.execute(f"select {IS_RUNNING}").fetchone()[0]


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


def _connect(conninfo: str, **more: str | int) -> psycopg.Connection:
    settings = {"connect_timeout": CONNECT_SECONDS, "client_encoding": ENCODING, **more}
    try:
        return psycopg.connect(conninfo, autocommit=True, **settings)
    except psycopg.OperationalError as error:
        raise Stop(
            Exit.WAREHOUSE_UNAVAILABLE,
            f"the warehouse cannot be reached: {redacted(error, conninfo)};"
            " check DATABASE_URL, and that the server runs and lets this user in",
        ) from None


def redacted(message: object, conninfo: str) -> str:
    """The first line of the message, without anything of the address that is or could be a password.

    An unescaped @ or / in a password makes libpq take a part of it for the host or the database and quote it. The
    lines after the first, DETAIL and CONTEXT, quote rows.
    """
    secrets = set()
    with suppress(psycopg.ProgrammingError):
        secrets.add(conninfo_to_dict(conninfo).get("password"))
    after_user = re.search(r"//[^:/@]*:(.*)", conninfo, re.DOTALL)
    if after_user:
        userinfo, at, _ = after_user[1].rpartition("@")
        if at:
            secrets |= {userinfo, *(part for part in re.split(r"[@/:?#]", userinfo) if len(part) > 2)}
    primary = message.diag.message_primary if isinstance(message, psycopg.Error) else None
    line = " ".join((primary or str(message)).strip().partition("\n")[0].split())
    return _blotted(line, {str(known) for known in secrets if known})


def without_secrets(text: str) -> str:
    """The text of an error that nobody foresaw, and which may quote anything, with what is secret blotted out."""
    secrets = {os.environ.get("DBT_ENV_SECRET_PGPASSWORD")}
    for name in SECRETS:
        with suppress(Stop):  # a file that went away since
            secrets.add(secret(name))
    with suppress(Stop):
        secrets.update(_parts(secret("ALERT_URLS") or ""))
    return _blotted(text, {spelling for known in secrets if known for spelling in _spellings(known)})


def _parts(addresses: str) -> set[str]:
    """Each of them, and what in it is long enough to be a token or a password: an error may quote that alone."""
    each = re.split(r"[\s,;]+", addresses)
    parts = {part for address in each for part in re.split(r"[/:@?&=#]+", address) if len(part) >= SHORTEST_TOKEN}
    return {*each, *parts, *map(unquote, parts)}


def _spellings(text: str) -> set[str]:
    return {text, quote(text), quote(text, safe=""), quote_plus(text), repr(text)[1:-1], json.dumps(text)[1:-1]}


def _blotted(text: str, secrets: set[str]) -> str:
    # the longest first: one may be a part of another
    for known in sorted(secrets, key=len, reverse=True):
        text = text.replace(known, "***")
    return text


@contextmanager
def failures_explained(warehouse: Warehouse) -> Iterator[None]:
    """Turn what only the keeper of the database can mend into Stop(WAREHOUSE_UNAVAILABLE)."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
        message = redacted(error, warehouse.conninfo)
        advice = advice_on(message) or "run again when the server is back: nothing was lost"
        raise Stop(Exit.WAREHOUSE_UNAVAILABLE, f"the warehouse failed: {message}; {advice}") from None


def advice_on(message: str) -> str | None:
    """What to do when the database itself is what failed, by the words of Postgres; None for any other failure."""
    for words, advice in ADVICE.items():
        if re.search(words, message):
            return advice
    return None
