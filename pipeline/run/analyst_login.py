"""Keep a login for analysts on the embedded Postgres: it reads what `moovitamix_analyst` reads, and changes nothing.

An operator's own Postgres gets its roles by `grant`: who may log in there is not this project's decision.
"""

import secrets
from pathlib import Path

import psycopg
from psycopg import sql

from pipeline.run import privileges, role_definitions
from warehouse import embedded_postgres

LOGIN = "analyst"


def password_file(postgres_folder: Path) -> Path:
    """Return the file of the login's password, which only the owner of the folder can read."""
    return postgres_folder / "analyst_password"


def keep(connection: psycopg.Connection, postgres_folder: Path) -> None:
    """Create the login if it is missing, and let it read what was built since. Without a change, nothing is written."""
    file = password_file(postgres_folder)
    with connection.transaction():
        privileges.let_analysts_read(connection)
        is_new = not connection.execute("select from pg_roles where rolname = %s", [LOGIN]).rowcount
        if is_new:
            connection.execute(f"create role {LOGIN} login in role {role_definitions.ANALYST}")
            connection.execute(f"alter role {LOGIN} set default_transaction_read_only = on")
        if is_new or not file.exists():
            password = secrets.token_hex(24)
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(LOGIN), password))
            # last: a failure to write it undoes the rest
            embedded_postgres.write_secret(file, password)
