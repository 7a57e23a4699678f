"""dbt on a benchmark's own database, without a trace in the checkout."""

import os
import tempfile

from pipeline import runs, warehouse
from pipeline.dbt import Dbt


def run_dbt(database_url: str, *arguments: str) -> dict[str, float]:
    """Seconds per model and test. Raises RuntimeError when one failed."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}
        place = warehouse.find(database_url, "bench")
        with place.connect() as connection:
            runs.prepare(connection)
        warehouse.export(place)
        outcome = Dbt("--no-write-json").invoke(*arguments)
    if not outcome.succeeded:
        raise RuntimeError(outcome.lines)
    return {node.node: node.seconds for node in outcome.nodes}
