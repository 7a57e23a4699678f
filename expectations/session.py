"""The connection on which the gate works: one gate at a time, and no statement without end."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from expectations import findings, judged, ledger
from expectations.judgement import GateBroken
from expectations.validation import Validator

# A statement that hangs must not hold the night for ever (GX asks some six times, too); its rule then could not run.
STATEMENT_TIMEOUT = "10min"
# Only one gate judges at a time (this advisory lock), so that the tables of `judged` cannot be shared by two loads.
LOCK = "moovitamix gate"


@contextmanager
def judging(database_url: str) -> Iterator[tuple[psycopg.Connection, Validator]]:
    """A connection that holds the gate's lock, with the ledger made, and Great Expectations beside it.

    Raises psycopg.OperationalError when the database itself fails.
    """
    # compiling the staging views' expressions costs more than it saves
    settings = {"statement_timeout": STATEMENT_TIMEOUT, "jit": "off"}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    with psycopg.connect(database_url, autocommit=True) as connection, _one_gate_at_a_time(connection):
        # it holds the lock, and says nothing while Great Expectations works on connections of its own
        connection.execute("set idle_session_timeout = 0")
        ledger.ensure(connection)
        for name, value in settings.items():
            connection.execute("select set_config(%s, %s, false)", [name, value])
        with Validator(database_url, options) as validator:
            yield connection, validator


@contextmanager
def failing_closed(connection: psycopg.Connection) -> Iterator[None]:
    """Whatever goes wrong in judging is GateBroken, so that nothing is published; only a database that fails is not.

    What was laid out for the judgement is cleared away.
    """
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        raise GateBroken(str(error)) from error
    except (GateBroken, psycopg.OperationalError):
        raise
    except Exception as error:
        raise GateBroken(f"{type(error).__name__}: {error}") from error
    finally:
        if not connection.closed:
            judged.clear_away(connection)
            findings.clear_away(connection)


@contextmanager
def _one_gate_at_a_time(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [LOCK])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [LOCK])
