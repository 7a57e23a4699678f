"""Make the statements that grant each role the least privileges it needs.

The relations of a step change their owner to its role. Their previous owner becomes a member of the role, and keeps all
its privileges.
"""

from collections.abc import Iterable, Iterator, Sequence

import psycopg

from expectations import batch_tables
from pipeline.run import role_definitions
from pipeline.run.role_definitions import (
    ANALYST,
    DECISIONS,
    GATE,
    LOADER,
    READABLE_RECOMMENDATIONS,
    READABLE_SCHEMAS,
    READERS,
    RECOMMENDATIONS,
    RECOMMENDER,
    RECOMMENDERS_MARTS,
    ROLES,
    SERVICE,
    SERVICES_COLUMNS,
    TRANSFORMER,
)
from warehouse import normalization, ownership
from warehouse.database import set_role_privilege
from warehouse.names import SCHEMAS, STEP_ROLE_NAMES

CREATION = "create role {} nologin;"

# (privilege, relation, roles, columns)
Readable = tuple[str, str, tuple[str, ...], list[str]]

PRIVILEGES = """
-- revoke everything that is not granted below
revoke all on schema staging, prep, gate, marts, features, recommendations, ops
    from public, moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_analyst, moovitamix_recommender,
    moovitamix_monitor, moovitamix_service;
revoke all on {tables} from public;
revoke all on sequence {sequences} from public;
revoke all on function {functions} from public;
revoke all on {staging}
    from moovitamix_gate, moovitamix_transformer, moovitamix_analyst, moovitamix_recommender, moovitamix_monitor;
revoke all on {prep}, {marts}, {features}
    from moovitamix_loader, moovitamix_gate, moovitamix_analyst, moovitamix_recommender, moovitamix_monitor;
revoke all on {gate}, {decisions}, {ops}
    from moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_analyst, moovitamix_recommender,
    moovitamix_monitor;
revoke all on {recommendations}
    from moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_analyst, moovitamix_monitor;

-- every step writes the run ledger, and looks whether the batch tables exist
grant usage on schema ops, gate
    to moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_recommender;
grant select, insert, update on {ops}
    to moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_recommender;
grant delete on ops.owned_relations
    to moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_recommender;
revoke insert, update on ops.alembic_version, ops.preparations
    from moovitamix_loader, moovitamix_gate, moovitamix_transformer, moovitamix_recommender;

-- extract owns the landing tables, because dlt adds columns and indexes
grant usage, create on schema staging to moovitamix_loader;
{new_owners_of_landing_tables}
grant select on gate.loads, gate.erasures to moovitamix_loader;

-- the gate owns the batch tables, because it analyzes them, and makes permanent decisions
grant usage on schema staging, prep to moovitamix_gate;
grant select on {staging} to moovitamix_gate;
grant select on {staging_views} to moovitamix_gate;
grant usage, create on schema gate to moovitamix_gate;
{new_owners_of_batch_tables}
grant all on {batch_tables} to moovitamix_gate;
grant select, insert, update, delete on gate.loads to moovitamix_gate;
grant select, insert, update on gate.quarantined_rows to moovitamix_gate;
grant select, insert on gate.publications, gate.decisions, gate.known_fields to moovitamix_gate;

-- the build owns its models, because dbt replaces views, adds columns, and writes comments
grant usage, create on schema prep, marts, features, recommendations to moovitamix_transformer;
{new_owners_of_models}
{privileges_on_normalization}

-- the recommender owns its tables, because it attaches and drops partitions, and makes permanent decisions
grant usage, create on schema recommendations to moovitamix_recommender;
{new_owners_of_recommendations}
grant select, insert on {decisions} to moovitamix_recommender;
-- the views for readers show the lists and their quality
grant select on
    recommendations.lists, recommendations.releases, recommendations.release_history, recommendations.quality,
    recommendations.model_versions
    to moovitamix_transformer;
grant usage on schema staging to moovitamix_transformer;
grant select on {staging}, {gate} to moovitamix_transformer;

-- readers see no personal column
grant usage on schema marts, features, recommendations to moovitamix_analyst, moovitamix_recommender;
{privileges_of_readers}

-- the service reads released lists and their models, and of the marts only some columns
revoke all on {staging}, {prep}, {marts}, {features}, {gate}, {decisions}, {recommendations}, {ops}
    from moovitamix_service;
grant usage on schema marts, features, recommendations to moovitamix_service;
{privileges_of_service}

-- monitoring sees no source rows: neither keys nor details of failed rules
grant usage on schema gate, ops to moovitamix_monitor;
grant select on {ops} to moovitamix_monitor;
grant select on gate.loads, gate.publications to moovitamix_monitor;
grant usage on schema recommendations to moovitamix_monitor;
grant select on
    recommendations.releases, recommendations.release_history, recommendations.quality, recommendations.trainings,
    recommendations.aliases
    to moovitamix_monitor;
grant select (model_version, list, model, trained_at, metrics) on recommendations.model_versions to moovitamix_monitor;
grant select (load_id, table_name, dlt_id, rule, quarantined_at, closed_at, outcome) on gate.quarantined_rows
    to moovitamix_monitor;
"""

