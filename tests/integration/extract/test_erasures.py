"""Test that rows of erased people are counted and stored nowhere, however their ids are spelled."""

import hashlib
import hmac
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.erasures import NO_ERASURES, Erasures, alias, hash_user_id, normalize_user_id
from extract.errors import SettingError
from extract.landing import folder_for, pipeline_in
from extract.rows import read_row
from extract.source_tables import SOURCE_TABLES, SourceTable
from extract.spool import Spool
from tests.integration.extract.conftest import live_rows, staged
from tests.integration.extract.test_database_failures import rows
from tests.integration.extract.test_extraction import assert_accounts_hold, figures, payloads, user
from tests.integration.extract.test_recovery import crash
from tests.recovery import recover

KEY = "a key of the tests, long enough to be one"
ERASED = 900719925474
EMAIL = "erased@example.org"
SPELLED = "Then.Exactly@Example.org"
"""The address of a user whose hash was made of the original spelling."""
CASEFOLDED = "Folde\u0301 Then@Example.org"
"""The address of a user whose hash was made of `str.casefold`."""
ADDRESSES = {
    alias(KEY, EMAIL),
    alias(KEY, "Érased@Example.ORG"),
    alias(KEY, "Große.İrem@example.org"),
    hash_user_id(KEY, SPELLED),
    hash_user_id(KEY, CASEFOLDED.casefold()),
}
ERASURES = Erasures(KEY, frozenset({hash_user_id(KEY, ERASED), *ADDRESSES}))
USERS, TRACKS, LISTEN_HISTORY = SOURCE_TABLES


def is_withheld(table: SourceTable, text: bytes) -> bool:
    row = read_row(text, table.key)
    return ERASURES.withholds(table, row.key, row.text)


@given(st.integers(-(10**25), 10**25), st.integers(0, 3), st.integers(0, 3))
def test_an_id_is_the_same_person_however_it_is_spelled(person, leading, trailing):
    sign, digits = ("-" if person < 0 else ""), str(abs(person))
    spellings = [
        person,
        str(person),
        Decimal(person),
        f" {sign}{'0' * leading}{digits} ",
        f"{person}.{'0' * trailing}",
        f"{person}{'0' * trailing}e-{trailing}",
        f"{person}e0",
        f"\u2060{person}".translate({ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}),
    ]
    assert {normalize_user_id(spelling) for spelling in spellings} == {str(person)}


@pytest.mark.parametrize(
    ("one", "other"),
    [(7, 70), (7, -7), (7, 7.5), (7, "7a"), (7, "7 7"), (10, "1_0"), ("1e9999", "1e9998"), ("aB", "ab")],
)
def test_different_ids_are_different_people(one, other):
    assert normalize_user_id(one) != normalize_user_id(other)


@pytest.mark.parametrize("nobody", [None, True, "", " ", "\u200b", [7], {"id": 7}])
def test_a_value_that_is_no_id_is_never_erased(nobody):
    assert not ERASURES.covers(nobody)
    with pytest.raises(ValueError, match="not the id of a person"):
        hash_user_id(KEY, nobody)


