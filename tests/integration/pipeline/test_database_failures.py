"""The database crashes, disconnects, or loses an answer during the gate or a build."""

import contextlib
import subprocess

import psycopg
import pytest
from dbt.adapters.postgres.connections import PostgresConnectionManager
from psycopg.conninfo import make_conninfo

from tests.call_hooks import acting_after, acting_before, nth
from tests.databases import database_copy
from tests.failing_postgres import CuttingProxy, crash
from tests.integration.pipeline.conftest import check_ledger
from tests.integration.pipeline.crashing_run import is_of, sent
from tests.marts import contents, reader, whole
from tests.runs import run_pipeline
from warehouse import embedded_postgres
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

PUBLISHED = sent("insert into gate.publications")


@pytest.fixture
def at_moment(monkeypatch):
    """Lets something happen once: in the transaction of a verdict, or in that of a mart's build, before its commit.

    What happens gets the backend's process id.
    """

    def set_up(where, act):
        if where == "in a verdict":
            monkeypatch.setattr(
                psycopg.Connection,
                "execute",
                acting_after(
                    psycopg.Connection.execute,
                    lambda connection, *_: act(connection.info.backend_pid),
                    nth(1, PUBLISHED),
                ),
            )
        else:
            monkeypatch.setattr(
                PostgresConnectionManager,
                "commit",
                acting_before(
                    PostgresConnectionManager.commit,
                    lambda manager: act(manager.get_thread_connection().handle.get_backend_pid()),
                    nth(1, is_of(where.removeprefix("in "))),
                ),
            )

    return set_up


@pytest.mark.parametrize("where", ["in a verdict", "in listen_history"])
def test_killing_one_backend_fails_only_one_run(
    where, postgres_url, built_template, checked_template, third_run_api, home, uninterrupted_twin, at_moment
):
    """Case 3."""
    killed = []

    def kill(pid):
        killed.append(connection.execute("select pg_terminate_backend(%s, 10000)", [pid]).fetchone())

    template = built_template if where == "in a verdict" else checked_template
    with (
        database_copy(postgres_url, template, "cut_off") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
    ):
        before = whole(connection)
        with reader(url) as seen:
            at_moment(where, kill)
            finished = run_pipeline(url, third_run_api.url, ("extract", "gate", "build"))
            assert killed == [(True,)]
            assert finished.exit_code == ExitCode.WAREHOUSE_UNAVAILABLE, finished.message
            check_ledger(connection)

            assert run_pipeline(url, third_run_api.url).exit_code == ExitCode.PUBLISHED

        assert contents(url) == uninterrupted_twin
        assert seen <= before | whole(connection)
        assert "pending" not in check_ledger(connection)


def test_two_server_crashes_in_gate_and_build_fail_only_two_runs(
    postgres_url, built_template, own_postgres, third_run_api, home, uninterrupted_twin, at_moment
):
    """Case 3."""

    def night():
        return run_pipeline(embedded_postgres.start(own_postgres), third_run_api.url)

    copy_database(make_conninfo(postgres_url, dbname=built_template), embedded_postgres.url(own_postgres))
    for where in ("in a verdict", "in listen_history"):
        at_moment(where, lambda _: crash(own_postgres))
        finished = night()
        assert finished.exit_code == ExitCode.WAREHOUSE_UNAVAILABLE, finished.message
        assert not embedded_postgres.is_running(own_postgres)

    assert night().exit_code == ExitCode.PUBLISHED

    assert contents(embedded_postgres.url(own_postgres)) == uninterrupted_twin
    with psycopg.connect(embedded_postgres.url(own_postgres)) as connection:
        assert "pending" not in check_ledger(connection)


def copy_database(source, target):
    dumped = subprocess.run([embedded_postgres.binary("pg_dump"), source], capture_output=True, check=True)
    subprocess.run(
        [embedded_postgres.binary("psql"), "--quiet", "--set=ON_ERROR_STOP=1", target],
        input=dumped.stdout,
        stdout=subprocess.DEVNULL,
        check=True,
    )


TRANSACTIONS = {
    "of the second verdict": (b"insert into gate.publications", 2),
    "of users": (rb'insert into "\w+"."marts"."users"', 1),
}


@pytest.mark.parametrize("transaction", TRANSACTIONS)
def test_a_lost_commit_answer_neither_duplicates_nor_loses_rows(
    transaction, postgres_url, built_template, checked_template, third_run_api, home, uninterrupted_twin
):
    """Case 4."""

    def published():
        return connection.execute("select count(*) from gate.publications").fetchone()[0]

    message, at = TRANSACTIONS[transaction]
    is_verdict = "verdict" in transaction
    with (
        database_copy(postgres_url, built_template if is_verdict else checked_template, "unheard") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
        contextlib.closing(CuttingProxy(url, at, of=message)) as proxy,
    ):
        before = whole(connection)
        published_before = published()
        with reader(url) as seen:
            finished = run_pipeline(proxy.url, third_run_api.url)
            assert finished.exit_code == ExitCode.WAREHOUSE_UNAVAILABLE, finished.message
            # it was committed all the same
            assert published() == published_before + (at if is_verdict else 0)
            assert (whole(connection) == before) == is_verdict
            check_ledger(connection)

            assert run_pipeline(url, third_run_api.url).exit_code == ExitCode.PUBLISHED

        assert published() == published_before + (3 if is_verdict else 0)
        assert contents(url) == uninterrupted_twin
        assert seen <= before | whole(connection)
        assert "pending" not in check_ledger(connection)
