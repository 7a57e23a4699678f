"""Test crashed runs: the next one neither loses nor duplicates rows, and reports what it recovered."""

import shutil
import signal
import time
from pathlib import Path
from random import Random

import psycopg
import pytest
from dlt.load.load import Load
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from extract import database, extraction
from extract.errors import LandingError, SourceError
from extract.landing import folder_for, pipeline_in
from extract.recovery import Recovery, withdraw
from tests.databases import migrate_url
from tests.forks import fork
from tests.integration.extract import crashing_extraction
from tests.integration.extract.conftest import live_rows, staged, version_log
from tests.integration.extract.crashing_extraction import POINTS
from tests.integration.extract.test_database_failures import rows
from tests.integration.extract.test_extraction import assert_accounts_hold, payloads
from tests.recovery import recover

pytestmark = pytest.mark.slow

COMPLETED = "Completed the unfinished load of an earlier run."
SENTENCES = {
    "packed": COMPLETED,
    "while normalizing": COMPLETED,
    "normalized": COMPLETED,
    "before the copy": COMPLETED,
    "before the first commit": COMPLETED,
    "all copied": COMPLETED,
}


def crash(point: str, database_url: str, api_base_url: str, working_folder: Path) -> None:
    log = working_folder.with_suffix(".log")
    process = fork(crashing_extraction.run, point, database_url, api_base_url, working_folder, log=log)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, log.read_text()


def orphans(connection: psycopg.Connection) -> list:
    found = []
    for table in ("users", "tracks", "listen_history", "scans", "unreadable_rows"):
        found += connection.execute(
            f"select %s, _dlt_load_id from staging.{table}"
            " where _dlt_load_id not in (select load_id from staging._dlt_loads)",
            [table],
        ).fetchall()
    return found


