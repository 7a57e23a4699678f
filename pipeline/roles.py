"""`grant`: roles that hold no more rights than each step of the night, each reader and each watcher needs.

Nobody logs in as one of them; whoever sets up a deployment grants them to logins. What a step has made belongs to its
role afterwards. Who owned it before becomes a member of the role, and can do everything as before.
"""

from collections.abc import Iterable, Sequence

import psycopg
import yaml
from psycopg import sql
from rich.console import Console
from rich.table import Table

from expectations import judged
from pipeline import runs
from pipeline.exits import Exit, Stop
from pipeline.settings import PROJECT
from pipeline.warehouse import SCHEMAS, STEP_ROLES, has, may_take_role
from warehouse import ownership, text

MARTS = PROJECT / "dbt_project" / "models" / "marts" / "_marts.yml"
LOADER, GATE, TRANSFORMER = STEPS = tuple(role for role, _ in STEP_ROLES.values())
ANALYST, RECOMMENDER = READERS = ("moovitamix_analyst", "moovitamix_recommender")
MONITOR = "moovitamix_monitor"
ROLES = (*STEPS, *READERS, MONITOR)
# A new mart is not among them until somebody says so.
RECOMMENDERS_MARTS = ("users", "tracks", "track_genres", "listen_history")
# A table changes hands only while nobody uses it, and whoever comes meanwhile waits behind that.
LOCK_TIMEOUT = "10s"

CREATION = "create role {} nologin;"

RIGHTS = """
-- what is not granted below is taken back
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

-- every step keeps the run ledger
grant usage on schema ops to moovitamix_loader, moovitamix_gate, moovitamix_transformer;
grant select, insert, update on {ops} to moovitamix_loader, moovitamix_gate, moovitamix_transformer;
grant delete on ops.owned_relations to moovitamix_loader, moovitamix_gate, moovitamix_transformer;

-- extract owns the landing tables: dlt adds columns and indexes to them
grant usage, create on schema staging to moovitamix_loader;
{new_owners_of_landing_tables}
grant usage on schema gate to moovitamix_loader;
grant select on gate.loads, gate.erasures to moovitamix_loader;

-- the gate makes working tables (what a killed one left, only its owner could remove), and decisions for good
drop table if exists {working_tables};
grant usage on schema staging, prep to moovitamix_gate;
grant select on {staging} to moovitamix_gate;
grant select on {staging_views} to moovitamix_gate;
grant usage, create on schema gate to moovitamix_gate;
grant select, insert, update, delete on gate.loads to moovitamix_gate;
grant select, insert, update on gate.quarantined_rows to moovitamix_gate;
grant select, insert on gate.publications, gate.decisions, gate.told_fields to moovitamix_gate;

-- the build owns its models: dbt replaces views, adds columns, and writes comments
grant usage, create on schema prep, marts, features to moovitamix_transformer;
{new_owners_of_models}
{rights_on_normalization}
grant usage on schema staging, gate to moovitamix_transformer;
grant select on {staging}, {gate} to moovitamix_transformer;

-- who reads sees no personal column
grant usage on schema marts, features to moovitamix_analyst, moovitamix_recommender;
grant select on {features} to moovitamix_analyst, moovitamix_recommender;
{rights_on_marts}

-- who watches sees no row: neither its key, nor what was wrong with it
grant usage on schema gate, ops to moovitamix_monitor;
grant select on {ops} to moovitamix_monitor;
grant select on gate.loads, gate.publications to moovitamix_monitor;
grant select (load_id, table_name, dlt_id, rule, quarantined_at, closed_at, outcome) on gate.quarantined_rows
    to moovitamix_monitor;
"""

# Of a database whose owner took from PUBLIC what a new one grants it.
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

# From Postgres 16 on, who makes a role may hand it on, but not use it.
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

# Who reads a view calls the functions in it. Until a build of this version, there may be none.
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
    """What `grant` would do to the database as it is now, as text for psql. Raises Stop as `grant` does."""
    _check_is_built(connection)
    missing = _missing_roles(connection)
    statements = [*map(CREATION.format, missing), *_missing_memberships(connection, STEPS), *_rights(connection)]
    return "\n".join(["begin;", *statements, "commit;", "-- nothing was changed; without --dry-run it is done"])


