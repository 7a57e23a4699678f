"""Provide Postgres: one server per session in a temporary folder, one database per test."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pipeline.run.role_definitions import ROLES
from tests import library_shortcuts
from tests.databases import database_copy, migrate_url, new_database, prepare
from warehouse import embedded_postgres

# the last one, because the data may be in memory
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "256MB"}


@pytest.fixture(scope="session", autouse=True)
def libraries_shortened() -> Iterator[None]:
    """Skip what dlt, dbt and Great Expectations repeat in each run."""
    with pytest.MonkeyPatch.context() as patch:
        library_shortcuts.shorten_dlt(patch)
        library_shortcuts.shorten_dbt(patch)
        library_shortcuts.shorten_great_expectations(patch)
        yield


@pytest.fixture(scope="session")
def postgres_folder(settings_isolated) -> Iterator[Path]:
    """Start the session's server, and yield its folder."""
    root = Path(tempfile.mkdtemp(prefix="moovitamix-tests-"))
    root.chmod(0o711)  # under root the server runs as another user, who has to pass through
    folder = root / "postgres"
    try:
        url = embedded_postgres.start(folder, settings=FAST)
        _shorten_logins(url)
        yield folder
    finally:
        embedded_postgres.stop(folder)
        shutil.rmtree(root)


def _shorten_logins(url: str) -> None:
    """Hash the password once instead of 4,096 times, which takes half of the time of a connection."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("set scram_iterations = 1")
        server.execute(
            sql.SQL("alter role {} password {}").format(
                sql.Identifier(server.info.user), sql.Literal(server.info.password)
            )
        )


@pytest.fixture(scope="session")
def postgres_url(postgres_folder) -> str:
    """Return the URL of the session's server. All tests share its database `moovitamix`: do not change it."""
    return embedded_postgres.url(postgres_folder)


@pytest.fixture
def database_url(postgres_url) -> Iterator[str]:
    """Yield the URL of an empty database for this test."""
    with new_database(postgres_url, "test") as url:
        yield url


@pytest.fixture
def connection(database_url) -> Iterator[psycopg.Connection]:
    """Yield an autocommit connection to `database_url`."""
    with psycopg.connect(database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.fixture(scope="session")
def migrated_template(postgres_url) -> Iterator[str]:
    """Return the name of a template database with all tables, and no rows."""
    with new_database(postgres_url, "migrated") as url:
        migrate_url(url)
        yield "migrated"


@pytest.fixture(scope="session")
def prepared_template(postgres_url) -> Iterator[str]:
    """Return the name of a template database that is prepared for runs: tables and typed views, and no rows."""
    with new_database(postgres_url, "prepared") as url:
        prepare(url)
        yield "prepared"


@pytest.fixture
def prepared_url(postgres_url, prepared_template) -> Iterator[str]:
    """Yield the URL of a database for this test, prepared for the first run: that takes a second in an empty one."""
    with database_copy(postgres_url, prepared_template, "test") as url:
        yield url


@pytest.fixture(scope="session")
def built_template(postgres_url) -> Iterator[str]:
    """Return the name of a template database after two runs on small sample data."""
    from sample_api.world import World, snapshot
    from tests.runs import run_pipeline_on

    name = "built"
    url = postgres_url.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"create database {name}")
        # test_citus.py reads the statements of these runs; copies of the database do not inherit it
        server.execute(f"alter database {name} set log_statement = 'all'")
    world = World(seed=15, users=40, tracks=40, documents=40)
    for day in (0, 1):
        assert run_pipeline_on(url, snapshot(world, day)).message == "all published"
    yield name


@pytest.fixture
def built_database_url(built_template, postgres_url) -> Iterator[str]:
    """Yield the URL of a database for this test, after two runs on small sample data."""
    with database_copy(postgres_url, built_template, "built_test") as url:
        yield url


@pytest.fixture(scope="module")
def without_roles_afterwards(postgres_url):
    """Remove the roles that `grant` makes: they belong to the server."""
    yield
    with psycopg.connect(postgres_url, autocommit=True) as server:
        for role in ROLES:
            server.execute(f"drop role if exists {role}")


@pytest.fixture
def own_postgres() -> Iterator[Path]:
    """Yield the folder of a running server that a test may crash."""
    root = Path(tempfile.mkdtemp(prefix="moovitamix-crash-"))
    root.chmod(0o711)  # under root the server runs as another user, who has to pass through
    try:
        embedded_postgres.start(root / "postgres")
        yield root / "postgres"
    finally:
        embedded_postgres.stop(root / "postgres")
        shutil.rmtree(root)
