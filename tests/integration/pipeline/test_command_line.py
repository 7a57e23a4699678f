"""Commands with right and wrong usage, missing privileges and wrong addresses."""

import contextlib
import signal
import socket
import urllib.request
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pipeline.cli import main
from pipeline.records import run_ledger
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command, finish, launch, launched
from tests.databases import migrate
from tests.marts import contents
from tests.runs import run_pipeline_on
from warehouse import database, embedded_postgres, locks
from warehouse.errors import ExitCode

WORLD = World(seed=15, users=40, tracks=40, documents=40)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["run", "--loudly"],
        ["run", "--batch_size", "0"],
        ["run", "--batch-size", "101"],
        ["run", "--batch-size", "many"],
        ["run", "--api_base_url", "api.example.com"],
        ["run", "--api-base-url", "ftp://api.example.com"],
        ["run", "--api-base-url", "http://someone:secret@api.example.com"],
        ["status", "--database-url", "odd:secret@host/db"],
        ["status", "--database-url", "postgresql://odd:secret%2@host/db"],
        ["status", "--database-url", "user=odd password=very secret"],
        ["run", "--sample", "--api-base-url", "http://127.0.0.1:1"],
        ["status", "--database-url", "a warehouse"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, database_url):
    line = command(*arguments, DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)
    assert "secret" not in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["gate", "show", "\udcff"],
        ["gate", "release", "1", "users\udcff", "--reason", "why"],
        ["gate", "reject", "1", "users", "--reason", "caf\udce9"],
        ["erase", "secret\udcff", "--reason", "why"],
        ["status", "--database-url", "postgresql://odd:secret\udcff@host/db"],
    ],
    ids=ascii,
)
def test_an_argument_that_is_not_utf_8_is_exit_code_2(arguments, database_url):
    line = command(*arguments, DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)
    (place,) = (number for number, argument in enumerate(arguments, 1) if not argument.isascii())
    assert f"argument {place} is not UTF-8" in line and "secret" not in line


def test_a_setting_that_is_not_utf_8_is_named(database_url):
    line = command("status", DATABASE_URL=database_url, ERASURE_KEY="secret\udcff").only_line(ExitCode.WRONG_SETTINGS)
    assert "ERASURE_KEY is not UTF-8" in line and "secret" not in line


def test_an_environment_variable_is_checked_like_its_option(database_url):
    line = command("run", BATCH_SIZE="0", DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)
    assert "--batch-size" in line and "BATCH_SIZE" in line


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"MAX_PAGES": "many"}, "MAX_PAGES must be a whole number above 0"),
        ({"DBT_TARGET": "nowhere"}, "DBT_TARGET is 'nowhere', which is none of the targets dev, ci, prod, citus"),
        ({"MOOVITAMIX_HOME": "/tmp/100% full"}, "/tmp/100% full contains a %, with which dlt cannot name files"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_refused_before_anything_is_written(settings, why, database_url, connection):
    settings = {"DATABASE_URL": database_url, "API_BASE_URL": "http://127.0.0.1:9", **settings}
    assert why in command("run", **settings).only_line(ExitCode.WRONG_SETTINGS)
    assert connection.execute("select to_regnamespace('ops') is null").fetchone()[0]


def test_extraction_limits_are_settings_and_an_invalid_one_is_named(database_url):
    with serve(snapshot(WORLD, 0)) as server:
        api = {"API_BASE_URL": server.url, "DATABASE_URL": database_url}
        assert "MAX_PAGES" in command("extract", MAX_PAGES="1", BATCH_SIZE="10", **api).only_line(
            ExitCode.SOURCE_FAILED
        )


def test_gate_show_accepts_the_database_url_option(built_database_url):
    assert "load" in command("gate", "show", "--database-url", built_database_url).out


def test_help_names_every_command():
    ended = command("--help")
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, "")
    for name in main.COMMANDS:
        assert f"\n  {name} " in ended.out
        assert command(name, "--help").code == ExitCode.PUBLISHED


def test_sample_data_enter_a_real_warehouse_only_with_an_explicit_option(database_url, connection):
    line = command("run", DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)
    assert "API_BASE_URL" in line and "--sample" in line
    assert connection.execute("select to_regnamespace('ops') is null").fetchone()[0], "nothing was written"

    assert command("extract", "--sample", DATABASE_URL=database_url).code == ExitCode.PUBLISHED
    assert connection.execute("select rows_read > 0 from staging.scans").fetchall() == [(True,)] * 3


