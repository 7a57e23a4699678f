"""Test a source that fails, changes, is wrong or hostile: retried, read again, or refused with nothing landed."""

import dataclasses
import gzip
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from extract.errors import IncompleteScanError, SourceError
from extract.limits import Limits
from extract.pages import Client, _retry_after_seconds
from extract.source_tables import SOURCE_TABLES
from tests.integration.extract.conftest import QUICK, answer, live_rows, page, staged, users

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[3]
NOTHING = dict.fromkeys(("users", "tracks", "listen_history", "scans", "unreadable_rows", "_dlt_loads"), 0)


def failure(night, **arguments) -> str:
    """Return the one-line message of a run that fails because of the source."""
    with pytest.raises(SourceError) as failed:
        night(**arguments)
    message = str(failed.value)
    assert "\n" not in message and "Nothing was landed" in message
    return message


@pytest.mark.parametrize(
    "fault",
    [
        "server_error:4=2", "rate_limit=4/0", "rate_limit:2=3/1", "truncated=3", "error_body=3", "html=4",
        "no_items=4", "down:2", "hang:1=4",
    ],
)  # fmt: skip
def test_a_temporary_fault_is_retried_and_everything_lands(api, night, connection, fault):
    rows = users(*range(20))
    api.set_rows({"users": rows})
    api.faults.add(fault)
    quick = Limits(attempts=6, attempt_seconds=0.7, first_wait_seconds=0.01, longest_wait_seconds=0.05)
    night(limits=quick)
    assert len(live_rows(connection, "users")) == 20


@pytest.mark.parametrize(
    ("fault", "message_part"),
    [
        ("down@tracks", "status 503"),
        ("server_error@tracks", "status 500"),
        ("rate_limit@tracks=1/0", "status 429"),
        ("truncated@tracks", "ended after"),
        ("error_body@tracks", "missing required field `items`"),
        ("html@tracks", "It works|not a page of JSON"),
        ("no_items@tracks", "missing required field `items`"),
        ("redirect@tracks=http://127.0.0.1:9/elsewhere", "redirects to http://127.0.0.1:9/elsewhere"),
        ("wrong_total@tracks=1", "do(es)? not add up after 4 passes"),
        ("wrong_total@tracks=-1/2", "7 to 8 rows expected"),
        ("short_page@tracks=2", "8 rows expected, 7 seen with 7 distinct keys"),
        ("empty_page@tracks=2", "8 rows expected, 5 seen"),
        ("repeated_page@tracks=2", "8 seen with 5 distinct keys; one page came twice"),
    ],
)
def test_a_permanent_fault_fails_the_run_and_no_table_lands(api, night, connection, fault, message_part):
    api.set_rows({"users": users(1, 2), "tracks": users(*range(8))})
    api.faults.add(fault)
    with pytest.raises(SourceError, match=message_part) as failed:
        night()
    assert "\n" not in str(failed.value) and "/tracks" in str(failed.value)
    assert staged(connection) == NOTHING
    api.faults.clear()
    night()
    assert staged(connection)["tracks"] == 8


def test_an_incomplete_scan_is_reported_with_endpoint_counts_and_passes(api, night):
    api.set_rows({"tracks": users(*range(8))})
    api.faults.add("short_page@tracks=2")
    with pytest.raises(IncompleteScanError) as failed:
        night()
    assert str(failed.value) == (
        "/tracks does not add up after 4 passes: 8 rows expected, 7 seen with 7 distinct keys."
        " Nothing was landed; run again when the source has stopped changing."
    )
    assert api.requests.paths["/tracks"] == 4 * 3


def test_a_table_whose_rows_move_between_pages_is_read_again_until_a_pass_adds_up(api, night, connection):
    rows = users(*range(30))
    api.set_rows({"users": rows})
    night()
    api.faults.add("moving@users=5")
    extraction = night(window=1)
    assert extraction.scans["users"].passes > 1
    served = {f"[{json.loads(row)['id']}]" for row in api.rows["users"]}
    assert set(live_rows(connection, "users")) == served


def test_rows_that_move_in_every_pass_land_nothing(api, night, connection):
    api.set_rows({"users": users(*range(30))})
    night()
    before = staged(connection)
    api.faults.add("moving@users=1000")
    assert "/users does not add up after 4 passes" in failure(night, window=1)
    assert staged(connection) == before


def test_duplicate_keys_at_the_source_are_accepted_after_a_second_pass(api, night, connection):
    rows = [*users(1, 2, 3), {"id": 2, "first_name": "another"}]
    api.set_rows({"users": rows})
    extraction = night()
    assert extraction.scans["users"].passes == 2
    assert extraction.scans["tracks"].passes == 1
    assert {key: len(found) for key, found in live_rows(connection, "users").items()} == {
        "[1]": 1, "[2]": 2, "[3]": 1,
    }  # fmt: skip


def test_never_more_requests_are_in_flight_than_the_window_allows(api, night):
    api.set_rows({table: users(*range(20)) for table in ("users", "tracks", "listen_history")})
    api.faults.latency = 0.02
    night(window=5)
    assert api.requests.max_in_flight == 5
    assert api.requests.last_headers["user-agent"].startswith("moovitamix-elt/0.")


