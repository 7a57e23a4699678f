"""Test a real run of the DAG with `airflow dags test`, on the test's API and Postgres."""

import contextlib
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pipeline.run.message_parts import message_in_error_line
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import killed_on_exit
from tests.inboxes import http_inbox
from tests.integration.orchestration.conftest import PROGRAMS
from tests.runs import run_pipeline_on
from warehouse import database, locks
from warehouse.errors import ExitCode

pytestmark = pytest.mark.airflow

LIMIT_SECONDS = 300
WORLD = World(seed=15, users=40, tracks=40, documents=40)


def night_under_airflow(
    environment: dict[str, str], **settings: str
) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """Run the DAG, and end it with the block. Its log is on standard output."""
    return killed_on_exit(
        subprocess.Popen(
            (PROGRAMS / "airflow", "dags", "test", "moovitamix_night"),
            env={
                **environment,
                "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
                "TRAIN_BUDGET": "0",
                **{name: os.environ[name] for name in ("ALERT_URLS", "MOOVITAMIX_HOME")},
                **settings,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ),
        LIMIT_SECONDS,
    )


def ends(airflow_home) -> dict[str, tuple[str, int]]:
    """Return (state, attempts) of each task of the newest run; a mapped task has its number behind its name."""
    with contextlib.closing(sqlite3.connect(airflow_home / "airflow.db")) as airflow_database:
        tasks = airflow_database.execute("""
            select task_id || case map_index when -1 then '' else ' ' || map_index end, state, try_number
            from task_instance
            where run_id = (select run_id from dag_run order by id desc limit 1)
        """)
        return {name: (state, tries) for name, state, tries in tasks}


def count(connection: psycopg.Connection, mart: str) -> int:
    return connection.execute(f"select count(*) from marts.{mart}").fetchone()[0]


@pytest.fixture
def alerts(tmp_path, monkeypatch) -> Iterator[list[dict]]:
    """Yield the alerts that are sent to ALERT_URLS, and give the nights a working folder."""
    monkeypatch.setenv("MOOVITAMIX_HOME", str(tmp_path))
    with http_inbox() as inbox:
        monkeypatch.setenv("ALERT_URLS", f"json://127.0.0.1:{inbox.port}/alerts")
        yield inbox.messages.setdefault("/alerts", [])


def test_after_a_bad_night_that_says_why_the_next_one_waits_for_another_run_and_for_its_source_and_builds_the_rest(
    airflow_environment, airflow_home, database_url, connection, alerts
):
    rows = snapshot(WORLD, 0)
    landed = run_pipeline_on(database_url, rows, ("bad_rows@listen_history=0.5",), ("extract",))
    assert landed.exit_code == ExitCode.PUBLISHED
    with night_under_airflow(airflow_environment, DATABASE_URL=database_url, API_BASE_URL="no-address") as night:
        said = night.stdout.read()
        assert night.wait() != 0
    assert ends(airflow_home) == {
        "extract": ("failed", 1),
        "gate": ("failed", 1),
        "build": ("success", 1),
        "recommend": ("success", 1),
        "outcome": ("failed", 1),
        "notify": ("success", 1),
    }
    assert (count(connection, "users"), count(connection, "tracks")) == (len(rows.users), len(rows.tracks))
    why = dict(
        re.findall(r"starting task_id=(\w+).*?^[\w.]*AirflowFailException: (.*?)$", said, re.DOTALL | re.MULTILINE)
    )
    assert why["extract"].startswith("moovitamix: ") and why["extract"].endswith("(exit 2)")
    assert why["gate"].startswith("moovitamix: blocked: listen_history") and why["gate"].endswith("(exit 4)")
    assert why["outcome"].startswith("a step of this night failed")
    (alert,) = alerts
    assert alert["title"] == "MooVitamix: the run failed"
    what = next(line for line in alert["message"].splitlines() if line.startswith("What: "))
    assert what == f"What: {'; '.join(message_in_error_line(why[step]) for step in ('extract', 'gate'))}"
    password = conninfo_to_dict(database_url)["password"]
    assert password not in said
    assert [file for file in airflow_home.rglob("*") if file.is_file() and password.encode() in file.read_bytes()] == []

    alerts.clear()
    lines = []
    settings = {"DATABASE_URL": database_url, "RECOMMEND_SHARDS": "2"}
    with contextlib.ExitStack() as other_run, serve(rows, ["down"]) as api:
        other_run.enter_context(locks.run_lock(database.find(database_url, "other")))
        with night_under_airflow(airflow_environment, API_BASE_URL=api.url, **settings) as night:
            for line in night.stdout:
                lines.append(line)
                if "(exit 6)" in line:
                    other_run.close()
                elif "(exit 3)" in line:
                    api.faults.clear()
            assert night.wait() == 0, lines
    assert ends(airflow_home) == {
        "extract": ("success", 3),
        "gate": ("success", 1),
        "build": ("success", 1),
        "shard 0": ("success", 1),
        "shard 1": ("success", 1),
        "recommend": ("success", 1),
        "outcome": ("skipped", 0),
        "notify": ("success", 1),
    }
    assert count(connection, "listen_history") > 0
    assert sum("there is no champion of discover and again yet" in line for line in lines) == 2
    # the attempts that failed send none
    assert [alert["title"] for alert in alerts] == ["MooVitamix: runs succeed again"]