def test_an_interrupt_is_no_failure_of_the_landing(api, night, connection, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    api.set_rows({"users": rows(0)})
    with monkeypatch.context() as patch:
        patch.setattr(Load, "complete_package", interrupt)
        for _ in ("while a load lands", "while the next extraction completes it"):
            with pytest.raises(KeyboardInterrupt):
                night()
    night()
    assert len(live_rows(connection, "users")) == len(rows(0))


@pytest.mark.parametrize("is_wiped", [False, True], ids=["folder kept", "folder wiped"])
@pytest.mark.parametrize("point", POINTS)
def test_the_next_run_is_unaffected_by_a_run_killed_at_any_point(
    api, night, connection, database_url, working_folder, point, is_wiped
):
    api.set_rows({"users": rows(0)})
    night()
    before = live_rows(connection, "users")
    api.set_rows({"users": rows(1)})
    crash(point, database_url, api.url, working_folder)
    whole = payloads(connection, rows(1))
    assert live_rows(connection, "users") == (whole if point in ("completed", "landed") else before)
    if is_wiped:
        shutil.rmtree(working_folder)

    api.set_rows({"users": rows(2)})
    extraction = night()

    assert live_rows(connection, "users") == payloads(connection, rows(2))
    assert_accounts_hold(connection)
    assert orphans(connection) == []
    assert not list(working_folder.rglob("*.arrow"))
    if point in ("after one copy", "after the second commit"):
        return  # the server may still be committing another table's rows: completed and dropped are both correct
    if not is_wiped:
        assert extraction.recovery.sentence == SENTENCES.get(point, "")
        assert bool(extraction.recovery.resumed_load_id) == (point in SENTENCES)
    is_kept = point in ("completed", "landed") or (point in SENTENCES and not is_wiped)
    assert staged(connection)["_dlt_loads"] == (3 if is_kept else 2)


def test_randomly_killed_runs_end_in_the_same_state_as_a_complete_run(
    api, night, connection, database_url, working_folder, tmp_path, postgres_url
):
    """Kill ten runs, each a little later than the previous one; then let a run complete."""
    api.set_rows({"users": rows(0)})
    began = time.monotonic()
    night()
    run_seconds = time.monotonic() - began
    api.set_rows({"users": rows(1)})
    seed = 11
    print(f"seed {seed}")
    random = Random(seed)
    for delay in sorted(random.uniform(0, 2 * run_seconds) for _ in range(10)):
        process = fork(
            crashing_extraction.run,
            crashing_extraction.NOWHERE,
            database_url,
            api.url,
            working_folder,
            log=tmp_path / "log",
        )
        process.join(delay)
        process.kill()
        process.join()
    night()

    twin_url = postgres_url.rsplit("/", 1)[0] + "/twin"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("create database twin")
    try:
        migrate_url(twin_url)
        for number in (0, 1):
            api.set_rows({"users": rows(number)})
            extraction.run(twin_url, api.url, working_folder=tmp_path / "twin", batch_size=3)
        with psycopg.connect(twin_url, autocommit=True) as twin:
            assert version_log(connection, "users") == version_log(twin, "users")
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute("drop database twin with (force)")
    assert_accounts_hold(connection)
    assert orphans(connection) == []


@pytest.mark.parametrize("point", ["before the copy", "after one copy", "landed"])
def test_a_killed_first_run_does_not_affect_the_second(api, night, connection, database_url, working_folder, point):
    api.set_rows({"users": rows(0)})
    crash(point, database_url, api.url, working_folder)
    api.set_rows({"users": rows(1)})
    night()
    assert live_rows(connection, "users") == payloads(connection, rows(1))
    assert_accounts_hold(connection)


def test_rows_without_a_completed_load_are_deleted_and_reported(api, night, connection):
    api.set_rows({"users": rows(0)})
    night()
    connection.execute("delete from staging._dlt_loads")
    extraction = night()
    assert extraction.recovery.sentence == "Deleted 14 rows of incomplete loads."
    assert live_rows(connection, "users") == payloads(connection, rows(0))
    assert extraction.scans["users"].rows_landed == 10


def packed_load(connection: psycopg.Connection, database_url: str, api: object, folder: Path) -> str:
    """Leave a normalized load of night 1 in `folder`, and return its id."""
    api.set_rows({"users": rows(1)})
    crash("normalized", database_url, api.url, folder)
    pipeline = pipeline_in(folder_for(connection, folder), connection, database_url)
    (load_id,) = pipeline.list_normalized_load_packages()
    return load_id


def test_a_pending_load_that_cannot_land_is_dropped_and_the_run_continues(
    api, night, connection, database_url, working_folder
):
    api.set_rows({"users": rows(0)})
    night()
    load_id = packed_load(connection, database_url, api, working_folder)
    (file,) = working_folder.rglob("new_jobs/users.*.csv")
    file.write_text(file.read_text().replace('{""id""', '{""id\\u0000""'))
    extraction = night()
    assert extraction.recovery.sentence.startswith("Dropped the unfinished load of an earlier run")
    assert live_rows(connection, "users") == payloads(connection, rows(1))
    assert staged(connection)["_dlt_loads"] == 2
    assert not connection.execute("select from staging.scans where _dlt_load_id = %s", [load_id]).fetchall()
    assert night().recovery.sentence == ""


UNREADABLE_FILES = "Dropped the unreadable working files of an earlier run"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", None], ids=["emptied", "cut", "garbled", "gone"])
def test_damaged_working_files_are_dropped_and_the_run_continues(api, night, connection, working_folder, content):
    """Simulate the files that a full disk or a power failure leaves."""
    night()
    names = {file.relative_to(working_folder) for file in working_folder.rglob("*") if file.is_file()}
    assert {"state.json", "moovitamix.schema.json", ".version"} <= {name.name for name in names}
    for number, name in enumerate(sorted(names)):
        file = working_folder / name
        if not file.exists():
            night()
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        api.set_rows({"users": rows(number)})
        sentence = night().recovery.sentence
        assert sentence in ("", f"{UNREADABLE_FILES}."), name
        if content is not None and name.name in ("state.json", "moovitamix.schema.json", ".version"):
            assert sentence, name
        assert live_rows(connection, "users") == payloads(connection, rows(number))


def test_a_pending_load_with_damaged_working_files_is_dropped(api, night, connection, database_url, working_folder):
    api.set_rows({"users": rows(0)})
    night()
    packed_load(connection, database_url, api, working_folder)
    (state,) = working_folder.glob("*/moovitamix/state.json")
    state.write_bytes(b"")
    api.set_rows({"users": rows(2)})
    assert night().recovery.sentence == f"{UNREADABLE_FILES}."
    assert live_rows(connection, "users") == payloads(connection, rows(2))
    assert night().recovery.sentence == ""


def test_a_pending_load_with_any_damaged_file_lands_completely_or_not_at_all(
    api, night, connection, database_url, working_folder, tmp_path
):
    api.set_rows({"users": rows(0)})
    night()
    load_id = packed_load(connection, database_url, api, working_folder)
    before, after = payloads(connection, rows(0)), payloads(connection, rows(1))
    packed = tmp_path / "packed"
    shutil.copytree(working_folder, packed)
    files = [file.relative_to(packed) for file in packed.rglob("*") if load_id in file.parts and file.is_file()]
    assert {"load_package_state.json", "schema.json"} <= {file.name for file in files}
    # After an erasure it never lands; a package that dlt cannot abort is deleted, too.
    cases = [(file, b"", True) for file in files]
    of_json = [file for file in files if file.suffix == ".json"]
    cases += [(file, b"{}", True) for file in of_json] + [(file, b"", False) for file in of_json]
    for file, content, is_wanted in cases:
        shutil.rmtree(working_folder)
        shutil.copytree(packed, working_folder)
        (working_folder / file).write_bytes(content)
        recovery = recover(database_url, working_folder, lands_packed_load=is_wanted)
        assert recovery.sentence and is_wanted >= bool(recovery.resumed_load_id), file
        assert live_rows(connection, "users") == (after if recovery.resumed_load_id else before), file
        assert orphans(connection) == []
        assert not list(working_folder.rglob("users.*")), file
        if recovery.resumed_load_id:
            withdraw(connection, load_id)
    assert night().recovery.sentence == ""
    assert live_rows(connection, "users") == after
    assert_accounts_hold(connection)


def test_a_pending_load_that_lost_rows_is_withdrawn(api, night, connection, database_url, working_folder):
    api.set_rows({"users": rows(0)})
    night()
    load_id = packed_load(connection, database_url, api, working_folder)
    (file,) = working_folder.rglob("new_jobs/users.*.csv")
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    extraction = night()
    assert extraction.recovery.sentence.startswith("Dropped the unfinished load")
    assert live_rows(connection, "users") == payloads(connection, rows(1))
    assert not connection.execute("select from staging._dlt_loads where load_id = %s", [load_id]).fetchall()
    assert_accounts_hold(connection)


def test_a_pending_load_older_than_a_completed_load_is_dropped(
    api, night, connection, database_url, working_folder, tmp_path
):
    api.set_rows({"users": rows(0)})
    night()
    packed_load(connection, database_url, api, working_folder)
    api.set_rows({"users": rows(2)})
    night(working_folder=tmp_path / "another machine")
    extraction = night()
    assert extraction.recovery.sentence.startswith("Dropped the unfinished load")
    assert extraction.scans["users"].rows_landed == 0
    assert live_rows(connection, "users") == payloads(connection, rows(2))


def test_a_load_restored_repeatedly_changes_nothing(api, night, connection, database_url, working_folder, tmp_path):
    """Restore the working files of a landed load: at once, twice, and after a newer load."""
    api.set_rows({"users": rows(0)})
    night()
    packed_load(connection, database_url, api, working_folder)
    shutil.copytree(working_folder, tmp_path / "packed")

    def replay() -> list:
        shutil.rmtree(working_folder)
        shutil.copytree(tmp_path / "packed", working_folder)
        recover(database_url, working_folder)
        assert orphans(connection) == []
        return version_log(connection, "users")

    landed = replay()
    assert live_rows(connection, "users") == payloads(connection, rows(1))
    assert replay() == landed
    assert replay() == landed
    api.set_rows({"users": rows(2)})
    night()
    newer = version_log(connection, "users")
    assert replay() == newer
    assert live_rows(connection, "users") == payloads(connection, rows(2))


def test_a_pending_load_is_completed_even_when_the_source_fails(api, night, connection, database_url, working_folder):
    api.set_rows({"users": rows(0)})
    night()
    packed_load(connection, database_url, api, working_folder)
    api.faults.add("error_body")
    with pytest.raises(SourceError):
        night()
    assert live_rows(connection, "users") == payloads(connection, rows(1))


def test_a_pending_load_of_a_dropped_database_never_reaches_a_new_database_with_its_name(
    api, night, connection, database_url, working_folder
):
    api.set_rows({"users": rows(0)})
    night()
    packed_load(connection, database_url, api, working_folder)
    name = conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(make_conninfo(database_url, dbname="postgres"), autocommit=True) as server:
        server.execute(f"drop database {name} with (force)")
        server.execute(f"create database {name}")
    migrate_url(database_url)
    assert night().recovery == Recovery()
    with psycopg.connect(database_url) as again:
        assert staged(again)["_dlt_loads"] == 1
        assert live_rows(again, "users") == payloads(again, rows(1))


def test_recover_reports_the_same_once(api, night, connection, database_url, working_folder):
    assert recover(database_url, working_folder) == Recovery()
    api.set_rows({"users": rows(0)})
    night()
    load_id = packed_load(connection, database_url, api, working_folder)
    assert recover(database_url, working_folder) == Recovery(COMPLETED, load_id)
    assert recover(database_url, working_folder) == Recovery()


def test_two_extractions_into_one_database_do_not_run_at_the_same_time(api, night, connection, monkeypatch):
    database.lock(connection)
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    with pytest.raises(LandingError, match="Another extraction is working"):
        night()
    assert api.requests.total == 0
