"""Connect to the warehouse, and describe its errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from extract.errors import LandingError, SettingError, one_line
from warehouse.database import advice_about, encoding_problem
from warehouse.redaction import redact

APPLICATION_NAME = "moovitamix-elt-extract"
_ADVISORY_LOCK = 7_276_115_209_043_011_841
LOCK_SECONDS = 10


@contextmanager
def connect(database_url: str) -> Iterator[psycopg.Connection]:
    """Open an autocommit connection; database errors inside the block become `LandingError`.

    Raises `LandingError` for a database whose encoding is not UTF-8, and `SettingError` for a malformed address. No
    message holds the password.
    """
    parameters = url_parameters(database_url)
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            if problem := encoding_problem(connection):
                raise LandingError(f"Nothing was landed: {problem}")
            yield connection
    except psycopg.Error as error:
        raise LandingError(describe_failure(error, database_url)) from error


def lock(connection: psycopg.Connection) -> None:
    """Lock out other extractions into this database until `connection` closes."""
    try:
        connection.execute(f"set lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'")
        connection.execute("select pg_advisory_lock(%s)", [_ADVISORY_LOCK])
        connection.execute("reset lock_timeout")
        # The session idles during the extraction; a timeout would end it and release the lock.
        connection.execute("set idle_session_timeout = 0")
    except psycopg.errors.LockNotAvailable:
        raise LandingError(
            "Another extraction is working on this database. Nothing was landed; wait until it ends."
        ) from None


def url_parameters(database_url: str) -> dict[str, str]:
    """Parse `database_url` (any form libpq takes) into connection parameters, with a name for its sessions.

    The client encoding is always UTF-8, even if the address or the environment name another: no other encoding can
    hold every text of the API.
    """
    try:
        parameters = conninfo_to_dict(database_url)
    except psycopg.Error:
        # The parser's own message repeats the address, password and all.
        raise SettingError(
            "DATABASE_URL is not an address such as postgresql://user:password@host:5432/database"
        ) from None
    usual = {"application_name": APPLICATION_NAME, "keepalives_idle": "60"}
    return {**usual, **{name: str(value) for name, value in parameters.items()}, "client_encoding": "utf8"}


def describe_failure(error: BaseException, database_url: str) -> str:
    """Describe a database error in one line: what failed, and what to do."""
    message, sqlstate = _primary_message(error)
    failure = f"The landing failed: {redact(one_line(message), database_url)}"
    if sqlstate and (advice := advice_about(sqlstate)):
        return f"{failure}; {advice}."
    return (
        f"{failure}. Check DATABASE_URL, disk and privileges,"
        " then run again: that completes or drops the unfinished load."
    )


def _primary_message(error: BaseException) -> tuple[str, str | None]:
    """Return the database's primary message from the chain of causes, and its SQLSTATE; further lines quote rows."""
    while True:
        diagnosis = getattr(error, "diag", None)
        primary = getattr(diagnosis, "message_primary", None)
        if primary or error.__cause__ is None:
            return primary or str(error).strip().partition("\n")[0], getattr(diagnosis, "sqlstate", None)
        error = error.__cause__
