"""The gate: judge what has landed and not been judged, and publish, quarantine or block it.

Great Expectations says which rules failed; the rows that broke one are then found by the very query GX reports for
it, inside the database, so that all of them are quarantined, however many they are.
"""

import importlib
import logging
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from expectations import ledger

# A load with more bad rows than this share of the rows read is blocked.
MAX_QUARANTINED_SHARE = 0.2
EXAMPLES_KEPT = 5
# An expectation that hangs must not hold the night for ever; it then counts as one that could not run.
STATEMENT_TIMEOUT = "30min"
# Only one gate judges at a time (this advisory lock), so that these names cannot be shared by two loads.
LOCK = "moovitamix gate"
JUDGED_ROWS = "gate.judged_rows"
JUDGED_SCAN = "gate.judged_scan"


class GateBroken(Exception):
    """A load could not be judged; it stays pending. The message says why."""


@dataclass(frozen=True)
class RuleResult:
    """What one rule found: how many rows (or, for a load rule, 1) broke it, and the first of them."""

    rule: str
    severity: str
    rows: int
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class Batch:
    """What is to be judged: one table's rows of one load, with the figures of the scan that brought them."""

    load_id: str
    table: str
    rows_read: int
    rows_landed: int
    rows_removed: int


@dataclass(frozen=True)
class Judgement:
    """The verdict on a batch. `broken` says why there is none; the state is then pending."""

    batch: Batch
    state: str
    rows_quarantined: int = 0
    failed_rules: tuple[RuleResult, ...] = ()
    reason: str = ""
    broken: str | None = None


def judge_pending(database_url: str, progress: Callable[[str, str], None] | None = None) -> list[Judgement]:
    """Judge all that is pending, in the order in which it landed; one transaction per load and table.

    `progress` is called with (load_id, table) before each. A load that cannot be judged stays pending and does not keep
    the others from being judged.
    """
    judgements = []
    with psycopg.connect(database_url, autocommit=True) as connection, _one_gate_at_a_time(connection):
        ledger.ensure(connection)
        if connection.execute("select to_regclass('staging.scans') is null").fetchone()[0]:
            return []
        ledger.register_pending(connection)
        with _Validator(database_url) as validator:
            for batch in (Batch(*row) for row in ledger.pending(connection)):
                if progress:
                    progress(batch.load_id, batch.table)
                try:
                    judgements.append(_judge(connection, validator, batch))
                except GateBroken as error:
                    judgements.append(Judgement(batch, "pending", broken=str(error)))
    return judgements


@contextmanager
def _one_gate_at_a_time(connection: psycopg.Connection):
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [LOCK])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [LOCK])


def _judge(connection: psycopg.Connection, validator: "_Validator", batch: Batch) -> Judgement:
    rows_there = _rows_there(connection, batch)
    if batch.rows_landed == batch.rows_removed == rows_there == 0:
        # all that was read was known: there is no row to judge, and Great Expectations need not be loaded
        return _decide(connection, batch, rows_there, [], {})
    try:
        _prepare(connection, batch)
        results, bad_rows_sql = validator.validate(connection, batch.table)
        return _decide(connection, batch, rows_there, results, bad_rows_sql)
    except (GateBroken, psycopg.OperationalError):
        raise
    except Exception as error:
        # the gate fails closed: whatever goes wrong in judging, nothing is published
        raise GateBroken(f"{type(error).__name__}: {_one_line(error)}") from error
    finally:
        if not connection.closed:
            _drop_judged(connection)


def _rows_there(connection: psycopg.Connection, batch: Batch) -> int:
    """How many rows of the load a reader finds, whatever its scan says."""
    if connection.execute("select to_regclass(%s) is null", [f"staging.{batch.table}"]).fetchone()[0]:
        raise GateBroken(f"staging.{batch.table} does not exist")
    return connection.execute(
        sql.SQL("select count(*) from {} where _dlt_load_id = %s").format(sql.Identifier("staging", batch.table)),
        [batch.load_id],
    ).fetchone()[0]


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:300]


