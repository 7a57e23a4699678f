"""Define the commands that run other programs: dbt, psql, pg_dump, pg_restore, Airflow."""

import contextlib
import os

import click

from pipeline.cli.connecting import connect_for_reading, find_warehouse
from pipeline.cli.options import database_url_option
from pipeline.records import owned_names
from pipeline.run.dbt import may_write, run_with_output
from pipeline.run.preparation import lock_for_writing
from pipeline.settings import PROJECT, Settings
from warehouse import database, embedded_postgres, locks
from warehouse.errors import CommandError, ExitCode

# Options of pg_restore with which it prints and leaves the warehouse as it is.
WRITES_NOTHING = {"-l", "--list", "-f", "--file", "-V", "--version", "-?", "--help"}


@click.command("dbt", context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt_command(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Run dbt with ARGUMENTS on the warehouse, such as `dbt test`.

    A command that may write takes the run lock: it is refused during a run, and no run starts until it ends.
    """
    settings = Settings(database_url=database_url)
    with contextlib.ExitStack() as stack:
        if may_write(arguments):
            warehouse = find_warehouse(settings, locks.RUN_APPLICATION)
            stack.enter_context(lock_for_writing(warehouse))
        else:
            warehouse = find_warehouse(settings)
        database.export(warehouse.at_work("build"))
        run_with_output(arguments)


@click.command(context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Open psql on the warehouse. The exit code is that of psql."""
    _become("psql", database_url, arguments)


@click.command("pg-dump", context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pg_dump(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Run pg_dump on the warehouse. The exit code is that of pg_dump."""
    _become("pg_dump", database_url, arguments)


@click.command("pg-restore", context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pg_restore(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Run pg_restore into the warehouse. Restored relations belong to the user who runs it."""
    if WRITES_NOTHING.isdisjoint(arguments):
        # The dump lists its relations as this project's own: it must not meet relations of others.
        with connect_for_reading(find_warehouse(Settings(database_url=database_url))) as connection:
            owned_names.check(connection)
    # pg_restore is the only tool of Postgres that ignores PGDATABASE. Owners and privileges name roles, which another
    # server may not have.
    _become("pg_restore", database_url, ("--dbname=", "--no-owner", "--no-privileges", *arguments))


def _become(tool: str, database_url: str | None, arguments: tuple[str, ...]) -> None:
    warehouse = find_warehouse(Settings(database_url=database_url))
    # the password goes by environment, because every user of the machine can read a command line
    environment = {**os.environ, "PGPASSWORD": warehouse.parameters["password"]}
    os.execve(embedded_postgres.binary(tool), [tool, *arguments], environment)


@click.command("airflow")
def serve_airflow() -> None:
    """Serve Airflow with the run as its DAG until Ctrl-C."""
    python = PROJECT / ".airflow" / "venv" / "bin" / "python"
    if not python.exists():
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "the Airflow environment is missing; create it and start Airflow with: make airflow",
        )
    os.execve(python, [str(python), str(PROJECT / "orchestration" / "serve.py")], os.environ)
