"""Find the warehouse, connect to it in the right role, and translate its errors."""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from warehouse.errors import CommandError, ExitCode
from warehouse.names import SCHEMAS, STEP_ROLES
from warehouse.redaction import redact

OLDEST_VERSION = 150000
CONNECT_SECONDS = 15
# Overrides the address and the environment: no other encoding can hold every text the API sends.
ENCODING = "utf8"
# Parameters that only lead to other parameters, which libpq has resolved once it is connected.
RESOLVED = ("service", "servicefile", "passfile", "hostaddr", "load_balance_hosts")
NOTHING_LOST = "run again when the server is available: nothing was lost"
LOST = f"{NOTHING_LOST}. If it happens again, the log of the server says why"
# SQLSTATE, or its first two characters -> advice. Messages may be in any language.
ADVICE = {
    "53100": "free space on its disk, then run again: nothing was lost",
    "25006": (
        "it is read-only: connect to the primary instead of a standby, free space if the provider locked a full disk,"
        " or end `default_transaction_read_only` for this user or database. Then run again"
    ),
    "57014": (
        "if nobody cancelled the statement, `statement_timeout` is too short for it: end or raise it for this user or"
        " database, or in PGOPTIONS. Then run again: nothing was lost"
    ),
    "25P04": (
        "`transaction_timeout` is too short: end or raise it for this user or database, or in PGOPTIONS."
        " Then run again: nothing was lost"
    ),
    "42501": (
        "the user lacks a privilege. If `make grant` was run here, the user needs the role of the step"
        f" ({', '.join(role for role, _ in STEP_ROLES.values())}), and the owner runs `make migrate` after an update."
        " If not, the user needs create and temporary on the database,"
        f" and must own the schemas {', '.join(SCHEMAS)} and their relations. Then run again"
    ),
    "55P03": "another session holds a lock on what is needed here. Run again when it is over, or raise `lock_timeout`",
    "53": NOTHING_LOST,  # too many connections, out of memory
    "57": NOTHING_LOST,  # shut down, crashed, starting
    "08": LOST,
}
# libpq's own messages, which are always in English: a lost connection has no SQLSTATE.
CONNECTION_LOST = "closed the connection|connection .* failed|could not receive data|SSL connection has been"
POOLED = (
    "DATABASE_URL leads through a connection pooler in transaction mode, which breaks the run lock; use the direct"
    " address of the server, or a pool in session mode"
)
# What the project relies on: it overrides the settings of the user and the database.
SESSION = {
    # each statement of a transaction sees what other transactions have committed
    "default_transaction_isolation": "read\\ committed",
    # psycopg reads no other
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    # names that Postgres returns are compared with known ones
    "quote_all_identifiers": "off",
    # a backslash in SQL is a backslash, and a NULL in an array is one
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    # some connections hold a lock, or wait, while others work
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
OPTIONS = " ".join(f"-c {name}={value}" for name, value in SESSION.items())


@dataclass(frozen=True)
class Warehouse:
    """Hold the connection parameters of the warehouse, by libpq name. They include the password: never print them.

    `roles`: by step, the role that `grant` made for it, if the user may `set role` to it. `server`: process id of the
    embedded Postgres.
    """

    parameters: dict[str, str] = field(repr=False)
    roles: Mapping[str, str] = field(default_factory=dict)
    server: int | None = None

    @property
    def conninfo(self) -> str:
        """Return the parameters as one libpq connection string."""
        return make_conninfo(**self.parameters)

    @property
    def display_name(self) -> str:
        """Return user, host, port and database for messages, without the password."""
        known = self.parameters
        return f"{known['user']}@{known['host']}:{known['port']}/{known['dbname']}"

    def at_work(self, step: str) -> "Warehouse":
        """Return the same warehouse with the step's role set, if the user has that role.

        Relations that a step creates then belong to the role, so that another login can continue with them.
        """
        if step not in self.roles:
            return self
        options = f"{self.parameters['options']} -c role={self.roles[step]}".strip()
        return replace(self, parameters={**self.parameters, "options": options})

    def connect(self) -> psycopg.Connection:
        """Open an autocommit connection. Raises CommandError(WAREHOUSE_UNAVAILABLE)."""
        return connect(self.conninfo)


def find(database_url: str, application_name: str) -> Warehouse:
    """Resolve any address that libpq accepts (URL or key=value, password file, PG* variables) into plain parameters.

    Raises CommandError: WRONG_SETTINGS for an invalid address, and a database that dbt cannot name;
    WAREHOUSE_UNAVAILABLE when nothing answers, the login fails, the server is too old, or the database is not encoded
    in UTF-8.
    """
    given = parameters_in(database_url)
    # libpq would send it beside the options, and it would win over them
    os.environ.pop("PGDATESTYLE", None)
    with connect(database_url) as connection, _translate_errors(database_url):
        info = connection.info
        if re.search("""['"]""", info.dbname):
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                f"the name of the database {info.dbname} contains a quote, which dbt cannot use; rename the database",
            )
        if info.server_version < OLDEST_VERSION:
            raise CommandError(
                ExitCode.WAREHOUSE_UNAVAILABLE,
                f"the warehouse is Postgres {info.server_version // 10000}; it must be 15 or newer",
            )
        if problem := encoding_problem(connection):
            raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, problem)
        parameters = {
            # the connection knows more than the address: the service, PG* variables, the host that answered
            **{name: value for name, value in info.get_parameters().items() if name not in RESOLVED},
            **({"hostaddr": info.hostaddr} if "hostaddr" in given else {}),
            "host": info.host,
            "port": str(info.port),
            "user": info.user,
            # dlt requires a password even if the server does not ask for one
            "password": info.password or "none-needed",
            "dbname": info.dbname,
            # set even if empty: otherwise libpq reads PGOPTIONS, where `export` left the options of another step
            "options": f"{info.options} {OPTIONS}".strip(),
            # likewise instead of PGCLIENTENCODING
            "client_encoding": ENCODING,
            "application_name": application_name,
        }
        roles = _roles(connection)
    return Warehouse(parameters, roles)


