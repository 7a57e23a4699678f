"""The commands of the tour for operators end as the tour says."""

import re
import shlex
from pathlib import Path

import psycopg
import pytest

from tests.command import command, launch, step_is_running, until
from warehouse import embedded_postgres
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

TOUR = Path(__file__).parents[3] / "docs" / "operations" / "tour.md"
BLOCKS = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


def test_each_command_of_the_tour_ends_as_it_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MOOVITAMIX_HOME", str(tmp_path))
    lines = [line for block in BLOCKS.findall(TOUR.read_text()) for line in block.splitlines()]
    assert lines.pop(0).startswith("export MOOVITAMIX_HOME=")
    monkeypatch.setenv(*lines.pop(0).removeprefix("export ").split("="))
    assert len(lines) > 15
    load_id = ""
    try:
        for line in lines:
            typed, _, comment = line.partition("#")
            expected = re.search(r"exit (\d)", comment)
            words = shlex.split(typed)
            if words[0] == "timeout":
                kill_a_run(tmp_path)
                continue
            program, verb, *arguments = words
            assert program == "make"
            arguments = [word for argument in arguments for word in shlex.split(argument.removeprefix("ARGS="))]
            arguments = [load_id if word == "LOAD" else word for word in arguments]
            ended = command(verb, *arguments)
            # the second of the two blocked runs has no comment
            wanted = int(expected[1]) if expected else 4 if "bulk_removal@users=0.9" in arguments else 0
            assert ended.code == wanted, (line, ended)
            assert "nothing new" not in ended.out, "the world has no day left to read"
            if wanted == ExitCode.BLOCKED:
                load_id = re.search(r'show ([\d.]+)"', ended.err)[1]
            if "crashed" in comment:
                assert "crashed" in ended.out
    finally:
        embedded_postgres.stop(tmp_path / ".postgres")


def kill_a_run(home: Path) -> None:
    with psycopg.connect(embedded_postgres.url(home / ".postgres"), autocommit=True) as connection:
        process = launch("run", MOOVITAMIX_HOME=str(home))
        until(lambda: step_is_running(connection, "gate"))
        process.kill()
        process.communicate()


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