# Citus connects to its workers as the role that a step works as.
LOGINS_ON_CITUS = """
select format('alter role %%I login;', rolname)
from pg_roles
where rolname = any(%s) and not rolcanlogin and exists (select 1 from pg_extension where extname = 'citus')
order by rolname
"""

# Citus reads what a view reads with the privileges of the caller, not with those of the view's owner.
READERS_ON_CITUS = """
select format('grant %s to %s;', privileges.privilege, privileges.readers)
from pg_extension
cross join (
    values
    ('usage on schema prep', 'moovitamix_analyst, moovitamix_recommender'),
    (
        'select on prep.builds, prep.user_totals, prep.user_genre_totals',
        'moovitamix_analyst, moovitamix_recommender'
    ),
    -- what marts.listens reads, once it is built
    ('select on ' || to_regclass('prep.first_listens')::text, 'moovitamix_analyst'),
    -- what features.known_range reads; the recommender computes the past
    ('select (seq) on gate.publications', 'moovitamix_recommender'),
    ('select (verb, decided_at, details) on gate.decisions', 'moovitamix_recommender')
) as privileges (privilege, readers)
where extname = 'citus' and privileges.privilege is not null
"""

# For a database whose owner has revoked the default privileges of PUBLIC.
DATABASE_PRIVILEGES = """
select format(privileges.statement, current_database())
from (
    values
    ('connect', 'grant connect on database %I to moovitamix_loader, moovitamix_gate, moovitamix_transformer,'
        ' moovitamix_analyst, moovitamix_recommender, moovitamix_monitor, moovitamix_service;'),
    ('temporary', 'grant temporary on database %I to moovitamix_gate, moovitamix_transformer;')
) as privileges (name, statement)
where not has_database_privilege('public', current_database(), privileges.name)
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

# Readers of a view call its functions.
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


def missing_roles(connection: psycopg.Connection) -> list[str]:
    """Return those of ROLES that this server does not have."""
    there = {name for (name,) in connection.execute("select rolname from pg_roles")}
    return [role for role in ROLES if role not in there]


def missing_memberships(connection: psycopg.Connection, roles: Sequence[str]) -> list[str]:
    """Return grants with which the owner of the schemas keeps all privileges on relations of the steps' roles."""
    may_take = set_role_privilege(connection)
    values = {
        "roles": list(roles),
        "schemas": list(SCHEMAS),
        "may_take": may_take,
        "options": " with inherit true, set true" if may_take == "set" else "",
    }
    return read_column(connection, MEMBERSHIPS, values)


