"""A source that does not stand still: nothing lost, nothing twice, and nothing removed that is still there."""

import json
import os
import threading
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import extract
from extract.changes import missing
from extract.pages import Page
from extract.rows import read_row
from extract.scan import scan
from tests.extract.conftest import QUICK, live_rows, staged
from tests.extract.moving_rows import STEPS, MovingRows, keys
from tests.extract.test_source import answer, page

EXAMPLES = int(os.environ.get("MOVING_SOURCE_EXAMPLES", "25"))
"""Nights over real HTTP and into a real Postgres cost a second for three."""

USERS = extract.SOURCE_TABLES[0]


def rows(*numbers: int) -> list[dict]:
    return [{"id": number, "version": 0} for number in numbers]


@pytest.fixture
def after_each_users_page(api):
    """Calls a function with the number of pages of /users answered since then, after each of them."""

    def arrange(change) -> None:
        answered = iter(range(1, 10_000))

        def after_answer(path: str) -> None:
            if path == "/users":
                change(next(answered))

        api.requests.after_answer = after_answer

    return arrange


def test_a_row_that_slips_past_the_reader_is_not_removed(api, night, connection, after_each_users_page):
    api.set_rows({"users": rows(*range(9))})
    night()

    def delete_the_first_and_append_another(answered: int) -> None:
        if answered == 1:
            # Pages of 3: row 3 moves from the second page to the first, which was read already.
            api.set_rows({"users": rows(*range(1, 10))})

    after_each_users_page(delete_the_first_and_append_another)
    extraction = night(window=1)
    assert extraction.scans["users"].passes == 2
    # Row 0 was seen before it went: the next night settles it.
    assert set(live_rows(connection, "users")) == keys(range(10))
    night()
    assert set(live_rows(connection, "users")) == keys(range(1, 10))


def test_a_removal_is_confirmed_by_a_second_look_and_only_then_lands(api, night, connection):
    api.set_rows({"users": rows(*range(9)), "tracks": rows(1)})
    night()
    api.set_rows({"users": rows(*range(1, 9)), "tracks": rows(1)})
    extraction = night()
    assert extraction.scans["users"].rows_removed == 1
    assert extraction.scans["users"].passes == 2
    assert extraction.scans["tracks"].passes == 1
    assert api.requests.paths["/users"] == 3 + 2 * 3


def test_a_row_seen_by_the_second_look_only_is_alive(api, night, connection, after_each_users_page):
    api.set_rows({"users": rows(*range(6))})
    night()
    api.set_rows({"users": rows(0, 1, 2)})
    after_each_users_page(lambda answered: api.set_rows({"users": rows(*range(6))}))
    assert night(window=1).scans["users"].rows_removed == 0
    assert set(live_rows(connection, "users")) == keys(range(6))


def test_a_confirming_look_that_does_not_add_up_confirms_when_it_saw_all_again(
    api, night, connection, after_each_users_page
):
    api.set_rows({"users": rows(*range(9))})
    night()
    api.set_rows({"users": rows(*range(6))})

    def grow(answered: int) -> None:
        if answered >= 3:
            api.set_rows({"users": rows(*range(6), *range(10, 10 + answered))})

    after_each_users_page(grow)
    scan = night(window=1).scans["users"]
    assert (scan.passes, scan.total, scan.rows_removed, scan.keys_unsettled) == (2, 6, 3, 0)
    assert set(live_rows(connection, "users")) == keys(range(6))


def test_removals_that_no_look_proves_wait_while_the_rows_land(api, night, connection, after_each_users_page):
    """At each look another row goes, so that no look sees again all that the one before saw."""
    api.set_rows({"users": rows(*range(20))})
    night(batch_size=100)
    api.set_rows({"users": rows(*range(1, 19), 100)})
    after_each_users_page(lambda answered: api.set_rows({"users": rows(*range(1 + answered, 19), 100)}))
    scan = night(batch_size=100, window=1).scans["users"]
    assert (scan.passes, scan.rows_removed, scan.keys_unsettled) == (QUICK.passes, 0, 2)
    assert scan.rows_landed == 1
    assert set(live_rows(connection, "users")) == keys([*range(20), 100])
    api.requests.after_answer = None
    night(batch_size=100)
    assert set(live_rows(connection, "users")) == keys([*range(5, 19), 100])


