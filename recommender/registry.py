"""Record trainings and model versions, and which version is the champion of each list. Imports nothing heavy."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from recommender.releases import CHAMPION


@dataclass(frozen=True)
class ModelVersion:
    """Hold a registered model. `artefact` None: the model only counts, so it is counted again for each release."""

    model_version: int
    list: str
    model: str
    params: Mapping[str, Any]
    fallback_params: Mapping[str, Mapping[str, Any]]
    artefact: bytes | None
    checksum: str | None
    format_version: int | None


def read(connection: psycopg.Connection, model_version: int) -> ModelVersion:
    """Return a model version with its artefact."""
    row = connection.execute(
        "select model_version, list, model, params, fallback_params, artefact, checksum, format_version"
        " from recommendations.model_versions where model_version = %s",
        [model_version],
        binary=True,
    ).fetchone()
    return ModelVersion(*row)


def reasons(connection: psycopg.Connection, model_versions: Iterable[int]) -> dict[int, str]:
    """Return by model version why its training chose it; a version without a training is left out."""
    return dict(
        connection.execute(
            "select model_version, reason from recommendations.model_versions"
            " inner join recommendations.trainings using (training_id) where model_version = any(%s)",
            [list(model_versions)],
        ).fetchall()
    )


def record_training(
    connection: psycopg.Connection,
    list_name: str,
    *,
    trigger: str,
    outcome: str,
    reason: str,
    trials: Mapping[str, int],
    started_at: dt.datetime,
) -> int:
    """Record what a training chose for a list, and return its number."""
    (training_id,) = connection.execute(
        "insert into recommendations.trainings (list, trigger, outcome, reason, trials, started_at, finished_at)"
        " values (%s, %s, %s, %s, %s, %s, clock_timestamp()) returning training_id",
        [list_name, trigger, outcome, reason, Jsonb(dict(trials)), started_at],
    ).fetchone()
    return training_id


def register(connection: psycopg.Connection, columns: Mapping[str, Any]) -> int:
    """Store a model version with these columns, and return its number."""
    names = ", ".join(columns)
    values = [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]
    places = ", ".join(["%b" if isinstance(value, bytes) else "%s" for value in values])
    (number,) = connection.execute(
        f"insert into recommendations.model_versions ({names}) values ({places}) returning model_version", values
    ).fetchone()
    return number


def promote(connection: psycopg.Connection, list_name: str, model_version: int, reason: str) -> None:
    """Make a model version the champion of a list."""
    connection.execute(
        "insert into recommendations.aliases (list, alias, model_version, reason) values (%s, %s, %s, %s)",
        [list_name, CHAMPION, model_version, reason],
    )