def make_statements(connection: psycopg.Connection) -> list[str]:
    """Return the statements about this project's own relations; others in the same schemas are not touched."""
    own = ownership.relations(connection)
    tables = {
        schema: [name for of, kind, name in own if of == schema and kind in ("table", "view")] for schema in SCHEMAS
    }
    others = {kind: [name for _, of, name in own if of == kind] for kind in ("sequence", "function")}
    for view in RECOMMENDATIONS:
        if view in tables["recommendations"]:
            # built like the features
            tables["recommendations"].remove(view)
            tables["features"].append(view)
    made_by_recommender = [name for name in tables["recommendations"] if name not in DECISIONS]
    models = [*tables["prep"], *tables["marts"], *tables["features"]]
    normalize = {
        "owner": TRANSFORMER,
        "readers": ", ".join((*READERS, SERVICE)),
        "schema": normalization.SCHEMA,
        "function": normalization.FUNCTION,
    }
    return [
        *read_column(connection, DATABASE_PRIVILEGES),
        PRIVILEGES.format(
            tables=", ".join(name for names in tables.values() for name in names),
            sequences=", ".join(others["sequence"]),
            functions=", ".join(others["function"]),
            batch_tables=", ".join(batch_tables.NAMES),
            new_owners_of_batch_tables="\n".join(
                read_column(connection, NEW_OWNERS, {"role": GATE, "relations": list(batch_tables.NAMES)})
            ),
            new_owners_of_landing_tables="\n".join(
                read_column(connection, NEW_OWNERS, {"role": LOADER, "relations": tables["staging"]})
            ),
            staging_views=", ".join(name for name in tables["prep"] if name.startswith("prep.stg_")),
            decisions=", ".join(DECISIONS),
            new_owners_of_recommendations="\n".join(
                read_column(connection, NEW_OWNERS, {"role": RECOMMENDER, "relations": made_by_recommender})
            ),
            new_owners_of_models="\n".join(
                read_column(connection, NEW_OWNERS, {"role": TRANSFORMER, "relations": models})
            ),
            privileges_on_normalization="\n".join(read_column(connection, FUNCTIONS, normalize)),
            privileges_of_readers=_grants(list_readable(connection)),
            privileges_of_service=_grants(list_readable_by_service(connection)),
            **{schema: ", ".join(names) for schema, names in tables.items()},
        ),
        *read_column(connection, LOGINS_ON_CITUS, [list(STEP_ROLE_NAMES)]),
        *read_column(connection, READERS_ON_CITUS),
    ]


def _grants(readable: Iterable[Readable]) -> str:
    return "\n".join(
        f"grant {privilege} on {relation} to {', '.join(readers)};" for privilege, relation, readers, _ in readable
    )


def list_readable_by_service(connection: psycopg.Connection) -> Iterator[Readable]:
    """Yield (privilege, relation, role, columns) for each relation that the service reads."""
    for _, _, relation in ownership.relations(connection):
        if relation in SERVICES_COLUMNS:
            columns = SERVICES_COLUMNS[relation]
            readable = list(columns or _columns(connection, relation))
            yield f"select ({', '.join(readable)})" if columns else "select", relation, (SERVICE,), readable


def list_readable(connection: psycopg.Connection) -> Iterator[Readable]:
    """Yield (privilege, relation, roles, columns) for each model that readers see.

    Whole tables where no column is personal, so that later columns are readable; other tables by column.
    """
    personal = role_definitions.read_marts()
    for schema, kind, relation in ownership.relations(connection):
        mart = relation.removeprefix("marts.")
        if kind not in ("table", "view"):
            continue
        if schema == "recommendations" and relation not in READABLE_RECOMMENDATIONS:
            continue
        if schema not in READABLE_SCHEMAS or (schema == "marts" and mart not in personal):
            continue
        columns = _columns(connection, relation)
        readers, readable = READERS, columns
        if schema == "marts":
            readers = READERS if mart in RECOMMENDERS_MARTS else (ANALYST,)
            # a column without a description is not granted either: it may be personal
            readable = [name for name in columns if personal[mart].get(name, True) is False]
        yield "select" if readable == columns else f"select ({', '.join(readable)})", relation, readers, readable


def _columns(connection: psycopg.Connection, relation: str) -> list[str]:
    return read_column(
        connection,
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
        [relation],
    )


def read_column(connection: psycopg.Connection, query: str, values: object = None) -> list[str]:
    return [line for (line,) in connection.execute(query, values)]
