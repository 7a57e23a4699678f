"""Connections to the warehouse, and what a refusal looks like."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

import psycopg
from psycopg.conninfo import conninfo_to_dict

from extract.errors import LandingFailed, WrongSetting, one_line

APPLICATION_NAME = "moovitamix-elt-extract"
_ADVISORY_LOCK = 7_276_115_209_043_011_841
LOCK_SECONDS = 10


@contextmanager
def connected(database_url: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection; what the database refuses inside the block becomes `LandingFailed`.

    Raises `LandingFailed` for a database that is not encoded in UTF-8, and `WrongSetting` for an address that cannot be
    read. No message holds the password.
    """
    parameters = url_parameters(database_url)
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            _check_encoding(connection)
            yield connection
    except psycopg.Error as error:
        raise LandingFailed(refusal(error, database_url)) from error


def lock(connection: psycopg.Connection) -> None:
    """Holds, until `connection` closes, the right to be the only extraction into this database."""
    try:
        connection.execute(f"set lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'")
        connection.execute("select pg_advisory_lock(%s)", [_ADVISORY_LOCK])
        connection.execute("reset lock_timeout")
        # The session idles for as long as the pull takes, and its end would be the end of the lock.
        connection.execute("set idle_session_timeout = 0")
    except psycopg.errors.LockNotAvailable:
        raise LandingFailed(
            "Another extraction is working on this database. Nothing was landed tonight; wait until it ends."
        ) from None


def url_parameters(database_url: str) -> dict[str, str]:
    """The connection parameters in `database_url` (any form libpq takes), with a name for its sessions.

    Its encoding is always UTF-8, whatever the address or the environment say: no other holds all that comes.
    """
    try:
        parameters = conninfo_to_dict(database_url)
    except psycopg.Error:
        # The parser's own message repeats the address, password and all.
        raise WrongSetting(
            "DATABASE_URL is not an address such as postgresql://user:password@host:5432/database"
        ) from None
    usual = {"application_name": APPLICATION_NAME, "keepalives_idle": "60"}
    return {**usual, **{name: str(value) for name, value in parameters.items()}, "client_encoding": "utf8"}


def refusal(error: BaseException, database_url: str) -> str:
    """One line that says what the database (or what speaks to it) complained of, and what to do."""
    return (
        f"The landing failed: {without_password(one_line(_complaint(error)), database_url)}."
        " Check DATABASE_URL, disk and rights, then run again: that finishes or forgets what was begun."
    )


def _check_encoding(connection: psycopg.Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise LandingFailed(
            f"The database {connection.info.dbname} is encoded in {encoding}, which cannot hold every text. Nothing was"
            " landed tonight; set DATABASE_URL to a database made with:"
            " create database ... template template0 encoding 'UTF8' locale 'C.UTF-8'"
        )


def _complaint(error: BaseException) -> str:
    """The database's own first words, wherever they are among the causes: what follows them quotes rows."""
    while True:
        primary = getattr(getattr(error, "diag", None), "message_primary", None)
        if primary or error.__cause__ is None:
            return primary or str(error).strip().partition("\n")[0]
        error = error.__cause__


def without_password(text: str, database_url: str) -> str:
    """`text` with each spelling of the password in `database_url` blotted out."""
    password = url_parameters(database_url).get("password")
    if password:
        for spelling in (password, quote(password), quote(password, safe=""), quote_plus(password)):
            text = text.replace(spelling, "***")
    return text
