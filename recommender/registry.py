"""Record trainings and model versions, and which version is the champion of each list. Imports nothing heavy."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
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


@dataclass(frozen=True)
class CountedModel:
    """Hold a model that was counted for a release. `place` 0: the model of the list itself, else one that fills it."""

    list: str
    place: int
    model: str
    artefact: bytes
    checksum: str
    format_version: int


def keep_counted(connection: psycopg.Connection, release_id: int, models: Iterable[CountedModel]) -> None:
    """Store the models that were counted for a release."""
    for model in models:
        connection.execute(
            "insert into recommendations.release_models"
            " (release_id, list, place, model, artefact, checksum, format_version) values (%s, %s, %s, %s, %b, %s, %s)",
            [release_id, *(getattr(model, field.name) for field in fields(model))],
        )


def read_counted(connection: psycopg.Connection, release_id: int) -> list[CountedModel]:
    """Return the models that were counted for a release, by list and place."""
    rows = connection.execute(
        "select list, place, model, artefact, checksum, format_version"
        " from recommendations.release_models where release_id = %s order by list, place",
        [release_id],
        binary=True,
    )
    return [CountedModel(*row) for row in rows]


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