def test_a_server_that_accepts_fewer_requests_at_a_time_gets_fewer(night, connection, answering):
    """Check the window: eight requests at a time to a server that takes two would use up all attempts."""
    in_flight, refused, lock = [0], [], threading.Lock()

    def take_two(handler):
        path, query = handler.path.split("?")
        number = int(query.split("&")[0].split("=")[1])
        with lock:
            in_flight[0] += 1
            is_too_many = in_flight[0] > 2
        time.sleep(0.01)
        with lock:
            in_flight[0] -= 1
        if is_too_many:
            refused.append(handler.path)
            answer(handler, b"", 429)
        else:
            items = users(*range(3 * number - 3, min(3 * number, 299))) if path == "/users" else []
            answer(handler, page(items, total=299 if items else 0, number=number))

    night(api_base_url=answering(take_two), window=8, limits=dataclasses.replace(QUICK, attempts=6))
    assert staged(connection)["users"] == 299
    assert len(refused) < 30


def test_after_a_429_half_as_many_requests_are_in_flight(api, night):
    api.set_rows({"users": users(*range(90))})
    api.faults.latency = 0.02
    api.faults.add("rate_limit@users:1=10/0")

    def forget_what_was_in_flight_before(table, rows, total):
        if rows == 45:
            api.requests.reset()

    night(window=8, progress=forget_what_was_in_flight_before)
    assert api.requests.max_in_flight == 4


def test_each_page_is_requested_once_and_none_past_the_last(api, night):
    api.set_rows({"users": users(*range(7))})
    night()
    asked = sorted(target for target in api.requests.targets if target.startswith("/users"))
    assert asked == [f"/users?page={number}&size=3" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("body", "message_part"),
    [
        (b"", "not a page of JSON"),
        (b"null", "not a page of JSON"),
        (b"[]", "not a page of JSON"),
        (b'{"items":[{"id":1}', "not a page of JSON"),
        (b'{"items":[{"id":1}],"items":[],"total":1}', "1 row expected, 0 seen"),
        (page(users(1), total=-1), "Expected `int` >= 0 - at `$.total`"),
        (b'{"items":[]}', "neither `total` nor `page`"),
        (b'{"items":[],"message":"no such tenant"}', "neither `total` nor `page`"),
        (b'{"items":null,"total":null,"page":1,"size":3}', "Expected `array`, got `null`"),
        (b'{"items":[],"total":"0"}', "not a page of JSON"),
        (b'{"items":[],"total":0,"size":0}', "page None of size 0 came"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + page(), "not a page of JSON"),
        (page().decode().encode("utf-16"), "encoded as UTF-16, and only UTF-8 is read"),
        (page().decode().encode("utf-16-be"), "encoded as UTF-16-BE, and only UTF-8 is read"),
        (page().decode().encode("utf-32"), "encoded as UTF-32, and only UTF-8 is read"),
        (page().decode().encode("cp037"), "not a page of JSON"),
        (b'{"items":[],"total":0.5}', "not a page of JSON"),
        (b'{"items":[],"total":true}', "not a page of JSON"),
        (page(users(1), number=2), "page 2 of size 3 came where page 1"),
        (page(users(1), size=50), "page 1 of size 50 came"),
        (page(users(1, 2, 3, 4)), "more than 3 rows on a page of 3"),
        (page(users(*range(500))), "more than 3 rows on a page of 3"),
        (page(users(1), total=2**63 - 1), "limit MAX_PAGES"),
        (page(users(1), total=2**63), "Expected `int` <= 9223372036854775807 - at `$.total`"),
        (page(users(1), total=10**4000), "at `$.total`"),
        (page(users(1), number=10**4000), "at `$.page`"),
        (page(users(1), size=-(10**4000)), "at `$.size`"),
        (b'{"items":[{"id":1,"a":NaN}],"total":1,"page":1%b}' % (b"0" * 5000), "at `$.page`"),
        (b"\x1b[2J\x00\n\n<h1>", "not a page of JSON"),
    ],
)
def test_a_200_response_that_is_no_page_is_refused(night, connection, answering, body, message_part):
    url = answering(lambda handler: answer(handler, body))
    message = failure(night, api_base_url=url)
    assert message_part in message and message.isprintable() and len(message) < 500
    assert staged(connection) == NOTHING


@pytest.mark.parametrize(
    "body",
    [
        b'{"items":[{"id":7,"first_name":"Priya"}],"total":"1"}',
        b'[{"first_name":"Priya"}]',
        b'{"items":[{"first_name":"Priya"',
    ],
)
def test_an_invalid_page_is_described_without_its_rows(night, answering, body):
    message = failure(night, api_base_url=answering(lambda handler: answer(handler, body)))
    assert "not a page of JSON" in message and "may contain rows" in message and "Priya" not in message


