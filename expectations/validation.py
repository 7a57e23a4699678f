"""Run Great Expectations: find the rules of a suite that a relation fails, and the query for the failing rows."""

import importlib
import logging
import os
from dataclasses import dataclass
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from expectations.verdicts import GateError
from warehouse.counts import count


@dataclass(frozen=True)
class RuleFailure:
    """Describe a failed rule. `shows` is the column to print; `rows` is a query with a column `_dlt_id`."""

    rule: str
    severity: str
    shows: str
    rows: str


class Validator:
    """Wrap Great Expectations, and import it for the first batch only: the import takes seconds, and a run without
    changes does not need it."""

    def __init__(self, database_url: str, session_options: str) -> None:
        self._database_url = database_url
        self._session_options = session_options
        self._source: Any = None

    def __enter__(self) -> "Validator":
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            # GX keeps two pools: one to inspect tables, one to validate them
            self._source.get_engine().dispose()
            self._source.get_execution_engine().engine.dispose()

    def rule_failures(self, suite_name: str, relation: str) -> list[RuleFailure]:
        """Run the suite on `relation` ("schema.table", with a column `_dlt_id`).

        Raises GateError when an expectation could not run.
        """
        suite = _suite(suite_name)
        outcome = self._batch(relation).validate(
            suite,
            # true or false, and the query for the failing rows: one cheap pass, no row is fetched
            result_format={
                "result_format": "BOOLEAN_ONLY",
                "unexpected_index_column_names": ["_dlt_id"],
                "return_unexpected_index_query": True,
            },
        )
        if len(outcome.results) != len(suite.expectations):
            expected = count(len(suite.expectations), "expectation")
            raise GateError(f"{len(outcome.results)} of {expected} of {suite_name} ran")
        for result in outcome.results:
            _check_ran(result)
        return [_rule_failure(result, relation) for result in outcome.results if not result.success]

    def _batch(self, relation: str) -> Any:
        schema, name = relation.split(".")
        assets = {asset.name: asset for asset in self._data_source().assets}
        asset = assets.get(relation) or self._data_source().add_table_asset(
            relation, table_name=name, schema_name=schema
        )
        if not asset.batch_definitions:
            asset.add_batch_definition_whole_table("load")
        return asset.get_batch_definition("load").get_batch()

    def _data_source(self) -> Any:
        if self._source is None:
            os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
            import great_expectations as gx

            # this module sets its own level and logs its temporary folder
            logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = {"globally": False, "metric_calculations": False}
            parameters = conninfo_to_dict(self._database_url)
            options = f"{parameters.get('options', '')} {self._session_options}".strip()
            self._source = context.data_sources.add_postgres(
                "warehouse",
                # GX substitutes $NAME in an address, also in a password; so the address is a placeholder
                connection_string="postgresql+psycopg2://see@connect/args",
                kwargs={"connect_args": {**parameters, "options": options}},
            )
        return self._source


def _suite(name: str) -> Any:
    module = f"expectations.{name}"
    try:
        suite = importlib.import_module(module).suite()
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise GateError(f"there is no suite for {name}") from error
    if not suite.expectations:
        raise GateError(f"the suite for {name} holds no expectation")
    return suite


def _check_ran(result: Any) -> None:
    """Raise GateError for a check that raised: GX reports it as failed with its severity, and info blocks nothing."""
    info = result.exception_info or {}
    exceptions = [info] if "raised_exception" in info else list(info.values())
    for exception in exceptions:
        if exception.get("raised_exception"):
            rule = result.expectation_config.meta["rule"]
            raise GateError(f"rule {rule} could not run: {exception.get('exception_message')}")


def _rule_failure(result: Any, relation: str) -> RuleFailure:
    config = result.expectation_config
    rule = config.meta["rule"]
    if "unexpected_rows_query" in config.kwargs:
        rows = config.kwargs["unexpected_rows_query"].format(batch=relation)
    else:
        rows = (result.result or {}).get("unexpected_index_query")
    if not rows:
        raise GateError(f"no query for the rows that fail {rule}")
    return RuleFailure(rule, str(config.severity.value), config.meta["shows"], rows.rstrip().rstrip(";"))
