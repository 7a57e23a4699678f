"""A command prints its warehouse and API at its start, without secrets."""

import psycopg
import pytest

from pipeline.console import header
from pipeline.operations import status
from pipeline.settings import PROJECT, Settings
from tests.command import command
from warehouse.database import Warehouse

KEY = "a key of the tests, long enough to be one"


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.fixture
def warehouse(built_database_url):
    """Return its description."""
    return f"warehouse: moovitamix@{built_database_url.rpartition('@')[2]}"


@pytest.mark.parametrize(
    ("settings", "api"),
    [
        ({}, "not set"),
        ({"SAMPLE": "1"}, "the sample API of this project"),
        ({"API_BASE_URL": "https://api.example.com"}, "https://api.example.com"),
        ({"API_BASE_URL": " http://[::1]:8000/v1/ "}, "http://[::1]:8000/v1/"),
        *(
            ({"API_BASE_URL": address}, "API_BASE_URL, which is not a plain http(s) address")
            for address in (
                "https://user:pl4nted@api.example.com",
                "https://api.example.com?key=pl4nted",
                "https://user:1/pl4nted@api.example.com",
                "https://api.example.com#pl4nted",
                "pl4nted",
            )
        ),
    ],
    ids=str,
)
def test_the_status_names_the_api_of_the_next_run(settings, api, built_database_url, warehouse):
    ended = command("status", DATABASE_URL=built_database_url, **settings)
    assert ended.out.splitlines()[0] == f"{warehouse} (DATABASE_URL) · API: {api}"
    assert "pl4nted" not in ended.out


def test_an_option_is_distinguished_from_a_variable(built_database_url, warehouse):
    ended = command("status", f"--database-url={built_database_url}", DATABASE_URL="postgresql://127.0.0.1:1/other")
    assert ended.out.splitlines()[0] == f"{warehouse} (--database-url) · API: not set"


def test_the_embedded_warehouse_is_described_by_its_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MOOVITAMIX_HOME", str(PROJECT))
    assert header.describe_warehouse(Settings(), Warehouse({})) == "the embedded Postgres in .postgres"
    monkeypatch.setenv("MOOVITAMIX_HOME", str(tmp_path))
    assert header.describe_warehouse(Settings(), Warehouse({})) == f"the embedded Postgres in {tmp_path}/.postgres"
    assert header.describe_api(Settings()) == "the sample API of this project"


def test_an_embedded_warehouse_with_real_data_requires_its_api(connection):
    assert status.next_api(Settings(), connection) == "not set", "the night would be refused"
    assert status.next_api(Settings(sample=True), connection) == "the sample API of this project"
    connection.execute("update ops.runs set sample_day = run_seq")
    assert status.next_api(Settings(), connection) == "the sample API of this project"


def test_commands_that_change_the_warehouse_print_its_address(built_database_url, connection, warehouse):
    (load_id,) = connection.execute("select max(load_id) from gate.loads").fetchone()
    (user,) = connection.execute("select min(id)::text from marts.users").fetchone()
    for arguments in (
        ("gate", "release", load_id, "users"),
        ("gate", "reject", load_id, "users"),
        ("gate", "replay"),
        ("erase", user),
        ("prune", "--keep", "1d"),
    ):
        ended = command(*arguments, "--reason", "why", "--dry-run", DATABASE_URL=built_database_url, ERASURE_KEY=KEY)
        assert ended.out.splitlines()[:1] == [f"{warehouse} (DATABASE_URL)"], ended


def test_an_unusual_name_stays_on_one_line_without_the_password():
    parameters = {"user": "u", "host": "h", "port": "1", "dbname": "a\nb\x1b[31m", "password": "pl4nted"}
    described = header.describe_warehouse(Settings(database_url="any"), Warehouse(parameters))
    assert described == "u@h:1/a\\nb\\x1b[31m (--database-url)"