def test_an_answer_with_a_number_of_thousands_of_digits_is_reported_in_one_short_line(night, answering):
    url = answering(lambda handler: answer(handler, page(), **{"Content-Length": "9" * 4000}))
    message = failure(night, api_base_url=url)
    assert "the answer ended after" in message and len(message) < 500


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_named_and_never_followed(night, answering, status):
    visited = []

    def other(handler):
        visited.append(handler.path)
        answer(handler, page())

    elsewhere = answering(other)
    url = answering(lambda handler: answer(handler, b"", status, Location=f"{elsewhere}/users"))
    assert f"redirects to {elsewhere}/users" in failure(night, api_base_url=url)
    assert visited == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_that_only_adds_a_slash_is_followed_once_per_table(night, connection, answering, status):
    asked = []

    def add_slash(handler):
        path, query = handler.path.split("?")
        asked.append(path)
        if path.endswith("/"):
            number = int(query.split("&")[0].split("=")[1])
            answer(handler, page(users(*range(3 * number - 3, min(3 * number, 14))), total=14, number=number))
        else:
            target = f"{path}/?{query}" if path == "/users" else f"http://{handler.headers['Host']}{path}/?{query}"
            answer(handler, b"moved", status, Location=target)

    night(api_base_url=answering(add_slash), window=1)
    assert staged(connection)["users"] == 14
    assert asked.count("/users") == 1 and asked.count("/users/") == 5


def test_a_redirect_that_only_removes_a_slash_is_followed(answering):
    """Ask with a slash after that was asked for, and without it again when the server has changed its mind."""
    changes = [True, True, False, False]

    def serve_page(handler):
        path, query = handler.path.split("?")
        if path.endswith("/") == changes.pop(0):
            answer(handler, page(users(1)))
        else:
            answer(
                handler, b"", 308, Location=f"{path.removesuffix('/') if path.endswith('/') else path + '/'}?{query}"
            )

    client = Client(answering(serve_page), window=1, batch_size=3, deadline_seconds=10, limits=QUICK)
    for _ in range(2):
        assert client.fetch(SOURCE_TABLES[0], 1, 3).total == 1
    assert changes == []


@pytest.mark.parametrize(
    "target",
    ["//{elsewhere}{path}/?{query}", "http://{elsewhere}{path}/?{query}", "https://{host}{path}/?{query}",
     "http://someone@{host}{path}/?{query}", "http://localhost:{port}{path}/?{query}", "{path}//?{query}",
     "{path}/?{query}#rows", "{path}/?page=2&size=3", "{path}/?{query}&token=1", "{path}/", "{path}?{query}",
     "{path}/../{path}/x?{query}", "http://[/?{query}", "http://{host}x{path}/?{query}", ""],
)  # fmt: skip
def test_any_other_redirect_is_named_and_never_followed(night, connection, answering, target):
    asked = []

    def other(handler):
        asked.append(handler.path)
        answer(handler, page())

    elsewhere = answering(other).removeprefix("http://")

    def redirect(handler):
        path, query = handler.path.split("?")
        asked.append(path)
        host = handler.headers["Host"]
        where = {"elsewhere": elsewhere, "host": host, "port": host.split(":")[1], "path": path, "query": query}
        answer(handler, b"", 307, Location=target.format(**where))

    assert "redirects to" in failure(night, api_base_url=answering(redirect))
    assert set(asked) <= {"/users", "/tracks", "/listen_history"}
    assert staged(connection) == NOTHING


def test_a_second_redirect_is_not_followed(night, answering):
    asked = []

    def redirect(handler):
        path, query = handler.path.split("?")
        asked.append(path)
        other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        answer(handler, b"", 307, Location=f"{other}?{query}")

    assert "redirects to" in failure(night, api_base_url=answering(redirect), window=1)
    assert asked.count("/users") == asked.count("/users/") == 1


def test_a_redirect_to_the_same_origin_is_not_followed_either(night, connection, answering):
    asked = []

    def redirect(handler):
        asked.append(handler.path.split("?")[0])
        answer(handler, b"", 308, Location="/v2" + handler.path)

    assert "redirects to /v2/" in failure(night, api_base_url=answering(redirect))
    assert not any(path.startswith("/v2") for path in asked) and staged(connection) == NOTHING


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501, 505])
def test_a_refusal_is_final_and_the_message_quotes_the_server(night, answering, status):
    asked = []

    def refuse(handler):
        asked.append(handler.path)
        answer(handler, b'{"detail":"no such\nthing"}', status)

    message = failure(night, api_base_url=answering(refuse), window=1)
    assert f'status {status} ({{"detail":"no such thing"}})' in message
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507, 520, 522, 524, 529, 599])
def test_a_temporary_status_is_retried(answering, status):
    statuses = [status, 200]
    url = answering(lambda handler: answer(handler, page(users(1)), statuses.pop(0)))
    client = Client(url, window=1, batch_size=3, deadline_seconds=10, limits=QUICK)
    assert client.fetch(SOURCE_TABLES[0], 1, 3).total == 1


def test_an_unreachable_server_is_reported_after_a_few_attempts(night):
    assert "failed 3 times in a row" in failure(night, api_base_url="http://127.0.0.1:9")


