"""Create roles with the least privileges that each step, each reader and each monitoring login needs.

The roles cannot log in: the operator grants them to logins. The relations of a step change their owner to its role.
Their previous owner becomes a member of the role, and keeps all its rights.
"""

from collections.abc import Iterable, Sequence

import psycopg
import yaml
from psycopg import sql
from rich.console import Console
from rich.table import Table

from expectations import batch_tables
from pipeline.records import run_ledger
from pipeline.settings import PROJECT
from warehouse import normalization, ownership
from warehouse.database import has, set_role_privilege
from warehouse.errors import CommandError, ExitCode
from warehouse.names import SCHEMAS, STEP_ROLES

MARTS = PROJECT / "dbt_project" / "models" / "marts" / "_marts.yml"
LOADER, GATE, TRANSFORMER = STEPS = tuple(role for role, _ in STEP_ROLES.values())
ANALYST, RECOMMENDER = READERS = ("moovitamix_analyst", "moovitamix_recommender")
MONITOR = "moovitamix_monitor"
ROLES = (*STEPS, *READERS, MONITOR)
# A new mart is hidden from the recommender until it is listed here.
RECOMMENDERS_MARTS = ("users", "tracks", "track_genres", "listen_history")
# Changing an owner needs an exclusive lock, and other sessions queue behind the request.
LOCK_TIMEOUT = "10s"

CREATION = "create role {} nologin;"

RIGHTS = """
-- revoke everything that is not granted below
revoke all on schema staging, prep, gate, marts, features, ops
    from public, moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_analyst, moovitamix_recommender,
    moovitamix_monitor;
revoke all on {tables} from public;
revoke all on sequence {sequences} from public;
revoke all on function {functions} from public;
revoke all on {staging}
    from moovitamix_gate, moovitamix_transformer, moovitamix_analyst, moovitamix_recommender, moovitamix_monitor;
revoke all on {prep}, {marts}, {features}
    from moovitamix_loader, moovitamix_gate, moovitamix_analyst, moovitamix_recommender, moovitamix_monitor;
revoke all on {gate}, {ops}
    from moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_analyst, moovitamix_recommender,
    moovitamix_monitor;

-- every step writes the run ledger
grant usage on schema ops to moovitamix_loader, moovitamix_gate, moovitamix_transformer;
grant select, insert, update on {ops} to moovitamix_loader, moovitamix_gate, moovitamix_transformer;
grant delete on ops.owned_relations to moovitamix_loader, moovitamix_gate, moovitamix_transformer;

-- extract owns the landing tables, because dlt adds columns and indexes
grant usage, create on schema staging to moovitamix_loader;
{new_owners_of_landing_tables}
grant usage on schema gate to moovitamix_loader;
grant select on gate.loads, gate.erasures to moovitamix_loader;

-- the gate makes batch tables (only their owner could drop those of a killed gate) and permanent decisions
drop table if exists {working_tables};
grant usage on schema staging, prep to moovitamix_gate;
grant select on {staging} to moovitamix_gate;
grant select on {staging_views} to moovitamix_gate;
grant usage, create on schema gate to moovitamix_gate;
grant select, insert, update, delete on gate.loads to moovitamix_gate;
grant select, insert, update on gate.quarantined_rows to moovitamix_gate;
grant select, insert on gate.publications, gate.decisions, gate.told_fields to moovitamix_gate;

-- the build owns its models, because dbt replaces views, adds columns, and writes comments
grant usage, create on schema prep, marts, features to moovitamix_transformer;
{new_owners_of_models}
{rights_on_normalization}
grant usage on schema staging, gate to moovitamix_transformer;
grant select on {staging}, {gate} to moovitamix_transformer;

-- readers see no personal column
grant usage on schema marts, features to moovitamix_analyst, moovitamix_recommender;
grant select on {features} to moovitamix_analyst, moovitamix_recommender;
{rights_on_marts}

-- monitoring sees no source rows: neither keys nor details of failed rules
grant usage on schema gate, ops to moovitamix_monitor;
grant select on {ops} to moovitamix_monitor;
grant select on gate.loads, gate.publications to moovitamix_monitor;
grant select (load_id, table_name, dlt_id, rule, quarantined_at, closed_at, outcome) on gate.quarantined_rows
    to moovitamix_monitor;
"""

