"""The statements that dbt renders for the marts, run by hand: a thousand builds by dbt itself would take an hour."""

import os
import re
from pathlib import Path

import psycopg

MODELS = (
    "marts/users",
    "marts/tracks",
    "marts/track_genres",
    "marts/listen_history",
    "intermediate/parked_listens",
)
"""In the order of their dependencies."""


class RenderedModels:
    """What the last `dbt run` on a database that was built before left in dbt's target folder."""

    def __init__(self) -> None:
        target = Path(os.environ["DBT_TARGET_PATH"])
        self._statements = []
        for model in MODELS:
            compiled = (target / f"compiled/moovitamix/models/{model}.sql").read_text()
            run = (target / f"run/moovitamix/models/{model}.sql").read_text()
            (temporary,) = set(re.findall(r'"(\w+__dbt_tmp\w*)"', run))
            query = f'create temporary table "{temporary}" on commit drop as ({compiled}\n); {run}'
            self._statements.append(re.sub(r'"\w+"\.("(?:prep|marts|staging|gate)"\.)', r"\1", query))

    def build(self, connection: psycopg.Connection) -> None:
        """What `dbt run` does to the marts: one transaction per model."""
        for statement in self._statements:
            with connection.transaction():
                connection.execute(statement)
