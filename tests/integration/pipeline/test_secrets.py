"""Case 38: secret settings may come from files, and are written nowhere that other users can read."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock
from urllib.parse import quote, quote_plus

import psycopg
import pytest
from psycopg import sql

from monitoring.exporter import Records
from pipeline.schedule import scheduler
from pipeline.settings import SECRETS, secret
from tests.command import LIMIT_SECONDS, PROJECT, Ended, command, killed_on_exit, last_run
from tests.proxies import forwarding_proxy
from warehouse import embedded_postgres
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

PASSWORD = """pl@nted:p/ss w%d$#&?'"\\=+é"""
ERASURE_KEY = "pl@nted key of 32 characters and more"
API_PASSWORD = "pl@nted/api:password"
PROXY_PASSWORD = "pl@nted of the proxy/"
ALERT_PASSWORD = "pl@nted of the alerts & more"
ALERT_TOKEN = "T0kenOfAWebhook"


def spellings(secret):
    """How a secret may look where it was not meant to be."""
    as_bytes = secret.encode()
    return {
        as_bytes,
        as_bytes.hex().encode(),
        base64.b64encode(as_bytes),
        base64.urlsafe_b64encode(as_bytes),
        as_bytes.decode("latin-1").encode(),
        *(
            spelled.encode()
            for spelled in (
                quote(secret),
                quote(secret, safe=""),
                quote_plus(secret),
                repr(secret)[1:-1],
                json.dumps(secret)[1:-1],
                ascii(secret)[1:-1],
                secret.replace("\\", "\\\\").replace("'", "\\'"),
            )
        ),
    }


SECRETS_PLANTED = (PASSWORD, ERASURE_KEY, API_PASSWORD, PROXY_PASSWORD, ALERT_PASSWORD, ALERT_TOKEN)
PLANTED = {spelled for secret in SECRETS_PLANTED for spelled in spellings(secret)} | {
    b"pl@nted",
    quote("pl@nted").encode(),
    base64.b64encode(b"pl@nted")[:8],
}


def check(what, content):
    for spelled in PLANTED:
        at = content.find(spelled)
        assert at < 0, f"{what} has a secret: {content[max(0, at - 200) : at + 200]!r}"


@pytest.fixture
def proxy():
    with forwarding_proxy(f"planter:{PROXY_PASSWORD}") as running:
        yield running


@pytest.fixture
def files(tmp_path, database_url, connection, proxy):
    """The settings that name files with secrets. The login is a superuser with an odd password."""
    connection.execute(sql.SQL("create role planted superuser login password {}").format(PASSWORD))
    place = database_url.rsplit("@", 1)[1]
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "database").write_text(f"postgresql://planted:{quote(PASSWORD, safe='')}@{place}\n")
    (folder / "key").write_text(ERASURE_KEY)
    # nobody answers there
    login = f"pl%40nted:{quote(ALERT_PASSWORD, safe='')}"
    (folder / "alerts").write_text(
        f"json://{login}@127.0.0.1:1/{ALERT_TOKEN}\nmailto://{login}@127.0.0.1:1/?from=a@b.org&to=c@d.org\n"
    )
    (folder / "proxy").write_text(
        f"http://planter:{quote(PROXY_PASSWORD, safe='')}@{proxy.url.removeprefix('http://')}"
    )
    yield {
        "DATABASE_URL_FILE": str(folder / "database"),
        "API_PROXY_FILE": str(folder / "proxy"),
        "ERASURE_KEY_FILE": str(folder / "key"),
        "ALERT_URLS_FILE": str(folder / "alerts"),
    }
    connection.execute("drop owned by planted cascade")
    connection.execute("drop role planted")


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


@pytest.fixture
def database_url(built_database_url):
    return built_database_url


class Watched:
    """What /proc tells while it is watched: the command lines of all processes, and what ours were started with.

    Python's own helpers inherit the environment in which dbt wants the password. Only the user himself can read that of
    any process, and he can read the files too.
    """

    def __init__(self):
        self.command_lines = set()
        self.environments = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._is_over.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    command_line = (process / "cmdline").read_bytes()
                    self.command_lines.add(command_line)
                    if b"\0-m\0pipeline\0" in command_line:
                        self.environments.add((process / "environ").read_bytes())

    def close(self):
        self._is_over.set()
        self._thread.join()