# For a database whose owner has revoked the default privileges of PUBLIC.
DATABASE_RIGHTS = """
select format(rights.statement, current_database())
from (
    values
    ('connect', 'grant connect on database %I to moovitamix_loader, moovitamix_gate, moovitamix_transformer,'
        ' moovitamix_analyst, moovitamix_recommender, moovitamix_monitor;'),
    ('temporary', 'grant temporary on database %I to moovitamix_gate, moovitamix_transformer;')
) as rights (name, statement)
where not has_database_privilege('public', current_database(), rights.name)
"""

# From Postgres 16 on, the creator of a role may grant it, but not use it.
MEMBERSHIPS = """
select
    format(
        'grant %%s to %%I%%s;',
        string_agg(wanted.role_name, ', ' order by wanted.place), owners.rolname, %(options)s::text
    )
from pg_roles as owners
cross join unnest(%(roles)s::text[]) with ordinality as wanted (role_name, place)
left join pg_roles as roles on wanted.role_name = roles.rolname
where
    owners.oid in (select nspowner from pg_namespace where nspname = any(%(schemas)s)) and not owners.rolsuper
    and (
        roles.oid is null
        or not pg_has_role(owners.oid, roles.oid, 'usage')
        or not pg_has_role(owners.oid, roles.oid, %(may_take)s)
    )
group by owners.rolname
"""

NEW_OWNERS = """
select format('alter table %%s owner to %%I;', oid::regclass, %(role)s::text)
from pg_class
where oid = any(%(relations)s::regclass[]) and pg_get_userbyid(relowner) <> %(role)s
order by oid
"""

# Readers of a view call its functions. Before the first build of this version, there may be none.
FUNCTIONS = """
select statement
from pg_proc as functions
inner join pg_namespace as schemas on functions.pronamespace = schemas.oid
cross join lateral (
    values
    (1, format('alter function %%s owner to %%I;', functions.oid::regprocedure, %(owner)s::text)),
    (2, format('grant execute on function %%s to %%s;', functions.oid::regprocedure, %(readers)s::text))
) as statements (place, statement)
where
    schemas.nspname = %(schema)s and functions.proname = %(function)s
    and (place = 2 or pg_get_userbyid(functions.proowner) <> %(owner)s)
order by functions.oid, place
"""

RIGHTS_THERE_ARE = """
select
    roles.role_name,
    schemas.nspname,
    case
        when not has_schema_privilege(roles.role_name, schemas.oid, 'usage') then ''
        when bool_and(pg_get_userbyid(relations.relowner) = roles.role_name) then 'owns'
        when bool_or(has_table_privilege(roles.role_name, relations.oid, 'insert')) then 'writes'
        when bool_and(has_table_privilege(roles.role_name, relations.oid, 'select')) then 'reads'
        when bool_or(has_any_column_privilege(roles.role_name, relations.oid, 'select')) then 'reads a part'
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
    missing = _missing_roles(connection)
    statements = [*map(CREATION.format, missing), *_missing_memberships(connection, STEPS), *_rights(connection)]
    note = "-- nothing was changed; to execute this, repeat without --dry-run"
    return "\n".join(["begin;", *statements, "commit;", note])


def grant(connection: psycopg.Connection) -> None:
    """Create the roles and grant their rights in one transaction. Repeating it changes nothing.

    Raises CommandError: WRONG_SETTINGS before the first build, WAREHOUSE_UNAVAILABLE if the user may not create or
    grant the roles, or if a table is in use.
    """
    _check_is_built(connection)
    run_ledger.prepare(connection)  # the owner creates the tables of a new version
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        missing = _missing_roles(connection)
        # only the creator of a role may grant it
        of_others = _missing_memberships(connection, [role for role in STEPS if role not in missing])
        user = sql.Identifier(connection.info.user).as_string()
        _execute_or_ask(connection, map(CREATION.format, missing), f"alter role {user} createrole;")
        _execute_or_ask(connection, _missing_memberships(connection, STEPS), " ".join(of_others))
        try:
            connection.execute("\n".join(_rights(connection)))
        except psycopg.errors.LockNotAvailable:
            raise CommandError(
                ExitCode.WAREHOUSE_UNAVAILABLE,
                "another session uses a table that must change its owner; nothing was changed; retry later with:"
                " make grant",
            ) from None


def show(connection: psycopg.Connection, output: Console) -> None:
    """Print what each role may do in each schema according to the database, and the next step."""
    own = [name for _, kind, name in ownership.relations(connection) if kind in ("table", "view")]
    rows = connection.execute(RIGHTS_THERE_ARE, [list(ROLES), own, list(SCHEMAS)])
    rights = {(role, schema): right for role, schema, right in rows}
    table = Table(title="rights of each role", title_justify="left")
    for name in ("role", *SCHEMAS):
        table.add_column(name)
    for role in ROLES:
        table.add_row(role, *(rights[role, schema] for schema in SCHEMAS))
    output.print(table)
    hidden = [f"marts.{mart}.{name}" for mart, columns in _marts().items() for name in columns if columns[name]]
    output.print(f"hidden from {' and '.join(READERS)}: {', '.join(hidden)}", soft_wrap=True)
    output.print(f"next: grant each login its role, such as: grant {ANALYST} to <login>", soft_wrap=True)


def _marts() -> dict[str, dict[str, bool]]:
    """Return by mart its columns, and whether each is personal: `config: {meta: {personal: true}}` in _marts.yml."""
    return {
        model["name"]: {
            column["name"]: column.get("config", {}).get("meta", {}).get("personal", False)
            for column in model["columns"]
        }
        for model in yaml.safe_load(MARTS.read_text())["models"]
    }


def _check_is_built(connection: psycopg.Connection) -> None:
    needed = (*(f"marts.{mart}" for mart in _marts()), "features.user_profile", "gate.erasures", ownership.REGISTER)
    for relation in needed:
        if not has(connection, relation):
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                f"the warehouse has no {relation} yet, and rights are granted on existing relations; first: make run",
            )


def _missing_roles(connection: psycopg.Connection) -> list[str]:
    there = {name for (name,) in connection.execute("select rolname from pg_roles")}
    return [role for role in ROLES if role not in there]


def _missing_memberships(connection: psycopg.Connection, roles: Sequence[str]) -> list[str]:
    """Return grants with which the owner of the schemas keeps all rights on relations of the steps' roles."""
    may_take = set_role_privilege(connection)
    values = {
        "roles": list(roles),
        "schemas": list(SCHEMAS),
        "may_take": may_take,
        "options": " with inherit true, set true" if may_take == "set" else "",
    }
    return _lines(connection, MEMBERSHIPS, values)


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


