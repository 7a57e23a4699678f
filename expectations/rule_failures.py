"""Collect all rows that fail the rules of a table's suite in a temporary table."""

import psycopg
from psycopg import sql

from expectations import batch_tables
from expectations.validation import RuleFailure, Validator
from expectations.verdicts import GateError, RuleResult

BAD_ROWS = "pg_temp.bad_rows"
"""Columns: rule, severity, dlt_id, key, detail. Exists while a batch is checked."""

EXAMPLES_KEPT = 5
LONGEST_DETAIL = 200


def check_scan(connection: psycopg.Connection, validator: Validator) -> list[RuleResult]:
    """Return the rules that the scan in `batch_tables.SCAN` fails."""
    return [_scan_result(connection, failure) for failure in validator.rule_failures("scans", batch_tables.SCAN)]


def check_rows(connection: psycopg.Connection, validator: Validator, table: str) -> list[RuleResult]:
    """Return the rules that staged rows of the table fail, and collect these rows in `BAD_ROWS`."""
    drop_bad_rows(connection)
    connection.execute("create temporary table bad_rows (rule text, severity text, dlt_id text, key text, detail text)")
    rows = batch_tables.ROWS[table]
    return [_row_result(connection, rows, failure) for failure in validator.rule_failures(table, rows)]


def drop_bad_rows(connection: psycopg.Connection) -> None:
    """Drop `BAD_ROWS`, the table of `check_rows`."""
    connection.execute(f"drop table if exists {BAD_ROWS}")


def _scan_result(connection: psycopg.Connection, failure: RuleFailure) -> RuleResult:
    value = connection.execute(
        sql.SQL("select {}::text from {}").format(sql.Identifier(failure.shows), sql.SQL(batch_tables.SCAN))
    ).fetchone()[0]
    return RuleResult(failure.rule, failure.severity, 1, [{failure.shows: value}])


def _row_result(connection: psycopg.Connection, staged_rows: str, failure: RuleFailure) -> RuleResult:
    """Collect all rows that fail the rule; the query runs once, because it may be expensive."""
    with connection.transaction():
        # apart, because the planner cannot guess how many rows fail a rule, and then joins each with each
        connection.execute(
            sql.SQL(
                "create temporary table failing on commit drop as select distinct failing._dlt_id from ({}) as failing"
            ).format(sql.SQL(failure.rows))
        )
        connection.execute("analyze pg_temp.failing")
        rows = connection.execute(
            sql.SQL("""
                insert into {collected} (rule, severity, dlt_id, key, detail)
                select {rule}, {severity}, staged._dlt_id, staged.key, left(staged.{shows}::text, {longest})
                from {staged_rows} as staged
                inner join pg_temp.failing on staged._dlt_id = failing._dlt_id
            """).format(
                collected=sql.SQL(BAD_ROWS),
                rule=sql.Literal(failure.rule),
                severity=sql.Literal(failure.severity),
                shows=sql.Identifier(failure.shows),
                longest=sql.Literal(LONGEST_DETAIL),
                staged_rows=sql.SQL(staged_rows),
            )
        ).rowcount
    if not rows:
        raise GateError(f"rule {failure.rule} failed, but no row that fails it was found")
    examples = connection.execute(
        f"select dlt_id, key, detail from {BAD_ROWS} where rule = %s order by key, detail, dlt_id limit %s",
        [failure.rule, EXAMPLES_KEPT],
    )
    names = ("dlt_id", "key", "detail")
    return RuleResult(failure.rule, failure.severity, rows, [dict(zip(names, row, strict=True)) for row in examples])
