"""Test that the generated contract and the pages equal those of the real API."""

import json
from datetime import datetime
from pathlib import Path

import pytest
import urllib3

from sample_api.app import create_app
from sample_api.server import serve
from sample_api.tables import TABLES
from sample_api.world import World, snapshot

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def day_zero():
    return snapshot(World(users=250, tracks=250, documents=250), 0)


@pytest.fixture(scope="module")
def url(day_zero):
    with serve(day_zero) as server:
        yield server.url


def get(url, **fields):
    return urllib3.request("GET", url, fields=fields, redirect=False, retries=False, timeout=10)


def test_generated_contract_equals_the_real_one():
    generated = json.loads(json.dumps(create_app({}).openapi()))
    assert generated == json.loads((DATA / "openapi.json").read_text())


def test_served_contract_equals_the_real_one(url):
    assert get(f"{url}/openapi.json").json() == json.loads((DATA / "openapi.json").read_text())


@pytest.mark.parametrize("table", TABLES)
def test_page_has_the_shape_of_the_real_page(url, table):
    real = json.loads((DATA / "sample_pages" / f"{table}.json").read_text())
    answer = get(f"{url}/{table}")
    page = answer.json()

    assert answer.headers["content-type"] == "application/json"
    assert answer.data == json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()
    assert list(page) == list(real)
    assert (page["total"], page["page"], page["size"], page["pages"]) == (250, 1, 100, 3)
    assert len(page["items"]) == len(real["items"])
    shape = [(name, type(value)) for name, value in real["items"][0].items()]
    for row in page["items"]:
        given = [(name, list if value is None and name == "items" else type(value)) for name, value in row.items()]
        assert given == shape
        for name in ("created_at", "updated_at"):
            moment = datetime.fromisoformat(row[name])
            assert moment.tzinfo is None
            assert row[name] == moment.isoformat(timespec="microseconds")


@pytest.mark.parametrize("table", TABLES)
def test_pages_hold_every_row_once_and_in_order(url, table, day_zero):
    read = []
    for page in range(1, 7):
        read += get(f"{url}/{table}", page=page, size=45).json()["items"]
    assert read == day_zero.tables()[table]


def test_page_past_the_last_is_empty(url):
    page = get(f"{url}/users", page=4).json()
    assert page == {"items": [], "total": 250, "page": 4, "size": 100, "pages": 3}


def test_empty_table_has_no_pages():
    with serve({}) as server:
        page = get(f"{server.url}/tracks").json()
    assert page == {"items": [], "total": 0, "page": 1, "size": 100, "pages": 0}


@pytest.mark.parametrize(
    ("field", "value", "kind", "context"),
    [
        ("size", "0", "greater_than_equal", {"ge": 1}),
        ("size", "101", "less_than_equal", {"le": 100}),
        ("page", "0", "greater_than_equal", {"ge": 1}),
        ("page", "x", "int_parsing", None),
    ],
)
def test_bad_paging_is_a_validation_error(url, field, value, kind, context):
    answer = get(f"{url}/tracks", **{field: value})
    assert answer.status == 422
    (error,) = answer.json()["detail"]
    assert (error["type"], error["loc"], error["input"]) == (kind, ["query", field], value)
    assert error.get("ctx") == context


def test_root_redirects_to_the_docs(url):
    answer = get(f"{url}/")
    assert (answer.status, answer.headers["location"]) == (307, "/docs")
