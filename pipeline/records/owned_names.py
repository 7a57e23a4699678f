"""List the names of all relations and functions that this project makes, for the ownership register."""

import re
from collections.abc import Iterator
from functools import cache

import psycopg

from expectations import batch_tables
from pipeline.settings import PROJECT
from warehouse import normalization, ownership, schema
from warehouse.errors import CommandError, ExitCode

MODELS = PROJECT / "dbt_project" / "models"
MODEL_SCHEMAS = {
    "staging": "prep",
    "intermediate": "prep",
    "marts": "marts",
    "analytics": "marts",
    "features": "features",
    "recommendations": "recommendations",
}
# dbt creates a relation under a temporary name, and renames the previous one to a backup.
DBT_SUFFIXES = ("", "__dbt_tmp", "__dbt_backup")
PARTITIONS = {
    "marts.listen_history": r"^prep\.listen_history_(before_2000|[0-9]{4}_[0-9]{2})$",
    "recommendations.lists": r"^recommendations\.lists_[0-9]+$",
}

# In the migrations' SQL: what they create, and the new name of what they rename.
_NAMES = re.compile(
    r"create (?:or replace |unlogged )?(?:table|view|function) (?:if not exists )?(?P<name>\w+\.\w+(?:\(\))?)"
    r"|create (?:unique )?index (?:if not exists )?(?P<index>\w+)\s+on (?P<index_schema>\w+)\."
    r"|alter \w+ (?:if exists )?(?P<schema>\w+)\.\w+ rename to (?P<new_name>\w+)"
)


@cache
def names() -> frozenset[str]:
    """Return the names as "schema.relation" or "schema.function(types)". PARTITIONS has the pattern of partitions."""
    return frozenset((*_of_migrations(), *_of_dbt()))


@cache
def models() -> tuple[str, ...]:
    """Return the relations of the dbt models, as "schema.relation", in order."""
    found = (path.relative_to(MODELS) for path in MODELS.rglob("*.sql"))
    return tuple(sorted(f"{MODEL_SCHEMAS[path.parts[0]]}.{path.stem}" for path in found))


def check(connection: psycopg.Connection) -> None:
    """Raise CommandError(WRONG_SETTINGS) if a relation of another project has one of the names."""
    try:
        ownership.check(connection, names(), PARTITIONS)
    except ownership.ForeignRelationsError as foreign:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"the database {connection.info.dbname} has relations that this project did not make, but whose names it"
            f" needs: {foreign}; nothing was written. Rename or drop them, or set DATABASE_URL to another database."
            f" If this project did make them, it was a version without {ownership.REGISTER}: first run the last"
            " version that has no migrations",
        ) from None


def _of_migrations() -> Iterator[str]:
    yield "ops.alembic_version"
    for path in schema.VERSIONS.values():
        for found in _NAMES.finditer(path.read_text()):
            if found["name"]:
                yield found["name"]
            elif found["index"]:
                yield f"{found['index_schema']}.{found['index']}"
            else:
                yield f"{found['schema']}.{found['new_name']}"
    yield from batch_tables.NAMES
    yield f"{normalization.SCHEMA}.{normalization.FUNCTION}(text)"


def _of_dbt() -> Iterator[str]:
    for model in models():
        yield from (f"{model}{suffix}" for suffix in DBT_SUFFIXES)
