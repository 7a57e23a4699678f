"""Test a database that restarts, cuts sessions, loses an answer or is full: one line, and the next run succeeds."""

import contextlib
import errno
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from dlt.destinations.impl.postgres.postgres import PostgresCsvCopyJob
from psycopg.conninfo import conninfo_to_dict

from extract import extraction
from extract.errors import LandingError, SettingError
from extract.extraction import Extraction
from tests.databases import migrate_url, other_encoding
from tests.failing_postgres import CuttingProxy, crash
from tests.integration.extract.conftest import QUICK, live_rows, staged, version_log
from tests.integration.extract.test_extraction import assert_accounts_hold, payloads, user
from warehouse import embedded_postgres

pytestmark = pytest.mark.slow


def rows(night: int) -> list[dict]:
    """Return the rows of a night: each night changes one row, adds one and removes one."""
    return [user(number, name=str(night) if number == 9 else "same") for number in range(night, night + 10)]


def landing_failure(night: Callable[..., Extraction], **arguments) -> str:
    with pytest.raises(LandingError) as failed:
        night(**arguments)
    message = str(failed.value)
    assert "\n" not in message and message.isprintable()
    return message


def test_a_server_crash_in_the_middle_of_the_copy_costs_one_night(api, own_postgres, working_folder, monkeypatch):
    def run() -> Extraction:
        url = embedded_postgres.start(own_postgres)
        return extraction.run(url, api.url, working_folder=working_folder, limits=QUICK)

    migrate_url(embedded_postgres.url(own_postgres))
    api.set_rows({"users": rows(0)})
    run()
    api.set_rows({"users": rows(1)})

    def copy(job) -> None:
        run_job(job)
        crash(own_postgres)

    run_job = PostgresCsvCopyJob.run
    with monkeypatch.context() as patch:
        patch.setattr(PostgresCsvCopyJob, "run", copy)
        landing_failure(run)
    run()
    with psycopg.connect(embedded_postgres.url(own_postgres), autocommit=True) as connection:
        assert live_rows(connection, "users") == payloads(connection, rows(1))
        assert_accounts_hold(connection)
        assert len(version_log(connection, "users")) == 13


def end_sessions(connection: psycopg.Connection, condition: str = "true") -> None:
    connection.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database()"
        f" and application_name = 'moovitamix-elt-extract' and {condition}"
    )


def test_a_session_killed_during_the_copy_costs_at_most_one_night(api, night, connection, monkeypatch):
    api.set_rows({"users": rows(0)})
    night()
    api.set_rows({"users": rows(1)})
    killed = []

    def copy(job) -> None:
        if job.load_table_name == "users":
            killed.append(job)
            end_sessions(connection, f"pid = {job._job_client.sql_client._conn.info.backend_pid}")
        run_job(job)

    run_job = PostgresCsvCopyJob.run
    with monkeypatch.context() as patch:
        patch.setattr(PostgresCsvCopyJob, "run", copy)
        landing_failure(night)
    assert killed
    night()
    assert live_rows(connection, "users") == payloads(connection, rows(1))
    assert_accounts_hold(connection)


def test_nothing_lands_when_the_session_with_the_lock_is_killed_during_the_extraction(api, night, connection):
    api.set_rows({"users": rows(0)})
    night()
    before = staged(connection)
    api.set_rows({"users": rows(1)})
    landing_failure(night, progress=lambda *_: end_sessions(connection))
    assert staged(connection) == before
    night()
    assert live_rows(connection, "users") == payloads(connection, rows(1))


# The first three end the reading of the known keys.
@pytest.mark.parametrize("at", [0, *range(4, 11)])
def test_a_commit_with_a_lost_answer_neither_duplicates_nor_loses_rows(api, night, connection, database_url, at):
    api.set_rows({"users": rows(0), "tracks": [{"id": 1}]})
    night()
    api.set_rows({"users": rows(1), "tracks": [{"id": 1, "name": "new"}]})
    proxy = CuttingProxy(database_url, at)
    try:
        if at:
            with contextlib.suppress(LandingError):
                night(through=proxy.url)
            assert proxy.commits >= at
        else:
            night(through=proxy.url)
            assert proxy.commits == 10
    finally:
        proxy.close()
    night()
    assert live_rows(connection, "users") == payloads(connection, rows(1))
    assert_accounts_hold(connection)
    # Ten at first; then one changed, one new, one removed.
    assert [payload for _, payload in version_log(connection, "users")].count(None) == 1
    assert len(version_log(connection, "users")) == 13
    assert len(version_log(connection, "tracks")) == 2


