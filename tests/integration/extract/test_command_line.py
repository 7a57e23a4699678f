"""Test `python -m pipeline extract`: options, exit codes, one line when it fails."""

import dataclasses

import pytest

from extract import extraction
from extract.extraction import Extraction
from extract.limits import Limits
from tests.command import command
from tests.integration.extract.conftest import QUICK, staged
from warehouse.errors import ExitCode


@pytest.fixture
def run(api, database_url, working_folder, monkeypatch):
    land = extraction.run

    def quick_run(*args, limits: Limits, **named) -> Extraction:
        quick = dataclasses.replace(QUICK, page_bytes=limits.page_bytes)
        return land(*args, **named, limits=quick)

    monkeypatch.setenv("MOOVITAMIX_HOME", str(working_folder.parent))
    monkeypatch.setattr(extraction, "run", quick_run)

    def invoke(*options: str, **variables: str):
        return command("extract", *options, **{"API_BASE_URL": api.url, "DATABASE_URL": database_url, **variables})

    return invoke


def test_the_extract_command_reports_what_it_did(run, api, connection):
    api.set_rows({"users": [{"id": 1}], "tracks": [{"id": 1}, {"id": 2}]})
    ended = run("--batch_size", "2", "--window=1")
    assert ended.code == ExitCode.PUBLISHED
    assert '"table_name": "tracks"' in ended.out or '"table": "tracks"' in ended.out
    assert "/users?page=1&size=2" in api.requests.targets
    assert staged(connection)["tracks"] == 2


@pytest.mark.parametrize(
    ("options", "variables", "exit_code"),
    [
        (["--batch-size", "0"], {}, 2),
        (["--batch-size", "101"], {}, 2),
        ([], {"BATCH_SIZE": "many"}, 2),
        (["--api_base_url", "nowhere"], {}, 2),
        (["--api_base_url", "http://ho st"], {}, 2),
        ([], {"MOOVITAMIX_HOME": "/dev/null"}, 2),
        ([], {"API_BASE_URL": ""}, 2),
        ([], {"DATABASE_URL": "mysql://u:hush@h/d"}, 2),
        (["--no-such-option"], {}, 2),
        (["--window", "65"], {}, 2),
        ([], {"WINDOW": "0"}, 2),
        ([], {"MAX_PAGES": "many"}, 2),
        ([], {"MAX_PAGE_BYTES": "40"}, 3),
        (["--api-base-url", "http://127.0.0.1:9"], {}, 3),
        (["--database_url", "postgresql://postgres:hush@127.0.0.1:9/d"], {}, 7),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(run, options, variables, exit_code):
    ended = run(*options, **variables)
    assert "hush" not in ended.out
    assert "hush" not in ended.only_line(ExitCode(exit_code))


def test_the_window_is_a_setting(run, api):
    api.set_rows({"users": [{"id": number} for number in range(20)]})
    api.faults.latency = 0.02
    assert run("--batch-size=2", WINDOW="3").code == ExitCode.PUBLISHED
    assert api.requests.max_in_flight == 3


def test_help_names_every_option(run):
    ended = run("--help")
    assert ended.code == ExitCode.PUBLISHED
    for option in ("--api-base-url", "--database-url", "--batch-size", "--window"):
        assert option in ended.out