def _prepare(connection: psycopg.Connection, batch: Batch) -> None:
    """Lay out the load's rows, typed once, and its scan's figures, where GX's own connection sees them."""
    _drop_judged(connection)
    staging_view = sql.Identifier("prep", f"stg_moovitamix__{batch.table}")
    load_id, table = sql.Literal(batch.load_id), sql.Literal(batch.table)
    connection.execute(
        sql.SQL("""
            create unlogged table {judged_rows} as
            select staged.*, scans.finished_at + interval '1 day' as latest_plausible_at
            from {staging_view} as staged
            inner join staging.scans on staged._load_id = scans._dlt_load_id and scans.table_name = {table}
            where staged._load_id = {load_id} and not staged.is_removal
        """).format(judged_rows=sql.SQL(JUDGED_ROWS), staging_view=staging_view, load_id=load_id, table=table)
    )
    connection.execute(f"analyze {JUDGED_ROWS}")
    connection.execute(
        sql.SQL("""
            create unlogged table {judged_scan} as
            select
                scans.*,
                scans.rows_read = 0 and scans.keys_known > 0 as read_nothing_though_keys_are_known,
                scans.total - scans.rows_read as rows_missing_of_total,
                scans.rows_read - scans.rows_unchanged - scans.rows_landed - scans.rows_unreadable
                    as rows_unaccounted_for,
                scans.rows_landed - there.rows_landed as landed_rows_missing,
                scans.rows_removed - there.rows_removed as removals_missing,
                scans.rows_removed::float8 / nullif(scans.keys_known, 0) as removed_share
            from staging.scans
            cross join (
                select
                    count(*) filter (where payload is not null) as rows_landed,
                    count(*) filter (where payload is null) as rows_removed
                from {landing_table}
                where _dlt_load_id = {load_id}
            ) as there
            where scans._dlt_load_id = {load_id} and scans.table_name = {table}
        """).format(
            judged_scan=sql.SQL(JUDGED_SCAN),
            landing_table=sql.Identifier("staging", batch.table),
            load_id=load_id,
            table=table,
        )
    )


def _drop_judged(connection: psycopg.Connection) -> None:
    connection.execute(f"drop table if exists {JUDGED_ROWS}, {JUDGED_SCAN}")


def _decide(
    connection: psycopg.Connection,
    batch: Batch,
    rows_there: int,
    results: list[RuleResult],
    bad_rows_sql: dict[str, str],
) -> Judgement:
    """Verdict, quarantine and publication, in one transaction."""
    with connection.transaction():
        for result in results:
            if result.severity == "warning":
                _quarantine(connection, batch, result.rule, bad_rows_sql[result.rule])
        quarantined = connection.execute(
            "select count(distinct dlt_id) from gate.quarantined_rows where load_id = %s and table_name = %s",
            [batch.load_id, batch.table],
        ).fetchone()[0]
        state, reason = _verdict(batch, rows_there, results, quarantined)
        connection.execute(
            """
            update gate.loads
            set state = %s, reason = %s, rows_quarantined = %s, verdict = %s, judged_at = now(), decided_by = 'gate'
            where load_id = %s and table_name = %s
            """,
            [state, reason, quarantined, Jsonb(_as_json(results)), batch.load_id, batch.table],
        )
        connection.execute(
            """
            update gate.loads
            set state = 'superseded', reason = 'blocked: ' || reason || '; load ' || %s || ' was judged since'
            where table_name = %s and state = 'blocked' and load_id <> %s
            """,
            [batch.load_id, batch.table, batch.load_id],
        )
        if state != "blocked" and rows_there:
            _publish(connection, batch)
    return Judgement(batch, state, quarantined, tuple(results), reason)


def _quarantine(connection: psycopg.Connection, batch: Batch, rule: str, bad_rows: str) -> None:
    connection.execute(
        sql.SQL("""
            insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule, detail)
            select {load_id}, {table}, judged.key, judged._dlt_id, {rule}, left(bad_rows.shown, 200)
            from ({bad_rows}) as bad_rows
            inner join {judged_rows} as judged on bad_rows._dlt_id = judged._dlt_id
        """).format(
            load_id=sql.Literal(batch.load_id),
            table=sql.Literal(batch.table),
            rule=sql.Literal(rule),
            bad_rows=sql.SQL(bad_rows),
            judged_rows=sql.SQL(JUDGED_ROWS),
        )
    )