def test_a_scheduled_run_writes_its_secrets_nowhere_and_all_files_below_its_home(
    files, connection, third_run_api, proxy, postgres_folder, tmp_path
):
    generated = [PROJECT / name for name in ("dbt_project/target", "dbt_project/logs", ".dbt", ".dlt", ".postgres")]
    before = [path.exists() and path.stat().st_mtime_ns for path in generated]
    home = tmp_path / "home"
    settings = {
        **files,
        "MOOVITAMIX_HOME": str(home),
        "DBT_TARGET_PATH": "",
        "DBT_LOG_PATH": "",
        "API_BASE_URL": third_run_api.url,
        "MOOVITAMIX_TRACEBACK": "1",
    }
    (user,) = connection.execute("select min(id)::text from marts.users").fetchone()
    erased = command("erase", user, "--reason", "a request", **settings)
    assert erased.code == ExitCode.PUBLISHED, erased
    connection.execute("update ops.runs set started_at = started_at - interval '2 days'")
    # so that the good run is announced
    connection.execute("update ops.runs set status = 'failed' where run_seq = 2")
    missed = datetime.now(UTC) - timedelta(minutes=1)
    schedule = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "schedule", f"--pipeline_runtime={missed:%H:%M}"],
        cwd=PROJECT,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    watched = Watched()
    output = []
    with contextlib.closing(watched), killed_on_exit(schedule, LIMIT_SECONDS) as process:
        while b"next run: " not in (line := process.stdout.readline()) and line:
            output.append(line)
        process.send_signal(signal.SIGTERM)
        output.append(process.stdout.read())
        assert process.wait() == ExitCode.PUBLISHED, output
    assert b"is done" in b"".join(output), output
    assert b"number 1 (JSON), number 2 (E-Mail) of the 2 in ALERT_URLS failed" in b"".join(output), output
    assert last_run(connection)[:2] == ("succeeded", ExitCode.PUBLISHED)
    assert proxy.asked
    assert any(b"\0run\0" in line for line in watched.command_lines), "the night itself should have been seen"
    assert any(b"DATABASE_URL_FILE=" in environment for environment in watched.environments)

    check("the output", b"".join(output) + erased.out.encode() + erased.err.encode())
    for command_line in watched.command_lines:
        check("the process list", command_line)
    for environment in watched.environments:
        check("an environment", environment)
    for ended in (command("status", **settings), command("report", **settings), scraped(settings)):
        assert ended.code == ExitCode.PUBLISHED, ended
        check("the output about the run", ended.out.encode() + ended.err.encode())
    names = set()
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.parent.name != "secrets":
            names.add(path.name)
            check(path, path.read_bytes())
    assert {"dbt.log", "partial_parse.msgpack", "nights.html"} < names and len(names) > 10
    assert {".dbt", ".dlt"} <= {path.name for path in home.iterdir()}
    assert [path.exists() and path.stat().st_mtime_ns for path in generated] == before
    dump = subprocess.run(
        [embedded_postgres.binary("pg_dump"), connection.info.dbname],
        env={**os.environ, **libpq_variables(connection)},
        capture_output=True,
        check=True,
    ).stdout
    assert b"COPY ops.runs" in dump and b"COPY staging._dlt_pipeline_state" in dump
    check("the warehouse", dump)
    check("the server's log", (postgres_folder / "postgres.log").read_bytes())


def scraped(settings):
    """What the metrics say, as a command's output."""
    with mock.patch.dict(os.environ, settings):
        records = Records(lambda: secret("DATABASE_URL"))
        lines = [str(sample) for family in records.collect() for sample in family.samples]
    assert len(lines) > 100
    return Ended(ExitCode.PUBLISHED, "\n".join(lines), "")


def libpq_variables(connection):
    info = connection.info
    return {"PGHOST": info.host, "PGPORT": str(info.port), "PGUSER": info.user, "PGPASSWORD": info.password}