def test_a_tombstone_is_the_keyed_hash_of_the_id_and_reveals_neither_key_nor_id():
    expected = hmac.new(KEY.encode(), b"900719925474", hashlib.sha256).hexdigest()
    assert hash_user_id(KEY, "900719925474.0") == expected
    assert hash_user_id("another key", ERASED) != expected
    assert KEY not in repr(ERASURES)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (USERS, b'{"id":900719925474}'),
        (USERS, b'{"id":900719925474.0,"email":"other@example.org"}'),
        (USERS, b'{"id":"900719925474"}'),
        (USERS, b'{"id":9.00719925474e11}'),
        (LISTEN_HISTORY, b'{"user_id":900719925474,"created_at":"2026-01-01"}'),
        (LISTEN_HISTORY, b'{"user_id":"900719925474"}'),
        # without an id, by the e-mail
        (USERS, b'{"email":"erased@example.org"}'),
        (USERS, b'{"id":null,"email":"erased\\u0040example.org"}'),
        (USERS, b'{"email":"\\u00c9rased@example.org"}'),
        (USERS, '{"email":"Érased@example.org"}'.encode()),
        (USERS, '{"email":" ÉRASED@example.org"}'.encode()),
        (USERS, b'{"id":null,"email":"Erased@Example.Org"}'),
        (USERS, b'{"email":"Then.Exactly@Example.org"}'),
        (USERS, '{"email":"Folde\u0301 Then@Example.org"}'.encode()),
        (USERS, '{"email":"FOLDE\u0301 THEN@example.org"}'.encode()),
        # spellings that look the same
        (USERS, '{"email":"E\u0301rased@example.org"}'.encode()),
        (USERS, '{"email":"erased＠example.org"}'.encode()),
        (USERS, '{"email":"ｅｒａｓｅｄ@example．org\u3000"}'.encode()),
        (USERS, b'{"email":"\\ud835\\udc1erased@example.org"}'),
        (USERS, b'{"email":"\\u200berased@exam\\u00adple.org\\ufeff"}'),
        (USERS, '{"email":"GROSSE.I\u0307REM@example.org"}'.encode()),
        (USERS, '{"id":"９００７１９９２５４７４"}'.encode()),
        (USERS, b'{"id":"\\u200b900719925474"}'),
        (USERS, b'{"id":NaN,"email":"ERASED@example.org"}'),
        # unreadable, with a key
        (USERS, b'{"id":900719925474,"a":"\\u0000"}'),
        (LISTEN_HISTORY, b'{"user_id":"900719925474","created_at":1,"items":[NaN]}'),
        # unreadable, without a key
        (USERS, b'{"id":900719925474,"id":8}'),
        (USERS, b'{"id":1,"id":\n900719925474}'),
        (USERS, b'{"\\u0069d":"\\u0039\\u00300719925474","id":1}'),
        (USERS, b'{"name":"broken, "id": 900719925474'),
        (USERS, b"{'id': '900719925474'}"),
        (USERS, b"id=900719925474, \xff"),
        (USERS, b'{"id":NaN,"email":"erased@example.org"}'),
        (LISTEN_HISTORY, b'{"user_id":900719925474,"created_at":"\\ud800"}'),
    ],
)  # fmt: skip
def test_a_row_that_identifies_the_erased_person_is_withheld(table, text):
    assert is_withheld(table, text)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (USERS, b'{"id":9007199254740}'),
        (USERS, b'{"id":7,"email":"erased@example.org"}'),
        (USERS, b'{"id":7,"friend":{"id":900719925474}}'),
        (USERS, b'{"id":7,"id":8}'),
        (USERS, b'{"id":7,"user_id":900719925474,"id":8}'),
        (USERS, b'{"email":"not.erased@example.org"}'),
        (USERS, '{"email":"èrased@example.org"}'.encode()),
        (USERS, '{"email":"große.ırem@example.org"}'.encode()),
        (USERS, b'{"id":7,"email":"ERASED@example.org"}'),
        (USERS, b"[900719925474]"),
        (TRACKS, b'{"id":900719925474}'),
        (LISTEN_HISTORY, b'{"user_id":7,"items":[900719925474]}'),
        (LISTEN_HISTORY, b'{"email":"erased@example.org"}'),
    ],
)  # fmt: skip
def test_a_row_of_another_person_is_not_withheld(table, text):
    assert not is_withheld(table, text)


def test_a_withheld_row_is_counted_and_neither_lands_nor_is_removed(api, night, connection):
    others = [user(1), user(2)]
    api.set_rows(
        {
            "users": [
                *others,
                user(ERASED, email=EMAIL),
                {"id": str(ERASED)},
                b'{"id":900719925474.0}',
                b'{"id":900719925474,"email":"nul\\u0000"}',
                b'{"id":900719925474,"id":900719925474}',
                b'{"id":3,"email":"nul\\u0000"}',
            ],
            "tracks": [{"id": ERASED}],
            "listen_history": [{"user_id": ERASED, "created_at": "a"}, {"user_id": 1, "created_at": "a"}],
        }
    )
    extraction = night(erasures=ERASURES)

    assert figures(extraction) == (8, 5, 2, 0, 1)
    assert figures(extraction, "listen_history") == (2, 1, 1, 0, 0)
    assert live_rows(connection, "users") == payloads(connection, others)
    assert list(live_rows(connection, "tracks")) == [f"[{ERASED}]"], "a track is nobody"
    assert list(live_rows(connection, "listen_history")) == ['[1,"a"]']
    assert connection.execute("select key from staging.unreadable_rows").fetchall() == [("[3]",)]
    assert_accounts_hold(connection)

    api.set_rows({"users": [*others, user(ERASED, email="new@example.org")], "tracks": [{"id": ERASED}]})
    extraction = night(erasures=ERASURES)
    assert figures(extraction) == (3, 3, 0, 0, 0)
    assert figures(extraction, "listen_history") == (0, 0, 0, 1, 0)

    api.set_rows({"users": others, "tracks": [{"id": ERASED}]})
    assert figures(night(erasures=ERASURES)) == (2, 2, 0, 0, 0)