def _verdict(batch: Batch, rows_there: int, results: list[RuleResult], quarantined: int) -> tuple[str, str]:
    critical = [result.rule for result in results if result.severity == "critical"]
    if critical:
        return "blocked", f"the delivery cannot be trusted: {', '.join(critical)}"
    if quarantined > MAX_QUARANTINED_SHARE * batch.rows_read:
        share = f"{quarantined / batch.rows_read:.0%}" if batch.rows_read else "all"
        return "blocked", (
            f"{quarantined} bad rows are {share} of the {batch.rows_read} rows read"
            f" (more than {MAX_QUARANTINED_SHARE:.0%})"
        )
    if quarantined:
        return "accepted_with_quarantine", f"{quarantined} bad rows of {batch.rows_read} read"
    if not rows_there:
        return "accepted", "nothing had changed"
    return "accepted", "all rules passed"


def _publish(connection: psycopg.Connection, batch: Batch) -> None:
    connection.execute(
        "insert into gate.publications (load_id, table_name, kind) values (%s, %s, 'load')",
        [batch.load_id, batch.table],
    )
    # a quarantined row of an older load waits for nothing once its key has a newer version
    connection.execute(
        sql.SQL("""
            update gate.quarantined_rows as waiting
            set closed_at = now(), outcome = 'superseded'
            from {landing_table} as landed
            where
                waiting.table_name = %(table)s and waiting.closed_at is null and waiting.load_id <> %(load_id)s
                and landed._dlt_load_id = %(load_id)s and waiting.key = landed.key
        """).format(landing_table=sql.Identifier("staging", batch.table)),
        {"table": batch.table, "load_id": batch.load_id},
    )


def _as_json(results: list[RuleResult]) -> dict[str, Any]:
    return {
        "failed_rules": [
            {
                "rule": result.rule,
                "severity": result.severity,
                "rows": result.rows,
                "examples": result.examples,
            }
            for result in results
        ]
    }


