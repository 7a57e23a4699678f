"""List the names of all relations and functions that this project makes, for the ownership register."""

import re
from collections.abc import Iterator
from functools import cache

import psycopg

from expectations import batch_tables, ledger
from pipeline.records import run_ledger
from pipeline.settings import PROJECT
from warehouse import normalization, ownership
from warehouse.errors import CommandError, ExitCode

MODELS = PROJECT / "dbt_project" / "models"
MODEL_SCHEMAS = {"staging": "prep", "intermediate": "prep", "marts": "marts", "features": "features"}
# dbt creates a relation under a temporary name, and renames the previous one to a backup.
DBT_SUFFIXES = ("", "__dbt_tmp", "__dbt_backup")
PARTITIONS = {"marts.listen_history": r"^prep\.listen_history_(before_2000|[0-9]{4}_[0-9]{2})$"}

_CREATES = re.compile(
    r"create (?:or replace )?(?:table|view|function) (?:if not exists )?(?P<name>\w+\.\w+(?:\(\))?)"
    r"|create (?:unique )?index if not exists (?P<index>\w+)\s+on (?P<schema>\w+)\."
)
# A warehouse of an early version, which had no register, is recognized by these tables.
ADOPTED_SHAPE = {
    "ops.runs": {
        **dict.fromkeys(("run_id", "status", "message", "command"), "text"),
        **dict.fromkeys(("started_at", "finished_at"), "timestamp with time zone"),
        **dict.fromkeys(("exit_code", "sample_day"), "integer"),
    },
    "gate.loads": {
        **dict.fromkeys(("load_id", "table_name", "state", "decided_by", "reason"), "text"),
        **dict.fromkeys(("rows_read", "rows_landed", "rows_removed", "rows_quarantined"), "bigint"),
        "verdict": "jsonb",
        "judged_at": "timestamp with time zone",
    },
}


@cache
def names() -> frozenset[str]:
    """Return the names as "schema.relation" or "schema.function(types)". PARTITIONS has the pattern of partitions."""
    return frozenset((*_of_ledgers(), *_of_landing(), *_of_dbt()))


def check(connection: psycopg.Connection) -> None:
    """Raise CommandError(WRONG_SETTINGS) if a relation of another project has one of the names."""
    try:
        ownership.check(connection, names(), partitions=PARTITIONS, adopted_shape=ADOPTED_SHAPE)
    except ownership.ForeignRelationsError as foreign:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"the database {connection.info.dbname} has relations that this project did not make, but whose names it"
            f" needs: {foreign}; nothing was written. Rename or drop them, or set DATABASE_URL to another database."
            f" If this project did make them, add their names to {ownership.REGISTER}",
        ) from None


def _of_ledgers() -> Iterator[str]:
    for statements in (ledger.TABLES, run_ledger.TABLES):
        for found in _CREATES.finditer(statements):
            yield found["name"] or f"{found['schema']}.{found['index']}"
    yield from (batch_tables.ROWS, batch_tables.SCAN)
    yield f"{normalization.SCHEMA}.{normalization.FUNCTION}(text)"


def _of_landing() -> Iterator[str]:
    from extract.landing import INDEXES, LANDING_TABLES  # imports dlt, which takes a second
    from extract.source_tables import SOURCE_TABLES

    for table in (*LANDING_TABLES, *(source.name for source in SOURCE_TABLES)):
        yield f"staging.{table}"
    for source in SOURCE_TABLES:
        yield from (f"staging.{source.name}_{suffix}" for suffix in INDEXES)


def _of_dbt() -> Iterator[str]:
    yield "prep.builds"
    yield "prep.int_touched_documents"  # of an earlier version: no longer built, but erasures still empty it
    for model in MODELS.rglob("*.sql"):
        schema = MODEL_SCHEMAS[model.relative_to(MODELS).parts[0]]
        yield from (f"{schema}.{model.stem}{suffix}" for suffix in DBT_SUFFIXES)
