"""Test a source that changes during the scan: no row is lost, duplicated or wrongly removed."""

import json
import os
import threading
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extract.changes import missing_keys
from extract.errors import IncompleteScanError
from extract.pages import Page
from extract.rows import read_row
from extract.scan import scan
from extract.source_tables import SOURCE_TABLES, SourceTable
from tests.integration.extract.conftest import QUICK, live_rows, staged
from tests.integration.extract.moving_rows import STEPS, MovingRows, keys
from tests.integration.extract.test_source import answer, page

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("MOVING_SOURCE_EXAMPLES", "15"))
"""Set the number of examples: three runs over real HTTP into a real Postgres take one second."""

USERS = SOURCE_TABLES[0]


def rows(*numbers: int) -> list[dict]:
    return [{"id": number, "version": 0} for number in numbers]


@pytest.fixture
def after_each_users_page(api):
    """Return a function that registers a callback, called after each page of /users with the number of pages so far."""

    def arrange(change) -> None:
        answered = iter(range(1, 10_000))

        def after_answer(path: str) -> None:
            if path == "/users":
                change(next(answered))

        api.requests.after_answer = after_answer

    return arrange


def test_a_row_missed_by_a_pass_is_not_removed(api, night, connection, after_each_users_page):
    api.set_rows({"users": rows(*range(9))})
    night()

    def delete_the_first_and_append_another(answered: int) -> None:
        if answered == 1:
            # Pages of 3: row 3 moves from the second page to the first, which was already read.
            api.set_rows({"users": rows(*range(1, 10))})

    after_each_users_page(delete_the_first_and_append_another)
    extraction = night(window=1)
    assert extraction.scans["users"].passes == 2
    # Row 0 was seen before its deletion: the next run removes it.
    assert set(live_rows(connection, "users")) == keys(range(10))
    night()
    assert set(live_rows(connection, "users")) == keys(range(1, 10))


def test_a_removal_lands_only_after_a_second_pass_confirms_it(api, night, connection):
    api.set_rows({"users": rows(*range(9)), "tracks": rows(1)})
    night()
    api.set_rows({"users": rows(*range(1, 9)), "tracks": rows(1)})
    extraction = night()
    assert extraction.scans["users"].rows_removed == 1
    assert extraction.scans["users"].passes == 2
    assert extraction.scans["tracks"].passes == 1
    # of the first run, one page past the last full one
    assert api.requests.paths["/users"] == 4 + 2 * 3


def test_a_row_seen_only_by_the_second_pass_is_live(api, night, connection, after_each_users_page):
    api.set_rows({"users": rows(*range(6))})
    night()
    api.set_rows({"users": rows(0, 1, 2)})
    after_each_users_page(lambda answered: api.set_rows({"users": rows(*range(6))}))
    assert night(window=1).scans["users"].rows_removed == 0
    assert set(live_rows(connection, "users")) == keys(range(6))