def test_a_database_error_is_reported_without_the_row(api, night, connection):
    api.set_rows({"users": [user(1)]})
    night()
    connection.execute("alter table staging.users add constraint no_more check (key <> '[2]')")
    api.set_rows({"users": [user(1), user(2, email="planted@example.org")]})
    message = landing_failure(night)
    assert 'violates check constraint "no_more"' in message
    assert "planted" not in message and "CONTEXT" not in message and "DETAIL" not in message


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "no such encoding"])
def test_the_encoding_in_the_environment_changes_nothing(api, night, connection, monkeypatch, encoding):
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    tracks = [{"id": name, "name": name} for name in ("é", "😀")]
    api.set_rows({"tracks": tracks})
    night()
    assert set(live_rows(connection, "tracks")) == {'["é"]', '["😀"]'}
    names = connection.execute("select payload ->> 'name' from staging.tracks").fetchall()
    assert sorted(names) == [("é",), ("😀",)]
    api.set_rows({"tracks": tracks[:1]})
    assert night().scans["tracks"].rows_landed == 0
    assert list(live_rows(connection, "tracks")) == ['["é"]']


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused_before_the_extraction(api, night, postgres_url, encoding):
    with other_encoding(postgres_url, encoding) as url:
        message = landing_failure(night, through=url)
        assert f"is encoded in {encoding}" in message and "encoding 'UTF8'" in message
        assert api.requests.total == 0
        with psycopg.connect(url) as connection:
            assert sum(staged(connection).values()) == 0


@pytest.fixture
def tiny_disk() -> Iterator[Path]:
    """Yield a folder of 3 MB in which the session's server may write."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a tiny disk")
    folder = Path(tempfile.mkdtemp(prefix="moovitamix-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700,uid=nobody,gid=nogroup", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no tiny disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failing_disk_is_not_reported_as_a_wrong_setting(night, working_folder, monkeypatch, code):
    def fail(*arguments, **named) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("extract.extraction.Client", fail)
    message = landing_failure(night)
    assert str(working_folder) in message and os.strerror(code) in message


def test_an_unusable_working_folder_is_reported_as_a_wrong_setting(night, working_folder):
    working_folder.touch()
    with pytest.raises(SettingError, match="cannot be used: Not a directory"):
        night()


def test_a_full_working_folder_is_reported_and_with_free_space_the_next_run_succeeds(api, night, connection, tiny_disk):
    api.set_rows({"users": rows(0)})
    night(working_folder=tiny_disk)
    before = live_rows(connection, "users")
    changed = [*rows(0), *(user(number, text=os.urandom(1000).hex()) for number in range(100, 3100))]
    api.set_rows({"users": changed})
    message = landing_failure(night, working_folder=tiny_disk, batch_size=100)
    assert "No space left on device" in message
    assert live_rows(connection, "users") == before
    subprocess.run(["mount", "-o", "remount,size=60m", str(tiny_disk)], check=True)
    night(working_folder=tiny_disk, batch_size=100)
    assert len(live_rows(connection, "users")) == 3010
    assert_accounts_hold(connection)


def test_a_full_disk_is_reported_and_with_free_space_the_next_run_succeeds(
    api, night, connection, database_url, postgres_url, tiny_disk
):
    name = conninfo_to_dict(database_url)["dbname"]
    long_rows = [user(number, text=os.urandom(1000).hex()) for number in range(100, 3100)]
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"create tablespace {name}_tiny location '{tiny_disk}'")
    try:
        connection.execute(f"alter table staging.users set tablespace {name}_tiny")
        api.set_rows({"users": rows(0)})
        night()
        before = live_rows(connection, "users")
        api.set_rows({"users": [*rows(0), *long_rows]})
        message = landing_failure(night, batch_size=100)
        assert "No space left on device" in message
        assert live_rows(connection, "users") == before
        subprocess.run(["mount", "-o", "remount,size=60m", str(tiny_disk)], check=True)
        night(batch_size=100)
        assert len(live_rows(connection, "users")) == 3010
        assert_accounts_hold(connection)
    finally:
        connection.close()
        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute(f"drop database {name} with (force)")
            server.execute(f"drop tablespace {name}_tiny")
            server.execute(f"create database {name}")
