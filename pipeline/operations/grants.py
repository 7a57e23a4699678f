"""Create the roles of the warehouse, grant their privileges, and show who may do what."""

import psycopg
from rich.console import Console
from rich.table import Table

from pipeline.run import privilege_statements, privileges, role_definitions
from pipeline.run.role_definitions import ANALYST, READERS, ROLES
from warehouse import ownership, schema
from warehouse.database import has
from warehouse.errors import CommandError, ExitCode
from warehouse.names import SCHEMAS, STEP_ROLE_NAMES

PRESENT_PRIVILEGES = """
select
    roles.role_name,
    schemas.nspname,
    case
        when not has_schema_privilege(roles.role_name, schemas.oid, 'usage') then ''
        when bool_and(pg_get_userbyid(relations.relowner) = roles.role_name) then 'owns'
        when bool_or(has_table_privilege(roles.role_name, relations.oid, 'insert')) then 'writes'
        when bool_and(has_table_privilege(roles.role_name, relations.oid, 'select')) then 'reads'
        when bool_or(has_any_column_privilege(roles.role_name, relations.oid, 'select')) then 'reads part'
        else ''
    end
from unnest(%s::text[]) as roles (role_name)
cross join pg_namespace as schemas
left join pg_class as relations
    on schemas.oid = relations.relnamespace and relations.oid = any(%s::regclass[])
where schemas.nspname = any(%s)
group by roles.role_name, schemas.oid, schemas.nspname
"""


def script(connection: psycopg.Connection) -> str:
    """Return the statements that `grant` would execute now, as text for psql. Raises CommandError like `grant`."""
    _check_is_built(connection)
    missing = privilege_statements.missing_roles(connection)
    statements = [
        *map(privilege_statements.CREATION.format, missing),
        *privilege_statements.missing_memberships(connection, STEP_ROLE_NAMES),
        *privilege_statements.make_statements(connection),
    ]
    note = "-- nothing was changed; to execute this, repeat without --dry-run"
    return "\n".join(["begin;", *statements, "commit;", note])


def grant(connection: psycopg.Connection) -> None:
    """Create the roles and grant their privileges in one transaction. Repeating it changes nothing.

    Raises CommandError: WRONG_SETTINGS before the first build, WAREHOUSE_UNAVAILABLE if the user may not create or
    grant the roles, or if a table is in use.
    """
    _check_is_built(connection)
    privileges.grant(connection)


def show(connection: psycopg.Connection, output: Console) -> None:
    """Print what each role may do in each schema according to the database, and the next step."""
    own = [name for _, kind, name in ownership.relations(connection) if kind in ("table", "view")]
    rows = connection.execute(PRESENT_PRIVILEGES, [list(ROLES), own, list(SCHEMAS)])
    present = {(role, schema_name): privilege for role, schema_name, privilege in rows}
    table = Table(title="privileges of each role", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("role", *SCHEMAS):
        table.add_column(name)
    for role in ROLES:
        table.add_row(role, *(present[role, schema_name] for schema_name in SCHEMAS))
    output.print(table)
    personal = [
        f"marts.{mart}.{name}"
        for mart, columns in role_definitions.read_marts().items()
        for name in columns
        if columns[name]
    ]
    output.print(f"hidden from {' and '.join(READERS)}: {', '.join(personal)}", soft_wrap=True)
    output.print(f"next: grant each login its role, such as: grant {ANALYST} to <login>", soft_wrap=True)


def _check_is_built(connection: psycopg.Connection) -> None:
    """Raise CommandError(WRONG_SETTINGS) unless migrations and the first build have made every relation."""
    needed = (*(f"marts.{mart}" for mart in role_definitions.read_marts()), "features.user_profile")
    if missing := next((relation for relation in needed if not has(connection, relation)), None):
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"the warehouse has no {missing} yet, and privileges are granted on existing relations; first: make run",
        )
    if not schema.is_current(connection):
        raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOT_PREPARED)