def test_an_unreachable_warehouse_or_failed_login_is_exit_code_7(database_url):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listening
        unreachable = f"postgresql://moovitamix:hidden@127.0.0.1:{nobody.getsockname()[1]}/db"
        for arguments in (["run", "--sample"], ["status"]):
            line = command(*arguments, DATABASE_URL=unreachable).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
            assert "hidden" not in line and "check DATABASE_URL" in line
    line = command("status", DATABASE_URL="postgresql://odd:half@secret@127.0.0.1/db").only_line(7)
    assert "secret" not in line, "an @ that was not percent-encoded made it a part of the host"
    user, place = database_url.rsplit("@", 1)
    wrong = f"{user.rsplit(':', 1)[0]}:mistaken@{place}"
    line = command("status", DATABASE_URL=wrong).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "password authentication failed" in line and "mistaken" not in line
    assert "does not exist" in command("status", DATABASE_URL=database_url + "_not").only_line(7)


def test_a_user_without_privileges_sees_which_are_missing_and_can_run_after_getting_them(database_url, connection):
    place = database_url.rsplit("@", 1)[1]
    with role(connection, 'few "rights"') as password, serve(snapshot(WORLD, 0)) as api:
        settings = {"DATABASE_URL": f"postgresql://few%20%22rights%22:{password}@{place}", "API_BASE_URL": api.url}

        line = command("run", **settings).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)

        grant = line[line.index("grant create") : line.index(" (exit")]
        connection.execute(grant)
        connection.execute("create schema features")
        line = command("run", **settings).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
        assert "does not own its schemas (features)" in line
        connection.execute(line[line.index("alter schema") : line.index(" Then run again")])
        assert command("run", **settings).code == ExitCode.PUBLISHED


@contextlib.contextmanager
def role(connection, name):
    """A role that can log in, and its password."""
    password = "only-for-this-test"
    identifier = sql.Identifier(name)
    connection.execute(sql.SQL("create role {} login password {}").format(identifier, password))
    yield password
    connection.execute(sql.SQL("drop owned by {} cascade").format(identifier))
    connection.execute(sql.SQL("drop role {}").format(identifier))


def test_an_unexpected_error_is_one_line_and_shows_its_traceback_on_request(database_url, monkeypatch):
    def fail(*_):
        raise KeyError("what nobody foresaw")

    monkeypatch.setattr("pipeline.console.status_view.show", fail)
    line = command("status", DATABASE_URL=database_url).only_line(ExitCode.UNEXPECTED_ERROR)
    assert "KeyError" in line and "MOOVITAMIX_TRACEBACK=1" in line and "nobody foresaw" not in line
    shown = command("status", DATABASE_URL=database_url, MOOVITAMIX_TRACEBACK="1")
    assert "in fail\n" in shown.err and "KeyError: 'what nobody foresaw'" in shown.err
    assert shown.code == ExitCode.UNEXPECTED_ERROR and "the traceback is above (exit 1)" in shown.err.splitlines()[-1]


def test_an_unexpected_error_of_a_file_names_the_file(built_database_url):
    home = "/tmp/" + "x" * 300
    line = command("build", DATABASE_URL=built_database_url, MOOVITAMIX_HOME=home).only_line(ExitCode.UNEXPECTED_ERROR)
    assert f"(File name too long: {home})" in line


def test_recorded_names_survive_dump_and_restore_and_the_next_run_continues(built_database_url, database_url, tmp_path):
    """Case 11."""
    file = str(tmp_path / "warehouse.dump")
    assert command("pg_dump", "-Fc", "-f", file, DATABASE_URL=built_database_url).code == 0
    restored = command("pg_restore", "--exit-on-error", file, DATABASE_URL=database_url)
    assert (restored.code, restored.err) == (0, "")
    before = contents(built_database_url)
    assert contents(database_url) == before

    for url in (built_database_url, database_url):
        assert (
            run_pipeline_on(url, snapshot(World(seed=15, users=40, tracks=40, documents=40), 2)).message
            == "all published"
        )

    assert contents(database_url) == contents(built_database_url) != before


def test_psql_reaches_the_warehouse_and_keeps_its_exit_code(database_url):
    ended = finish(launch("psql", "-Atc", "select current_database()", DATABASE_URL=database_url))
    assert (ended.code, ended.out.strip()) == (0, database_url.rsplit("/", 1)[1])
    assert finish(launch("psql", "-c", "select nonsense", DATABASE_URL=database_url)).code == 1


def test_dbt_works_on_its_own_after_a_run(built_database_url):
    ended = command("dbt", "test", "--select", "test_type:data", DATABASE_URL=built_database_url)
    assert ended.code == ExitCode.PUBLISHED and "ERROR=0" in ended.out and "\x1b" not in ended.out
    assert "such command" in command("dbt", "sing", DATABASE_URL=built_database_url).only_line(ExitCode.WRONG_SETTINGS)
    assert "dbt" in command("dbt", "--version", DATABASE_URL=built_database_url).out

    with psycopg.connect(built_database_url) as connection:
        connection.execute("update marts.users set _load_id = 'nobody published this'")
    ended = command("dbt", "test", "--select", "test_type:singular", DATABASE_URL=built_database_url)
    assert "dbt test" in ended.only_line(ExitCode.BUILD_FAILED)
    assert "assert_marts_show_published_loads_only" in ended.out


