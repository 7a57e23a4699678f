"""Record trainings and model versions, and which version is the champion of each list. Imports nothing heavy."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from recommender.releases import CHAMPION

ANCHOR = "anchor"
# Besides the champion as it is served and the anchor, a final window compares the best recipe of the tuning window, the
# champion's recipe fitted to the same data, and popularity.
CHALLENGER, REFRESHED, POPULARITY = "challenger", "refreshed", "popularity"
# The names in recommendations.evaluations, where they differ.
STORED_CONTENDERS = {REFRESHED: "champion", CHAMPION: "served"}
PREPARE, TUNE, EVALUATE, PROMOTE = STAGES = ("prepare", "tune", "evaluate", "promote")
# The champions of both lists that one training promoted.
SAME_DECISION = dt.timedelta(seconds=1)
# How the reason of a rollback begins.
ROLLBACK = "rollback from "

VERSION = """
select
    model_version, training_id, list, model, params, fallback_params, artefact, artefact_file, checksum, format_version,
    known_at as as_of
from recommendations.model_versions
"""
TRAINING = """
select
    training_id, list, trigger, trigger_detail, stage, outcome, reason, budget, seed, known_at as as_of, users, tracks,
    listens, tuning_from, final_from, final_until, is_overlapping, champion_version, recipe, code_version, started_at,
    updated_at, finished_at
from recommendations.trainings
"""
HISTORY = """
select
    versions.model_version,
    versions.list,
    versions.model,
    versions.params,
    versions.training_id,
    versions.trained_at,
    versions.known_at as as_of,
    versions.metrics,
    coalesce(octet_length(versions.artefact), 0) as bytes,
    versions.artefact_file,
    trainings.outcome,
    (
        select string_agg(current.alias, ', ' order by current.alias desc)
        from (
            select distinct on (list, alias) list, alias, model_version
            from recommendations.aliases
            order by list, alias, alias_seq desc
        ) as current
        where current.model_version = versions.model_version and current.list = versions.list
    ) as aliases
from recommendations.model_versions as versions
left join recommendations.trainings as trainings on versions.training_id = trainings.training_id
"""


@dataclass(frozen=True)
class ModelVersion:
    """Hold a registered model, which was fitted to the data as of `as_of` (the column known_at).

    A refitted model (popularity, genres) is fitted again for each release, and has neither artefact nor file.
    """

    model_version: int
    training_id: int | None
    list: str
    model: str
    params: Mapping[str, Any]
    fallback_params: Mapping[str, Mapping[str, Any]]
    artefact: bytes | None
    artefact_file: str | None
    checksum: str | None
    format_version: int | None
    as_of: dt.datetime


@dataclass(frozen=True)
class Training:
    """Hold the columns of recommendations.trainings. `as_of`: the column known_at.

    `outcome` and `reason` are decided by the stage `evaluate`.
    """

    training_id: int
    list: str
    trigger: str
    trigger_detail: str | None
    stage: str
    outcome: str | None
    reason: str | None
    budget: float | None
    seed: int | None
    as_of: dt.datetime | None
    users: int | None
    tracks: int | None
    listens: int | None
    tuning_from: dt.date | None
    final_from: dt.date | None
    final_until: dt.date | None
    is_overlapping: bool
    champion_version: int | None
    recipe: Mapping[str, Any] | None
    code_version: str | None
    started_at: dt.datetime
    updated_at: dt.datetime
    finished_at: dt.datetime | None


def read_reasons(connection: psycopg.Connection, model_versions: Iterable[int]) -> dict[int, str]:
    """Return by model version why its training chose it; a version without a training is left out."""
    return dict(
        connection.execute(
            "select model_version, reason from recommendations.model_versions"
            " inner join recommendations.trainings using (training_id) where model_version = any(%s)",
            [list(model_versions)],
        ).fetchall()
    )


@dataclass(frozen=True)
class RefittedModel:
    """Hold a model that was fitted for a release. `place` 0: the model of the list itself, else a fallback model."""

    list: str
    place: int
    model: str
    artefact: bytes
    checksum: str
    format_version: int


def store_refitted(connection: psycopg.Connection, release_id: int, models: Iterable[RefittedModel]) -> None:
    """Store the models that were fitted for a release."""
    for model in models:
        connection.execute(
            "insert into recommendations.release_models"
            " (release_id, list, place, model, artefact, checksum, format_version) values (%s, %s, %s, %s, %b, %s, %s)",
            [release_id, *(getattr(model, field.name) for field in fields(model))],
        )


def read_refitted(connection: psycopg.Connection, release_id: int) -> list[RefittedModel]:
    """Return the models that were fitted for a release, by list and place."""
    rows = connection.execute(
        "select list, place, model, artefact, checksum, format_version"
        " from recommendations.release_models where release_id = %s order by list, place",
        [release_id],
        binary=True,
    )
    return [RefittedModel(*row) for row in rows]


def read_version(connection: psycopg.Connection, model_version: int) -> ModelVersion | None:
    """Return a model version with its artefact, or None if there is none with this number."""
    with connection.cursor(row_factory=class_row(ModelVersion)) as cursor:
        return cursor.execute(f"{VERSION} where model_version = %s", [model_version], binary=True).fetchone()


def read_history(
    connection: psycopg.Connection, model_version: int | None = None, limit: int = 1
) -> list[dict[str, Any]]:
    """Return model versions without their artefacts, the newest first: one, or the newest ones."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"{HISTORY} where %(number)s::bigint is null or model_version = %(number)s"
            " order by model_version desc limit %(limit)s",
            {"number": model_version, "limit": limit},
        ).fetchall()


