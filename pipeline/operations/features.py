"""Store, list, show and drop the features of users as known at a moment."""

import datetime as dt
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.run.dbt import Dbt
from pipeline.run.pipeline_run import record_locked_command
from pipeline.run.preparation import lock_for_writing
from recommender import feature_store
from warehouse import database, schema
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

BY_GENRE = {"listens": "genre_listens", "affinity": "genre_affinities"}


def take_snapshot(warehouse: Warehouse, as_of: dt.datetime | None, kept: int) -> str:
    """Store the features of all users as known at `as_of` (None: now), and return what was stored, as one line."""
    with (
        lock_for_writing(warehouse, prepares=False) as connection,
        record_locked_command(warehouse, connection, "snapshot") as figures,
        warehouse.at_work("build").connect() as work,
    ):
        select = _render(warehouse, feature_store.RENDERED_FOR_ALL)
        snapshot_id, dropped = feature_store.take_snapshot(work, select, as_of, kept)
        stored = feature_store.read_snapshot(work, snapshot_id)
        figures |= {name: stored[name] for name in ("snapshot_id", "users", "listens")}
    users, listens = count(stored["users"], "user"), count(stored["listens"], "listen")
    line = f"snapshot {snapshot_id}: {users}, {listens}, as known at {_time(stored['as_of'])}"
    return f"{line}; dropped {count(dropped, 'older snapshot')}" if dropped else line


def drop_snapshot(warehouse: Warehouse, snapshot_id: int) -> str:
    """Delete the snapshot, and return what was deleted, as one line."""
    with (
        lock_for_writing(warehouse, prepares=False) as connection,
        record_locked_command(warehouse, connection, "drop snapshot") as figures,
        warehouse.at_work("build").connect() as work,
    ):
        figures |= {"snapshot_id": snapshot_id, "users": feature_store.drop_snapshot(work, snapshot_id)}
    return f"dropped snapshot {snapshot_id} with the features of {count(figures['users'], 'user')}"


def list_snapshots(connection: psycopg.Connection, output: Console) -> None:
    """Print the stored snapshots, the newest first."""
    _check_is_prepared(connection)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, justify in (("snapshot", "right"), ("as known at", "left"), ("features", "left")):
        table.add_column(name, justify=justify)
    for name in ("users", "listens", "erased", "fingerprint"):
        table.add_column(name, justify="right")
    stored = feature_store.read_snapshots(connection)
    for row in stored:
        table.add_row(
            str(row["snapshot_id"]),
            _time(row["as_of"]),
            f"{row['feature_set']} v{row['version']}",
            f"{row['users']:,}",
            f"{row['listens']:,}",
            f"{row['erased_users']:,}",
            row["fingerprint"][:8],
        )
    output.print(table if stored else "no snapshots; store one with: features snapshot")


def show_snapshot(connection: psycopg.Connection, output: Console, snapshot_id: int, user_id: int | None) -> None:
    """Print the description of a snapshot, or the features of a user in it."""
    _check_is_prepared(connection)
    stored = feature_store.read_snapshot(connection, snapshot_id)
    if user_id is None:
        _print_values(output, {**stored, "as_of": _time(stored["as_of"]), "taken_at": _time(stored["taken_at"])})
        return
    features = feature_store.read_user_in_snapshot(connection, snapshot_id, user_id)
    _print_features(output, features, user_id, f"in snapshot {snapshot_id}, as known at {_time(stored['as_of'])}")


def show_user(
    warehouse: Warehouse, connection: psycopg.Connection, output: Console, user_id: int, as_of: dt.datetime | None
) -> None:
    """Print the features of a user as known at `as_of` (None: now)."""
    _check_is_prepared(connection)
    features = feature_store.compute_user(
        connection, _render(warehouse, feature_store.RENDERED_FOR_ONE), user_id, as_of
    )
    _print_features(output, features, user_id, f"as known at {_time(as_of)}" if as_of else "as known now")


def _render(warehouse: Warehouse, expression: str) -> str:
    database.export(warehouse.at_work("build"))
    return Dbt("--no-write-json").render(expression, warehouse)


def _check_is_prepared(connection: psycopg.Connection) -> None:
    # a reader sees no other schema
    if not database.has(connection, "features.snapshots"):
        if database.has(connection, "ops.runs"):
            raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, schema.NOT_PREPARED)
        raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)


def _print_features(output: Console, features: dict[str, Any] | None, user_id: int, moment: str) -> None:
    if features is None:
        raise CommandError(ExitCode.WRONG_SETTINGS, f"there is no user {user_id} {moment}; check --user")
    output.print(f"user {user_id}, {moment}")
    _print_values(output, {name: features[name] for name in sorted(features.keys() - set(BY_GENRE.values()))})
    affinities = features[BY_GENRE["affinity"]]
    if not affinities:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("genre")
    for name in BY_GENRE:
        table.add_column(name, justify="right")
    for genre in sorted(affinities, key=lambda genre: (-affinities[genre], genre)):
        table.add_row(Text(genre), f"{features[BY_GENRE['listens']][genre]:,}", f"{affinities[genre]:.3f}")
    output.print(table)


def _print_values(output: Console, values: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, value in values.items():
        text = ", ".join(value) if isinstance(value, list) else value
        table.add_row(name, Text("none" if text in (None, "") else str(text)))
    output.print(table)


def _time(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
