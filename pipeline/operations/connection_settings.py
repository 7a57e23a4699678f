"""Say how programs connect to the warehouse to read it, with settings to copy. No password is printed."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import psycopg

from pipeline.run import analyst_login, privilege_statements, role_definitions
from pipeline.settings import PROJECT, Settings
from warehouse import database
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

SCHEMAS = "marts, features, recommendations"
ANY_LOGIN = "LOGIN"


def describe(settings: Settings, warehouse: Warehouse, connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Yield (name, value), first the address and the login, then ready-made settings per program.

    On the embedded Postgres, the login for analysts is created if a run has not done it yet.
    Raises CommandError(WRONG_SETTINGS) before the first build.
    """
    if not database.has(connection, "marts.listen_history"):
        raise CommandError(ExitCode.WRONG_SETTINGS, "the warehouse has nothing to read yet; first: make run")
    if settings.database_url:
        login, password, file = ANY_LOGIN, _advice(connection), None
    else:
        analyst_login.keep(connection, settings.postgres_folder)
        file = analyst_login.password_file(settings.postgres_folder)
        file = file.relative_to(PROJECT) if file.is_relative_to(PROJECT) else file
        login, password = analyst_login.LOGIN, f"in the file {file}"
    host, port, name = (warehouse.parameters[each] for each in ("host", "port", "dbname"))
    yield "host", host
    yield "port", port
    yield "database", name
    yield "user", login
    yield "password", password
    yield "psql", _psql(host, port, name, login, file)
    yield "SQLAlchemy", _sqlalchemy(host, port, name, login, file)
    yield "DBeaver", f"new connection, PostgreSQL, URL jdbc:postgresql://{host}:{port}/{name}, user {login}"
    yield (
        "Metabase",
        (
            f"add a database, PostgreSQL, host {host}, port {port}, database name {name}, username {login}, "
            f"schemas only these: {SCHEMAS}"
        ),
    )


def _advice(connection: psycopg.Connection) -> str:
    """Return which login to use on an operator's own server."""
    role = role_definitions.ANALYST
    if role in privilege_statements.missing_roles(connection):
        return f"that of a login with the role {role}; the role does not exist yet; first: make grant"
    return f"that of a login with the role {role}, given by: grant {role} to {ANY_LOGIN}"


def _psql(host: str, port: str, name: str, login: str, file: Path | None) -> str:
    password = f'PGPASSWORD="$(cat {shlex.quote(str(file))})" ' if file else ""
    return f"{password}psql {shlex.quote(f'host={host} port={port} dbname={name} user={login}')}"


def _sqlalchemy(host: str, port: str, name: str, login: str, file: Path | None) -> str:
    password = f"pathlib.Path({str(file)!r}).read_text()" if file else "getpass.getpass()"
    return f'create_engine(URL.create("postgresql+psycopg", {login!r}, {password}, {host!r}, {port}, {name!r}))'
