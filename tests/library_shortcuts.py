"""Shorten what dlt, dbt and Great Expectations repeat in a process that executes many runs; no result changes.

Without them the tests would take a fifth longer.
"""

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import pytest

from tests.command import PROJECT

# The debug events that callbacks want: the progress of a run. tests/rendered_models.py adds one.
LISTENED_TO = ("NodeStart",)
# An expectation and those that GX builds of it while it describes one metric.
REMEMBERED = 4
PLAIN = (str, int, bool, type(None))
# dbt's files of `make lint`
LINTED = PROJECT / "dbt_project" / "target"


def shorten_dlt(patch: pytest.MonkeyPatch) -> None:
    """Find the capabilities of a class of destinations once: dlt resolves a configuration for them, 30 times in a load.

    They depend on the class and the naming, not on the connection.
    """
    from dlt.common.destination.reference import Destination

    find, found = Destination.capabilities, {}

    def find_or_remember(destination: Destination, config: Any = None, naming: Any = None) -> Any:
        if config is not None:
            return find(destination, config, naming)
        key = type(destination), type(naming), getattr(naming, "max_length", None)
        if key not in found:
            found[key] = find(destination, None, naming)
        return found[key].copy()

    patch.setattr(Destination, "capabilities", find_or_remember)


def shorten_dbt(patch: pytest.MonkeyPatch) -> None:
    """Parse the project once, build only events that are logged, keep connections, and do not search for callers."""
    # a walk through the stack for each flag, which takes seconds in a process with many modules
    patch.setattr("dbt_common.behavior_flags.BehaviorFlagRendered._default_source", staticmethod(lambda: "dbt"))
    _skip_debug_events(patch)
    _fill_events_when_read(patch)
    _compile_templates_once(patch)
    _gather_macros_quickly(patch)
    _find_secrets_quickly(patch)
    _list_arguments_once(patch)
    _find_column_types_once(patch)
    _keep_connections(patch)
    _parse_once(patch)


def _skip_debug_events(patch: pytest.MonkeyPatch) -> None:
    """Drop a debug event that no log wants: dbt builds and formats a thousand of them in each run."""
    from dbt_common.events.base_types import BaseEvent, EventLevel
    from dbt_common.events.event_manager import EventManager

    fire_event = EventManager.fire_event

    def fire_wanted_event(
        manager: EventManager,
        e: BaseEvent,
        level: EventLevel | None = None,
        node: Any = None,
        force_warn_or_error_handling: bool = False,
    ) -> None:
        is_wanted = (
            force_warn_or_error_handling
            or (level or e.level_tag()) != EventLevel.DEBUG
            or any(logger.level == EventLevel.DEBUG for logger in manager.loggers)
            or type(e).__name__ in LISTENED_TO
        )
        if is_wanted:
            fire_event(manager, e, level, node, force_warn_or_error_handling)

    patch.setattr(EventManager, "fire_event", fire_wanted_event)


def _fill_events_when_read(patch: pytest.MonkeyPatch) -> None:
    """Convert what an event holds when somebody reads it: for dropped events, that is never."""
    from dbt_common.events.base_types import BaseEvent

    fill = BaseEvent.__init__

    def keep_values(event: BaseEvent, *values: Any, **named: Any) -> None:
        vars(event)["_values"] = values, named

    def fill_and_find(event: BaseEvent, name: str) -> Any:
        if "pb_msg" not in vars(event):
            values, named = vars(event)["_values"]
            fill(event, *values, **named)
        return vars(event)["pb_msg"] if name == "pb_msg" else getattr(vars(event)["pb_msg"], name)

    patch.setattr(BaseEvent, "__init__", keep_values)
    patch.setattr(BaseEvent, "__getattr__", fill_and_find)


def _compile_templates_once(patch: pytest.MonkeyPatch) -> None:
    """Compile the text of a model or a test once: dbt does it in each run."""
    from dbt_common.clients.jinja import MacroFuzzEnvironment

    compile_, compiled = MacroFuzzEnvironment.compile, {}

    def compile_or_remember(environment: MacroFuzzEnvironment, source: Any, *others: Any) -> Any:
        key = source, *others
        if key not in compiled:
            compiled[key] = compile_(environment, source, *others)
        return compiled[key]

    patch.setattr(MacroFuzzEnvironment, "compile", compile_or_remember)


