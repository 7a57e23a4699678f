"""Test the counts of an extraction besides its scans: null and missing fields, traffic, landed bytes."""

import json

import pytest

from extract.extraction import FieldCount
from extract.pages import Traffic
from extract.rows import Row, read_row
from extract.source_tables import SOURCE_TABLES
from sample_api import contract
from tests.integration.extract.conftest import QUICK
from tests.integration.extract.test_erasures import ERASED, ERASURES
from tests.integration.extract.test_source import answer, failure, page

USERS, TRACKS, DOCUMENTS = SOURCE_TABLES
WHOLE = dict.fromkeys(USERS.fields, "x") | {"id": 1}


@pytest.mark.parametrize(
    ("table", "described"),
    [(USERS, contract.UsersOut), (TRACKS, contract.TracksOut), (DOCUMENTS, contract.ListenHistoryOut)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_fields_whose_nulls_are_counted_are_those_of_the_contract(table, described):
    assert table.fields == tuple(described.model_fields)


def without(row: dict, *names: str) -> dict:
    return {name: value for name, value in row.items() if name not in names}


def test_nulls_and_missing_fields_are_counted_in_all_rows_read_whether_they_land_or_not(api, night):
    rows = [
        WHOLE,
        WHOLE | {"id": 2, "email": None, "gender": None},
        without(WHOLE | {"id": 3, "email": None, "never heard of": None}, "gender", "last_name"),
        WHOLE | {"id": 4, "email": "", "gender": 0},
    ]
    api.set_rows({"users": rows})
    counted = dict.fromkeys(USERS.fields, FieldCount(4, 0, 0)) | {
        "email": FieldCount(4, 2, 0),
        "gender": FieldCount(4, 1, 1),
        "last_name": FieldCount(4, 0, 1),
    }
    for landed in (4, 0):
        extraction = night()
        assert extraction.scans["users"].rows_landed == landed
        assert extraction.fields["users"] == counted
        assert extraction.fields["tracks"] == dict.fromkeys(TRACKS.fields, FieldCount(0, 0, 0))


def test_only_rows_that_can_be_read_and_kept_are_counted(api, night):
    unreadable = b'{"id": 8, "email": null, "first_name": "\\u0000"}'
    api.set_rows({"users": [WHOLE, unreadable, {"id": ERASED, "email": None}]})
    extraction = night(erasures=ERASURES)
    assert extraction.scans["users"].rows_read == 3
    assert set(extraction.fields["users"].values()) == {FieldCount(1, 0, 0)}


def test_only_the_rows_of_the_pass_that_lands_are_counted(api, night):
    api.set_rows({"users": [WHOLE | {"email": None}, WHOLE | {"email": 1}, WHOLE | {"id": 2}]})
    extraction = night()
    assert extraction.scans["users"].passes == 2
    assert extraction.fields["users"]["email"] == FieldCount(3, 1, 0)


def test_a_row_that_is_no_object_has_no_fields():
    row = read_row(b"[1]", ("id",), fields=("id", "email"))
    assert isinstance(row, Row) and (row.nulls, row.absent) == ((), ("id", "email"))


def refuse(handler) -> None:
    answer(handler, b"not now", 503)


def cut_off(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "99")
    handler.end_headers()
    handler.wfile.write(b"and now")


def test_each_attempt_and_each_byte_of_a_body_is_counted(night, answering):
    bodies = {"/users": page(), "/tracks": page(), "/listen_history": page()}
    first_answers = [refuse, cut_off]

    def serve(handler):
        path = handler.path.partition("?")[0]
        if path == "/tracks" and first_answers:
            first_answers.pop()(handler)
        else:
            answer(handler, bodies[path])

    traffic: dict[str, Traffic] = {}
    night(api_base_url=answering(serve), traffic=traffic)

    size = len(page())
    assert traffic == {
        "users": Traffic(1, 0, size),
        "tracks": Traffic(3, 2, size + 14),
        "listen_history": Traffic(1, 0, size),
    }


def test_a_failed_extraction_reports_its_requests(night):
    traffic: dict[str, Traffic] = {}
    failure(night, api_base_url="http://127.0.0.1:9", window=1, traffic=traffic)
    assert traffic["users"] == Traffic(QUICK.attempts, QUICK.attempts, 0)
    assert set(traffic) == {table.name for table in SOURCE_TABLES}


def test_bytes_landed_are_those_of_the_text_that_landed(api, night):
    whole, other, changed = (
        json.dumps(row, ensure_ascii=False).encode() for row in (WHOLE, {"id": 2, "email": "é"}, {"id": 2})
    )
    for rows, bytes_landed in {(whole, other): len(whole) + len(other), (whole, changed): len(changed)}.items():
        api.set_rows({"users": list(rows)})
        assert night().bytes_landed["users"] == bytes_landed
        assert night().bytes_landed["users"] == 0