def test_a_source_that_is_empty_for_one_look_removes_nothing(api, night, connection, after_each_users_page):
    api.set_rows({"users": rows(*range(6))})
    night()
    api.set_rows({})
    after_each_users_page(lambda answered: api.set_rows({"users": rows(*range(6))}))
    scan = night(window=1).scans["users"]
    assert (scan.rows_read, scan.rows_removed, scan.passes) == (6, 0, 2)


# A source that pages without a stable order, the same at every look; a page that came twice, with one row changed.
TIED_PAGES = [[1, 2, 3], [3, 5, 6], [7, 8, 9]]
REPEATED_PAGES = [[1, 2, 3], [1, 2, 30], [7, 8, 9]]


@pytest.mark.parametrize("numbers", [TIED_PAGES, REPEATED_PAGES])
def test_a_look_with_doubles_lands_and_removes_nothing(api, night, connection, answering, numbers):
    api.set_rows({"users": rows(*range(1, 10))})
    night()
    # Each row comes changed, so that a double has another content than what was known.
    pages = [[{"id": number, "version": page} for number in page_numbers] for page, page_numbers in enumerate(numbers)]

    def serve_page(handler):
        path, query = handler.path.split("?")
        number = int(query.split("&")[0].split("=")[1])
        items, total = (pages[number - 1], 9) if path == "/users" else ([], 0)
        answer(handler, page(items, total=total, number=number))

    told = {number for page_numbers in numbers for number in page_numbers}
    scan = night(api_base_url=answering(serve_page)).scans["users"]
    assert (scan.rows_read, scan.rows_removed, scan.passes) == (9, 0, 2)
    assert scan.keys_unsettled == len({*range(1, 10)} - told)
    live = live_rows(connection, "users")
    assert set(live) == keys({*range(1, 10)} | told)
    night()
    assert live_rows(connection, "users").keys() == keys(range(1, 10))


def test_doubles_at_the_source_let_the_other_rows_land_and_removals_wait(api, night, connection):
    api.set_rows({"users": rows(1, 2, 3, 4)})
    night()
    doubled = [*rows(1, 2, 5), {"id": 2, "version": 1}]
    api.set_rows({"users": doubled})
    scan = night().scans["users"]
    assert (scan.rows_removed, scan.keys_unsettled, scan.passes) == (0, 2, 2)
    api.set_rows({"users": doubled[:3]})
    assert night().scans["users"].rows_removed == 2
    assert set(live_rows(connection, "users")) == keys([1, 2, 5])


def test_a_source_with_identical_doubles_lands_one_row_at_a_time_too(api, night, connection):
    api.set_rows({"users": rows(1, 2, 2, 3)})
    assert night(batch_size=1).scans["users"].rows_read == 4
    assert set(live_rows(connection, "users")) == keys([1, 2, 3])


@pytest.mark.parametrize(
    "untold", [b'{"id":3,"id":3}', b'{"id":"\\ud800"}', b'{"version":0}', b'{"id":null,"version":0}', b"3"]
)
def test_a_row_that_does_not_tell_its_key_may_be_any_of_the_missing(api, night, connection, untold):
    api.set_rows({"users": rows(1, 2, 3)})
    night()
    api.set_rows({"users": [*rows(1, 2), untold]})
    scan = night().scans["users"]
    assert (scan.rows_removed, scan.keys_unsettled, scan.passes) == (0, 1, 1)
    assert keys([1, 2, 3]) <= set(live_rows(connection, "users"))
    api.set_rows({"users": rows(1, 2)})
    assert night().scans["users"].rows_removed >= 1
    assert set(live_rows(connection, "users")) == keys([1, 2])


def test_a_row_without_its_key_in_the_confirming_look_keeps_what_is_missing_alive(
    api, night, connection, after_each_users_page
):
    api.set_rows({"users": rows(*range(5))})
    night()
    api.set_rows({"users": rows(*range(4))})
    after_each_users_page(lambda answered: api.set_rows({"users": [*rows(*range(4)), b'{"id":4,"id":4}']}))
    scan = night(batch_size=100).scans["users"]
    assert (scan.rows_removed, scan.keys_unsettled) == (0, 1)
    assert set(live_rows(connection, "users")) == keys(range(5))