def test_rows_restored_from_a_backup_are_neither_changed_nor_removed_by_later_runs(api, night, connection):
    api.set_rows({"users": [user(1), user(ERASED)]})
    night()
    api.set_rows({"users": [user(1), user(ERASED, name="changed")]})
    assert figures(night(erasures=ERASURES)) == (2, 2, 0, 0, 0)


def test_the_text_of_a_withheld_row_never_reaches_the_disk(api, night, monkeypatch, working_folder):
    seen = []
    close = Spool.close

    def read_and_close(spool: Spool) -> None:
        close(spool)
        with pa.OSFile(str(spool._file), "rb") as source:
            seen.append(str(pa.ipc.open_file(source).read_all().to_pydict()))

    monkeypatch.setattr(Spool, "close", read_and_close)
    mixed = [user(1), user(ERASED, email=EMAIL), b'{"id":900719925474,"a":"\\u0000"}', user(2, email="other")]
    api.set_rows({"users": mixed})
    night(erasures=ERASURES)
    assert any("other" in text for text in seen)
    assert not any("900719925474" in text or "erased" in text for text in seen)
    for file in working_folder.rglob("*"):
        assert not file.is_file() or b"900719925474" not in file.read_bytes()


@pytest.mark.parametrize("known", [NO_ERASURES, Erasures(KEY, frozenset({hash_user_id(KEY, 8)}))])
def test_an_extraction_that_does_not_know_all_erased_users_is_refused_before_the_first_request(
    api, night, connection, known
):
    erased(connection, ERASED)
    with pytest.raises(SettingError, match="would bring back"):
        night(erasures=known)
    assert api.requests.total == 0
    assert night(erasures=ERASURES).load_id


def erased(connection: psycopg.Connection, person: object) -> None:
    connection.execute("insert into gate.erasures (tombstone, key_check) values (%s, '')", [hash_user_id(KEY, person)])


def test_a_package_older_than_an_erasure_does_not_land(api, night, connection, database_url, working_folder):
    """Pack a load on a machine that crashes, and erase the user on another."""
    api.set_rows({"users": rows(0)})
    night()
    api.set_rows({"users": [*rows(1), user(ERASED)]})
    crash("normalized", database_url, api.url, working_folder)

    extraction = night(erasures=ERASURES)

    assert extraction.recovery.sentence == "Dropped the unfinished load of an earlier run."
    assert live_rows(connection, "users") == payloads(connection, rows(1))
    assert staged(connection)["_dlt_loads"] == 2
    assert not pipeline_in(folder_for(connection, working_folder), connection, database_url).has_pending_data


@pytest.mark.parametrize("point", ["packed", "normalized", "after one copy"])
def test_recovery_drops_a_packed_load_on_request(api, night, connection, database_url, working_folder, point):
    api.set_rows({"users": rows(0)})
    night()
    api.set_rows({"users": rows(1)})
    crash(point, database_url, api.url, working_folder)
    assert any(b"user 10" in file.read_bytes() for file in working_folder.rglob("*") if file.is_file())
    recovery = recover(database_url, working_folder, lands_packed_load=False)
    assert recovery.sentence.startswith("Dropped the unfinished load of an earlier run")
    assert live_rows(connection, "users") == payloads(connection, rows(0))
    assert not any(b"user 10" in file.read_bytes() for file in working_folder.rglob("*") if file.is_file())


def test_a_source_table_with_people_is_still_one_entry(api, night, connection, monkeypatch):
    fans = SourceTable("fans", "/users", ("since", "fan"), person="fan")
    for module in ("extraction", "recovery"):
        monkeypatch.setattr(f"extract.{module}.SOURCE_TABLES", (*SOURCE_TABLES, fans))
    connection.execute("create table staging.fans (like staging.users including all)")
    api.set_rows({"users": [{"id": 1, "since": 1, "fan": ERASED}, {"id": 2, "since": 1, "fan": 5}, b"5"]})
    assert figures(night(erasures=ERASURES), "fans") == (3, 1, 2, 0, 0)
    assert list(live_rows(connection, "fans")) == ["[1,5]", "[null]"]