def _rights(connection: psycopg.Connection) -> list[str]:
    """Return the statements about this project's own relations; others in the same schemas are not touched."""
    dropped = (batch_tables.ROWS, batch_tables.SCAN)
    own = [relation for relation in ownership.relations(connection) if relation[-1] not in dropped]
    tables = {
        schema: [name for of, kind, name in own if of == schema and kind in ("table", "view")] for schema in SCHEMAS
    }
    others = {kind: [name for _, of, name in own if of == kind] for kind in ("sequence", "function")}
    models = [*tables["prep"], *tables["marts"], *tables["features"]]
    normalize = {
        "owner": TRANSFORMER,
        "readers": ", ".join(READERS),
        "schema": normalization.SCHEMA,
        "function": normalization.FUNCTION,
    }
    return [
        *_lines(connection, DATABASE_RIGHTS),
        RIGHTS.format(
            tables=", ".join(name for names in tables.values() for name in names),
            sequences=", ".join(others["sequence"]),
            functions=", ".join(others["function"]),
            working_tables=", ".join(dropped),
            new_owners_of_landing_tables="\n".join(
                _lines(connection, NEW_OWNERS, {"role": LOADER, "relations": tables["staging"]})
            ),
            staging_views=", ".join(name for name in tables["prep"] if name.startswith("prep.stg_")),
            new_owners_of_models="\n".join(_lines(connection, NEW_OWNERS, {"role": TRANSFORMER, "relations": models})),
            rights_on_normalization="\n".join(_lines(connection, FUNCTIONS, normalize)),
            rights_on_marts="\n".join(_rights_on_marts(connection)),
            **{schema: ", ".join(names) for schema, names in tables.items()},
        ),
    ]


def _rights_on_marts(connection: psycopg.Connection) -> list[str]:
    """Grant whole tables without personal columns, so that later columns are readable; other tables by column."""
    statements = []
    for mart, columns in _marts().items():
        there = _lines(
            connection,
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
            " order by attnum",
            [f"marts.{mart}"],
        )
        # a column without a description is not granted either: it may be personal
        open_columns = [name for name in there if columns.get(name, True) is False]
        select = "select" if open_columns == there else f"select ({', '.join(open_columns)})"
        readers = READERS if mart in RECOMMENDERS_MARTS else (ANALYST,)
        statements.append(f"grant {select} on marts.{mart} to {', '.join(readers)};")
    return statements


def _lines(connection: psycopg.Connection, query: str, values: object = None) -> list[str]:
    return [line for (line,) in connection.execute(query, values)]
