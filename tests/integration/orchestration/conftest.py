"""Provide an Airflow for tests: the environment of `make airflow`, with a temporary home and database."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration import serve
from tests.command import PROJECT

PROGRAMS = PROJECT / ".airflow" / "venv" / "bin"


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Yield the environment of Airflow's programs."""
    if not (PROGRAMS / "airflow").exists():
        pytest.skip("Airflow's environment is missing; make it, and run these tests, with: make test-airflow")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AIRFLOW", "RECOMMEND"))]:
            patch.delenv(name)
        patch.setattr(serve, "HOME", tmp_path_factory.mktemp("airflow"))
        patch.setattr(serve, "PROGRAMS", PROGRAMS)
        yield serve.environment(serve.PORT) | {"PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def airflow_home(airflow_environment) -> Path:
    """Return its home, with a database."""
    command = (PROGRAMS / "airflow", "db", "migrate")
    made = subprocess.run(command, env=airflow_environment, capture_output=True, stdin=subprocess.DEVNULL)
    assert made.returncode == 0, made
    return Path(airflow_environment["AIRFLOW_HOME"])


@pytest.fixture(scope="session")
def airflows_python(airflow_environment):
    """Return a function that runs a script with Airflow's Python and returns its output."""

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            (PROGRAMS / "python", *arguments),
            env=airflow_environment,
            cwd=os.environ["MOOVITAMIX_HOME"],  # not the project: nothing of it is found by accident
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert ended.returncode == 0, ended
        return ended.stdout

    return run
