"""Test that a load which an earlier version left unfinished is completed."""

import contextlib

import dlt
import pyarrow as pa
import pytest

from extract import extraction as extraction_module
from extract import landing
from extract.errors import SourceError
from tests.integration.extract.conftest import live_rows
from tests.integration.extract.test_database_failures import rows
from tests.integration.extract.test_extraction import assert_accounts_hold, payloads
from tests.integration.extract.test_recovery import COMPLETED, orphans

pytestmark = pytest.mark.slow

ADDED_SINCE = ("keys_unsettled", "keys_delivered", "keys_lost", "keys_changed")
SCANS_OF_PREVIOUS_VERSION = pa.schema([field for field in landing.SCANS_SCHEMA if field.name not in ADDED_SINCE])


class Killed(BaseException):
    pass


def die(*_, **__):
    raise Killed


@contextlib.contextmanager
def previous_version(*, is_killed=False):
    """Patch the extraction to the version before `ADDED_SINCE`; with `is_killed`, it packs its load only."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed) if is_killed else contextlib.nullcontext():
        for module in (landing, extraction_module):
            patch.setattr(module, "SCANS_SCHEMA", SCANS_OF_PREVIOUS_VERSION)
        if is_killed:
            patch.setattr(dlt.Pipeline, "load", die)
        yield


@pytest.mark.parametrize("landed_before", ["nothing", "a load of the previous version", "a load of this version"])
def test_a_load_packed_by_the_previous_version_is_completed(landed_before, api, night, connection):
    api.set_rows({"users": rows(0)})
    if landed_before == "a load of the previous version":
        with previous_version():
            night()
    elif landed_before == "a load of this version":
        night()
    api.set_rows({"users": rows(1)})
    with previous_version(is_killed=True):
        night()

    api.set_rows({"users": rows(2)})
    extraction = night()

    assert extraction.recovery.sentence == COMPLETED
    assert live_rows(connection, "users") == payloads(connection, rows(2))
    counted = {
        load_id: figures
        for load_id, *figures in connection.execute(
            f"select _dlt_load_id, {', '.join(ADDED_SINCE)} from staging.scans where table_name = 'users'"
        )
    }
    assert counted[extraction.recovery.resumed_load_id] == [None] * len(ADDED_SINCE)
    assert counted[extraction.load_id][0] == 0 and None not in counted[extraction.load_id]
    assert_accounts_hold(connection)
    assert orphans(connection) == []


def test_a_scan_without_a_total_lands_after_scans_of_a_version_that_needed_one(api, night, connection):
    needed = [field.with_nullable(False) if field.name == "total" else field for field in landing.SCANS_SCHEMA]
    api.set_rows({"users": rows(1)})
    with pytest.MonkeyPatch.context() as patch:
        for module in (landing, extraction_module):
            patch.setattr(module, "SCANS_SCHEMA", pa.schema(needed))
        night()
    api.faults.add("no_total")
    night()
    found = connection.execute("select total from staging.scans where table_name = 'users' order by version_seq")
    assert found.fetchall() == [(10,), (None,)]


def test_a_load_packed_by_the_previous_version_is_completed_even_when_the_source_fails(api, night, connection):
    api.set_rows({"users": rows(1)})
    with previous_version(is_killed=True):
        night()
    api.faults.add("redirect=http://127.0.0.1:1/")
    with pytest.raises(SourceError):
        night()
    assert live_rows(connection, "users") == payloads(connection, rows(1))
