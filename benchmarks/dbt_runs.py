"""Run dbt on a benchmark's database, without writing to the checkout."""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from pipeline.run.dbt import Dbt
from pipeline.run.preparation import lock_for_writing
from warehouse import database


def run_dbt(database_url: str, *arguments: str) -> dict[str, float]:
    """Run dbt and return seconds per model and test. Raises RuntimeError when one failed."""
    with _dbt(database_url) as dbt:
        outcome = dbt.invoke(*arguments)
    if not outcome.succeeded:
        raise RuntimeError(outcome.lines)
    return {node.node: node.seconds for node in outcome.nodes}


def render(database_url: str, expression: str) -> str:
    """Return the SQL that a call of a dbt macro renders."""
    with _dbt(database_url) as dbt:
        return dbt.render(expression)


@contextlib.contextmanager
def _dbt(database_url: str) -> Iterator[Dbt]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}
        warehouse = database.find(database_url, "bench")
        with lock_for_writing(warehouse):
            database.export(warehouse)
            yield Dbt("--no-write-json")
