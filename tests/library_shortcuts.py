"""Shorten what dbt and Great Expectations repeat in a process that executes many runs; no result changes.

Without them the tests would take a fifth longer.
"""

import os
from typing import Any

import pytest


def shorten_dbt(patch: pytest.MonkeyPatch) -> None:
    """Parse the project once, format only log lines that are written, and do not search for callers."""
    # a walk through the stack for each flag, which takes seconds in a process with many modules
    patch.setattr("dbt_common.behavior_flags.BehaviorFlagRendered._default_source", staticmethod(lambda: "dbt"))
    _skip_debug_lines(patch)
    _parse_once(patch)


def _skip_debug_lines(patch: pytest.MonkeyPatch) -> None:
    """Drop a debug line before dbt formats it: otherwise Python's logger drops the formatted line."""
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.logger import _Logger

    write_line = _Logger.write_line

    def write_wanted_line(logger: _Logger, message: Any) -> None:
        if message.info.level != EventLevel.DEBUG or logger.level == EventLevel.DEBUG:
            write_line(logger, message)

    patch.setattr(_Logger, "write_line", write_wanted_line)


def _parse_once(patch: pytest.MonkeyPatch) -> None:
    """Parse once per target and folder of generated files: only the name of the database differs between parses."""
    from pipeline.run.dbt import Dbt

    run, parsed = Dbt._run, {}

    def run_or_remember(dbt: Dbt, *arguments: str, **options: Any) -> Any:
        if arguments != ("parse",):
            return run(dbt, *arguments, **options)
        key = tuple(os.environ.get(name) for name in ("DBT_TARGET", "DBT_TARGET_PATH"))
        if key not in parsed:
            result = run(dbt, *arguments, **options)
            if not result.success:
                return result
            parsed[key] = result
        _set_database(parsed[key].result, os.environ["PGDATABASE"])
        return parsed[key]

    patch.setattr(Dbt, "_run", run_or_remember)


def _set_database(manifest: Any, name: str) -> None:
    """Name this database in the manifest."""
    relations = [*manifest.nodes.values(), *manifest.sources.values()]
    if relations[0].database == name:
        return
    for relation in relations:
        if relation.relation_name:
            relation.relation_name = relation.relation_name.replace(f'"{relation.database}".', f'"{name}".', 1)
        relation.database = name
    manifest.build_flat_graph()


def shorten_great_expectations(patch: pytest.MonkeyPatch) -> None:
    """Build the configuration of an expectation once: GX builds it again for each of its settings that it reads."""
    from expectations import validation

    find_suite, shortened = validation._suite, []

    def find_suite_and_shorten(name: str) -> Any:
        suite = find_suite(name)
        if not shortened:
            _build_configurations_once(patch)  # not earlier, because the import takes seconds
            shortened.append(True)
        return suite

    patch.setattr(validation, "_suite", find_suite_and_shorten)


def _build_configurations_once(patch: pytest.MonkeyPatch) -> None:
    from great_expectations.expectations.expectation import Expectation

    build = Expectation.configuration.fget
    newest: tuple[Any, Any] = (None, None)

    def build_or_remember(expectation: Expectation) -> Any:
        nonlocal newest
        if newest[0] is not expectation:
            newest = (expectation, build(expectation))
        return newest[1]

    patch.setattr(Expectation, "configuration", property(build_or_remember))
