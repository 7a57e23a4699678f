"""The documented proxy and units, run as they are documented; and the cache on Debian's Redis."""

import asyncio
import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
import redis

from benchmarks.http_load import load
from recommender import cache, known_range, publishing, releases
from tests.command import PROJECT, until
from tests.recommended import recommended
from tests.services import Service, serving
from warehouse.embedded_postgres import free_port

pytestmark = pytest.mark.machine

DOCUMENT = PROJECT / "docs" / "operations" / "serving.md"
PASSWORD = "only-for-these-tests"


@pytest.fixture(scope="module")
def url(postgres_url, built_template):
    with recommended(postgres_url, built_template, "behind_a_proxy") as url:
        yield url


def program(path, package):
    found = shutil.which(path)
    if found is None:
        pytest.skip(f"{path} is not installed: apt-get install {package}")
    return found


def block(language, number=0):
    """Return a block of code of the document."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)[number]


@contextlib.contextmanager
def nginx(folder, service) -> Iterator[str]:
    """Run nginx with the documented configuration, with another port and folder, and yield its address."""
    port = free_port()
    text = block("nginx").replace("127.0.0.1:8090", service.url.removeprefix("http://"))
    text = text.replace("listen 8443", f"listen 127.0.0.1:{port}")
    paths = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder / 'pid'}; error_log {folder / 'error.log'}; events {{}}\n"
        f"http {{ access_log off;\n{paths}{text} }}"
    )
    # as root its workers belong to another user, who has to pass through
    folder.chmod(0o755)
    process = subprocess.Popen([program("/usr/sbin/nginx", "nginx-light"), "-c", file], stderr=subprocess.PIPE)
    try:
        until(lambda: (folder / "pid").exists() or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def test_behind_nginx_lists_are_answered_the_page_is_closed_and_rates_are_limited(url, tmp_path):
    program("/usr/sbin/nginx", "nginx-light")
    with serving(DATABASE_URL=url, API_KEY=PASSWORD) as service, nginx(tmp_path, service) as address:
        outside = Service(address, service.process, service.output)
        key = {"X-API-Key": PASSWORD}
        user_id = service.get("/page/users", **key).json[0]["user_id"]
        path = f"/users/{user_id}/recommendations"
        assert outside.get(path, **key).json == service.get(path, **key).json
        assert outside.post(path, {"recent": []}, **key).status == 200
        assert outside.get(path).status == 401 and outside.get("/health/ready").status == 200
        for closed in ("/", f"/users/{user_id}/listens", "/page/users", "/metrics", "/docs"):
            assert service.get(closed, **key).status == 200
            assert outside.get(closed, **key).status == 404
        statuses = [each.status for each in asyncio.run(load(address, ["/popular"] * 400, 8))]
        assert statuses.count(429) > 100 and statuses.count(401) >= 100


def test_the_documented_unit_passes_systemd_analyze(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    unit = block("ini").replace("/srv/moovitamix", str(PROJECT)).replace("=moovitamix\n", "=root\n")
    file = tmp_path / "moovitamix-serve.service"
    file.write_text(unit)
    checked = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True)
    assert checked.returncode == 0 and "moovitamix" not in checked.stderr, checked.stderr


def test_debians_redis_holds_a_release_as_valkey_does(url, tmp_path):
    port = free_port()
    command = [program("/usr/bin/redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--requirepass", PASSWORD, "--save", "", "--dir", str(tmp_path)]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    redis_url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(redis_url) as client, psycopg.connect(url, autocommit=True) as connection:
            until(lambda: answers(client))
            known = known_range.read(connection)
            outcome = publishing.publish(
                connection, known.now, known.until_seq, artist_cap=3, budget=0, redis_url=redis_url
            )
            assert outcome.cache_problem is None
            release = releases.read_published(connection)
            name = cache.completeness_key(release.release_id, release.as_of)
            assert {key.decode() for key in client.keys("*")} == {name, f"{name}:discover", f"{name}:again"}
            with serving(DATABASE_URL=url, REDIS_URL=redis_url) as service:
                until(lambda: service.get("/health/ready").json["status"] == "ready")
                user_id = int(client.hkeys(f"{name}:discover")[0])
                assert service.get(f"/users/{user_id}/recommendations").status == 200
                until(lambda: service.events("request")[-1].get("read_from") == "cache")
                server.terminate()
                server.wait()
                assert service.get(f"/users/{user_id}/recommendations").status == 200
                until(lambda: service.get("/health/ready").json["status"] == "degraded")
    finally:
        server.terminate()
        server.wait()


def answers(client):
    with contextlib.suppress(redis.RedisError):
        return client.ping()
