"""Open the gate's connection: one gate at a time, and a timeout for every statement."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from expectations import batch_tables, rule_failures
from expectations.validation import Validator
from expectations.verdicts import GateError

# A hanging statement must not block the run for ever (GX repeats it about six times); then its rule could not run.
STATEMENT_TIMEOUT = "10min"
# This advisory lock allows one gate at a time, so that two loads never share the batch tables.
LOCK = "moovitamix gate"


@contextmanager
def open_session(database_url: str) -> Iterator[tuple[psycopg.Connection, Validator]]:
    """Open a connection that holds the gate's lock, and yield both with a Validator.

    Raises psycopg.OperationalError when the database itself fails.
    """
    # JIT-compiling the expressions of the staging views costs more than it saves
    settings = {"statement_timeout": STATEMENT_TIMEOUT, "jit": "off"}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    with psycopg.connect(database_url, autocommit=True) as connection, _gate_lock(connection):
        # this connection holds the lock and idles while Great Expectations uses its own connections
        connection.execute("set idle_session_timeout = 0")
        for name, value in settings.items():
            connection.execute("select set_config(%s, %s, false)", [name, value])
        with Validator(database_url, options) as validator:
            yield connection, validator


@contextmanager
def fail_closed(connection: psycopg.Connection) -> Iterator[None]:
    """Turn every error in the block into GateError, so that nothing is published; a failing database is the exception.

    The batch tables are emptied at the end.
    """
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise GateError(str(error)) from error
    except (GateError, psycopg.OperationalError):
        raise
    except Exception as error:
        raise GateError(f"{type(error).__name__}: {error}") from error
    finally:
        if not connection.closed:
            batch_tables.clear_batch(connection)
            rule_failures.drop_bad_rows(connection)


@contextmanager
def _gate_lock(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [LOCK])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [LOCK])
