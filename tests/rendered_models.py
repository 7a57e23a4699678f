"""Execute the rendered statements of the dbt models: a thousand builds by dbt would take an hour."""

import os
import re
from collections import defaultdict
from typing import Any
from unittest import mock

import psycopg
from dbt.cli.main import dbtRunner

from pipeline.run.dbt import PROJECT_FOLDER, Dbt, profiles_folder
from tests import library_shortcuts
from warehouse import database

# Only looks at the catalog, or does not matter to the rows.
LEFT_OUT = re.compile(r"(select|begin|commit|comment on)\b", re.IGNORECASE)
COMMENTS = re.compile(r"/\*.*?\*/|^\s*--[^\n]*\n", re.DOTALL | re.MULTILINE)
# A database's now() cannot be moved; how far back from it the totals end can.
WINDOW = "interval '2160 hours'"
SETTING = "coalesce(current_setting('test.totals_end_before', true), '90 days')::interval"


class RenderedModels:
    """Execute what `dbt run` does to the tables of a database that was already built."""

    def __init__(self, database_url: str, *arguments: str) -> None:
        statements: dict[str, list[str]] = defaultdict(list)

        def note(event: Any) -> None:
            if event.info.name != "SQLQuery":
                return
            node = event.data.node_info
            statement = COMMENTS.sub("", event.data.sql).strip()
            if node.materialized in ("table", "incremental") and not LEFT_OUT.match(statement):
                statement = re.sub(r'"\w+"\.("(?:prep|marts|staging|gate)"\.)', r"\1", statement)
                statements[node.node_name].append(statement.replace(WINDOW, SETTING))

        warehouse = ("--project-dir", str(PROJECT_FOLDER), "--profiles-dir", str(profiles_folder()))
        with mock.patch.dict(os.environ), mock.patch.object(library_shortcuts, "LISTENED_TO", ("SQLQuery",)):
            database.export(database.find(database_url, "test"))
            manifest = Dbt("--no-write-json")._run("parse").result
            outcome = dbtRunner(manifest, callbacks=[note]).invoke(
                ["--log-level", "none", "--no-write-json", "run", "--threads", "1", *arguments, *warehouse]
            )
        assert outcome.success, outcome.exception
        self.statements = dict(statements)

    def build(self, connection: psycopg.Connection, models: int | None = None) -> None:
        """Build like `dbt run`, one transaction per model; `models`: stop after that many, like a killed build."""
        for statements in list(self.statements.values())[:models]:
            with connection.transaction():
                for statement in statements:
                    connection.execute(statement)
            connection.execute("discard temporary")
