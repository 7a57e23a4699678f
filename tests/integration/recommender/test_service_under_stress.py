"""The service under stress: flips of releases, a warehouse that goes away, keys, signals, requests of every kind."""

import asyncio
import json
import os
import signal
import socket
import threading
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks.http_load import load
from recommender import known_range, publishing
from tests.command import command, until
from tests.databases import new_database
from tests.failing_postgres import Switch
from tests.recommended import recommended
from tests.services import serving
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

KEY = "only for these tests: schlüssel"
REQUESTS, CONNECTIONS = 10_000, 64
FLIPS = 6


@pytest.fixture(scope="module")
def template(postgres_url, built_template):
    with recommended(postgres_url, built_template, "before_the_stress"):
        yield "before_the_stress"


@pytest.fixture
def url(postgres_url, template):
    with new_database(postgres_url, "stressed", f"template {template}") as url:
        yield url


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def publish(connection, artist_cap):
    known = known_range.read(connection)
    publishing.publish(connection, known.now, known.until_seq, artist_cap=artist_cap, budget=0)


def test_no_request_fails_and_no_answer_mixes_releases_while_releases_flip(url, warehouse):
    """Two workers, and a client with many connections; two releases are published, and the pointer goes to and fro."""
    users = [
        number for (number,) in warehouse.execute("select id from marts.users where deleted_at is null").fetchall()
    ]
    paths = [
        f"/users/{users[number % len(users)]}/recommendations?limit=10&list={('discover', 'again')[number % 2]}"
        for number in range(REQUESTS)
    ]
    ended = threading.Event()

    def flip():
        with psycopg.connect(url, autocommit=True) as connection:
            for number in range(FLIPS):
                if number in (0, 3):
                    publish(connection, artist_cap=number + 1)
                else:
                    connection.execute(
                        "insert into recommendations.release_history (release_id, reason)"
                        " select min(release_id) + %s %% 2, 'test' from recommendations.releases",
                        [number],
                    )
                ended.wait(1)
        ended.set()

    with serving("--workers", "2", DATABASE_URL=url) as service:
        flipping = threading.Thread(target=flip)
        flipping.start()
        answered = []
        while not answered or flipping.is_alive():
            answered += asyncio.run(load(service.url, paths[len(answered) % REQUESTS :][:2_000], CONNECTIONS))
        answered += asyncio.run(load(service.url, paths[: max(0, REQUESTS - len(answered))], CONNECTIONS))
        flipping.join()
    assert len(answered) >= REQUESTS and {each.status for each in answered} == {200}
    released_at = dict(warehouse.execute("select released_at, release_id from recommendations.releases").fetchall())
    lists = {
        row[:3]: (row[3], row[4])
        for row in warehouse.execute(
            "select release_id, user_id, list, model_version, track_ids from recommendations.lists"
        ).fetchall()
    }
    seen = set()
    compared = 0
    for each in answered:
        answer = json.loads(each.body)
        (release_id,) = [number for at, number in released_at.items() if at.isoformat() == answer["released_at"]]
        seen.add(release_id)
        stored = lists.get((release_id, answer["user_id"], answer["list"]))
        tracks = [item["track_id"] for item in answer["items"]]
        if stored is None:  # nothing known: filled
            assert answer["list"] == "again" and tracks
            continue
        compared += 1
        assert (answer["model_version"], tracks) == (stored[0], stored[1][: len(tracks)]) and tracks
    assert seen == {1, 2, 3} and compared > REQUESTS * 0.9


def test_without_the_warehouse_the_service_lives_and_says_so_and_comes_back(url):
    parts = conninfo_to_dict(url)
    with Switch(parts["host"], int(parts["port"])) as way:
        through = make_conninfo(url, host="127.0.0.1", port=way.port)
        way.off()
        with serving(is_ready=False, DATABASE_URL=through) as service:
            until(lambda: "cannot be reached" in service.get("/health/ready").text)
            for path in ("/users/1/recommendations", "/popular", "/tracks/1/similar", "/health/ready"):
                reply = service.get(path)
                assert reply.status == 503 and int(reply.headers["Retry-After"]) > 0, reply
            assert service.get("/health/live").status == 200
            way.on()
            until(service.is_ready)
            user_id = service.get("/page/users").json[0]["user_id"]
            path = f"/users/{user_id}/recommendations"
            assert service.get(path).status == 200
            way.off()
            reply = service.get(path)
            assert reply.status == 503 and reply.headers["Retry-After"] and "\n" not in reply.json["detail"]
            until(lambda: not service.is_ready())
            assert service.get("/popular").status == 503
            assert service.get("/health/live").status == 200
            until(lambda: "moovitamix_service_ready 0.0" in service.get("/metrics").text)
            way.on()
            until(service.is_ready)
            assert service.get(path).status == 200
            problems = [event["problem"] for event in service.events("warehouse_unavailable")]
            assert len(problems) <= 4 and conninfo_to_dict(url)["password"] not in service.output.read_text()