def encoding_problem(connection: psycopg.Connection) -> str | None:
    """Return why the database cannot hold every text, and how to fix it. Return None if it can."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding == "UTF8":
        return None
    return (
        f"the database {connection.info.dbname} is encoded in {encoding}, which cannot hold every text; set"
        " DATABASE_URL to one made with: create database ... template template0 encoding 'UTF8' locale 'C.UTF-8'"
    )


def connect_for_monitoring(database_url: str, application_name: str, connect_seconds: int) -> psycopg.Connection:
    """Open an autocommit connection with a short timeout, in seconds. Raises CommandError(WAREHOUSE_UNAVAILABLE)."""
    connection = connect(database_url, application_name=application_name, connect_timeout=connect_seconds)
    # not as options, which some poolers refuse
    connection.execute(f"set DateStyle = {SESSION['DateStyle']}")
    return connection


def parameters_in(database_url: str) -> dict[str, str]:
    """Parse the address without resolving it. Raises CommandError(WRONG_SETTINGS) for an invalid one."""
    try:
        return conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        # the parser's message quotes the address, including the password
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "DATABASE_URL is not a Postgres address; it must look like postgresql://user:password@host:5432/database"
            " with special characters percent-encoded",
        ) from None


def _roles(connection: psycopg.Connection) -> dict[str, str]:
    """Return by step the role that `grant` made for it in this database, if the user may `set role` to it.

    Roles belong to the whole server: a role without the create privilege here was made for another database.
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
            set_role_privilege(connection),
        ],
    )
    return dict(rows.fetchall())


def set_role_privilege(connection: psycopg.Connection) -> str:
    """Return the name by which `pg_has_role` tests for the privilege to `set role`."""
    return "set" if connection.info.server_version >= 160000 else "member"


def export(warehouse: Warehouse) -> None:
    """Put the connection parameters into this process' environment, where dbt's profile reads them."""
    for option in pq.Conninfo.get_defaults():
        value = warehouse.parameters.get(option.keyword.decode())
        if option.envvar and value is not None and option.keyword != b"password":
            os.environ[option.envvar.decode()] = value
    # dbt masks variables with this prefix in all its output
    os.environ["DBT_ENV_SECRET_PGPASSWORD"] = warehouse.parameters["password"]


