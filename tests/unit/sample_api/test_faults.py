"""Test that each fault reaches an HTTP client, only on its paths and as often as configured."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import urllib3

from sample_api.bad_rows import DAMAGES, spoil
from sample_api.faults import READERS, Faults, parse
from sample_api.server import serve
from sample_api.tables import KEYS, TABLES
from sample_api.world import World, snapshot

ROWS = {
    "users": [{"id": number, "email": f"a{number}@example.org"} for number in range(1, 11)],
    "tracks": [{"id": number, "duration": "03:00"} for number in range(1, 11)],
    "listen_history": [
        {"user_id": number, "items": [1], "created_at": f"2026-01-01T00:00:0{number}.000000"} for number in range(1, 7)
    ],
}


@pytest.fixture(scope="module")
def running():
    with serve(ROWS) as server:
        yield server


@pytest.fixture
def server(running):
    running.faults.clear()
    running.set_rows(ROWS)
    running.requests.reset()
    return running


def get(server, path, timeout=10):
    return urllib3.request("GET", f"{server.url}{path}", redirect=False, retries=False, timeout=timeout)


def ids(server, table, page, size=4):
    return [row["id"] for row in get(server, f"/{table}?page={page}&size={size}").json()["items"]]


def statuses(server, path, count):
    return [get(server, path).status for _ in range(count)]


def test_every_nth_request_is_limited_in_rate(server):
    server.faults.add("rate_limit=3/2")
    answers = [get(server, "/users") for _ in range(6)]
    assert [answer.status for answer in answers] == [200, 200, 429, 200, 200, 429]
    assert answers[2].headers["retry-after"] == "2"


def test_only_the_first_requests_of_a_table_fail(server):
    server.faults.add("server_error@tracks:2=1")
    assert statuses(server, "/tracks", 4) == [500, 500, 200, 200]
    assert statuses(server, "/users", 2) == [200, 200]


def test_requests_are_counted_per_path(server):
    server.faults.add("server_error:1=1")
    assert [statuses(server, f"/{table}", 2) for table in TABLES] == [[500, 200]] * 3


def test_the_fault_of_a_table_replaces_the_general_one(server):
    server.faults.add("server_error=1")
    server.faults.add("server_error@users=2")
    assert statuses(server, "/users", 2) == [200, 500]
    assert statuses(server, "/tracks", 2) == [500, 500]


def test_down_means_every_path(server):
    server.faults.add("down")
    assert [get(server, path).status for path in ("/users", "/tracks", "/", "/openapi.json")] == [503] * 4
    server.faults.clear("down")
    assert get(server, "/users").status == 200


def test_a_truncated_body_is_shorter_than_its_content_length(server):
    server.faults.add("truncated:1")
    with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
        get(server, "/users")
    assert len(get(server, "/users").json()["items"]) == 10


def test_error_body_comes_with_status_200(server):
    server.faults.add("error_body=2")
    first, second = get(server, "/users"), get(server, "/users")
    assert (first.status, second.status) == (200, 200)
    assert "items" in first.json()
    assert list(second.json()) == ["error"]


def test_html_comes_with_status_200(server):
    server.faults.add("html")
    answer = get(server, "/users")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.data.startswith(b"<!doctype html>")


def test_redirect_leads_elsewhere(server):
    server.faults.add("redirect=http://127.0.0.1:9/users?x=1")
    answer = get(server, "/users")
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:9/users?x=1")


def test_a_slash_leads_to_the_rows(server):
    server.faults.add("slash@users")
    answer = get(server, "/users?page=2&size=4")
    assert (answer.status, answer.headers["location"]) == (307, "/users/?page=2&size=4")
    assert [row["id"] for row in get(server, "/users/?page=2&size=4").json()["items"]] == [5, 6, 7, 8]
    assert get(server, "/tracks").status == 200


def test_a_large_size_is_refused(server):
    server.faults.add("refused_size=4")
    refused = get(server, "/users?size=5")
    assert refused.status == 422
    assert refused.json()["detail"][0]["msg"] == "Input should be less than or equal to 4"
    assert statuses(server, "/users?size=4", 1) == [200]
    assert statuses(server, "/users", 1) == [422]


@pytest.mark.parametrize(("fault", "said"), [("largest_size=3", 3), ("largest_size=3/unsaid", 4)])
def test_pages_are_smaller_than_asked_for(server, fault, said):
    server.faults.add(fault)
    page = get(server, "/users?page=2&size=4").json()
    assert ([row["id"] for row in page["items"]], page["size"], page["pages"]) == ([4, 5, 6], said, 4)


def test_pages_come_without_a_total(server):
    server.faults.add("no_total@users:1")
    server.faults.add("no_total@tracks=absent")
    assert [get(server, "/users").json()["total"] for _ in range(2)] == [None, 10]
    assert list(get(server, "/tracks").json()) == ["items", "page", "size", "pages"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_page_comes_in_another_encoding(server, encoding):
    server.faults.add(f"encoding={encoding}")
    assert json.loads(get(server, "/users").data.decode(encoding))["total"] == 10


def test_a_hanging_request_gets_no_answer_and_delays_no_other(server):
    server.faults.add("hang@users")
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        get(server, "/users", timeout=0.2)
    assert get(server, "/tracks").status == 200


def test_latency_delays_but_does_not_queue(server):
    server.faults.latency = 0.2
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: get(server, "/users").status, range(8))) == [200] * 8
    assert time.monotonic() - begun >= 0.2
    assert server.requests.max_in_flight >= 2


def test_no_items_leaves_the_field_out(server):
    server.faults.add("no_items:1")
    assert list(get(server, "/users").json()) == ["total", "page", "size", "pages"]
    assert "items" in get(server, "/users").json()


@pytest.mark.parametrize(
    ("fault", "totals"),
    [
        ("wrong_total@users=1", [10, 11, 10]),
        ("wrong_total@users=-2/3", [10, 10, 8]),
        ("wrong_total@tracks=1", [10, 10, 10]),
    ],
)
def test_one_page_has_a_wrong_total(server, fault, totals):
    server.faults.add(fault)
    assert [get(server, f"/users?page={page}&size=4").json()["total"] for page in (1, 2, 3)] == totals


@pytest.mark.parametrize(
    ("fault", "pages"),
    [
        ("short_page", [[1, 2, 3, 4], [5, 6, 7], [9, 10]]),
        ("short_page=1", [[1, 2, 3], [5, 6, 7, 8], [9, 10]]),
        ("empty_page=middle", [[1, 2, 3, 4], [], [9, 10]]),
        ("repeated_page=middle", [[1, 2, 3, 4], [1, 2, 3, 4], [9, 10]]),
        ("repeated_page=3", [[1, 2, 3, 4], [5, 6, 7, 8], [5, 6, 7, 8]]),
        ("empty_page@users=2", [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]),
    ],
)
def test_a_fault_changes_one_page(server, fault, pages):
    server.faults.add(fault)
    assert [ids(server, "tracks", page) for page in (1, 2, 3)] == pages


def test_a_fault_may_change_a_page_once(server):
    server.faults.add("empty_page:1=2")
    assert [ids(server, "tracks", 2), ids(server, "tracks", 2)] == [[], [5, 6, 7, 8]]


def test_the_middle_of_one_page_is_that_page(server):
    server.faults.add("short_page")
    assert ids(server, "tracks", 1, size=100) == list(range(1, 10))


def test_the_first_page_has_no_previous_page_to_repeat(server):
    server.faults.add("repeated_page")
    assert [ids(server, "tracks", page, size=6) for page in (1, 2)] == [[1, 2, 3, 4, 5, 6]] * 2


def test_rows_move_between_pages(server):
    server.faults.add("moving@users=2")
    pages = [get(server, f"/users?page={page}&size=4").json() for page in (1, 2, 3)]
    # Row 5 slipped to page 1 unseen, row 9 is shown twice, and the first and last totals and the count agree.
    assert [[row["id"] for row in page["items"]] for page in pages] == [[1, 2, 3, 4], [6, 7, 8, 9], [9, 10]]
    assert [page["total"] for page in pages] == [10, 9, 10]


def test_moves_come_to_an_end(server):
    server.faults.add("moving=4")
    for _ in range(6):
        get(server, "/listen_history?size=2")
    settled = server.rows["listen_history"]
    get(server, "/listen_history?size=2")
    assert server.rows["listen_history"] == settled
    keys = [(row["user_id"], row["created_at"]) for row in map(json.loads, settled)]
    assert len(set(keys)) == len(keys) == 5


def test_one_move_in_three_keeps_the_total(server):
    server.faults.add("moving=3")
    for _ in range(2):
        get(server, "/tracks")
    before = [json.loads(row)["id"] for row in server.rows["tracks"]]
    get(server, "/tracks")
    after = [json.loads(row)["id"] for row in server.rows["tracks"]]
    assert after[1:] == before[:-1]
    assert after[0] not in before


def test_empty_table_has_total_zero(server):
    server.faults.add("empty@tracks")
    assert get(server, "/tracks").json() == {"items": [], "total": 0, "page": 1, "size": 100, "pages": 0}
    assert get(server, "/users").json()["total"] == 10


def test_bulk_removal_takes_the_share_asked_for(server):
    server.faults.add("bulk_removal@users=0.3")
    left = ids(server, "users", 1, size=100)
    assert len(left) == get(server, "/users").json()["total"] == 7
    assert left == sorted(left)
    server.faults.add("bulk_removal@users=0.3/11")
    assert ids(server, "users", 1, size=100) != left
    server.faults.clear()
    assert len(ids(server, "users", 1, size=100)) == 10


def test_faults_work_together(server):
    for text in ("latency=0.05", "bulk_removal=0.5", "wrong_total=1", "rate_limit:1=1/0"):
        server.faults.add(text)
    assert get(server, "/users").status == 429
    begun = time.monotonic()
    page = get(server, "/users").json()
    assert time.monotonic() - begun >= 0.05
    assert (len(page["items"]), page["total"]) == (5, 6)


def test_spoiled_rows_match_their_account():
    world = snapshot(World(users=300, tracks=300, documents=300), 2)
    with serve(world, ["bad_rows=0.2"]) as server:
        for table, rows in world.tables().items():
            spoiled = server.spoiled_rows(table)
            assert len(spoiled) == -(-len(rows) // 5)
            assert {row.how for row in spoiled} == set(DAMAGES[table])
            total = get(server, f"/{table}").json()["total"]
            pages = range(1, -(-total // 100) + 1)
            served = [row for page in pages for row in get(server, f"/{table}?page={page}").json()["items"]]
            assert len(served) == total == len(rows) + sum(row.how == "same_key_twice" for row in spoiled)
            unchanged = [row for row in rows if row in served]
            was = {tuple(row[name] for name in KEYS[table]) for row in rows if row not in unchanged}
            assert was == {row.was for row in spoiled if row.how != "same_key_twice"}
            keys = [tuple(row.get(name) for name in KEYS[table]) for row in served]
            for row in spoiled:
                assert row.key in keys
                if row.how == "same_key_twice":
                    assert keys.count(row.key) == 2


def damaged(table, how):
    """Return the first row of the table with that damage: the original, and all served rows."""
    rows = snapshot(World(users=300, tracks=300, documents=300), 0).tables()[table]
    served, spoiled = spoil(table, rows, 1.0, 7)
    found = next(row for row in spoiled if row.how == how)
    before = next(row for row in rows if tuple(row[name] for name in KEYS[table]) == found.was)
    position = rows.index(before) + sum(row.how == "same_key_twice" for row in spoiled[: spoiled.index(found)])
    return before, served[position : position + (2 if how == "same_key_twice" else 1)]


@pytest.mark.parametrize(
    ("table", "how", "changes"),
    [
        ("users", "created_at_yesterday", {"created_at": "yesterday"}),
        ("users", "updated_at_null", {"updated_at": None}),
        ("tracks", "updated_at_far_ahead", {"updated_at": "2999-01-01T00:00:00.000000"}),
        ("tracks", "duration_abc", {"duration": "abc"}),
        ("listen_history", "user_id_null", {"user_id": None}),
        ("listen_history", "created_at_yesterday", {"created_at": "yesterday"}),
    ],
)
def test_damage_to_a_value(table, how, changes):
    before, (after,) = damaged(table, how)
    assert after == {**before, **changes}


@pytest.mark.parametrize(
    ("table", "how", "gone"),
    [
        ("users", "id_missing", "id"),
        ("users", "field_missing", "last_name"),
        ("tracks", "field_missing", "name"),
        ("listen_history", "field_missing", "items"),
    ],
)
def test_damage_by_a_missing_field(table, how, gone):
    before, (after,) = damaged(table, how)
    assert before.keys() - after.keys() == {gone}


def test_damage_to_an_email_and_to_items():
    _, (user,) = damaged("users", "email_without_at")
    assert "@" not in user["email"]
    _, (document,) = damaged("listen_history", "items_hold_text")
    assert document["items"][-1] == "a track"


@pytest.mark.parametrize("table", TABLES)
def test_same_key_twice_differs_in_content(table):
    before, (one, two) = damaged(table, "same_key_twice")
    assert one == before
    assert one != two
    assert all(one[name] == two[name] for name in KEYS[table])


def test_a_spoiled_row_stays_spoiled_the_same_way():
    today, tomorrow = (
        {row.was: row.how for row in spoil("users", snapshot(World(), day).users, 0.05, 7)[1]} for day in (0, 1)
    )
    both = today.keys() & tomorrow.keys()
    assert len(both) > 0.8 * len(today)
    assert all(today[key] == tomorrow[key] for key in both)


def test_raw_rows_are_sent_unchanged(server):
    odd = [
        b'{"id":1.10,"id":2}',
        rb'{"id":3,"email":"\u0000\ud800"}',
        b'{"id": 1e400 }',
        {"id": 4, "x": "\u00e9"},
    ]
    server.set_rows({"users": odd})
    body = get(server, "/users").data
    assert body.startswith(b'{"items":[' + b",".join([*odd[:3], '{"id":4,"x":"é"}'.encode()]) + b'],"total":4,')
    assert get(server, "/tracks").json()["total"] == 0


def test_rows_of_an_unknown_table_are_refused(server):
    with pytest.raises(ValueError, match="albums"):
        server.set_rows({"albums": []})


def test_requests_are_counted_and_headers_kept(server):
    get(server, "/users?page=1&size=4")
    get(server, "/users?page=2&size=4")
    urllib3.request("GET", f"{server.url}/tracks", headers={"User-Agent": "polite/1"}, retries=False)
    assert server.requests.paths == {"/users": 2, "/tracks": 1}
    assert server.requests.total == 3
    assert server.requests.targets == ["/users?page=1&size=4", "/users?page=2&size=4", "/tracks"]
    assert server.requests.last_headers["user-agent"] == "polite/1"
    server.requests.reset()
    assert (server.requests.total, server.requests.targets) == (0, [])


def until(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_requests_in_flight_are_counted(server):
    server.faults.add("hang")
    address = urlsplit(server.url)
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            client.sendall(b"GET /users HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: server.requests.in_flight == 5)
    until(lambda: server.requests.in_flight == 0)
    assert server.requests.max_in_flight == 5


@pytest.mark.parametrize(
    "text",
    [
        "nonsense=1",
        "latency=soon",
        "latency=-1",
        "latency=nan",
        "latency",
        "server_error@albums=1",
        "server_error:0=1",
        "server_error:x=1",
        "server_error=0",
        "rate_limit=1/-1",
        "wrong_total=0",
        "short_page=0",
        "short_page=last",
        "bad_rows=0",
        "bad_rows=1.5",
        "bad_rows=nan",
        "bad_rows:2=0.5",
        "empty=0.5",
        "moving",
        "redirect=",
        "no_total=0",
        "encoding=ebcdic",
        "largest_size=0",
        "largest_size=3/said",
        "refused_size=0",
        "slash=no",
        "redirect=http://a b",
    ],
)
def test_wrong_notation_is_refused_in_one_line(text):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_the_examples_in_the_messages_are_right():
    for name, (_, example) in READERS.items():
        for text in example.split(" (")[0].split(" or "):
            assert parse(text).name == name


def test_adding_a_fault_again_resets_its_counters():
    faults = Faults("server_error:1=1")
    strikes = [faults.strike("/users", "server_error") is not None for _ in range(2)]
    faults.add("server-error:1=1")
    assert [*strikes, faults.strike("/users", "server_error") is not None] == [True, False, True]
