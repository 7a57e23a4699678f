"""Grant each step, each reader and each monitoring login the least privileges it needs, as roles."""

from collections.abc import Iterable, Sequence

import psycopg
from psycopg import sql

from pipeline.run.privilege_statements import (
    CREATION,
    list_readable,
    list_readable_by_service,
    make_statements,
    missing_memberships,
    missing_roles,
    read_column,
)
from pipeline.run.role_definitions import ANALYST, READABLE_SCHEMAS, READERS, SERVICE
from warehouse.errors import CommandError, ExitCode
from warehouse.names import STEP_ROLE_NAMES, STEP_ROLES

# Changing an owner needs an exclusive lock, and other sessions queue behind the request.
LOCK_TIMEOUT = "10s"


def is_granted(connection: psycopg.Connection) -> bool:
    """Return whether `grant` was used in this database: roles belong to the whole server."""
    (granted,) = connection.execute(
        """
        select count(*)
        from unnest(%s::text[], %s::text[]) as wanted (role_name, schema_name)
        inner join pg_roles as roles on wanted.role_name = roles.rolname
        inner join pg_namespace as schemas on wanted.schema_name = schemas.nspname
        where has_schema_privilege(roles.oid, schemas.oid, 'create')
        """,
        [list(STEP_ROLE_NAMES), [schema for _, schema in STEP_ROLES.values()]],
    ).fetchone()
    # one is enough: an earlier version may have granted them before a step got its role
    return granted > 0


def grant(connection: psycopg.Connection) -> None:
    """Create the roles that are missing, grant every privilege and revoke all others, in one transaction.

    Repeating it changes nothing. Raises CommandError(WAREHOUSE_UNAVAILABLE) if the user may not create or grant the
    roles, or if a table is in use.
    """
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        # Citus: privileges on shards and on local tables in one transaction; other servers ignore it
        connection.execute("set local citus.multi_shard_modify_mode = 'sequential'")
        missing = missing_roles(connection)
        # only the creator of a role may grant it
        of_others = missing_memberships(connection, [role for role in STEP_ROLE_NAMES if role not in missing])
        user = sql.Identifier(connection.info.user).as_string()
        _execute_or_ask(connection, map(CREATION.format, missing), f"alter role {user} createrole;")
        _execute_or_ask(connection, missing_memberships(connection, STEP_ROLE_NAMES), " ".join(of_others))
        try:
            # in a block, because Citus sends a statement to its workers as the text that it is part of
            connection.execute(
                "\n".join(("do $privileges$", "begin", *make_statements(connection), "end", "$privileges$"))
            )
        except psycopg.errors.LockNotAvailable:
            raise CommandError(
                ExitCode.WAREHOUSE_UNAVAILABLE,
                "another session uses a table that must change its owner; nothing was changed; retry later with:"
                " make grant",
            ) from None


def grant_new_columns(connection: psycopg.Connection) -> None:
    """Grant the readers what a build added: a model or a column. The user must own the models.

    Does nothing in a database without the roles.
    """
    if is_granted(connection):
        _grant_missing(connection, (*READERS, SERVICE))


def let_analysts_read(connection: psycopg.Connection) -> None:
    """Create the role of analysts if it is missing, and grant it what it may read. The user must own the models."""
    if ANALYST in missing_roles(connection):
        connection.execute(f"create role {ANALYST} nologin")
    for schema in read_column(
        connection,
        "select nspname from pg_namespace where nspname = any(%s) and not has_schema_privilege(%s, oid, 'usage')",
        [list(READABLE_SCHEMAS), ANALYST],
    ):
        connection.execute(f"grant usage on schema {schema} to {ANALYST}")
    _grant_missing(connection, (ANALYST,))


def _grant_missing(connection: psycopg.Connection, roles: Sequence[str]) -> None:
    """Grant those of the roles that are readers what they may read and cannot yet."""
    present = set(roles).difference(missing_roles(connection))
    for privilege, relation, readers, columns in (*list_readable(connection), *list_readable_by_service(connection)):
        granted = [role for role in readers if role in present]
        (is_missing,) = connection.execute(
            """
            select exists (
                select 1
                from unnest(%s::text[]) as readers (name)
                cross join unnest(%s::text[]) as columns (name)
                where not has_column_privilege(readers.name, %s::regclass, columns.name, 'select')
            )
            """,
            [granted, columns, relation],
        ).fetchone()
        if is_missing:
            connection.execute(f"grant {privilege} on {relation} to {', '.join(granted)}")


def _execute_or_ask(connection: psycopg.Connection, statements: Iterable[str], request: str) -> None:
    try:
        for statement in statements:
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        raise CommandError(
            ExitCode.WAREHOUSE_UNAVAILABLE,
            f"the user {connection.info.user} may not create and grant the roles; nothing was changed."
            f" Ask the owner of the server to run: {request} Then again: make grant",
        ) from None