def _gather_macros_quickly(patch: pytest.MonkeyPatch) -> None:
    """Gather the macros that a node may call in one pass: dbt takes seven calls for each of 550, twice a node."""
    from dbt.clients.jinja import MacroGenerator
    from dbt.context.macros import GLOBAL_PROJECT_NAME, MacroNamespace, MacroNamespaceBuilder

    class Macro(MacroGenerator):
        """Hold what three constructors would set, one after the other."""

        def __init__(self, macro: Any, context: Any, node: Any, stack: Any) -> None:
            self.macro, self.context, self.node, self.stack = macro, context, node, stack

    class Macros(dict):
        get_from_package = MacroNamespace.get_from_package

        def __init__(self, provided: dict[str, Any], packages: dict[str, Any], *first: dict[str, Any]) -> None:
            super().__init__(provided)
            self.global_project_namespace, self.packages = provided, packages
            for names in ({GLOBAL_PROJECT_NAME: provided}, packages, *first):
                self.update(names)

    def gather(builder: MacroNamespaceBuilder, by_package: dict[str, dict[str, Any]], context: Any) -> Macros:
        packages, provided = {}, {}
        for package, macros in by_package.items():
            packages[package] = {
                name: Macro(macro, context, builder.node, builder.thread_ctx) for name, macro in macros.items()
            }
        for package in reversed(builder.internal_package_names_order):
            provided |= packages.pop(package, {})
        of_root, of_node = (packages.get(name, {}) for name in (builder.root_package, builder.search_package))
        return Macros(provided, packages, of_root, of_node)

    patch.setattr(MacroNamespaceBuilder, "build_namespace", gather)


def _find_secrets_quickly(patch: pytest.MonkeyPatch) -> None:
    """Look only for the secret that a run has: dbt reads the whole environment for each line of its log."""
    from dbt_common.events import functions

    name = "DBT_ENV_SECRET_PGPASSWORD"
    patch.setattr(functions, "env_secrets", lambda: [value for value in (os.environ.get(name, ""),) if value.strip()])


def _list_arguments_once(patch: pytest.MonkeyPatch) -> None:
    """List the arguments of an invocation once: dbt does it twice for each node."""
    from dbt.context import providers

    patch.setattr(providers, "args_to_dict", _remembering(providers.args_to_dict))


def _find_column_types_once(patch: pytest.MonkeyPatch) -> None:
    """Build the parsers of result columns once: dbt builds them, and parsers of dates in words, for each query."""
    from dbt_common.clients import agate_helper

    build, built = agate_helper.build_type_tester, {}

    def build_or_remember(text_columns: Iterable[str], string_null_values: Iterable[str] | None = ("null", "")) -> Any:
        key = tuple(text_columns), string_null_values and tuple(string_null_values)
        if key not in built:
            built[key] = build(*key)
        return built[key]

    patch.setattr(agate_helper, "build_type_tester", build_or_remember)
    patch.setattr(agate_helper, "empty_table", functools.cache(agate_helper.empty_table))


def _keep_connections(patch: pytest.MonkeyPatch) -> None:
    """Use connections again within an invocation: dbt opens one for each node, which costs a quarter of a small build.

    A connection is handed on like a new one: without transaction, temporary tables, locks and settings of its session.
    """
    import psycopg2
    from dbt.adapters.postgres.connections import PostgresConnectionManager as Manager

    open_, close_handle, cleanup_all = Manager.open.__func__, Manager._close_handle.__func__, Manager.cleanup_all
    idle: list[tuple[Any, Any]] = []

    def open_or_reuse(manager: type[Manager], connection: Any) -> Any:
        while connection.state != "open":
            try:
                credentials, handle = idle.pop()
            except IndexError:
                return open_(manager, connection)
            # an interrupted invocation leaves connections, which may lead to another database, or to none
            if credentials is connection.credentials:
                with contextlib.suppress(psycopg2.Error):
                    handle.cursor().execute("discard temp; reset all; select pg_advisory_unlock_all()")
                    handle.commit()
                    connection.handle, connection.state = handle, "open"
        return connection

    def keep_handle(manager: type[Manager], connection: Any) -> None:
        try:
            connection.handle.rollback()
            idle.append((connection.credentials, connection.handle))
        except psycopg2.Error:
            close_handle(manager, connection)

    def cleanup_all_and_close(manager: Manager) -> None:
        cleanup_all(manager)
        while idle:
            idle.pop()[1].close()

    patch.setattr(Manager, "open", classmethod(open_or_reuse))
    patch.setattr(Manager, "_close_handle", classmethod(keep_handle))
    patch.setattr(Manager, "cleanup_all", cleanup_all_and_close)


