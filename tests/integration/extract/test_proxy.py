"""Read the API through a forwarding proxy: with a login, a wrong one, and when the proxy is down."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psycopg
import pytest

from extract.addresses import Proxy, environment_variable, find_proxy
from extract.errors import SettingError, SourceError
from extract.limits import Limits
from extract.pages import Client
from extract.source_tables import SOURCE_TABLES
from tests.command import command
from tests.integration.extract.conftest import QUICK, answer, page, staged, users
from tests.proxies import forwarding_proxy
from warehouse.errors import ExitCode

LOGIN = "us er:pä@ss/w:rd%?"
NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxy_of_the_user(monkeypatch):
    """Keep the variables of the user who runs the tests out of them."""
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper()):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy():
    with forwarding_proxy(LOGIN) as running:
        yield running


def with_login(proxy, login=LOGIN) -> str:
    user, _, password = login.partition(":")
    return proxy.url.replace("//", f"//{quote(user, safe='')}:{quote(password, safe='')}@")


def client(api_base_url, api_proxy, **options) -> Client:
    found = find_proxy(api_proxy, api_base_url)
    return Client(
        api_base_url, window=2, batch_size=3, deadline_seconds=20, proxy=found, **{"limits": QUICK, **options}
    )


def fetched(*arguments, **options) -> int:
    """Return the total of the first page of users."""
    return client(*arguments, **options).fetch(SOURCE_TABLES[0], 1, 3).total


def refused(*arguments, **options) -> str:
    with pytest.raises(SourceError) as failed:
        fetched(*arguments, **options)
    return str(failed.value)


@pytest.fixture(params=["http", "https"])
def api_url(request, answering, monkeypatch) -> str:
    """Serve an API with one user, over http and over https."""
    if request.param == "http":
        return answering(lambda handler: answer(handler, page(users(1))))
    files = request.getfixturevalue("self_signed")
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    return answering(lambda handler: answer(handler, page(users(1))), files)


def test_a_whole_extraction_goes_through_the_proxy(night, api, connection, proxy):
    api.set_rows({"users": users(*range(20))})
    night(api_proxy=with_login(proxy))
    assert staged(connection)["users"] == 20
    assert len(proxy.asked) == sum(api.requests.paths.values()) and proxy.asked[0].startswith(f"GET {api.url}/")


def test_an_api_at_https_is_read_through_a_tunnel_that_the_login_opens(api_url, proxy):
    assert fetched(api_url, with_login(proxy)) == 1
    (asked,) = proxy.asked
    host = api_url.partition("//")[2]
    assert asked == (f"CONNECT {host}" if api_url.startswith("https") else f"GET {api_url}/users?page=1&size=3")


@pytest.mark.parametrize("login", ["us er:wrong-secret", None])
def test_a_wrong_login_is_refused_at_once_in_one_line_without_the_login(api_url, proxy, login):
    address = with_login(proxy, login) if login else proxy.url
    message = refused(api_url, address)
    advice = "correct the user and the password in API_PROXY" if login else "put a user and a password into API_PROXY"
    assert (
        f"was refused by the proxy {proxy.url} (407 Proxy Authentication Required). Nothing was landed; {advice}"
        in (message)
    )
    assert "\n" not in message and "secret" not in message and "us%20er" not in message
    assert len(proxy.asked) == 1


def test_a_proxy_that_is_down_is_reported_after_a_few_attempts(api_url):
    message = refused(api_url, f"user:secret@{NOBODY_LISTENS.removeprefix('http://')}")
    assert f"failed 3 times in a row: the proxy {NOBODY_LISTENS} cannot be reached: " in message
    assert message.endswith("Connection refused. Nothing was landed; check API_PROXY, then run again.")
    assert "secret" not in message and "\n" not in message


def test_a_proxy_that_may_not_open_the_tunnel_is_a_refusal_and_one_that_cannot_yet_is_asked_again(
    answering,
    self_signed,
    monkeypatch,
    proxy,
):
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed[0]))
    api = answering(lambda handler: answer(handler, page(users(1))), self_signed)
    proxy.tunnel_status += [403]
    assert (
        f"/users page 1 was refused by the proxy {proxy.url} (403 Forbidden). Nothing was landed; check API_PROXY, or"
        in refused(api, with_login(proxy))
    )
    proxy.tunnel_status += [503, 429]
    assert fetched(api, with_login(proxy)) == 1
    assert len(proxy.asked) == 4
    proxy.tunnel_status += [502] * 3
    assert f"failed 3 times in a row: the proxy {proxy.url} answered 502 Bad Gateway. " in refused(
        api, with_login(proxy)
    )


def test_a_proxy_that_never_answers_ends_with_the_attempt():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        limits = Limits(attempts=2, attempt_seconds=0.3, first_wait_seconds=0.01)
        began = time.monotonic()
        for api in ("http://api.invalid", "https://api.invalid"):
            assert "no whole answer within 0.3 seconds" in refused(api, address, limits=limits)
        assert time.monotonic() - began < 5


def test_a_proxy_that_opens_no_tunnel_in_time_is_named(monkeypatch):
    monkeypatch.setattr("extract.pages._CONNECT_SECONDS", 0.2)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        message = refused("https://api.invalid", address)
    assert (
        f"in a row: the proxy {address} opened no connection within 0.2 seconds. Nothing was landed; check" in message
    )


def test_closing_the_client_cuts_a_tunnel_that_is_not_open_yet():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        reading = client("https://api.invalid", address, limits=Limits(attempts=1, attempt_seconds=60))
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(reading.fetch, SOURCE_TABLES[0], 1, 3)
            accepted, _ = silent.accept()
            began = time.monotonic()
            reading.close()
            assert isinstance(future.exception(), SourceError)
            assert time.monotonic() - began < 5
            accepted.close()


@pytest.mark.parametrize(
    ("variables", "base_url", "variable"),
    [
        ({}, "https://api.example.com", None),
        ({"HTTPS_PROXY": "http://a:1"}, "https://api.example.com", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, "https://api.example.com", "https_proxy"),
        ({"HTTPS_PROXY": "http://a:1"}, "http://api.example.com", None),
        ({"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://b:1"}, "http://api.example.com", "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "other,.example.com"}, "https://api.example.com:8443", None),
        ({"HTTPS_PROXY": "http://a:1", "no_proxy": "*"}, "https://api.example.com", None),
        ({"HTTPS_PROXY": "", "API_PROXY": "http://a:1"}, "https://api.example.com", None),
    ],
)
def test_the_usual_variables_mean_what_they_mean_elsewhere(variables, base_url, variable, monkeypatch):
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert environment_variable(base_url) == variable
    proxy = find_proxy("environment", base_url)
    assert proxy == (Proxy(variable, variables[variable]) if variable else None)


def test_the_usual_variables_are_used_on_request_only(api_url, proxy, monkeypatch):
    scheme = api_url.partition(":")[0]
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", with_login(proxy))
    assert fetched(api_url, None) == 1
    assert proxy.asked == []
    assert fetched(api_url, "environment") == 1
    assert len(proxy.asked) == 1
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.url)
    assert f"put a user and a password into {scheme.upper()}_PROXY" in refused(api_url, "environment")


@pytest.mark.parametrize(("no_proxy", "is_advised"), [("", True), ("127.0.0.1", False)])
def test_a_proxy_that_is_not_used_is_named_when_the_api_is_not_reached(no_proxy, is_advised, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", with_login(proxy))
    monkeypatch.setenv("NO_PROXY", no_proxy)
    advice = "HTTP_PROXY is set and not used; set API_PROXY=environment to use it" if is_advised else "check the API"
    message = refused(NOBODY_LISTENS, None)
    assert f"Nothing was landed; {advice}" in message
    assert "us%20er" not in message and proxy.asked == []


@pytest.mark.parametrize(
    "address",
    ["https://secret@proxy:3128", "socks5://secret@proxy", "http://u:se/cret@proxy:3128", "http://secret@", "http://[",
     "http://proxy:secret", "http://proxy/secret", "http://proxy?secret", "http://pro xy:1", "http://proxy:0"],
)  # fmt: skip
def test_an_address_that_is_no_http_proxy_is_refused_without_quoting_it(address, monkeypatch):
    with pytest.raises(
        SettingError, match=r"^API_PROXY is not the address of an HTTP proxy such as http://user:"
    ) as refusal:
        find_proxy(address, "https://api.example.com")
    assert "cret" not in str(refusal.value)
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(SettingError, match=r"^HTTPS_PROXY is not the address of an HTTP proxy"):
        find_proxy("environment", "https://api.example.com")


@pytest.mark.parametrize(
    ("text", "address"),
    [("proxy", "http://proxy:80"), ("proxy:3128", "http://proxy:3128"), ("http://[::1]:3128/", "http://[::1]:3128"),
     (" http://proxy:3128 ", "http://proxy:3128")],
)  # fmt: skip
def test_an_address_may_lack_its_scheme_and_its_port(text, address):
    assert find_proxy(text, "https://api.example.com") == Proxy("API_PROXY", address)


@pytest.mark.slow
def test_the_login_of_a_proxy_is_in_no_output_and_in_no_table(built_database_url, proxy, tmp_path, monkeypatch):
    monkeypatch.setenv("MOOVITAMIX_TRACEBACK", "1")
    (tmp_path / "proxy").write_text(with_login(proxy, "secret-user:secret-password") + "\n")
    settings = {"DATABASE_URL": built_database_url, "API_BASE_URL": "https://api.invalid"}
    ended = command("run", API_PROXY_FILE=str(tmp_path / "proxy"), **settings)
    assert ended.code == ExitCode.SOURCE_FAILED
    assert f"was refused by the proxy {proxy.url} (407 " in ended.err.splitlines()[-1]
    wrong = command("extract", API_PROXY="ftp://secret-user:secret-password@proxy", **settings)
    assert "API_PROXY is not the address" in wrong.only_line(ExitCode.WRONG_SETTINGS)
    assert "secret" not in ended.out + ended.err + wrong.out + wrong.err
    with psycopg.connect(built_database_url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'ops'").fetchall()
        rows = [connection.execute(f"select * from ops.{name}").fetchall() for (name,) in tables]
    assert "secret-" not in json.dumps(rows, default=str)


@pytest.mark.slow
def test_the_sample_api_is_read_without_the_proxy(tmp_path, built_database_url):
    ended = command("extract", "--sample", DATABASE_URL=built_database_url, API_PROXY=NOBODY_LISTENS)
    assert ended.code == ExitCode.PUBLISHED