def test_with_a_key_no_route_but_health_answers_without_it_and_a_killed_worker_is_replaced(url, tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    with serving("--workers", "2", "--host", "0.0.0.0", DATABASE_URL=url, API_KEY_FILE=str(file)) as service:
        paths = ["/", "/docs", "/openapi.json", "/metrics", "/popular", "/users/1/recommendations", "/nothing"]
        paths += ["/tracks/1/similar", "/users/1/listens", "/page/users", "/page/page.js", "/health", "//health/live"]
        for path in paths:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-API-Key": KEY[:-1].encode().decode("latin-1")}):
                reply = service.get(path, **headers)
                assert reply.status == 401 and list(reply.json) == ["detail"], (path, reply)
            assert service.post(path, {"recent": []}).status == 401
        assert service.get("/health/live").status == 200
        # each of the workers
        until(lambda: all(service.is_ready() for _ in range(10)))
        right = {"Authorization": f"Bearer {KEY}".encode().decode("latin-1")}
        for path in ("/popular", "/metrics", "/docs", "/openapi.json"):
            assert service.get(path, **right).status == 200
        # the address can be reached from other machines: there is no page, with the key neither
        for path in ("/", "/users/1/listens", "/page/users"):
            assert service.get(path, **right).status == 404
        assert "only for these" not in service.output.read_text()
        before = children(service.process.pid)
        assert len(before) >= 2 and not any(b"only for these" in line for line in before.values())
        worker = next(number for number, line in before.items() if b"spawn_main" in line)
        os.kill(worker, signal.SIGKILL)
        until(lambda: set(children(service.process.pid)) - set(before))
        until(lambda: all(service.is_ready() for _ in range(10)))
        until(lambda: "moovitamix_service_ready 1.0" in service.get("/metrics", **right).text)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0 and "Traceback" not in service.output.read_text()


def children(parent):
    """Return by process id the command lines of the children."""
    numbers = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(number): Path(f"/proc/{number}/cmdline").read_bytes() for number in numbers}


def test_another_host_needs_a_key_and_a_port_in_use_is_one_line(url):
    line = command("serve", "--host", "0.0.0.0", DATABASE_URL=url).only_line(ExitCode.WRONG_SETTINGS)
    assert "API_KEY" in line
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = command("serve", "--port", port, DATABASE_URL=url).only_line(ExitCode.WRONG_SETTINGS)
        assert f"cannot listen on 127.0.0.1:{port}" in line
    line = command("serve", DATABASE_URL=url, REDIS_URL="http://:secretword@h").only_line(ExitCode.WRONG_SETTINGS)
    assert "REDIS_URL" in line and "secretword" not in line


def test_a_signal_ends_the_service_with_one_worker(url):
    with serving(DATABASE_URL=url) as service:
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(30) == 0
        assert "Traceback" not in service.output.read_text()


def test_before_the_first_release_the_service_says_what_to_do(built_database_url):
    with serving(is_ready=False, DATABASE_URL=built_database_url) as service:
        until(lambda: "make recommend" in service.get("/health/ready").text)
        assert service.get("/popular").status == 503


def test_requests_of_every_kind_get_what_the_contract_says(url):
    # imported here, because it takes seconds of each worker that collects this file
    import schemathesis
    from schemathesis import GenerationMode

    with serving(DATABASE_URL=url) as service:
        schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
        labels = set()
        for result in schema.get_all_operations():
            operation = result.ok()
            labels.add(operation.label)
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                if mode is GenerationMode.NEGATIVE and operation.path.startswith(("/health", "/metrics")):
                    continue  # they have no parameters

                @hypothesis.settings(
                    max_examples=25, database=None, deadline=None, derandomize=True,
                    suppress_health_check=list(hypothesis.HealthCheck),
                )  # fmt: skip
                @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
                def check(case):
                    case.validate_response(case.call())

                check()
        assert "POST /users/{user_id}/recommendations" in labels and len(labels) == 8
        assert not service.events("error")