class MovingClient:
    """Serves pages of `MovingRows` in this process, the rows moving after each page."""

    base_url = "http://moving"
    batch_size = 3
    limits = QUICK

    def __init__(self, source: MovingRows) -> None:
        self.source = source
        self._lock = threading.Lock()

    def fetch(self, table: extract.SourceTable, page: int) -> Page:
        with self._lock:
            rows = self.source.served_bytes()
            self.source.step()
        return Page(len(rows), rows[(page - 1) * self.batch_size : page * self.batch_size], 0)

    def check_deadline(self, table: extract.SourceTable) -> None:
        pass

    def cut_overdue(self) -> None:
        pass

    def close(self) -> None:
        pass


def digests_of(numbers: list[int]) -> dict[int, np.ndarray]:
    """Key digest (uint64 (1, 2)) per id."""
    return {
        number: np.frombuffer(read_row(b'{"id":%d}' % number, ("id",)).key_digest, "<u8")[None] for number in numbers
    }


def known(digests: dict[int, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty((0, 2), np.uint64), *digests.values()])


def test_a_row_that_slips_past_two_whole_looks_in_a_row_is_not_removed(tmp_path):
    slip = ("delete and append", 0.0, 0.0)
    source = MovingRows(9, [[slip], [], [("insert", 0.0, 0.0)], [slip]])
    digests = digests_of(range(9))
    look = scan(MovingClient(source), [USERS], window=1, folder=tmp_path, known={"users": known(digests)})["users"]
    assert look.passes == 3 and not len(look.gone)


@settings(
    max_examples=400, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 11), st.sets(st.integers(0, 30), max_size=4), STEPS, st.sampled_from([1, 3]))
def test_no_scan_misses_a_row_that_stands_and_calls_it_gone(tmp_path, size, gone_before, steps, window):
    source = MovingRows(size, steps)
    numbers = [*range(size), *(100 + number for number in gone_before)]
    digests = digests_of(numbers)
    try:
        look = scan(MovingClient(source), [USERS], window=window, folder=tmp_path, known={"users": known(digests)})[
            "users"
        ]
    except extract.IncompleteScan:
        return
    gone = {number for number, digest in digests.items() if not len(missing(digest, look.gone))}
    assert not gone & source.stood
    assert len(look.spool) == look.total
    if look.keys_unsettled == 0:
        assert gone >= {number for number in numbers if number >= 100}
    look.spool.delete()


@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), st.integers(1, 8))
def test_pages_cut_from_rows_in_any_order_remove_nothing(tmp_path, data, size):
    """LIMIT and OFFSET over ties: each page is cut from an order of its own, the same one at every look."""
    orders = st.permutations(range(size))
    pages = [data.draw(orders)[at : at + 3] for at in range(0, size, 3)]

    class TiedClient(MovingClient):
        def fetch(self, table: extract.SourceTable, page: int) -> Page:
            return Page(size, [b'{"id":%d}' % number for number in pages[page - 1]], 0)

    digests = digests_of(range(size))
    try:
        look = scan(TiedClient(None), [USERS], window=1, folder=tmp_path, known={"users": known(digests)})["users"]
    except extract.IncompleteScan:
        return
    assert not len(look.gone)
    look.spool.delete()


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 14), STEPS, st.sampled_from([1, 3]))
def test_two_nights_over_a_moving_source_lose_nothing_double_nothing_and_remove_nothing_that_stood(
    api, night, connection, size, steps, window
):
    if staged(connection)["_dlt_loads"]:
        connection.execute("truncate staging.users, staging.scans, staging._dlt_loads")
    source = MovingRows(size, steps)
    api.requests.after_answer = None
    api.set_rows({"users": source.served()})
    night()
    before = staged(connection)

    def move(path: str) -> None:
        if path == "/users" and source.step():
            api.set_rows({"users": source.served()})

    api.requests.after_answer = move
    try:
        night(window=window)
    except extract.IncompleteScan:
        assert staged(connection) == before
    else:
        assert keys(source.stood) <= set(live_rows(connection, "users"))
    api.requests.after_answer = None

    night()
    live = {key: [json.loads(text) for text in texts] for key, texts in live_rows(connection, "users").items()}
    assert live == {f"[{row['id']}]": [row] for row in source.served()}
    versions = defaultdict(list)
    for key, payload in connection.execute("select key, payload from staging.users order by version_seq"):
        versions[key].append(payload)
    for key, told in versions.items():
        assert all(earlier != later for earlier, later in pairwise(told)), key
        numbers = [payload["version"] for payload in told if payload]
        assert numbers == sorted(numbers) and set(numbers) <= source.told[json.loads(key)[0]]
