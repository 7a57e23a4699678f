"""Test starting and stopping, in a thread and from the command line."""

import select
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from sample_api.server import is_loopback, serve
from sample_api.world import World, snapshot

ROOT = Path(__file__).parents[3]
TINY = ["--users", "20", "--tracks", "30", "--documents", "20"]


def command(*options):
    return [sys.executable, "-m", "sample_api", *options]


def run(*options):
    return subprocess.run(command(*options), cwd=ROOT, capture_output=True, text=True, timeout=60)


def first_line(process):
    assert select.select([process.stdout], [], [], 60)[0], "no first line within a minute"
    return process.stdout.readline()


@pytest.fixture
def started():
    running = []

    def start(*options):
        process = subprocess.Popen(
            command(*options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_block_leaves_neither_thread_nor_port_behind():
    threads = threading.active_count()
    with serve({}) as server:
        port = urlsplit(server.url).port
        assert urllib3.request("GET", f"{server.url}/users", retries=False).status == 200
    assert threading.active_count() == threads
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_block_ends_although_a_request_hangs():
    with serve({}, ["hang"]) as server:
        address = urlsplit(server.url)
        client = socket.create_connection((address.hostname, address.port))
        client.sendall(b"GET /users HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            urllib3.request("GET", f"{server.url}/users", retries=False, timeout=0.1)
    client.close()


def test_two_servers_are_independent():
    with serve({"users": [{"id": 1}]}) as one, serve({}, ["down"]) as other:
        assert urllib3.request("GET", f"{one.url}/users", retries=False).json()["total"] == 1
        assert urllib3.request("GET", f"{other.url}/users", retries=False).status == 503
        assert (one.requests.total, other.requests.total) == (1, 1)


def test_answers_come_without_nagles_delay():
    """Measure answers on a kept connection: 40 ms with the delay, less than 1 ms without it."""
    with serve({}) as server, urllib3.HTTPConnectionPool("127.0.0.1", urlsplit(server.url).port) as pool:
        pool.request("GET", "/users")
        begun = time.monotonic()
        for _ in range(50):
            pool.request("GET", "/users")
        assert time.monotonic() - begun < 50 * 0.04


def test_rows_can_be_changed_between_two_pages_of_one_reader():
    with serve({"users": [{"id": 1}, {"id": 2}]}) as server, urllib3.PoolManager() as http:
        server.requests.after_answer = lambda path: server.set_rows({"users": [{"id": 3}, {"id": 4}]})
        pages = [http.request("GET", f"{server.url}/users?page={number}&size=1").json() for number in (1, 2)]
    assert [page["items"] for page in pages] == [[{"id": 1}], [{"id": 4}]]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_only_loopback_is_served(host):
    assert not is_loopback(host)
    with pytest.raises(ValueError, match="loopback"), serve({}, host=host):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_until_a_signal(started, number):
    process = started("--port", "0", "--day", "3", "--seed", "5", "--start", "2026-02-01", *TINY)
    line = first_line(process)
    head, _, url = line.rstrip("\n").rpartition(" ")
    assert head == "sample API: day 3 of world 5 on"
    assert urlsplit(url).hostname == "127.0.0.1"
    expected = snapshot(World(5, 20, 30, 20, date(2026, 2, 1)), 3).users
    assert urllib3.request("GET", f"{url}/users", retries=False).json()["items"] == expected
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_command_takes_faults(started):
    process = started(*TINY, "--fault", "server_error@tracks:1=1", "--fault", "empty@users")
    url = first_line(process).split()[-1]
    answers = [urllib3.request("GET", f"{url}/{table}", retries=False) for table in ("tracks", "tracks", "users")]
    assert [answer.status for answer in answers] == [500, 200, 200]
    assert answers[2].json()["total"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "nonsense=1"], "nonsense"),
        (["--fault", "latency=soon"], "latency=0.03"),
        (["--day", "-1"], "--day"),
        (["--users", "0"], "documents need users"),
        (["--start", "someday"], "--start"),
        (["--start", "0001-01-01"], "1970"),
        (["--host", "0.0.0.0"], "loopback"),
        (["--port", "70000"], "--port"),
        (["--colour", "blue"], "--colour"),
        (["extra"], "extra"),
    ],
)
def test_wrong_options_end_with_one_line_and_exit_code_2(options, message):
    ended = run(*options)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_occupied_port_is_reported_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run("--port", str(taken.getsockname()[1]), *TINY)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "cannot listen" in ended.stderr
