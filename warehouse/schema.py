"""Read and upgrade the version of the warehouse's schema: the numbered migrations in `migrations/versions/`."""

import io
from collections.abc import Iterable
from pathlib import Path

import psycopg
from psycopg import sql

from warehouse import database, ownership
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode
from warehouse.names import SCHEMAS

MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = {path.stem.partition("_")[0]: path for path in sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))}
LATEST = max(VERSIONS)
NOT_PREPARED = "the warehouse must be upgraded for this version: make migrate"
NOTHING_LOADED = "nothing has been loaded yet; start a run with: make run"
# A migration needs exclusive locks, and other sessions queue behind the request.
LOCK_TIMEOUT = "10s"


def revision(connection: psycopg.Connection) -> str | None:
    """Return the number of the newest migration that the warehouse has, None if it has none.

    Raises CommandError(WAREHOUSE_UNAVAILABLE) for a number that only a newer version of this project knows.
    """
    if not database.has(connection, "ops.alembic_version"):
        return None
    (found,) = connection.execute("select max(version_num) from ops.alembic_version").fetchone()
    if found is not None and found not in VERSIONS:
        raise CommandError(
            ExitCode.WAREHOUSE_UNAVAILABLE,
            f"the warehouse has migration {found}, and this version of the project knows only those up to {LATEST};"
            " nothing was written. Update the project, then run again",
        )
    return found


def is_current(connection: psycopg.Connection) -> bool:
    """Return whether the warehouse has all migrations that this version of the project knows."""
    return revision(connection) == LATEST


def check_is_readable(connection: psycopg.Connection) -> None:
    """Raise CommandError(WAREHOUSE_UNAVAILABLE) if the warehouse was made by another version. An empty one passes."""
    if not is_current(connection) and database.has(connection, "ops.runs"):
        raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, NOT_PREPARED)


def check_may_upgrade(connection: psycopg.Connection) -> None:
    """Raise CommandError(WAREHOUSE_UNAVAILABLE) unless the login owns the schemas that exist."""
    schemas = connection.execute(
        "select nspname, nspowner, pg_has_role(nspowner, 'usage') from pg_namespace where nspname = any(%s) order by 1",
        [list(SCHEMAS)],
    ).fetchall()
    foreign = [name for name, _, is_own in schemas if not is_own]
    if not foreign:
        return
    user = connection.info.user
    has_one_owner = len({owner for _, owner, _ in schemas}) == 1 and len(schemas) == len(SCHEMAS)
    if has_one_owner:
        advice = "as their owner run: make migrate"
    else:
        changes = [
            sql.SQL("alter schema {} owner to {};").format(sql.Identifier(name), sql.Identifier(user)).as_string()
            for name in foreign
        ]
        advice = f"one user must own all of them; as a superuser run: {' '.join(changes)} Then run again"
    raise CommandError(
        ExitCode.WAREHOUSE_UNAVAILABLE,
        f"the warehouse must be prepared first, and the user {user} does not own its schemas"
        f" ({', '.join(foreign)}); {advice}",
    )


def upgrade(warehouse: Warehouse, names: Iterable[str]) -> None:
    """Create missing schemas, apply missing migrations, and claim the names of all relations, in one transaction.

    The caller holds the run lock, and has checked the ownership of the names. Raises CommandError
    (WAREHOUSE_UNAVAILABLE) if the user may not create schemas, or if another session holds a table.
    """
    from alembic import command
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import DBAPIError

    def connect() -> psycopg.Connection:
        options = f"{warehouse.parameters['options']} -c lock_timeout={LOCK_TIMEOUT}"
        return psycopg.connect(warehouse.conninfo, options=options)

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.begin() as transaction:
        connection = transaction.connection.driver_connection
        database.create_schemas(connection)
        config = _config()
        config.attributes["connection"] = transaction
        try:
            command.upgrade(config, "head")
        except psycopg.errors.LockNotAvailable:
            raise CommandError(
                ExitCode.WAREHOUSE_UNAVAILABLE,
                "another session uses a table that a migration must change; nothing was changed; retry later with:"
                " make migrate",
            ) from None
        except DBAPIError as error:  # of a statement of Alembic itself
            raise error.orig from None
        ownership.claim(connection, names)


def script(connection: psycopg.Connection) -> str:
    """Return the SQL of the missing migrations, empty if there are none."""
    from alembic import command

    present = revision(connection)
    if present == LATEST:
        return ""
    output = io.StringIO()
    config = _config(output)
    command.upgrade(config, f"{present or 'base'}:head", sql=True)
    schemas = "".join(f"CREATE SCHEMA IF NOT EXISTS {schema};\n" for schema in SCHEMAS)
    return output.getvalue().replace("BEGIN;\n", f"BEGIN;\n\n{schemas}", 1)


def _config(output: io.StringIO | None = None) -> object:
    from alembic.config import Config

    config = Config(output_buffer=output)
    # Config substitutes % in its values
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
