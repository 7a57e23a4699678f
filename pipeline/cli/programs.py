"""Define the commands that run other programs: dbt, psql, pg_dump, pg_restore, Airflow."""

import contextlib
import os
import shutil
import subprocess
import sys

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.records import owned_names
from pipeline.run.dbt import may_write, run_with_output
from pipeline.run.preparation import lock_for_writing
from pipeline.settings import PROJECT, Settings
from warehouse import database, embedded_postgres, locks
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

TRANSACTION_TIMEOUT_SINCE = 170000  # pg_restore sets it on every server
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
        run_with_output(arguments, warehouse)


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
    # owners and privileges name roles, which another server may not have
    arguments = ("--no-owner", "--no-privileges", *arguments)
    if WRITES_NOTHING.isdisjoint(arguments):
        warehouse = find_warehouse(Settings(database_url=database_url))
        with connect_for_reading(warehouse) as connection:
            # The dump lists its relations as this project's own: it must not meet relations of others.
            owned_names.check(connection)
            version = connection.info.server_version
        if version < TRANSACTION_TIMEOUT_SINCE:
            sys.exit(_restore_into_older(arguments, _environment(warehouse)))
    # pg_restore is the only tool of Postgres that ignores PGDATABASE
    _become("pg_restore", database_url, ("--dbname=", *arguments))


def _become(tool: str, database_url: str | None, arguments: tuple[str, ...]) -> None:
    warehouse = find_warehouse(Settings(database_url=database_url))
    os.execve(embedded_postgres.binary(tool), [tool, *arguments], _environment(warehouse))


def _environment(warehouse: Warehouse) -> dict[str, str]:
    # the password goes by environment, because every user of the machine can read a command line
    return {**os.environ, "PGPASSWORD": warehouse.parameters["password"]}


def _restore_into_older(arguments: tuple[str, ...], environment: dict[str, str]) -> int:
    """Restore through psql, without the one setting that the server does not know, and return the exit code."""
    stops = not {"-e", "--exit-on-error", "-1", "--single-transaction"}.isdisjoint(arguments)
    # on the command line as in pg_restore: without, the restore goes on after an error
    options = ("--no-psqlrc", "--quiet", "--output=/dev/null", f"--set=ON_ERROR_STOP={int(stops)}")
    with (
        subprocess.Popen(
            [embedded_postgres.binary("pg_restore"), "--file=-", *arguments], env=environment, stdout=subprocess.PIPE
        ) as dump,
        subprocess.Popen([embedded_postgres.binary("psql"), *options], env=environment, stdin=subprocess.PIPE) as psql,
    ):
        with contextlib.suppress(BrokenPipeError), psql.stdin:  # psql has ended at an error
            for line in dump.stdout:
                if line.startswith(b"SET transaction_timeout"):
                    break  # it comes once, before all data
                psql.stdin.write(line)
            shutil.copyfileobj(dump.stdout, psql.stdin)
        dump.stdout.close()
    return psql.returncode or dump.returncode


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