def test_a_confirming_pass_that_does_not_add_up_confirms_when_it_saw_all_keys_again(
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


def test_removals_that_no_pass_proves_wait_while_the_rows_land(api, night, connection, after_each_users_page):
    """Remove another row in each pass, so that no pass sees all keys of the previous one again."""
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


def test_a_source_that_is_empty_for_one_pass_removes_nothing(api, night, connection, after_each_users_page):
    api.set_rows({"users": rows(*range(6))})
    night()
    api.set_rows({})
    after_each_users_page(lambda answered: api.set_rows({"users": rows(*range(6))}))
    scan = night(window=1).scans["users"]
    assert (scan.rows_read, scan.rows_removed, scan.passes) == (6, 0, 2)


# A source that pages in an unstable order, the same in every pass; a repeated page with one row changed.
TIED_PAGES = [[1, 2, 3], [3, 5, 6], [7, 8, 9]]
REPEATED_PAGES = [[1, 2, 3], [1, 2, 30], [7, 8, 9]]


@pytest.mark.parametrize("numbers", [TIED_PAGES, REPEATED_PAGES])
def test_a_pass_with_duplicate_keys_lands_and_removes_nothing(api, night, connection, answering, numbers):
    api.set_rows({"users": rows(*range(1, 10))})
    night()
    # Each row comes changed, so that a duplicate differs from the known content.
    pages = [[{"id": number, "version": page} for number in page_numbers] for page, page_numbers in enumerate(numbers)]

    def serve_page(handler):
        path, query = handler.path.split("?")
        number = int(query.split("&")[0].split("=")[1])
        items, total = (pages[number - 1] if number <= 3 else [], 9) if path == "/users" else ([], 0)
        answer(handler, page(items, total=total, number=number))

    served_ids = {number for page_numbers in numbers for number in page_numbers}
    scan = night(api_base_url=answering(serve_page)).scans["users"]
    assert (scan.rows_read, scan.rows_removed, scan.passes) == (9, 0, 2)
    assert scan.keys_unsettled == len({*range(1, 10)} - served_ids)
    live = live_rows(connection, "users")
    assert set(live) == keys({*range(1, 10)} | served_ids)
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


def test_a_source_with_identical_duplicates_lands_with_pages_of_one_row(api, night, connection):
    api.set_rows({"users": rows(1, 2, 2, 3)})
    assert night(batch_size=1).scans["users"].rows_read == 4
    assert set(live_rows(connection, "users")) == keys([1, 2, 3])


@pytest.mark.parametrize(
    "keyless_row", [b'{"id":3,"id":3}', b'{"id":"\\ud800"}', b'{"version":0}', b'{"id":null,"version":0}', b"3"]
)
def test_a_row_without_its_key_may_be_any_of_the_missing_keys(api, night, connection, keyless_row):
    api.set_rows({"users": rows(1, 2, 3)})
    night()
    api.set_rows({"users": [*rows(1, 2), keyless_row]})
    scan = night().scans["users"]
    assert (scan.rows_removed, scan.keys_unsettled, scan.passes) == (0, 1, 1)
    assert keys([1, 2, 3]) <= set(live_rows(connection, "users"))
    api.set_rows({"users": rows(1, 2)})
    assert night().scans["users"].rows_removed >= 1
    assert set(live_rows(connection, "users")) == keys([1, 2])


def test_a_row_without_its_key_in_the_confirming_pass_keeps_the_missing_keys_live(
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
    """Serve pages of `MovingRows` in this process; the rows move after each page."""

    base_url = "http://moving"
    batch_size = 3
    limits = QUICK

    def __init__(self, source: MovingRows, has_total: Callable[[int], bool] = lambda page: True) -> None:
        """Give a total on the pages for which `has_total` says so."""
        self.source = source
        self.has_total = has_total
        self._lock = threading.Lock()

    def fetch(self, table: SourceTable, page: int, size: int) -> Page:
        with self._lock:
            rows = self.source.served_bytes()
            self.source.step()
        total = len(rows) if self.has_total(page) else None
        return Page(total, rows[(page - 1) * size : page * size], 0)

    def check_deadline(self, table: SourceTable) -> None:
        pass

    def cut_overdue(self) -> None:
        pass

    def close(self) -> None:
        pass


def digests_of(numbers: list[int]) -> dict[int, np.ndarray]:
    """Return the key digest (uint64 (1, 2)) per id."""
    return {
        number: np.frombuffer(read_row(b'{"id":%d}' % number, ("id",)).key_digest, "<u8")[None] for number in numbers
    }


def known(digests: dict[int, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty((0, 2), np.uint64), *digests.values()])


def test_a_row_missed_by_two_consecutive_passes_is_not_removed(tmp_path):
    slip = ("delete and append", 0.0, 0.0)
    source = MovingRows(8, [[slip], [], [("insert", 0.0, 0.0)], [slip]])
    digests = digests_of(range(8))
    scanned = scan(MovingClient(source), [USERS], window=1, folder=tmp_path, known={"users": known(digests)})["users"]
    assert scanned.passes == 3 and not len(scanned.gone)


@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 11), st.sets(st.integers(0, 30), max_size=4), STEPS, st.sampled_from([1, 3]))
def test_no_scan_removes_a_row_that_still_exists(tmp_path, size, gone_before, steps, window):
    source = MovingRows(size, steps)
    numbers = [*range(size), *(100 + number for number in gone_before)]
    digests = digests_of(numbers)
    try:
        scanned = scan(MovingClient(source), [USERS], window=window, folder=tmp_path, known={"users": known(digests)})[
            "users"
        ]
    except IncompleteScanError:
        return
    gone = {number for number, digest in digests.items() if not len(missing_keys(digest, scanned.gone))}
    assert not gone & source.stood
    assert len(scanned.spool) == scanned.total
    if scanned.keys_unsettled == 0:
        assert gone >= {number for number in numbers if number >= 100}
    scanned.spool.delete()