def test_a_self_signed_certificate_is_refused(night, connection, answering, self_signed):
    asked = []

    def serve_page(handler):
        asked.append(handler.path)
        answer(handler, page())

    message = failure(night, api_base_url=answering(serve_page, self_signed))
    assert "certificate verify failed" in message
    assert asked == [] and staged(connection) == NOTHING


def test_a_certificate_that_the_machine_trusts_is_accepted(night, connection, answering, self_signed, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed[0]))
    night(api_base_url=answering(lambda handler: answer(handler, page()), self_signed))
    assert staged(connection)["scans"] == 3


def test_an_answer_larger_than_the_limit_is_refused_before_it_is_read_completely(night, answering):
    sent = []

    def pour(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(b" " * 100_000)
            sent.append(100_000)

    limits = Limits(page_bytes=1_000_000, attempts=1)
    began = time.monotonic()
    message = failure(night, api_base_url=answering(pour), limits=limits, window=1)
    assert "limit MAX_PAGE_BYTES" in message
    assert time.monotonic() - began < 10
    assert sum(sent) < 100_000_000


def test_a_string_longer_than_the_limit_is_refused_and_a_shorter_one_is_not(night, connection, answering):
    def serve_page(handler):
        item = {"id": 1, "text": "x" * length, "more": "y" * 900}
        answer(handler, page([item]))

    length = 1001
    limits = dataclasses.replace(QUICK, string_bytes=1000)
    message = failure(night, api_base_url=answering(serve_page), limits=limits)
    assert "holds a string of more than 1,000 bytes (limit MAX_STRING_BYTES)" in message
    assert staged(connection) == NOTHING
    length = 1000
    night(api_base_url=answering(serve_page), limits=limits)
    assert staged(connection)["users"] == 1


@pytest.mark.parametrize("closing", [b"]" * 100_000, b""])
def test_a_page_nested_too_deep_outside_its_items_is_refused(night, connection, answering, closing):
    body = b'{"items":[],"total":0,"page":1,"size":3,"links":' + b"[" * 100_000 + closing + b"}"
    asked = []

    def serve_page(handler):
        asked.append(handler.path)
        answer(handler, body)

    message = failure(night, api_base_url=answering(serve_page), window=1)
    assert ("limit MAX_DEPTH" if closing else "not a page of JSON") in message
    assert asked.count(asked[0]) == (1 if closing else QUICK.attempts), (
        "what stays as it is need not be asked for again"
    )
    assert staged(connection) == NOTHING


def test_the_depth_of_a_page_is_a_setting(night, connection, answering):
    def serve_page(handler):
        answer(handler, b'{"items":[{"id":1,"a":[[[]]]}],"total":1,"links":{"next":[[[[[]]]]]}}')

    url = answering(serve_page)
    message = failure(night, api_base_url=url, limits=dataclasses.replace(QUICK, depth=5))
    assert "page 1 is nested deeper than 5 outside its items (limit MAX_DEPTH)" in message
    night(api_base_url=url, limits=dataclasses.replace(QUICK, depth=6))
    assert staged(connection)["users"] == 1


def test_a_page_of_nothing_but_brackets_is_refused(night, answering):
    body = b"[" * 5_000_000
    assert "not a page of JSON" in failure(night, api_base_url=answering(lambda handler: answer(handler, body)))


def test_pages_that_never_end_are_not_followed(night, connection, answering):
    """Serve pages that each claim more rows than the previous one."""
    asked, growth = itertools.count(1), 1

    def grow(handler):
        query = dict(part.split("=") for part in handler.path.split("?")[1].split("&"))
        number = int(query["page"])
        first = 3 * number - 3
        answer(handler, page(users(first, first + 1, first + 2), total=3 + growth * next(asked), number=number))

    assert "does not add up after 4 passes" in failure(night, api_base_url=answering(grow), window=1)
    growth = 50
    limits = dataclasses.replace(QUICK, pages_per_table=300)
    assert "more than 300 pages (limit MAX_PAGES)" in failure(night, api_base_url=answering(grow), limits=limits)
    assert staged(connection) == NOTHING


def test_links_in_a_page_are_not_followed(night, connection, answering):
    visited = []

    def other(handler):
        visited.append(handler.path)
        answer(handler, page())

    elsewhere = answering(other)
    links = {"next": f"{elsewhere}/users?page=2", "links": {"next": f"{elsewhere}/users", "self": elsewhere}}
    body = json.dumps({"items": users(1), "total": 1, "page": 1, "size": 3, **links}).encode()
    header = f"<{elsewhere}/users>; rel=next"
    night(api_base_url=answering(lambda handler: answer(handler, body, Link=header, Refresh=f"0; url={elsewhere}")))
    assert staged(connection)["users"] == 1
    assert visited == []


def test_a_gzip_bomb_ends_at_the_limit(night, answering):
    bomb = gzip.compress(b" " * 200_000_000, 1)
    url = answering(lambda handler: answer(handler, bomb, Content_Encoding="gzip"))
    limits = Limits(page_bytes=1_000_000, attempts=1)
    assert "limit MAX_PAGE_BYTES" in failure(night, api_base_url=url, limits=limits)


def test_all_pages_of_all_passes_together_are_limited(night, connection, answering):
    taken = []

    def serve_page(handler):
        # A duplicate key at the source: two passes.
        body = page(users(1, 1)) if handler.path.startswith("/users") else page()
        taken.append(len(body))
        answer(handler, gzip.compress(body), Content_Encoding="gzip")

    url = answering(serve_page)
    night(api_base_url=url)
    assert len(taken) == 4
    before = staged(connection)
    message = failure(night, api_base_url=url, limits=dataclasses.replace(QUICK, total_bytes=sum(taken) - 1))
    assert f"more than {sum(taken[:4]) - 1:,} bytes (limit MAX_TOTAL_BYTES)" in message
    assert staged(connection) == before
    night(api_base_url=url, limits=dataclasses.replace(QUICK, total_bytes=sum(taken[:4])))


# A quarter of the default, which would take four times the CPU seconds.
PAGE_BYTES = Limits().page_bytes // 4
MEGABYTE = 1024 * 1024


def large_page(items: bytes, more: bytes = b"", pages: int = 16) -> bytes:
    """Return one page of many."""
    return b'{"total":%d,"size":100%b,"items":[%b]}' % (100 * pages, more, items)


def repeated(text: bytes, size: int) -> bytes:
    return b",".join([text] * (size // (len(text) + 1)))


def rows_of(text: bytes, count: int, page_bytes: int) -> bytes:
    """Return `count` rows that fill a page."""
    size = (page_bytes - 1000) // count - 30
    return b",".join(b'{"id":%d,"a":[%b]}' % (number, repeated(text, size)) for number in range(count))


# By kind: makes a page of nearly this many bytes.
DEAR_PAGES = {
    "more rows than were asked for": lambda size: large_page(repeated(b"0", size - 1000)),
    "and one that no decoder takes": lambda size: large_page(b"NaN," + repeated(b"0", size - 1000)),
    "one row": lambda size: large_page(rows_of(b"[]", 1, size)),
    "rows of lists": lambda size: large_page(rows_of(b"[]", 9, size), pages=1),
    "rows of text": lambda size: large_page(rows_of('"a string 😀"'.encode() * 7, 100, size)),
    "members": lambda size: large_page(b"", b"," + repeated(b'"":0', size - 1000)),
}


def memory_of_extraction(*arguments: object) -> tuple[int, list[str]]:
    """Return the bytes of memory that an extraction in its own process takes, and its output lines."""
    command = [sys.executable, "-m", "tests.integration.extract.measured_extraction", *map(str, arguments)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=240, check=True)
    *output, kilobytes = ended.stdout.splitlines()
    return int(kilobytes) * 1024, output


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read a process's own peak from")
@pytest.mark.parametrize("kind", DEAR_PAGES)
def test_the_most_expensive_pages_take_little_memory(answering, tmp_path, kind):
    """Limit memory to 8 times the 8 pages of 2 MiB in flight, while as many wait, and what any extraction takes."""
    dear = DEAR_PAGES[kind](PAGE_BYTES)
    compressed = gzip.compress(dear, 1)
    assert PAGE_BYTES - 10_000 < len(dear) < PAGE_BYTES
    url = answering(lambda handler: answer(handler, compressed, Content_Encoding="gzip"))
    memory, output = memory_of_extraction(url, tmp_path, PAGE_BYTES)
    assert output and "MAX_" not in output[0]
    assert memory < 8 * 8 * PAGE_BYTES + 64 * MEGABYTE


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read a process's own peak from")
def test_large_rows_go_from_page_to_table_without_accumulating_in_memory(answering, tmp_path, database_url, connection):
    def serve_page(handler):
        path, query = handler.path.split("?")
        number = int(query.split("&")[0].split("=")[1])
        rows = range(4 * number, 4 * number + 4) if path == "/users" and number <= 50 else ()
        items = b",".join(b'{"id":%d,"text":"%b"}' % (row, b"x" * 1_000_000) for row in rows)
        answer(handler, b'{"total":%d,"items":[%b]}' % (200 if path == "/users" else 0, items))

    memory, output = memory_of_extraction(answering(serve_page), tmp_path, Limits().page_bytes, database_url)
    assert output == []
    assert connection.execute("select count(*) from staging.users").fetchone() == (200,)
    assert memory < 250 * MEGABYTE


@pytest.mark.parametrize("kind", ["rows of lists", "rows of text"])
def test_the_deadline_ends_the_extraction_while_pages_are_decoded(night, answering, kind):
    dear = DEAR_PAGES[kind](Limits().page_bytes)
    compressed = gzip.compress(large_page(dear.partition(b"[")[2][:-2], pages=1000), 1)
    url = answering(lambda handler: answer(handler, compressed, Content_Encoding="gzip"))
    limits = Limits(seconds=1.5, attempts=1)
    began = time.monotonic()
    message = failure(night, api_base_url=url, batch_size=100, limits=limits)
    assert "1.5 seconds for the whole extraction are over (limit MAX_SECONDS)" in message
    assert time.monotonic() - began < 8


def test_the_deadline_also_applies_after_the_last_page(night, api, monkeypatch):
    """Fetch all pages in time, and exceed the deadline afterwards."""
    api.set_rows({"users": users(1, 2)})
    monkeypatch.setattr("extract.scan._end", lambda *arguments: time.sleep(1))
    assert "limit MAX_SECONDS" in failure(night, limits=dataclasses.replace(QUICK, seconds=0.9))


@pytest.mark.parametrize("where", ["body", "headers", "nothing"])
def test_a_body_that_trickles_or_stalls_ends_with_the_attempt(night, answering, where):
    over = threading.Event()

    def drip(handler):
        if where == "body":
            handler.send_response(200)
            handler.end_headers()
        start = b"" if where == "body" else b"HTTP/1.1 200 OK\r\nX-Slow: "
        for byte in itertools.chain(start, itertools.repeat(ord("x"), 1000)):
            if over.wait(0.05):
                return
            if where != "nothing":
                handler.wfile.write(bytes([byte]))

    limits = Limits(attempts=2, attempt_seconds=0.5, first_wait_seconds=0.01)
    began = time.monotonic()
    try:
        message = failure(night, api_base_url=answering(drip), limits=limits)
    finally:
        over.set()
    assert "no whole answer within 0.5 seconds" in message
    assert time.monotonic() - began < 8


def test_the_deadline_ends_the_extraction_for_any_behaviour_of_the_source(night, api):
    api.set_rows({"users": users(*range(90))})
    api.faults.latency = 0.05
    began = time.monotonic()
    limits = dataclasses.replace(QUICK, seconds=0.5)
    assert "0.5 seconds for the whole extraction are over (limit MAX_SECONDS)" in failure(
        night, window=1, limits=limits
    )
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("fault", ["slash", "encoding=utf-8-sig", "largest_size=2", "no_total", "no_total=absent"])
def test_an_unusual_source_lands_completely_and_its_removals_too(api, night, connection, fault):
    rows = {"users": users(*range(7)), "tracks": users(*range(6)), "listen_history": []}
    api.set_rows(rows)
    api.faults.add(fault)
    night(window=3)
    api.set_rows({**rows, "users": users(*range(1, 7))})
    scan = night(window=3).scans["users"]
    assert (scan.rows_read, scan.rows_landed, scan.rows_removed, scan.keys_unsettled) == (6, 0, 1, 0)
    assert set(live_rows(connection, "users")) == {f"[{number}]" for number in range(1, 7)}
    assert set(live_rows(connection, "tracks")) == {f"[{number}]" for number in range(6)}


def test_a_scan_without_totals_says_so_and_reads_each_table_twice(api, night, connection):
    api.set_rows({"users": users(*range(7)), "tracks": users(*range(6))})
    api.faults.add("no_total@users")
    night(window=1)
    figures = connection.execute("select table_name, total, rows_read, passes from staging.scans order by table_name")
    assert figures.fetchall() == [("listen_history", 0, 0, 1), ("tracks", 6, 6, 1), ("users", None, 7, 2)]


def test_a_source_stops_giving_totals_and_gives_them_again(api, night, connection):
    api.set_rows({"users": users(1, 2)})
    for faults in ((), ("no_total",), ()):
        api.faults.clear()
        for fault in faults:
            api.faults.add(fault)
        night()
    totals = connection.execute("select total from staging.scans where table_name = 'users' order by version_seq")
    assert totals.fetchall() == [(2,), (None,), (2,)]


@pytest.mark.parametrize(
    ("fault", "message_part"),
    [
        ("short_page@tracks=2", "more rows expected, 7 seen with 7 distinct keys"),
        ("short_page@tracks=1", "more rows expected, 5 seen"),
        ("empty_page@tracks=2", "more rows expected, 5 seen"),
        ("empty_page@tracks=1", "more rows expected, 3 seen"),
        ("repeated_page@tracks=2", "distinct keys; one page came twice"),
    ],
)
def test_a_page_that_lacks_rows_fails_a_scan_without_totals(api, night, connection, fault, message_part):
    api.set_rows({"users": users(1, 2), "tracks": users(*range(8))})
    night()
    before = staged(connection)
    api.faults.add("no_total")
    api.faults.add(fault)
    assert message_part in failure(night)
    assert staged(connection) == before


def test_a_total_that_stops_counting_is_noticed(api, night, connection, answering):
    """A search engine counts to 10,000 and serves more; here it counts to 6."""
    api.set_rows({"users": users(*range(8))})
    night()
    before = staged(connection)

    def count_to_six(handler):
        path, query = handler.path.split("?")
        number = int(query.split("&")[0].split("=")[1])
        rows = users(*range(8)) if path == "/users" else []
        answer(handler, page(rows[3 * number - 3 : 3 * number], total=min(6, len(rows)), number=number))

    assert "6 rows expected, 8 seen" in failure(night, api_base_url=answering(count_to_six))
    assert staged(connection) == before


def serving(answering, rows: list[dict], *, has_totals: bool, missing=lambda number: False, status: int = 404) -> str:
    """Serve pages of 3 users; a page without rows, or one that is `missing`, gets the status."""

    def serve_page(handler):
        path, query = handler.path.split("?")
        number = int(query.split("&")[0].split("=")[1])
        found = rows[3 * number - 3 : 3 * number] if path == "/users" else []
        if (number > 1 and not found) or (path == "/users" and missing(number)):
            return answer(handler, b"", status)
        total = len(rows) if path == "/users" else 0
        content = {"items": found, "total": total if has_totals else None, "page": number, "size": 3}
        answer(handler, json.dumps(content).encode())

    return answering(serve_page)


@pytest.mark.parametrize("status", [204, 404])
@pytest.mark.parametrize("has_totals", [True, False])
def test_a_source_without_a_page_after_the_last_one_is_read_completely(
    night, connection, answering, status, has_totals
):
    """Read 6 rows, which fill the last page, and then 5."""
    options = {"has_totals": has_totals, "status": status}
    night(api_base_url=serving(answering, users(*range(6)), **options))
    assert len(live_rows(connection, "users")) == 6
    scan = night(api_base_url=serving(answering, users(*range(1, 6)), **options)).scans["users"]
    assert (scan.rows_read, scan.rows_removed, scan.keys_unsettled) == (5, 1, 0)


@pytest.mark.parametrize(
    ("number", "has_totals", "status"), [(1, True, 404), (1, False, 204), (2, True, 204), (2, False, 404)]
)
def test_a_page_that_is_missing_before_others_is_a_refusal(night, connection, answering, number, has_totals, status):
    url = serving(answering, users(*range(9)), has_totals=has_totals, missing=number.__eq__, status=status)
    message = failure(night, api_base_url=url)
    assert f"/users page {number} answered status {status} (empty body). Nothing was landed; check API_BASE" in message
    assert staged(connection) == NOTHING


def test_a_last_page_that_is_missing_is_a_refusal_if_the_total_counts_its_rows(night, connection, answering):
    url = serving(answering, users(*range(7)), has_totals=True, missing=(3).__eq__)
    assert "/users page 3 answered status 404" in failure(night, api_base_url=url)
    assert staged(connection) == NOTHING


def test_a_source_that_loses_its_pages_after_they_were_read_removes_nothing(night, connection, answering):
    """Answer 404 from page 2 on in all passes but the first: without totals, that looks like a shorter table."""
    night(api_base_url=serving(answering, users(*range(9)), has_totals=False))
    asked = []

    def is_missing(number):
        asked.append(number)
        return number > 1 and asked.count(1) > 1

    night(api_base_url=serving(answering, users(*range(9)), has_totals=False, missing=is_missing), window=1)
    assert len(live_rows(connection, "users")) == 9


def test_a_missing_page_is_counted_as_answered(night, answering):
    traffic = {}
    night(api_base_url=serving(answering, users(*range(6)), has_totals=True), traffic=traffic)
    assert (traffic["users"].requests, traffic["users"].requests_failed) == (3, 0)


def test_a_200_without_a_body_is_no_page_after_the_last_one(night, answering):
    url = serving(answering, users(*range(6)), has_totals=True, status=200)
    assert "/users page 3 failed 3 times in a row: not a page of JSON" in failure(night, api_base_url=url)


def test_a_source_without_totals_that_ignores_the_page_number_is_left_soon(night, connection, answering):
    asked = []

    def serve_first_page(handler):
        asked.append(handler.path)
        answer(handler, b'{"items":[{"id":1},{"id":2},{"id":3}],"total":null,"page":null,"size":null}')

    message = failure(night, api_base_url=answering(serve_first_page))
    assert "one page came twice" in message and len(asked) < 200
    assert staged(connection) == NOTHING


def test_a_source_without_totals_and_without_an_end_is_left_at_the_limit(night, answering):
    def serve_any_page(handler):
        number = int(handler.path.split("?")[1].split("&")[0].split("=")[1])
        items = users(3 * number, 3 * number + 1, 3 * number + 2)
        answer(handler, json.dumps({"items": items, "total": None, "page": number, "size": 3}).encode())

    limits = dataclasses.replace(QUICK, pages_per_table=10)
    message = failure(night, api_base_url=answering(serve_any_page), limits=limits)
    assert "has more than 10 pages (limit MAX_PAGES)" in message


@pytest.mark.parametrize(
    ("fault", "message_part"),
    [
        ("refused_size@tracks=2", "status 422 .*Nothing was landed; set BATCH_SIZE=2\\.$"),
        ("largest_size@tracks=2/unsaid", "if the API serves at most 2 rows per page, set BATCH_SIZE=2\\.$"),
    ],
)
@pytest.mark.parametrize("has_total", [True, False])
def test_a_source_that_serves_smaller_pages_is_refused_with_the_setting_that_helps(
    api, night, connection, fault, message_part, has_total
):
    api.set_rows({"tracks": users(*range(7))})
    api.faults.add(fault)
    if not has_total:
        api.faults.add("no_total")
    assert re.search(message_part, failure(night))
    night(batch_size=2)
    assert staged(connection)["tracks"] == 7


@pytest.mark.parametrize(
    ("rows", "has_total"),
    # the page after the end is read if the last one is full, or if there is no total
    [(6, True), (6, False), (2, False)],
)
def test_a_source_that_repeats_its_last_page_is_refused_with_what_it_must_do(night, answering, rows, has_total):
    def serve_last_page_for_ever(handler):
        number = int(handler.path.split("?")[1].split("&")[0].split("=")[1])
        shown = min(number, -(-rows // 3))
        items = users(*range(rows))[3 * (shown - 1) : 3 * shown]
        body = {"items": items, "total": rows if has_total else None, "page": number, "size": 3}
        answer(handler, json.dumps(body).encode())

    message = failure(night, api_base_url=answering(serve_last_page_for_ever))
    assert message.endswith(
        "if it repeats its last page after the end, it must answer with an empty page or 404 there."
    )
    assert "BATCH_SIZE" not in message


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (422, b'{"detail":[{"msg":"ensure this value is less than or equal to 1"}]}', "set BATCH_SIZE=1"),
        (400, b"page size too large", "set a smaller BATCH_SIZE, such as BATCH_SIZE=50"),
        (422, b'{"detail":[{"msg":"less than or equal to 500"}]}', "set a smaller BATCH_SIZE, such as BATCH_SIZE=50"),
        (404, b"less than or equal to 1", "check API_BASE_URL and BATCH_SIZE"),
    ],
)
def test_a_refusal_of_the_size_names_the_setting(night, answering, status, body, advice):
    url = answering(lambda handler: answer(handler, body, status))
    assert failure(night, api_base_url=url).endswith(f"{advice}.")


def test_a_requested_wait_longer_than_the_deadline_ends_the_extraction_at_once(night, api):
    api.faults.add("rate_limit@users=1/4000")
    began = time.monotonic()
    message = failure(night, limits=dataclasses.replace(QUICK, seconds=60))
    assert "status 429" in message and "asks to wait 4,000 seconds" in message
    assert "of the 60 seconds for the whole extraction are left (limit MAX_SECONDS)" in message
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["1e30", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_requested_wait_too_large_for_any_clock_ends_the_extraction(answering, status, wait):
    url = answering(lambda handler: answer(handler, b"", status, Retry_After=wait))
    client = Client(url, window=2, batch_size=3, deadline_seconds=0.3)
    with pytest.raises(SourceError, match=r"asks to wait .* seconds, and there .*limit MAX_SECONDS"):
        client.fetch(SOURCE_TABLES[0], 5, 3)
    # Other pages wait for the deadline.
    with pytest.raises(SourceError, match=r"for the whole extraction are over \(limit MAX_SECONDS"):
        client.fetch(SOURCE_TABLES[0], 6, 3)


def test_a_requested_wait_on_a_middle_page_is_reported(api, night):
    api.set_rows({"users": users(*range(90))})
    api.faults.add("rate_limit@users=5/99999999999")
    message = failure(night, window=2)
    assert "failed 1 time in a row: status 429" in message
    assert "asks to wait 99,999,999,999 seconds" in message and "limit MAX_SECONDS" in message


def test_the_message_says_when_the_time_for_retries_is_over(night, api):
    api.faults.add("down@users")
    limits = Limits(attempts=50, seconds=2, first_wait_seconds=1.2)
    message = failure(night, limits=limits)
    assert "status 503" in message and "limit MAX_SECONDS" in message


def test_a_failure_does_not_wait_for_requests_that_hang(night, api):
    api.set_rows({"users": users(*range(9)), "tracks": users(1)})
    api.faults.add("hang@users=1")
    api.faults.add("redirect@tracks=http://127.0.0.1:9/")
    began = time.monotonic()
    assert "redirects" in failure(night, limits=Limits(attempt_seconds=60))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("", 0), ("3", 3), ("2.5", 2.5), ("-1", 0), ("soon", 0), ("inf", 0), ("nan", 0),
     ("Thu, 01 Jan 2015 00:00:00 GMT", 0), ("Thu, 01 Jan 2015 00:00:00", 0), ("9" * 400, 0), ("nan GMT", 0),
     ("Mon, 01 Jan 2026 00:00:00 +99999999999999999999", 0), ("Mon, 01 Jan 99999999999 00:00:00 GMT", 0)],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_a_date(header, seconds):
    assert _retry_after_seconds(header) == seconds


def test_a_retry_after_date_in_the_future_makes_the_client_wait(monkeypatch):
    assert _retry_after_seconds("Fri, 01 Jan 2055 00:00:00 GMT") > 3e8


def test_only_the_unreadable_row_among_good_ones_is_set_aside(night, connection, answering):
    bodies = {
        "/users": b'{"total":3,"items":[{"id":1},{"id":2,"a":NaN},{"id":3}],"page":1,"size":4,"pages":1}',
    }
    url = answering(lambda handler: answer(handler, bodies.get(handler.path.split("?")[0], page(size=4))))
    extraction = night(api_base_url=url, limits=QUICK, batch_size=4)
    assert extraction.scans["users"].rows_unreadable == 1
    assert set(live_rows(connection, "users")) == {"[1]", "[3]"}
