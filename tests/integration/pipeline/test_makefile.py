"""`make` targets work in a separate checkout of this project's code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import PROJECT
from warehouse.errors import ExitCode

CODE = ("warehouse", "pipeline", "extract", "expectations", "monitoring", "recommender", "sample_api", "orchestration")
SAYS_HOW_IT_WAS_CALLED = '#!/bin/sh\necho "$BATCH_SIZE|$*|$(ps -o comm= -p $PPID)"\n'


@pytest.fixture
def checkout(tmp_path) -> Path:
    """Copy the code and the Makefile to a folder that uses the environment of the tests."""
    folder = tmp_path / "check out"
    for name in CODE:
        shutil.copytree(PROJECT / name, folder / name)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(PROJECT / name, folder)
    environment(folder / ".venv", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', folder / "requirements.lock")
    return folder


def environment(folder, python, lock):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text(python)
    (folder / "bin" / "python").chmod(0o755)
    shutil.copy(lock, folder / "requirements.lock")


def make(checkout, *arguments, **variables):
    """Run make without the settings of the tests, like a user whose settings are in `.env`."""
    return subprocess.run(
        ["make", *arguments],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_an_address_with_query_parameters_is_used_completely(checkout, database_url):
    address = database_url.replace("/test", "/test?sslmode=require&channel_binding=require")
    (checkout / ".env").write_text(f"DATABASE_URL={address}\nAPI_BASE_URL=http://127.0.0.1:1/?a&b\n")

    ended = make(checkout, "status")

    assert ended.returncode != 0
    # which this server does not have, and would not be asked for without the first parameter
    assert (
        "server does not support SSL" in ended.stderr
        and f"(exit {int(ExitCode.WAREHOUSE_UNAVAILABLE)})" in ended.stderr
    )
    password = database_url.split("@")[0].rpartition(":")[2]
    assert password not in ended.stdout + ended.stderr
    assert not (checkout / ".postgres").exists()


def test_the_env_file_is_read_and_the_environment_overrides_it(checkout, built_database_url):
    # of the parameters after the first & the last one alone leads to the right database
    server, _, database = built_database_url.rpartition("/")
    (checkout / ".env").write_text(
        f"DATABASE_URL={server}/?application_name=a&dbname={database}\r\nAPI_BASE_URL=http://of-the-file\r\n"
    )
    first = built_database_url.rpartition("@")[2]
    ended = make(checkout, "status")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"warehouse: moovitamix@{first} (DATABASE_URL) · API: http://of-the-file\n")

    ended = make(checkout, "status", API_BASE_URL="http://of-the-environment")
    assert ended.stdout.splitlines()[0].endswith(" · API: http://of-the-environment")


def test_long_running_targets_replace_the_shell_and_receive_signals(checkout):
    (checkout / ".venv/bin/python").write_text(SAYS_HOW_IT_WAS_CALLED)
    for target in ("schedule", "metrics", "airflow"):
        environment(checkout / ".airflow/venv", "", checkout / "orchestration/requirements.lock")
        output = make(checkout, target, "ARGS=").stdout
        assert output == f"|-m pipeline {target}|make\n", "a shell between them would take the signals"
        shutil.rmtree(checkout / ".airflow")


def test_airflow_gets_the_settings_of_the_env_file_and_replaces_the_command(checkout):
    (checkout / ".env").write_text("BATCH_SIZE=10\n")
    environment(checkout / ".airflow/venv", SAYS_HOW_IT_WAS_CALLED, checkout / "orchestration/requirements.lock")
    ended = make(checkout, "airflow")
    assert (ended.stdout, ended.stderr) == (f"10|{checkout}/orchestration/serve.py|make\n", "")


def test_a_missing_airflow_environment_is_a_one_line_error(checkout):
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "airflow"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert ended.returncode == ExitCode.WRONG_SETTINGS
    assert ended.stderr == (
        "moovitamix: the Airflow environment is missing; create it and start Airflow with: make airflow (exit 2)\n"
    )


@pytest.mark.parametrize("home", [".", "else where"])
def test_make_clean_keeps_the_erasure_key(home, checkout):
    (checkout / ".env").write_text(f"MOOVITAMIX_HOME={home}\n")
    assert make(checkout, "clean").stdout == "the embedded Postgres was not running\n"
    folder = checkout / home / ".postgres"
    removed = [checkout / home / ".dlt", checkout / home / "reports", checkout / "dbt_project/target"]
    for path in (folder / "data", *removed):
        path.mkdir(parents=True)
        (path / "something").write_text("something")
    # whoever keeps a folder elsewhere loses the link, and nothing that is there
    (checkout / "grafana").symlink_to(checkout / "pipeline")
    for name in ("erasure_key", "password"):
        (folder / name).write_text("something")
    (checkout / home / ".incident").write_text("something")

    ended = make(checkout, "clean")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [path.name for path in folder.iterdir()] == ["erasure_key"]
    removed += [checkout / home / ".incident", checkout / "grafana"]
    assert not any(os.path.lexists(path) for path in removed)
    assert (checkout / "pipeline/cli/main.py").exists() and (checkout / ".venv").exists()