def grant(connection: psycopg.Connection) -> None:
    """Make the roles and give each its rights; all of it or nothing. Doing it again changes nothing.

    Raises Stop: WRONG_SETTINGS before the first build, WAREHOUSE_UNAVAILABLE when the user may not make or grant the
    roles, or a table is in use.
    """
    _check_is_built(connection)
    runs.prepare(connection)  # a new version's tables are the owner's to make
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        missing = _missing_roles(connection)
        # roles that somebody else has made are somebody else's to grant
        of_others = _missing_memberships(connection, [role for role in STEPS if role not in missing])
        user = sql.Identifier(connection.info.user).as_string()
        _execute_or_ask(connection, map(CREATION.format, missing), f"alter role {user} createrole;")
        _execute_or_ask(connection, _missing_memberships(connection, STEPS), " ".join(of_others))
        try:
            connection.execute("\n".join(_rights(connection)))
        except psycopg.errors.LockNotAvailable:
            raise Stop(
                Exit.WAREHOUSE_UNAVAILABLE,
                "somebody reads a table that must change hands; nothing was changed: run it again at a quieter time",
            ) from None


def show(connection: psycopg.Connection, output: Console) -> None:
    """Print what each role may do in each schema, in the database's own words, and the next step."""
    own = [name for _, kind, name in ownership.relations(connection) if kind in ("table", "view")]
    rows = connection.execute(RIGHTS_THERE_ARE, [list(ROLES), own, list(SCHEMAS)])
    rights = {(role, schema): right for role, schema, right in rows}
    table = Table(title="who may do what", title_justify="left")
    for name in ("role", *SCHEMAS):
        table.add_column(name)
    for role in ROLES:
        table.add_row(role, *(rights[role, schema] for schema in SCHEMAS))
    output.print(table)
    hidden = [f"marts.{mart}.{name}" for mart, columns in _marts().items() for name in columns if columns[name]]
    output.print(f"hidden from {' and '.join(READERS)}: {', '.join(hidden)}", soft_wrap=True)
    output.print(f"next: give each login its role, such as: grant {ANALYST} to <login>", soft_wrap=True)


def _marts() -> dict[str, dict[str, bool]]:
    """By mart, its columns, and whether each is personal: `config: {meta: {personal: true}}` in _marts.yml."""
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
            raise Stop(
                Exit.WRONG_SETTINGS,
                f"the warehouse has no {relation} yet, and rights are granted on what is there; first: make run",
            )


def _missing_roles(connection: psycopg.Connection) -> list[str]:
    there = {name for (name,) in connection.execute("select rolname from pg_roles")}
    return [role for role in ROLES if role not in there]


def _missing_memberships(connection: psycopg.Connection, roles: Sequence[str]) -> list[str]:
    """Who owns the schemas stays able to do everything with what the steps' roles own, and to work in these."""
    may_take = may_take_role(connection)
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
        raise Stop(
            Exit.WAREHOUSE_UNAVAILABLE,
            f"the user {connection.info.user} may not make and grant the roles; nothing was changed."
            f" Ask the owner of the server to run: {request} Then again: make grant",
        ) from None


def _rights(connection: psycopg.Connection) -> list[str]:
    """On what this project made, and on nothing else that is in the same schemas."""
    dropped = (judged.ROWS, judged.SCAN)
    own = [relation for relation in ownership.relations(connection) if relation[-1] not in dropped]
    tables = {
        schema: [name for of, kind, name in own if of == schema and kind in ("table", "view")] for schema in SCHEMAS
    }
    others = {kind: [name for _, of, name in own if of == kind] for kind in ("sequence", "function")}
    models = [*tables["prep"], *tables["marts"], *tables["features"]]
    normalization = {
        "owner": TRANSFORMER,
        "readers": ", ".join(READERS),
        "schema": text.SCHEMA,
        "function": text.FUNCTION,
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
            rights_on_normalization="\n".join(_lines(connection, FUNCTIONS, normalization)),
            rights_on_marts="\n".join(_rights_on_marts(connection)),
            **{schema: ", ".join(names) for schema, names in tables.items()},
        ),
    ]


def _rights_on_marts(connection: psycopg.Connection) -> list[str]:
    """Whole tables where nothing is personal, so that a column added later can be read; else column by column."""
    statements = []
    for mart, columns in _marts().items():
        there = _lines(
            connection,
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
            " order by attnum",
            [f"marts.{mart}"],
        )
        # a column that is there and described no more is not granted either: nobody says what it holds
        open_columns = [name for name in there if columns.get(name, True) is False]
        select = "select" if open_columns == there else f"select ({', '.join(open_columns)})"
        readers = READERS if mart in RECOMMENDERS_MARTS else (ANALYST,)
        statements.append(f"grant {select} on marts.{mart} to {', '.join(readers)};")
    return statements


def _lines(connection: psycopg.Connection, query: str, values: object = None) -> list[str]:
    return [line for (line,) in connection.execute(query, values)]