def test_a_writing_dbt_command_holds_the_run_lock(built_database_url, monkeypatch):
    place = database.find(built_database_url, "test")
    with locks.run_lock(place):
        for arguments in (["run"], ["build", "--select", "users"], ["run-operation", "drop"], ["test"]):
            command("dbt", *arguments, DATABASE_URL=built_database_url).only_line(ExitCode.ALREADY_RUNNING)
        assert command("dbt", "--version", DATABASE_URL=built_database_url).code == ExitCode.PUBLISHED

    with psycopg.connect(built_database_url) as connection:
        locked = []
        monkeypatch.setattr(
            "pipeline.cli.programs.run_with_output", lambda *_: locked.append(locks.is_running(connection))
        )
        for arguments in (["--no-use-colors", "snapshot"], ["docs", "serve"]):
            assert command("dbt", *arguments, DATABASE_URL=built_database_url).code == ExitCode.PUBLISHED
        assert locked == [True, False]


def test_docs_are_one_page_and_the_answer_says_where(built_database_url, tmp_path):
    ended = command("docs", DATABASE_URL=built_database_url, DBT_TARGET_PATH=str(tmp_path))
    page = Path(ended.out.split(": ")[1].strip())
    assert page.parent == tmp_path and "moovitamix" in page.read_text()


@pytest.mark.slow
def test_the_docs_are_served_only_on_loopback_until_a_signal(built_database_url, tmp_path):
    settings = {"DATABASE_URL": built_database_url, "DBT_TARGET_PATH": str(tmp_path)}
    with launched("docs-serve", "--port", "0", **settings) as process:
        address = process.stdout.readline().split("the dbt docs are served at ")[1].split()[0]
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == (tmp_path / "static_index.html").read_bytes()
        with urllib.request.urlopen(f"{address}manifest.json") as answer:
            assert answer.read() == b"", "the page is all there is to see"
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", int(address.split(":")[2].strip("/"))))
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert (ended.code, ended.out, ended.err) == (ExitCode.PUBLISHED, "", "")


def test_a_port_in_use_by_another_program_is_reported_before_the_docs_are_generated():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = command("docs-serve", DATABASE_URL="postgresql://127.0.0.1:1/nowhere", DOCS_PORT=port)
    line = ended.only_line(ExitCode.WRONG_SETTINGS)
    assert f"127.0.0.1:{port}" in line and "DOCS_PORT" in line


def test_stop_reports_whether_the_server_was_running(tmp_path):
    assert "was not running" in command("stop", MOOVITAMIX_HOME=str(tmp_path)).out


def test_stop_is_refused_during_a_run_unless_it_is_forced(tmp_path):
    folder = tmp_path / ".postgres"
    url = embedded_postgres.start(folder)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            migrate(connection)
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [locks.RUN_LOCK])
            run_id = run_ledger.start_run(connection, run_ledger.FULL_RUNS[0])
            for verb in ("stop", "clean"):
                line = command(verb, MOOVITAMIX_HOME=str(tmp_path)).only_line(ExitCode.ALREADY_RUNNING)
                assert f"run {run_id} is using the embedded Postgres" in line and "make stop ARGS=--force" in line
            assert embedded_postgres.is_running(folder)
            ended = command("stop", "--force", MOOVITAMIX_HOME=str(tmp_path))
            assert (ended.code, ended.out) == (ExitCode.PUBLISHED, "the embedded Postgres is stopped\n")
        assert not embedded_postgres.is_running(folder)
    finally:
        embedded_postgres.stop(folder)


def test_status_reports_that_it_starts_a_stopped_server_and_a_stop_without_a_run_succeeds(tmp_path):
    settings = {"MOOVITAMIX_HOME": str(tmp_path), "DATABASE_URL": "", "API_BASE_URL": ""}
    try:
        first, *others = command("status", **settings).out.splitlines()
        assert first == "the embedded Postgres is not running and starts now; to stop it: make stop"
        assert others[-1] == "no run yet; start one with: make run"
        assert command("status", **settings).out.splitlines() == others
        assert command("stop", **settings).out == "the embedded Postgres is stopped\n"
    finally:
        embedded_postgres.stop(tmp_path / ".postgres")


def test_a_fixed_port_of_the_embedded_postgres_must_be_one(tmp_path):
    line = command("status", MOOVITAMIX_HOME=str(tmp_path), POSTGRES_PORT="70000").only_line(ExitCode.WRONG_SETTINGS)
    assert "POSTGRES_PORT" in line
