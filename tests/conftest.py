"""The suite's own Postgres: one server per session in a temporary folder, one database per test."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pipeline import embedded_postgres
from pipeline.settings import SECRETS
from tests.databases import copied, created

USER_SETTINGS = (
    "DATABASE_URL",
    "API_BASE_URL",
    "BATCH_SIZE",
    "WINDOW",
    "MAX_PAGE_BYTES",
    "MAX_ROW_BYTES",
    "MAX_STRING_BYTES",
    "MAX_DEPTH",
    "MAX_PAGES",
    "MAX_TOTAL_BYTES",
    "MAX_SECONDS",
    "MAX_REMOVED_SHARE",
    "MAX_CHANGED_SHARE",
    "POSTGRES_PORT",
    "DOCS_PORT",
    "METRICS_HOST",
    "METRICS_PORT",
    "PROMETHEUS_URL",
    "DBT_TARGET",
    "SAMPLE",
    "ERASURE_KEY",
    "ALERT_URLS",
    *(f"{name}_FILE" for name in SECRETS),
    "PIPELINE_RUNTIME",
    "TIMEZONE",
    "REPORT_OUTPUT",
    "MOOVITAMIX_TRACEBACK",
)
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session", autouse=True)
def settings_of_the_user_removed() -> Iterator[None]:
    """No test reaches the warehouse or the API that the person running the suite works with."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in USER_SETTINGS or name.startswith("PG"):
                patch.delenv(name)
        patch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        yield


@pytest.fixture(scope="session", autouse=True)
def interrupts_heard() -> Iterator[None]:
    """A suite in the background of a shell ignores Ctrl-C, and so would the commands that tests start and interrupt."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def working_folders_of_the_user_left_alone(tmp_path_factory) -> Iterator[None]:
    """dlt's and dbt's working files of the tests are not those of the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOOVITAMIX_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("DBT_TARGET_PATH", str(tmp_path_factory.mktemp("dbt_target")))
        patch.setenv("DBT_LOG_PATH", str(tmp_path_factory.mktemp("dbt_logs")))
        yield


@pytest.fixture(scope="session", autouse=True)
def dbt_names_no_caller() -> Iterator[None]:
    """Each dbt command walks the whole stack for each of its flags: seconds, in a process with as many modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dbt_common.behavior_flags.BehaviorFlagRendered._default_source", staticmethod(lambda: "dbt"))
        yield


@pytest.fixture(scope="session", autouse=True)
def dbt_parses_once_per_place() -> Iterator[None]:
    """What dbt makes of the project hangs on the connection and the target; making it takes longer than most builds."""
    from pipeline.dbt import Dbt

    run, parsed = Dbt._run, {}

    def run_or_remember(dbt, *arguments, **options):
        if arguments != ("parse",):
            return run(dbt, *arguments, **options)
        place = tuple(os.environ.get(name) for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "DBT_TARGET"))
        if place not in parsed:
            result = run(dbt, *arguments, **options)
            if not result.success:
                return result
            parsed[place] = result
        return parsed[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dbt, "_run", run_or_remember)
        yield


@pytest.fixture(scope="session")
def postgres_folder(settings_of_the_user_removed) -> Iterator[Path]:
    """Folder of the session's running server."""
    root = Path(tempfile.mkdtemp(prefix="moovitamix-tests-"))
    root.chmod(0o711)  # under root the server runs as another user, who has to pass through
    folder = root / "postgres"
    try:
        embedded_postgres.start(folder, settings=FAST)
        yield folder
    finally:
        embedded_postgres.stop(folder)
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def postgres_url(postgres_folder) -> str:
    """URL of the session's server; its database `moovitamix` is shared by all tests, so leave it alone."""
    return embedded_postgres.url(postgres_folder)


@pytest.fixture
def database_url(postgres_url) -> Iterator[str]:
    """URL of a database that only this test has."""
    with created(postgres_url, "test") as url:
        yield url


@pytest.fixture
def connection(database_url) -> Iterator[psycopg.Connection]:
    """Autocommit connection to `database_url`."""
    with psycopg.connect(database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.fixture(scope="session")
def built_template(postgres_url) -> Iterator[str]:
    """Name of a database after two nights of a small sample world; copied, never changed."""
    from sample_api.world import World, snapshot
    from tests.nights import run_night_on

    name = "built"
    url = postgres_url.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"create database {name}")
    world = World(seed=15, users=40, tracks=40, documents=40)
    for day in (0, 1):
        assert run_night_on(url, snapshot(world, day)).message == "all published"
    yield name


@pytest.fixture
def built_database_url(built_template, postgres_url) -> Iterator[str]:
    """URL of a database that only this test has, after two nights of a small sample world."""
    with copied(postgres_url, built_template, "built_test") as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[Path]:
    """Folder of a running server that a test may crash."""
    root = Path(tempfile.mkdtemp(prefix="moovitamix-crash-"))
    root.chmod(0o711)  # under root the server runs as another user, who has to pass through
    try:
        embedded_postgres.start(root / "postgres")
        yield root / "postgres"
    finally:
        embedded_postgres.stop(root / "postgres")
        shutil.rmtree(root)
