"""The commands of the tour for operators end as the tour says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import psycopg
import pytest

from pipeline.cli import main
from tests.command import command, step_is_running, until, until_unlocked
from tests.documents import PROJECT, commands_in, pipeline_arguments
from tests.forks import fork
from tests.runs import small_sample_world
from warehouse import embedded_postgres
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

TOUR = PROJECT / "docs" / "operations" / "tour.md"


@pytest.fixture
def small_world() -> Iterator[None]:
    with small_sample_world():
        yield


def test_each_command_of_the_tour_ends_as_it_says(tmp_path, monkeypatch, small_world):
    monkeypatch.setenv("MOOVITAMIX_HOME", str(tmp_path))
    commands = [each for each in commands_in(TOUR) if each.is_in_block]
    assert commands.pop(0).words[1].startswith("MOOVITAMIX_HOME=")
    monkeypatch.setenv(*commands.pop(0).words[1].split("="))
    assert len(commands) > 15
    load_id = ""
    try:
        for documented in commands:
            if documented.words[0] == "timeout":
                kill_a_run(tmp_path)
                continue
            arguments = [load_id if word == "LOAD" else word for word in pipeline_arguments(documented)]
            ended = command(*arguments)
            expected = re.search(r"exit (\d)", documented.comment)
            # the second of the two blocked runs has no comment
            wanted = int(expected[1]) if expected else 4 if "bulk_removal@users=0.9" in arguments else 0
            assert ended.code == wanted, (documented.place, ended)
            assert "nothing new" not in ended.out, "the world has no day left to read"
            if wanted == ExitCode.BLOCKED:
                load_id = re.search(r'show ([\d.]+)"', ended.err)[1]
            if "crashed" in documented.comment:
                assert "crashed" in ended.out
    finally:
        embedded_postgres.stop(tmp_path / ".postgres")


def kill_a_run(home: Path) -> None:
    with psycopg.connect(embedded_postgres.url(home / ".postgres"), autocommit=True) as connection:
        process = fork(run_on_a_small_world, log=home / "log")
        until(lambda: step_is_running(connection, "gate"))
        process.kill()
        process.join()
        until_unlocked(connection)


def run_on_a_small_world() -> None:
    with small_sample_world(), mock.patch.object(sys, "argv", ["pipeline", "run"]):
        main.main()


@pytest.mark.parametrize(
    ("arguments", "environment", "why"),
    [
        (["--fault", "no_such=1"], {}, "no fault is called 'no_such'"),
        (["--fault", "bulk_removal"], {}, "bulk_removal=0.5"),
        ([], {"SAMPLE_FAULTS": "no_such=1"}, "'--fault' (env var: 'SAMPLE_FAULTS'): no fault is called 'no_such'"),
        (["--fault", "down"], {"API_BASE_URL": "http://127.0.0.1:9"}, "for the sample API"),
    ],
)
def test_a_fault_that_cannot_be_played_is_refused(arguments, environment, why):
    assert why in command("run", *arguments, **environment).only_line(ExitCode.WRONG_SETTINGS)
