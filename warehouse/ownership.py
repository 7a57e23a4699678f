"""Record which relations of a database this project made, and check that before anything is written.

Before a run writes, it claims the names that it may use. A name that is already in use and not recorded belongs to
another project. When the run ends, it frees the names that it did not use. A killed run keeps its claims, so that the
next run knows what it made. Names survive dump and restore; object ids do not.
"""

from collections.abc import Iterable, Mapping

import psycopg

REGISTER = "ops.owned_relations"
# dbt takes a relation whose name differs in case alone for the model's, and refuses to go on.
DBT_SCHEMAS = ("prep", "marts", "features", "recommendations")
_COLUMNS = {"name": "text", "recorded_at": "timestamp with time zone"}

# A function's name includes its argument types: `create or replace` replaces only a function with the same types.
_IN_USE = """
select
    schemas.nspname || '.' || relations.relname as name,
    case relations.relkind
        when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
        when 'f' then 'foreign table' when 'i' then 'index' when 'I' then 'index' when 'S' then 'sequence'
        else 'type'
    end as kind
from pg_class as relations
inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
union all
select schemas.nspname || '.' || functions.proname || '(' || oidvectortypes(functions.proargtypes) || ')', 'function'
from pg_proc as functions
inner join pg_namespace as schemas on functions.pronamespace = schemas.oid
union all
-- a type that is no table's own
select schemas.nspname || '.' || types.typname, 'type'
from pg_type as types
inner join pg_namespace as schemas on types.typnamespace = schemas.oid
where types.typrelid = 0 and types.typcategory <> 'A'
"""

_STRAY_PARTITIONS = """
select schemas.nspname || '.' || relations.relname as name, 'table' as kind
from unnest(%s::text[], %s::text[]) as partitioned (table_name, pattern)
inner join pg_class as relations on true
inner join pg_namespace as schemas
    on relations.relnamespace = schemas.oid and schemas.nspname || '.' || relations.relname ~ partitioned.pattern
where
    relations.relkind in ('r', 'p', 'v', 'm', 'f')
    and not exists (
        select 1
        from pg_inherits
        inner join pg_class as parents on inhparent = parents.oid
        inner join pg_namespace as parent_schemas on parents.relnamespace = parent_schemas.oid
        where
            inhrelid = relations.oid
            and parent_schemas.nspname || '.' || parents.relname = partitioned.table_name
    )
"""


_OWNED = f"""
with known as (

    select name from {REGISTER}
    union
    select '{REGISTER}'

),

named as (

    select relations.oid
    from pg_class as relations
    inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
    where
        relations.relkind in ('r', 'p', 'v')
        and schemas.nspname || '.' || relations.relname in (select name from known)

),

own as (

    select oid from named
    union
    select tree.relid from named cross join pg_partition_tree(named.oid) as tree

)

select
    schemas.nspname,
    case relations.relkind when 'v' then 'view' else 'table' end,
    format('%I.%I', schemas.nspname, relations.relname)
from own
inner join pg_class as relations on own.oid = relations.oid
inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
union all
select
    schemas.nspname,
    'sequence',
    format('%I.%I', schemas.nspname, sequences.relname)
from own
inner join pg_depend on own.oid = refobjid and refclassid = 'pg_class'::regclass and deptype in ('a', 'i')
inner join pg_class as sequences on objid = sequences.oid and classid = 'pg_class'::regclass and sequences.relkind = 'S'
inner join pg_namespace as schemas on sequences.relnamespace = schemas.oid
union all
select
    schemas.nspname,
    'function',
    format('%I.%I(%s)', schemas.nspname, functions.proname, oidvectortypes(functions.proargtypes))
from pg_proc as functions
inner join pg_namespace as schemas on functions.pronamespace = schemas.oid
where
    schemas.nspname || '.' || functions.proname || '(' || oidvectortypes(functions.proargtypes) || ')'
    in (select name from known)
order by 1, 2, 3
"""


class ForeignRelationsError(Exception):
    """Report relations that this project did not make under names that it would use. `str()` lists them."""


def check(
    connection: psycopg.Connection,
    names: Iterable[str],
    partitions: Mapping[str, str],
) -> None:
    """Raise ForeignRelationsError if a relation of another project has one of the names. Writes nothing.

    `names`: "schema.relation", or "schema.function(type, type)". `partitions`: by partitioned table, a regular
    expression for the names of its partitions.
    """
    in_use = _in_use(connection, [*names, REGISTER], DBT_SCHEMAS)
    if REGISTER in in_use and _has_columns(connection, REGISTER, _COLUMNS):
        owned = {name for (name,) in connection.execute(f"select name from {REGISTER}")} | {REGISTER}
    else:
        owned = set()
    foreign = {name: kind for name, kind in in_use.items() if name not in owned}
    foreign |= connection.execute(_STRAY_PARTITIONS, [list(partitions), list(partitions.values())]).fetchall()
    if foreign:
        raise ForeignRelationsError(", ".join(f"{kind} {name}" for name, kind in sorted(foreign.items())))


def claim(connection: psycopg.Connection, names: Iterable[str]) -> None:
    """Record the names. Call it after `check`, and before or in the transaction that creates any of them."""
    connection.execute(
        f"""
        insert into {REGISTER} (name)
        select wanted.name
        from unnest(%s::text[]) as wanted (name)
        where not exists (select 1 from {REGISTER} as known where known.name = wanted.name)
        """,
        [list(names)],
    )


def release_unused(connection: psycopg.Connection) -> None:
    """Free the recorded names under which nothing exists. Call it at the end of a run."""
    connection.execute(f"delete from {REGISTER} where name not in (select name from ({_IN_USE}) as used)")


def relations(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Return (schema, kind, quoted name) of each recorded relation that exists.

    Kinds: `table` (including its partitions), `view`, `sequence` (of the tables' columns), `function` (with its
    argument types).
    """
    return connection.execute(_OWNED).fetchall()


def _in_use(connection: psycopg.Connection, names: Iterable[str], folded_schemas: Iterable[str] = ()) -> dict[str, str]:
    """Return name to kind for those names under which a relation or function exists, in `folded_schemas` in any case.

    Needs no privilege on the schemas.
    """
    used = connection.execute(
        f"""
        select name, kind
        from ({_IN_USE}) as used
        where name = any(%(names)s) or (split_part(name, '.', 1) = any(%(folded)s) and lower(name) = any(%(names)s))
        """,
        {"names": list(names), "folded": list(folded_schemas)},
    )
    return dict(used.fetchall())


def _has_columns(connection: psycopg.Connection, table: str, columns: Mapping[str, str]) -> bool:
    found = connection.execute(
        """
        select attname, format_type(atttypid, atttypmod)
        from pg_attribute
        inner join pg_class as relations on attrelid = relations.oid and relations.relkind in ('r', 'p')
        inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
        where schemas.nspname || '.' || relations.relname = %s and attnum > 0 and not attisdropped
        """,
        [table],
    )
    return columns.items() <= dict(found.fetchall()).items()