def test_the_traceback_of_an_unexpected_error_contains_no_secret(files, monkeypatch):
    def fail(*_):
        try:
            proxy = f"{PROXY_PASSWORD} {quote(PROXY_PASSWORD, safe='')}"
            raise ValueError(f"{ERASURE_KEY} {ALERT_PASSWORD} {quote(ALERT_PASSWORD)} {ALERT_TOKEN} {proxy}")
        except ValueError as error:
            raise RuntimeError(f"{PASSWORD} {quote(PASSWORD)} {quote_plus(PASSWORD)} {json.dumps(PASSWORD)}") from error

    monkeypatch.setattr("pipeline.console.status_view.show", fail)
    ended = command("status", MOOVITAMIX_TRACEBACK="1", **files)
    assert "in fail\n" in ended.err and "RuntimeError: *** ***" in ended.err and "ValueError: *** ***" in ended.err
    check("the traceback", ended.err.encode())
    # of the password of the proxy, the beginning is masked as a part of others, too
    assert "of the proxy" not in ended.err and "of%20the%20proxy" not in ended.err


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("folder", "cannot be read (Is a directory)"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"pl@nted\xff", "is not UTF-8"),
        (b"pl@nted\0", "is not text"),
    ],
    ids=str,
)
def test_an_unusable_secret_file_is_named_with_its_variable(name, content, words, tmp_path):
    file = tmp_path / "secret"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    line = command("status", **{f"{name}_FILE": str(file)}).only_line(ExitCode.WRONG_SETTINGS)
    assert words in line and f"{name}_FILE" in line and str(file) in line
    check("the line", line.encode())


@pytest.mark.parametrize("name", SECRETS)
def test_a_setting_and_its_file_exclude_each_other(name, tmp_path):
    (tmp_path / "secret").write_text("pl@nted in the file")
    both = {name: "pl@nted in the variable", f"{name}_FILE": str(tmp_path / "secret")}
    line = command("status", **both).only_line(ExitCode.WRONG_SETTINGS)
    assert f"{name} and {name}_FILE are both set" in line
    check("the line", line.encode())


def test_an_address_from_a_file_is_used_and_an_option_overrides_it(built_database_url, tmp_path):
    (tmp_path / "url").write_text(f"{built_database_url}\r\n")
    assert "last runs" in command("status", DATABASE_URL_FILE=str(tmp_path / "url")).out
    (tmp_path / "url").write_text("postgresql://127.0.0.1:1/nowhere")
    option = f"--database-url={built_database_url}"
    assert "last runs" in command("status", option, DATABASE_URL_FILE=str(tmp_path / "url")).out
    (tmp_path / "api").write_text("http://127.0.0.1:1\n")
    files = {"DATABASE_URL": built_database_url, "API_BASE_URL_FILE": str(tmp_path / "api"), "MAX_SECONDS": "1"}
    assert "http://127.0.0.1:1/" in command("extract", **files).only_line(ExitCode.SOURCE_FAILED)


@pytest.mark.parametrize("where", ["variable", "file", "option"])
def test_an_api_address_with_a_password_is_refused_without_repeating_it(where, database_url, tmp_path):
    address = f"https://planted-user:{quote(API_PASSWORD, safe='')}@api.example.com"
    (tmp_path / "api").write_text(address)
    given = {"variable": {"API_BASE_URL": address}, "file": {"API_BASE_URL_FILE": str(tmp_path / "api")}}
    option = [f"--api-base-url={address}"] if where == "option" else []
    for verb in ("run", "schedule"):
        ended = command(verb, *option, DATABASE_URL=database_url, **given.get(where, {}))
        line = ended.only_line(ExitCode.WRONG_SETTINGS)
        assert "must not hold a user, a password" in line
        check("the line", line.encode())


def test_a_schedule_reads_a_changed_secret_file_again(built_database_url, monkeypatch, tmp_path):
    places = []

    def check_twice(_, find, trains):
        for address in (built_database_url, f"{built_database_url}?application_name=x&options=-c%20work_mem%3D8MB"):
            file.write_text(address)
            places.append(find().parameters["options"])

    file = tmp_path / "url"
    file.write_text(built_database_url)
    monkeypatch.setattr(scheduler, "run", check_twice)
    assert command("schedule", "--sample", DATABASE_URL_FILE=str(file)).code == ExitCode.PUBLISHED
    assert ["work_mem=8MB" in options for options in places] == [False, True]