class _Validator:
    """Great Expectations, loaded when the first load needs it: it costs seconds, and quiet nights need none of it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._source: Any = None

    def __enter__(self) -> "_Validator":
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.get_execution_engine().engine.dispose()

    def validate(self, connection: psycopg.Connection, table: str) -> tuple[list[RuleResult], dict[str, str]]:
        """Run the table's suite and the scan's; returns what failed, and per failed row rule the query of its rows
        (columns `_dlt_id`, `shown`)."""
        failed = self._run("scans", JUDGED_SCAN)
        results = [self._scan_result(connection, config) for config in failed]
        bad_rows_sql = {}
        failed = self._run(table, JUDGED_ROWS)
        queries = self._bad_rows_queries(failed)
        for config in failed:
            rule = config.meta["rule"]
            bad_rows_sql[rule] = f"""
                select distinct bad._dlt_id, shown.{config.meta["shows"]}::text as shown
                from ({queries[rule]}) as bad
                inner join {JUDGED_ROWS} as shown on bad._dlt_id = shown._dlt_id
            """
            results.append(_row_result(connection, config, bad_rows_sql[rule]))
        return results, bad_rows_sql

    def _run(self, suite_name: str, relation: str) -> list[Any]:
        """The configurations of the expectations that failed."""
        suite = _suite(suite_name)
        outcome = self._validate(suite, relation, "BOOLEAN_ONLY")
        if len(outcome.results) != len(suite.expectations):
            raise GateBroken(f"{len(outcome.results)} of {len(suite.expectations)} expectations of {suite_name} ran")
        for result in outcome.results:
            _raise_if_it_could_not_run(result)
        return [result.expectation_config for result in outcome.results if not result.success]

    def _bad_rows_queries(self, failed: list[Any]) -> dict[str, str]:
        """Per rule, the query that GX itself gives for the rows that broke it."""
        import great_expectations as gx

        queries = {}
        by_gx = []
        for config in failed:
            if "unexpected_rows_query" in config.kwargs:
                queries[config.meta["rule"]] = config.kwargs["unexpected_rows_query"].format(batch=JUDGED_ROWS)
            else:
                by_gx.append(config)
        if by_gx:
            suite = gx.ExpectationSuite(name="failed", expectations=[config.to_domain_obj() for config in by_gx])
            outcome = self._validate(
                suite,
                JUDGED_ROWS,
                {
                    "result_format": "SUMMARY",
                    "unexpected_index_column_names": ["_dlt_id"],
                    "partial_unexpected_count": 0,
                    "return_unexpected_index_query": True,
                },
            )
            for result in outcome.results:
                _raise_if_it_could_not_run(result)
                rule = result.expectation_config.meta["rule"]
                if not result.result.get("unexpected_index_query"):
                    raise GateBroken(f"no query for the rows that broke {rule}")
                queries[rule] = result.result["unexpected_index_query"].rstrip().rstrip(";")
        return queries

    def _validate(self, suite: Any, relation: str, result_format: Any) -> Any:
        schema, name = relation.split(".")
        assets = {asset.name: asset for asset in self._data_source().assets}
        asset = assets.get(relation) or self._data_source().add_table_asset(
            relation, table_name=name, schema_name=schema
        )
        if not asset.batch_definitions:
            asset.add_batch_definition_whole_table("load")
        return asset.get_batch_definition("load").get_batch().validate(suite, result_format=result_format)

    def _data_source(self) -> Any:
        if self._source is None:
            os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
            import great_expectations as gx

            # this one module sets its own level, and speaks of its temporary folder
            logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = {"globally": False, "metric_calculations": False}
            self._source = context.data_sources.add_postgres(
                "warehouse",
                # GX substitutes $NAME in this text, also in a password
                connection_string=self._database_url.replace("postgresql://", "postgresql+psycopg2://", 1).replace(
                    "$", "%24"
                ),
                kwargs={"connect_args": {"options": f"-c statement_timeout={STATEMENT_TIMEOUT}"}},
            )
        return self._source

    @staticmethod
    def _scan_result(connection: psycopg.Connection, config: Any) -> RuleResult:
        shows = config.meta["shows"]
        value = connection.execute(
            sql.SQL("select {}::text from {}").format(sql.Identifier(shows), sql.SQL(JUDGED_SCAN))
        ).fetchone()[0]
        return RuleResult(config.meta["rule"], str(config.severity.value), 1, [{shows: value}])


def _suite(name: str) -> Any:
    try:
        suite = importlib.import_module(f"expectations.{name}").suite()
    except ModuleNotFoundError as error:
        raise GateBroken(f"there is no suite for {name}") from error
    if not suite.expectations:
        raise GateBroken(f"the suite for {name} holds no expectation")
    return suite


def _raise_if_it_could_not_run(result: Any) -> None:
    """GX reports a check that raised as failed, with its own severity: a broken info check would pass unseen."""
    info = result.exception_info or {}
    exceptions = [info] if "raised_exception" in info else list(info.values())
    for exception in exceptions:
        if exception.get("raised_exception"):
            rule = result.expectation_config.meta["rule"]
            raise GateBroken(f"rule {rule} could not run: {_one_line(exception.get('exception_message'))}")


def _row_result(connection: psycopg.Connection, config: Any, bad_rows: str) -> RuleResult:
    rows = connection.execute(f"select count(distinct _dlt_id) from ({bad_rows}) as bad_rows").fetchone()[0]
    examples = connection.execute(
        f"""
        select distinct judged.key, left(bad_rows.shown, 200)
        from ({bad_rows}) as bad_rows
        inner join {JUDGED_ROWS} as judged on bad_rows._dlt_id = judged._dlt_id
        order by 1, 2
        limit {EXAMPLES_KEPT}
        """
    ).fetchall()
    return RuleResult(
        config.meta["rule"],
        str(config.severity.value),
        rows,
        [{"key": key, "detail": detail} for key, detail in examples],
    )
