"""Run dbt on a benchmark's database, without writing to the checkout."""

import os
import tempfile

from pipeline.run.dbt import Dbt
from pipeline.run.preparation import lock_for_writing
from warehouse import database


def run_dbt(database_url: str, *arguments: str) -> dict[str, float]:
    """Run dbt and return seconds per model and test. Raises RuntimeError when one failed."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}
        warehouse = database.find(database_url, "bench")
        with lock_for_writing(warehouse):
            database.export(warehouse)
            outcome = Dbt("--no-write-json").invoke(*arguments)
    if not outcome.succeeded:
        raise RuntimeError(outcome.lines)
    return {node.node: node.seconds for node in outcome.nodes}