def read_alias_history(connection: psycopg.Connection, list_name: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest decisions about champions and anchors, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select * from recommendations.aliases where %(list)s::text is null or list = %(list)s"
            " order by alias_seq desc limit %(limit)s",
            {"list": list_name, "limit": limit},
        ).fetchall()


def read_trainings(
    connection: psycopg.Connection, condition: str = "true", values: Sequence[Any] = ()
) -> list[Training]:
    """Return the trainings that fulfil an SQL condition, the newest first."""
    with connection.cursor(row_factory=class_row(Training)) as cursor:
        return cursor.execute(f"{TRAINING} where {condition} order by training_id desc", values).fetchall()


def read_unfinished_trainings(connection: psycopg.Connection) -> list[Training]:
    """Return the rows of the training that has not ended, by list; none if there is no such training."""
    return sorted(read_trainings(connection, "finished_at is null"), key=lambda training: training.training_id)


def read_evaluations(connection: psycopg.Connection, training_id: int) -> list[dict[str, Any]]:
    """Return what a training compared in the final window."""
    names = {stored: name for name, stored in STORED_CONTENDERS.items()}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("select * from recommendations.evaluations where training_id = %s", [training_id])
        return [{**row, "contender": names.get(row["contender"], row["contender"])} for row in rows]


def insert(connection: psycopg.Connection, table: str, columns: Mapping[str, Any], returning: str) -> int:
    """Insert a row into a table of the schema, and return its number."""
    values = [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]
    places = ", ".join(["%b" if isinstance(value, bytes) else "%s" for value in values])
    (number,) = connection.execute(
        f"insert into recommendations.{table} ({', '.join(columns)}) values ({places}) returning {returning}", values
    ).fetchone()
    return number


def record_training(connection: psycopg.Connection, columns: Mapping[str, Any]) -> int:
    """Record a training of a list with these columns, and return its number."""
    return insert(connection, "trainings", columns, "training_id")


def update_training(connection: psycopg.Connection, training_id: int, columns: Mapping[str, Any]) -> None:
    """Record what a stage of a training found."""
    values = [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]
    assignments = ", ".join(f"{name} = %s" for name in columns)
    connection.execute(
        f"update recommendations.trainings set {assignments}, updated_at = clock_timestamp() where training_id = %s",
        [*values, training_id],
    )


def finish_training(connection: psycopg.Connection, training_id: int, columns: Mapping[str, Any]) -> None:
    """Record the end of a training."""
    update_training(connection, training_id, columns)
    connection.execute(
        "update recommendations.trainings set finished_at = clock_timestamp() where training_id = %s", [training_id]
    )


def record_evaluation(connection: psycopg.Connection, training_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace what the training compared in the final window."""
    connection.execute("delete from recommendations.evaluations where training_id = %s", [training_id])
    for row in rows:
        stored = {**row, "contender": STORED_CONTENDERS.get(row["contender"], row["contender"])}
        insert(connection, "evaluations", {"training_id": training_id, **stored}, "training_id")


def register(connection: psycopg.Connection, columns: Mapping[str, Any]) -> int:
    """Store a model version with these columns, and return its number."""
    return insert(connection, "model_versions", columns, "model_version")


def promote(
    connection: psycopg.Connection, list_name: str, model_version: int, reason: str, alias: str = CHAMPION
) -> None:
    """Make a model version the champion of a list, or its anchor."""
    connection.execute(
        "insert into recommendations.aliases (list, alias, model_version, reason) values (%s, %s, %s, %s)",
        [list_name, alias, model_version, reason],
    )


def find_previous_champions(connection: psycopg.Connection, list_name: str | None) -> dict[str, tuple[int, int]]:
    """Return by list its champion and the one before: of one list, or of the lists of the newest decision.

    What was taken back is skipped, so a second rollback goes one further back.
    """
    history: dict[str, list[int]] = {}
    decided: dict[str, dt.datetime] = {}
    rows = connection.execute(
        "select list, model_version, decided_at, starts_with(reason, %s) from recommendations.aliases where alias = %s"
        " order by alias_seq",
        [ROLLBACK, CHAMPION],
    )
    for name, number, decided_at, is_rollback in rows:
        versions = history.setdefault(name, [])
        # earlier versions let a person begin the reason of a promotion like this
        if is_rollback and versions[-2:-1] == [number]:
            versions.pop()
        else:
            versions.append(number)
        decided[name] = decided_at
    if list_name is None:
        newest = max(decided.values(), default=None)
        lists = [name for name, at in decided.items() if newest - at < SAME_DECISION]
    else:
        lists = [list_name]
    return {name: (history[name][-1], history[name][-2]) for name in lists if len(history.get(name, ())) > 1}


def read_last_used_day(connection: psycopg.Connection) -> dt.date | None:
    """Return the last day of a final window that a promotion was decided on."""
    (day,) = connection.execute(
        "select max(final_until) from recommendations.trainings"
        " where finished_at is not null and outcome in ('promoted', 'popularity', 'refreshed')"
    ).fetchone()
    return day
