"""The names of all relations and functions that this project makes, for the register of what is its own."""

import re
from collections.abc import Iterator

import psycopg

from expectations import judged, ledger
from pipeline import runs
from pipeline.exits import Exit, Stop
from pipeline.settings import PROJECT
from warehouse import ownership, text

MODELS = PROJECT / "dbt_project" / "models"
MODEL_SCHEMAS = {"staging": "prep", "intermediate": "prep", "marts": "marts", "features": "features"}
# dbt makes a relation under the first name, and moves the one before it to the second.
DBT_SUFFIXES = ("", "__dbt_tmp", "__dbt_backup")
PARTITIONS = {"marts.listen_history": r"^prep\.listen_history_(before_2000|[0-9]{4}_[0-9]{2})$"}

_CREATES = re.compile(
    r"create (?:or replace )?(?:table|view|function) (?:if not exists )?(?P<name>\w+\.\w+(?:\(\))?)"
    r"|create (?:unique )?index if not exists (?P<index>\w+)\s+on (?P<schema>\w+)\."
)
# Of a warehouse that an earlier version made, which recorded nothing.
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


def names() -> set[str]:
    """Each as "schema.relation" or "schema.function(types)"; partitions have their own pattern."""
    return {*_of_ledgers(), *_of_landing(), *_of_dbt()}


def check(connection: psycopg.Connection) -> None:
    """Raise Stop(WRONG_SETTINGS) where somebody else's relation has one of the names."""
    try:
        ownership.check(connection, names(), partitions=PARTITIONS, adopted_shape=ADOPTED_SHAPE)
    except ownership.ForeignRelationsError as foreign:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"the database {connection.info.dbname} has relations that this project did not make, under names that it"
            f" uses: {foreign}; nothing was written. Rename or drop them, or set DATABASE_URL to another database;"
            f" only if this project made them after all: add their names to {ownership.REGISTER}",
        ) from None


def _of_ledgers() -> Iterator[str]:
    for statements in (ledger.TABLES, runs.TABLES):
        for found in _CREATES.finditer(statements):
            yield found["name"] or f"{found['schema']}.{found['index']}"
    yield from (judged.ROWS, judged.SCAN)
    yield f"{text.SCHEMA}.{text.FUNCTION}(text)"


def _of_landing() -> Iterator[str]:
    from extract.landing import INDEXES, LANDING_TABLES  # brings dlt along, which costs a second
    from extract.source_tables import SOURCE_TABLES

    for table in (*LANDING_TABLES, *(source.name for source in SOURCE_TABLES)):
        yield f"staging.{table}"
    for source in SOURCE_TABLES:
        yield from (f"staging.{source.name}_{suffix}" for suffix in INDEXES)


def _of_dbt() -> Iterator[str]:
    yield "prep.builds"
    yield "prep.int_touched_documents"  # of an earlier version: no build makes it any more, and erasures empty it
    for model in MODELS.rglob("*.sql"):
        schema = MODEL_SCHEMAS[model.relative_to(MODELS).parts[0]]
        yield from (f"{schema}.{model.stem}{suffix}" for suffix in DBT_SUFFIXES)
