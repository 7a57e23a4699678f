"""Share the parts of `erase` and `prune`: counts per relation, and vacuuming after a deletion."""

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from warehouse import database

# From this version on, statistics can be cleared by users other than superusers.
STATISTICS_CAN_BE_CLEARED = 180000


def identifier(relation: str) -> sql.Identifier:
    """Quote the name "schema.relation"."""
    return sql.Identifier(*relation.split("."))


def per_load(rows: Iterable[tuple[str, int, int]]) -> dict[str, dict[str, int]]:
    """Turn (load id, rows with a payload, removals) into details of a decision, which account for each landed row."""
    return {load_id: {"landed": landed, "removed": removed} for load_id, landed, removed in rows}


def show_counts(title: str, columns: Mapping[str, Mapping[str, int]], output: Console) -> None:
    """Print a title, and a table of relations with these columns of counts."""
    output.print(title, soft_wrap=True)
    table = Table()
    table.add_column("table")
    for name in columns:
        table.add_column(name, justify="right")
    for relation in next(iter(columns.values())):
        table.add_row(relation, *(f"{figures[relation]:,}" for figures in columns.values()))
    output.print(table)


def vacuum(connection: psycopg.Connection, relations: Iterable[str], output: Console) -> None:
    """Remove the remains of a deletion: dead rows, and values in the planner's statistics."""
    there = [relation for relation in relations if database.has(connection, relation)]
    if not there:
        return
    connection.execute(sql.SQL("vacuum (analyze) {}").format(sql.SQL(", ").join(map(identifier, there))))
    for relation in there:
        # `analyze` of an empty table keeps the old statistics
        is_empty = sql.SQL("select not exists (select 1 from {})").format(identifier(relation))
        # apart, because Citus lets nobody read the view pg_stats beside a distributed table
        has_statistics = "select exists (select from pg_stats where schemaname = %s and tablename = %s)"
        if (
            connection.execute(is_empty).fetchone()[0]
            and connection.execute(has_statistics, relation.split(".")).fetchone()[0]
        ):
            _clear_statistics(connection, relation, output)


def _clear_statistics(connection: psycopg.Connection, relation: str, output: Console) -> None:
    if connection.info.server_version < STATISTICS_CAN_BE_CLEARED:
        output.print(
            f"{relation} is now empty, but the planner's statistics still contain its values; as a superuser run:"
            f" delete from pg_statistic where starelid = '{relation}'::regclass",
            soft_wrap=True,
        )
        return
    connection.execute(
        """
        select pg_clear_attribute_stats(%s, %s, attname, false)
        from pg_attribute
        where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
        """,
        [*relation.split("."), relation],
    )
