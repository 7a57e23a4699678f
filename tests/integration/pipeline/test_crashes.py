"""Runs that are killed anywhere in the gate or the build: the next one gives the undisturbed result.

During a run a reader sees each mart as it was or as it will be, never a part of a load.
"""

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from extract import extraction
from sample_api.server import serve
from tests.command import LIMIT_SECONDS, until_unlocked
from tests.databases import database_copy
from tests.forks import fork
from tests.integration.extract.test_previous_version import previous_version
from tests.integration.pipeline import crashing_run
from tests.integration.pipeline.conftest import check_ledger
from tests.marts import contents, reader, rows_on_disk, whole
from tests.runs import run_pipeline
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

# Always this one: for a database of another name dbt parses all again.
NAME = "crashing"


@pytest.fixture
def url(postgres_url):
    return postgres_url.rsplit("/", 1)[0] + f"/{NAME}"


@contextlib.contextmanager
def crashing_database(postgres_url, template) -> Iterator[psycopg.Connection]:
    """A connection to a copy of the template."""
    with (
        database_copy(postgres_url, template, NAME) as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
    ):
        yield connection


@pytest.fixture
def start(url, third_run_api, tmp_path):
    """Starts a command that kills itself at the point; returns the process and the file with what it says."""

    def start(point, *arguments):
        settings = {"DATABASE_URL": url, "API_BASE_URL": third_run_api.url}
        log = tmp_path / "log"
        return fork(crashing_run.run, point, arguments, settings, log=log), log

    return start


@pytest.fixture
def crash(start, url):
    def crash(point, *arguments):
        process, log = start(point, *arguments)
        process.join(LIMIT_SECONDS)
        assert process.exitcode == -signal.SIGKILL, (point, log.read_text())
        with psycopg.connect(url, autocommit=True) as connection:
            until_unlocked(connection)

    return crash


@pytest.mark.parametrize("point", crashing_run.GATE_POINTS)
def test_a_run_killed_in_the_gate_does_not_affect_the_next_one(
    point, url, postgres_url, built_template, third_run_api, crash, home, uninterrupted_twin
):
    """Cases 1 and 24. Killed twice: dlt's folder is wiped before the second run, and kept before the third."""
    with crashing_database(postgres_url, built_template) as connection:
        before = whole(connection)
        with reader(url) as seen:
            for _ in range(2):
                shutil.rmtree(home, ignore_errors=True)
                crash(point, "run")
                assert whole(connection) == before
                check_ledger(connection)

            finished = run_pipeline(url, third_run_api.url)

        assert finished.exit_code == ExitCode.PUBLISHED, finished.message
        assert contents(url) == uninterrupted_twin
        assert seen <= before | whole(connection)
        assert "pending" not in check_ledger(connection)
        assert connection.execute("select count(*) from gate.batch_users").fetchone() == (0,)


@pytest.mark.parametrize("model", [*crashing_run.MODELS, None])
def test_the_next_run_completes_a_build_that_was_killed_repeatedly(
    model, url, postgres_url, checked_template, third_run_api, crash, home, uninterrupted_twin
):
    """Cases 1 and 24: before the model, in its transaction, after its commit, each time a little further."""
    points = crashing_run.build_points(model) if model else ["in the data tests"]
    with crashing_database(postgres_url, checked_template) as connection:
        before = whole(connection)
        with reader(url) as seen:
            for point in points:
                crash(point, "build")

            finished = run_pipeline(url, third_run_api.url)

        assert finished.exit_code == ExitCode.PUBLISHED, finished.message
        assert contents(url) == uninterrupted_twin
        assert seen <= before | whole(connection)


def test_runs_killed_at_random_moments_equal_an_undisturbed_run(
    url, postgres_url, built_template, third_run_api, start, home, uninterrupted_twin
):
    """Case 2: six kills, each a little later in the night than the one before; then a run that is left alone."""
    with database_copy(postgres_url, built_template, NAME):
        began = time.monotonic()
        process, log = start(crashing_run.NOWHERE, "run")
        process.join(LIMIT_SECONDS)
        run_seconds = time.monotonic() - began
        assert process.exitcode == ExitCode.PUBLISHED, log.read_text()
    seed = 7
    print(f"seed {seed}")
    random = Random(seed)
    with crashing_database(postgres_url, built_template) as connection:
        before = whole(connection)
        with reader(url) as seen:
            for delay in sorted(random.uniform(0, run_seconds) for _ in range(6)):
                process, _ = start(crashing_run.NOWHERE, "run")
                process.join(delay)
                process.kill()
                process.join()
                until_unlocked(connection)
                check_ledger(connection)

            finished = run_pipeline(url, third_run_api.url)

        assert finished.exit_code == ExitCode.PUBLISHED, finished.message
        assert contents(url) == uninterrupted_twin
        assert seen <= before | whole(connection)
        assert "pending" not in check_ledger(connection)


def test_a_retry_neither_duplicates_nor_loses_published_rows(
    url, postgres_url, checked_template, third_run_api, crash, home, uninterrupted_twin
):
    """Cases 5 and 6: killed with everything published, and then the source has nothing to say."""

    def publications():
        return connection.execute("select * from gate.publications order by seq").fetchall()

    with crashing_database(postgres_url, checked_template) as connection, serve({}) as empty:
        published = publications()
        crash("in users", "build")

        finished = run_pipeline(url, empty.url)

        assert finished.exit_code == ExitCode.BLOCKED and "source_is_not_empty" in finished.message
        assert contents(url) == uninterrupted_twin
        assert publications() == published
        before = rows_on_disk(connection)
        assert run_pipeline(url, third_run_api.url, ("gate", "build")).exit_code == ExitCode.PUBLISHED
        assert publications() == published
        assert rows_on_disk(connection) == before


def test_a_run_left_unfinished_by_the_previous_version_is_completed(
    url, postgres_url, built_template, third_run_api, home, uninterrupted_twin
):
    """Case 14: the load packed by that version, and now the source is gone."""
    with crashing_database(postgres_url, built_template) as connection:
        with previous_version(is_killed=True):
            extraction.run(url, third_run_api.url, working_folder=home / ".dlt")

        with serve({}, ["redirect=http://127.0.0.1:1/"]) as elsewhere:
            finished = run_pipeline(url, elsewhere.url)

        assert finished.exit_code == ExitCode.SOURCE_FAILED
        assert contents(url) == uninterrupted_twin
        assert "pending" not in check_ledger(connection)
