"""Runs that kill themselves with SIGKILL at a named point of the gate or the build."""

import os
import sys
from collections.abc import Callable

import great_expectations  # noqa: F401
import psycopg
from dbt.adapters.postgres.connections import PostgresConnectionManager
from dbt.cli.main import dbtRunner  # noqa: F401
from dbt.task.run import ModelRunner
from dbt.task.test import TestRunner

from expectations import batch_tables, gate
from pipeline.cli import main
from pipeline.console import summary  # noqa: F401
from pipeline.run import pipeline_run
from tests.call_hooks import die, or_die, then_die

NOWHERE = "nowhere"
MODELS = ("users", "tracks", "track_genres", "listen_history", "parked_listens")
LAST_DATA_TEST = "assert_every_published_listen_is_stored_once"

Point = tuple[object, str, Callable]


def sent(message: str) -> Callable[..., bool]:
    """Whether the gate's own connection has sent a statement with these words."""
    return lambda connection, statement, *_: message in str(statement)


def is_model(model: str) -> Callable[..., bool]:
    return lambda runner, node, *_: node.name == model


def is_of(model: str) -> Callable[..., bool]:
    """Whether a connection of dbt works on the model."""
    return lambda manager: manager.get_thread_connection().name == f"model.moovitamix.{model}"


GATE_POINTS: dict[str, Point] = {
    "rows staged": (batch_tables, "stage_batch", then_die(batch_tables.stage_batch)),
    "before the verdict": (gate, "_record_verdict", die),
    "quarantined, not committed": (
        psycopg.Connection,
        "execute",
        then_die(psycopg.Connection.execute, sent("insert into gate.quarantined_rows")),
    ),
    "published, not committed": (
        psycopg.Connection,
        "execute",
        then_die(psycopg.Connection.execute, sent("insert into gate.publications")),
    ),
    "after the first table's verdict": (gate, "_record_verdict", then_die(gate._record_verdict)),
    "between gate and build": (pipeline_run, "_build", die),
}


def build_points(model: str) -> dict[str, Point]:
    """Before the model, in its transaction, after its commit."""
    execute, commit = ModelRunner.execute, PostgresConnectionManager.commit
    return {
        f"before {model}": (ModelRunner, "execute", or_die(execute, is_model(model))),
        f"in {model}": (PostgresConnectionManager, "commit", or_die(commit, is_of(model))),
        f"after {model}": (PostgresConnectionManager, "commit", then_die(commit, is_of(model))),
    }


POINTS: dict[str, Point] = GATE_POINTS | {
    "in the data tests": (TestRunner, "execute", or_die(TestRunner.execute, is_model(LAST_DATA_TEST)))
}
for _model in MODELS:
    POINTS |= build_points(_model)


def run(point: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """`python -m pipeline` with these arguments, and death at the point; at NOWHERE it runs to its end."""
    os.environ.update(environment)
    sys.argv = ["pipeline", *arguments]
    if point != NOWHERE:
        owner, name, replacement = POINTS[point]
        setattr(owner, name, replacement)
    main.main()