def _parse_once(patch: pytest.MonkeyPatch) -> None:
    """Parse once per target and folder of generated files, from what `make lint` left of its own parse.

    dbt parses only changed files if it connects as before. So each parse connects as lint does, without settings, and
    the manifest gets the name of the database, the only thing that differs.
    """
    from pipeline.run import dbt as module
    from pipeline.run.dbt import Dbt

    run, parsed = Dbt._run, {}

    def parse(dbt: Dbt) -> Any:
        left, kept = (folder / "partial_parse.msgpack" for folder in (LINTED, module.target_folder()))
        # made for the target by default
        if left.exists() and not kept.exists() and not os.environ.get("DBT_TARGET"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(left, kept)
        with mock.patch.dict(os.environ):
            for name in [name for name in os.environ if name.startswith("PG")]:
                del os.environ[name]
            return run(dbt, "parse")

    def run_or_remember(dbt: Dbt, *arguments: str, **options: Any) -> Any:
        if arguments != ("parse",):
            return run(dbt, *arguments, **options)
        key = tuple(os.environ.get(name) for name in ("DBT_TARGET", "DBT_TARGET_PATH"))
        if key not in parsed:
            result = parse(dbt)
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
    """Skip what a validation repeats for each setting of each expectation, as soon as GX is imported."""
    from expectations import validation

    find_suite, shortened = validation._suite, []

    def find_suite_and_shorten(name: str) -> Any:
        suite = find_suite(name)
        if not shortened:
            # not earlier, because the import takes seconds
            _build_expectations_once(patch)
            _name_metrics_quickly(patch)
            _save_no_project(patch)
            shortened.append(True)
        return suite

    patch.setattr(validation, "_suite", find_suite_and_shorten)


def _build_expectations_once(patch: pytest.MonkeyPatch) -> None:
    """Remember the configuration of an expectation, and the expectation of a configuration.

    GX builds both again for each setting of each metric.
    """
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    patch.setattr(Expectation, "configuration", property(_remembering(Expectation.configuration.fget)))
    patch.setattr(ExpectationConfiguration, "to_domain_obj", _remembering(ExpectationConfiguration.to_domain_obj))


def _remembering(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remember what was built of the newest objects."""
    newest: tuple[tuple[Any, Any], ...] = ()

    def build_or_remember(source: Any) -> Any:
        nonlocal newest
        for known, built in newest:
            if known is source:
                return built
        built = build(source)
        newest = ((source, built), *newest)[:REMEMBERED]
        return built

    return build_or_remember


def _name_metrics_quickly(patch: pytest.MonkeyPatch) -> None:
    """Convert only what JSON cannot hold: GX asks a dozen libraries for the type of each None in a metric's name."""
    from great_expectations.core import id_dict

    convert = id_dict.convert_to_json_serializable

    def convert_unless_plain(data: dict[str, Any]) -> Any:
        return data if all(type(value) in PLAIN for value in data.values()) else convert(data)

    patch.setattr(id_dict, "convert_to_json_serializable", convert_unless_plain)


def _save_no_project(patch: pytest.MonkeyPatch) -> None:
    """Write no YAML of a project that is in memory: GX writes it into nothing, twice for each relation."""
    from great_expectations.data_context import EphemeralDataContext

    patch.setattr(EphemeralDataContext, "_save_project_config", lambda context: None)
