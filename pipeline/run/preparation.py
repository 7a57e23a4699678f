"""Prepare the warehouse for this version of the project: its structure changes here, and runs only move data.

Prepared are the tables (numbered migrations), the function that normalizes text, the typed views (dbt), the batch
tables of the gate, and the privileges of roles.
"""

import contextlib
import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
import psycopg

from expectations import batch_tables
from pipeline.records import owned_names
from pipeline.run import privileges
from pipeline.run.dbt import PROJECT_FOLDER, Dbt, check_target, to_command_error
from pipeline.settings import PROJECT
from warehouse import database, locks, normalization, ownership, schema
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

TYPED_VIEWS = "path:models/staging"
# What determines the typed views, the batch tables and the function, apart from the migrations.
SOURCES = (
    *sorted((PROJECT_FOLDER / "models" / "staging").glob("*")),
    *sorted((PROJECT_FOLDER / "macros").rglob("*.sql")),
    *(batch_tables.SOURCE, normalization.SOURCE_FILE),
)


@contextlib.contextmanager
def lock_for_writing(
    warehouse: Warehouse, say: Callable[[str], None] = click.echo, *, prepares: bool = True
) -> Iterator[psycopg.Connection]:
    """Hold the run lock on the yielded connection, in a warehouse that is prepared for this version of the project.

    `say` is called with what is prepared, if anything is. Raises CommandError: ALREADY_RUNNING; WRONG_SETTINGS for a
    wrong DBT_TARGET, and if a relation of another project has a name that this project needs; otherwise like `prepare`.
    A command about rows that a run has loaded does not prepare: WRONG_SETTINGS if there was no run yet, else
    WAREHOUSE_UNAVAILABLE.
    """
    check_target()
    with locks.run_lock(warehouse) as connection:
        with database.translate_database_errors(warehouse):
            owned_names.check(connection)
            if is_prepared(connection):
                ownership.claim(connection, owned_names.names())
            elif prepares:
                prepare(warehouse, connection, say)
            else:
                raise _not_prepared(connection)
        try:
            yield connection
        finally:
            # a claim that remains is harmless: it only names a relation that this project may create
            with contextlib.suppress(psycopg.Error):
                ownership.release_unused(connection)


@contextlib.contextmanager
def lock_for_shard(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """Share the run lock with other shards, in a prepared warehouse. Yield a connection to work on as `recommend`.

    It must not have the application name of a run. Raises CommandError: ALREADY_RUNNING; WRONG_SETTINGS if there was no
    run yet; WAREHOUSE_UNAVAILABLE if the warehouse is not prepared.
    """
    with locks.run_lock(warehouse, is_shared=True) as connection:
        with database.translate_database_errors(warehouse):
            if not is_prepared(connection):
                raise _not_prepared(connection)
        with warehouse.at_work("recommend").connect() as work:
            # if this process is killed, no run begins before the server has ended what it asked for
            locks.try_run_lock(work, is_shared=True)
            try:
                yield work
            finally:
                with contextlib.suppress(psycopg.Error):
                    # the server notices the end of a connection a little later
                    work.execute("select pg_advisory_unlock_all()")


def is_prepared(connection: psycopg.Connection) -> bool:
    """Return whether this version of the project has prepared the warehouse, and nobody dropped a batch table since.

    Raises CommandError(WAREHOUSE_UNAVAILABLE) for a warehouse of a newer version.
    """
    return (
        schema.is_current(connection)
        and _prepared_fingerprint(connection) == fingerprint()
        and all(database.has(connection, name) for name in batch_tables.NAMES)
    )


def fingerprint() -> str:
    """Return a hash of the files that determine the typed views, the batch tables and the function."""
    return digest_files(SOURCES, unicodedata.unidata_version)


def digest_files(paths: Iterable[Path], setting: str) -> str:
    """Return a digest of a setting, and of the places and contents of files."""
    digest = hashlib.md5(setting.encode(), usedforsecurity=False)
    for path in paths:
        digest.update(f"\n{os.path.relpath(path, PROJECT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def prepare(warehouse: Warehouse, connection: psycopg.Connection, say: Callable[[str], None]) -> None:
    """Prepare the warehouse. The caller holds the run lock on `connection`. Repeating it changes nothing.

    Raises CommandError: WAREHOUSE_UNAVAILABLE if the user does not own the schemas, may not create them, or if another
    session holds a table; BUILD_FAILED if dbt fails.
    """
    schema.check_may_upgrade(connection)
    say(f"preparing the warehouse for this version: {describe(connection)}")
    schema.upgrade(warehouse, owned_names.names())
    normalization.create_function(connection)
    database.export(warehouse.at_work("build"))
    typed = Dbt("--no-write-json").invoke("run", "--select", TYPED_VIEWS)
    if not typed.succeeded:
        raise to_command_error(typed, warehouse, ExitCode.BUILD_FAILED, "the typed views could not be built")
    batch_tables.create(connection)
    if privileges.is_granted(connection):
        privileges.grant(connection)
    connection.execute(
        "insert into ops.preparations (revision, fingerprint) values (%s, %s)", [schema.LATEST, fingerprint()]
    )


def script(connection: psycopg.Connection) -> str:
    """Return the SQL of the missing migrations, followed by a comment about the other parts."""
    if is_prepared(connection):
        return "-- nothing to do: the warehouse is prepared for this version"
    note = f"-- nothing was changed; without --dry-run this prepares: {describe(connection)}"
    return "\n".join((schema.script(connection), note))


def describe(connection: psycopg.Connection) -> str:
    """Return what `prepare` would do, as one line."""
    present = schema.revision(connection)
    missing = [number for number in schema.VERSIONS if present is None or number > present]
    parts = [f"migration{'s' if len(missing) > 1 else ''} {', '.join(missing)}"] if missing else []
    parts += ["typed views", "batch tables of the gate"]
    if privileges.is_granted(connection):
        parts.append("privileges of the roles")
    return ", ".join(parts)


def _not_prepared(connection: psycopg.Connection) -> CommandError:
    """Return the error of a command that does not prepare."""
    if database.has(connection, "ops.runs"):
        return CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, schema.NOT_PREPARED)
    return CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)


def _prepared_fingerprint(connection: psycopg.Connection) -> str | None:
    row = connection.execute(
        "select fingerprint from ops.preparations order by preparation_seq desc limit 1"
    ).fetchone()
    return row and row[0]