def create_schemas(connection: psycopg.Connection) -> None:
    """Create the schemas that are missing. Raises CommandError(WAREHOUSE_UNAVAILABLE) if the user may not."""
    there = {name for (name,) in connection.execute("select nspname from pg_namespace")}
    try:
        for schema in SCHEMAS:
            if schema not in there:
                connection.execute(f"create schema if not exists {schema}")
    except psycopg.errors.InsufficientPrivilege:
        info = connection.info
        grant = sql.SQL("grant create, temporary on database {} to {}").format(
            sql.Identifier(info.dbname), sql.Identifier(info.user)
        )
        raise CommandError(
            ExitCode.WAREHOUSE_UNAVAILABLE,
            f"the user {info.user} may not create schemas in the database {info.dbname};"
            f" as its owner run: {grant.as_string()}",
        ) from None


def has(connection: psycopg.Connection, relation: str) -> bool:
    """Return whether the relation, named as "schema.relation", exists."""
    return connection.execute("select to_regclass(%s) is not null", [relation]).fetchone()[0]


def identity(connection: psycopg.Connection) -> str:
    """Return 16 characters that identify the connected database, also when the server's port or name changes.

    A database that was dropped and created again has others.
    """
    (number,) = connection.execute(
        "select (select system_identifier from pg_control_system()) || '/' || oid"
        " from pg_database where datname = current_database()"
    ).fetchone()
    return sha256(number.encode()).hexdigest()[:16]


def connect(conninfo: str, **overrides: str | int) -> psycopg.Connection:
    """Open an autocommit connection. Raises CommandError(WAREHOUSE_UNAVAILABLE)."""
    settings = {"connect_timeout": CONNECT_SECONDS, "client_encoding": ENCODING, **overrides}
    try:
        return psycopg.connect(conninfo, autocommit=True, **settings)
    except psycopg.OperationalError as error:
        if "unsupported startup parameter" in str(error):  # only poolers refuse one
            raise CommandError(ExitCode.WRONG_SETTINGS, POOLED) from None
        raise CommandError(
            ExitCode.WAREHOUSE_UNAVAILABLE,
            f"the warehouse cannot be reached: {redact(error, conninfo)};"
            " check DATABASE_URL, and that the server is running and accepts this user",
        ) from None


def translate_database_errors(warehouse: Warehouse) -> AbstractContextManager[None]:
    """Turn errors that only a database administrator can fix into CommandError(WAREHOUSE_UNAVAILABLE)."""
    return _translate_errors(warehouse.conninfo)


@contextmanager
def _translate_errors(conninfo: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        raise CommandError(
            ExitCode.WAREHOUSE_UNAVAILABLE,
            f"the warehouse lacks a table of the project: {redact(error, conninfo)}; if somebody renamed it, undo that,"
            " else restore it from a backup: docs/runbooks/restore-from-backup.md",
        ) from None
    except psycopg.Error as error:
        message = redact(error, conninfo)
        advice = advice_about(error.sqlstate, message)
        if advice is None and not isinstance(error, psycopg.OperationalError):
            raise
        raise CommandError(
            ExitCode.WAREHOUSE_UNAVAILABLE, f"the warehouse failed: {message}; {advice or NOTHING_LOST}"
        ) from None


def advice_about(sqlstate: str | None, message: str = "") -> str | None:
    """Return advice if the database itself failed. Return None for any other failure."""
    if sqlstate is None:
        return LOST if re.search(CONNECTION_LOST, message) else None
    return ADVICE.get(sqlstate) or ADVICE.get(sqlstate[:2])


def check_is_direct(connection: psycopg.Connection, conninfo: str) -> None:
    """Raise CommandError(WRONG_SETTINGS) if a pooler may give the connection another session between statements.

    A pooler gives the idle session to the next transaction, which then sees its settings; or this connection gets
    another session while that transaction holds its own.
    """
    mark = secrets.token_hex(8)
    read = "select coalesce(current_setting('moovitamix.session', true), '')"
    connection.execute("select set_config('moovitamix.session', %s, false)", [mark])
    with connect(conninfo) as other, other.transaction():
        is_shared = other.execute(read).fetchone()[0] == mark
        is_lost = connection.execute(read).fetchone()[0] != mark
    if is_shared or is_lost:
        raise CommandError(ExitCode.WRONG_SETTINGS, POOLED)