@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(0, 11), st.sets(st.integers(0, 30), max_size=4), STEPS, st.sampled_from([1, 3]),
    st.sampled_from([lambda page: False, lambda page: page == 1, lambda page: page > 1]),
)  # fmt: skip
def test_a_scan_without_totals_misses_no_row_that_stood_still_and_removes_none(
    tmp_path, size, gone_before, steps, window, has_total
):
    source = MovingRows(size, steps)
    numbers = [*range(size), *(100 + number for number in gone_before)]
    digests = digests_of(numbers)
    client = MovingClient(source, has_total)
    try:
        scanned = scan(client, [USERS], window=window, folder=tmp_path, known={"users": known(digests)})["users"]
    except IncompleteScanError:
        return
    gone = {number for number, digest in digests.items() if not len(missing_keys(digest, scanned.gone))}
    assert not gone & source.stood
    assert scanned.passes > 1 or scanned.total is not None
    read = scanned.spool.digests()
    has_doubles = len(np.unique(read[:, :2], axis=0)) < len(read)
    if not has_doubles:
        assert not len(missing_keys(known({number: digests[number] for number in source.stood if number < size}), read))
        assert scanned.keys_unsettled or gone >= {number for number in numbers if number >= 100}
    scanned.spool.delete()


def test_a_deletion_during_a_pass_without_totals_is_noticed(tmp_path):
    """Row 3 moves to the first page, which was already read: the pass ends like one over 8 rows."""
    source = MovingRows(9, [[("delete", 0.0, 0.0)]])
    client = MovingClient(source, lambda page: False)
    scanned = scan(client, [USERS], window=1, folder=tmp_path)["users"]
    assert len(scanned.spool) == 8 and scanned.passes == 3


class LateClient(MovingClient):
    """Answer page 2 of the first pass last, after a row was inserted there; delete a row that the second pass has seen.

    So both passes miss row 5, and the second one sees all keys of the first.
    """

    def __init__(self) -> None:
        self.rows = [*range(8)]
        self.passes = 0
        self.is_end_read, self.is_middle_read = threading.Event(), threading.Event()

    def fetch(self, table: SourceTable, page: int, size: int) -> Page:
        self.passes += page == 1
        if page == 2 and self.passes == 1:
            assert self.is_end_read.wait(20)
            self.rows.insert(3, 100)
        if page == 3 and self.passes == 2:
            assert self.is_middle_read.wait(20)
            self.rows = [row for row in self.rows if row != 0]
        rows = self.rows[(page - 1) * size : page * size]
        if page == 4:
            self.is_end_read.set()
        if page == 2 and self.passes == 2:
            self.is_middle_read.set()
        return Page(None, [b'{"id":%d}' % row for row in rows], 0)


def test_a_pass_without_totals_counts_the_rows_after_all_others_are_read(tmp_path):
    digests = digests_of(range(8))
    scanned = scan(LateClient(), [USERS], window=6, folder=tmp_path, known={"users": known(digests)})["users"]
    gone = {number for number, digest in digests.items() if not len(missing_keys(digest, scanned.gone))}
    assert 5 not in gone
    assert not len(missing_keys(digests[5], scanned.spool.digests()))


@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), st.integers(1, 8))
def test_pages_in_any_order_of_rows_remove_nothing(tmp_path, data, size):
    """Simulate LIMIT and OFFSET over ties: each page uses its own order, the same one in every pass."""
    orders = st.permutations(range(size))
    pages = [data.draw(orders)[at : at + 3] for at in range(0, size, 3)]

    class TiedClient(MovingClient):
        def fetch(self, table: SourceTable, page: int, page_rows: int) -> Page:
            numbers = pages[page - 1] if page <= len(pages) else []
            return Page(size, [b'{"id":%d}' % number for number in numbers], 0)

    digests = digests_of(range(size))
    try:
        scanned = scan(TiedClient(None), [USERS], window=1, folder=tmp_path, known={"users": known(digests)})["users"]
    except IncompleteScanError:
        return
    assert not len(scanned.gone)
    scanned.spool.delete()


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 14), STEPS, st.sampled_from([1, 3]))
def test_two_runs_over_a_moving_source_neither_lose_nor_duplicate_nor_wrongly_remove_rows(
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
    except IncompleteScanError:
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
    for key, payloads in versions.items():
        assert all(earlier != later for earlier, later in pairwise(payloads)), key
        numbers = [payload["version"] for payload in payloads if payload]
        assert numbers == sorted(numbers) and set(numbers) <= source.versions[json.loads(key)[0]]
