"""The rows that break the rules of a table's suite, noted in a temporary table: all of them, however many."""

import psycopg
from psycopg import sql

from expectations import judged
from expectations.judgement import GateBroken, RuleResult
from expectations.validation import BrokenRule, Validator

BAD_ROWS = "pg_temp.bad_rows"
"""(rule, severity, dlt_id, key, detail), for as long as the connection judges."""

EXAMPLES_KEPT = 5
LONGEST_DETAIL = 200


def about_the_scan(connection: psycopg.Connection, validator: Validator) -> list[RuleResult]:
    """The rules that the scan laid out in `judged.SCAN` breaks."""
    return [_scan_result(connection, broken) for broken in validator.broken_rules("scans", judged.SCAN)]


def about_the_rows(connection: psycopg.Connection, validator: Validator, table: str) -> list[RuleResult]:
    """The rules that rows laid out in `judged.ROWS` break; the rows are in `BAD_ROWS` afterwards."""
    clear_away(connection)
    connection.execute("create temporary table bad_rows (rule text, severity text, dlt_id text, key text, detail text)")
    return [_row_result(connection, broken) for broken in validator.broken_rules(table, judged.ROWS)]


def clear_away(connection: psycopg.Connection) -> None:
    """Drop what `about_the_rows` made."""
    connection.execute(f"drop table if exists {BAD_ROWS}")


def _scan_result(connection: psycopg.Connection, broken: BrokenRule) -> RuleResult:
    value = connection.execute(
        sql.SQL("select {}::text from {}").format(sql.Identifier(broken.shows), sql.SQL(judged.SCAN))
    ).fetchone()[0]
    return RuleResult(broken.rule, broken.severity, 1, [{broken.shows: value}])


def _row_result(connection: psycopg.Connection, broken: BrokenRule) -> RuleResult:
    """Note all rows that broke the rule, once: the query may be dear."""
    rows = connection.execute(
        sql.SQL("""
            insert into {noted} (rule, severity, dlt_id, key, detail)
            select {rule}, {severity}, judged._dlt_id, judged.key, left(judged.{shows}::text, {longest})
            from {judged_rows} as judged
            where judged._dlt_id in (select broken._dlt_id from ({bad_rows}) as broken)
        """).format(
            noted=sql.SQL(BAD_ROWS),
            rule=sql.Literal(broken.rule),
            severity=sql.Literal(broken.severity),
            shows=sql.Identifier(broken.shows),
            longest=sql.Literal(LONGEST_DETAIL),
            judged_rows=sql.SQL(judged.ROWS),
            bad_rows=sql.SQL(broken.rows),
        )
    ).rowcount
    if not rows:
        raise GateBroken(f"rule {broken.rule} failed, but no row that broke it was found")
    examples = connection.execute(
        f"select dlt_id, key, detail from {BAD_ROWS} where rule = %s order by key, detail, dlt_id limit %s",
        [broken.rule, EXAMPLES_KEPT],
    )
    names = ("dlt_id", "key", "detail")
    return RuleResult(broken.rule, broken.severity, rows, [dict(zip(names, row, strict=True)) for row in examples])
