"""What an operator types, and what a typo, a missing right or a wrong address answers."""

import contextlib
import signal
import socket
import urllib.request
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pipeline import cli, warehouse
from pipeline.exits import Exit
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.marts import contents
from tests.nights import run_night_on
from tests.pipeline.command import command, finish, launch, launched

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
    line = command(*arguments, DATABASE_URL=database_url).only_line(Exit.WRONG_SETTINGS)
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
def test_what_is_not_utf_8_is_one_line_and_exit_code_2(arguments, database_url):
    line = command(*arguments, DATABASE_URL=database_url).only_line(Exit.WRONG_SETTINGS)
    (place,) = (number for number, argument in enumerate(arguments, 1) if not argument.isascii())
    assert f"argument {place} is not UTF-8" in line and "secret" not in line


def test_a_setting_that_is_not_utf_8_is_named(database_url):
    line = command("status", DATABASE_URL=database_url, ERASURE_KEY="secret\udcff").only_line(Exit.WRONG_SETTINGS)
    assert "ERASURE_KEY is not UTF-8" in line and "secret" not in line


def test_an_environment_variable_is_checked_as_its_option_is(database_url):
    assert "--batch-size" in command("run", BATCH_SIZE="0", DATABASE_URL=database_url).only_line(Exit.WRONG_SETTINGS)


def test_a_limit_of_the_pull_is_a_setting_and_a_wrong_one_is_named(database_url):
    with serve(snapshot(WORLD, 0)) as server:
        api = {"API_BASE_URL": server.url, "DATABASE_URL": database_url}
        assert "MAX_PAGES" in command("extract", MAX_PAGES="many", **api).only_line(Exit.WRONG_SETTINGS)
        assert "MAX_PAGES" in command("extract", MAX_PAGES="1", BATCH_SIZE="10", **api).only_line(Exit.SOURCE_FAILED)


def test_gate_show_takes_the_database_as_every_command_does(built_database_url):
    assert "load" in command("gate", "show", "--database-url", built_database_url).out


def test_help_names_every_command():
    ended = command("--help")
    assert (ended.code, ended.err) == (Exit.PUBLISHED, "")
    for name in cli.cli.commands:
        assert f"\n  {name} " in ended.out
        assert command(name, "--help").code == Exit.PUBLISHED


def test_the_sample_world_enters_a_real_warehouse_only_when_told_to(database_url, connection):
    line = command("run", DATABASE_URL=database_url).only_line(Exit.WRONG_SETTINGS)
    assert "API_BASE_URL" in line and "--sample" in line
    assert connection.execute("select to_regnamespace('ops') is null").fetchone()[0], "nothing was written"

    assert command("extract", "--sample", DATABASE_URL=database_url).code == Exit.PUBLISHED
    assert connection.execute("select rows_read > 0 from staging.scans").fetchall() == [(True,)] * 3


def test_a_warehouse_that_does_not_answer_or_let_us_in_is_exit_code_7(database_url):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listening
        unreachable = f"postgresql://moovitamix:hidden@127.0.0.1:{nobody.getsockname()[1]}/db"
        for arguments in (["run", "--sample"], ["status"]):
            line = command(*arguments, DATABASE_URL=unreachable).only_line(Exit.WAREHOUSE_UNAVAILABLE)
            assert "hidden" not in line and "check DATABASE_URL" in line
    line = command("status", DATABASE_URL="postgresql://odd:half@secret@127.0.0.1/db").only_line(7)
    assert "secret" not in line, "an @ that was not percent-encoded made it a part of the host"
    user, place = database_url.rsplit("@", 1)
    wrong = f"{user.rsplit(':', 1)[0]}:mistaken@{place}"
    line = command("status", DATABASE_URL=wrong).only_line(Exit.WAREHOUSE_UNAVAILABLE)
    assert "password authentication failed" in line and "mistaken" not in line
    assert "does not exist" in command("status", DATABASE_URL=database_url + "_not").only_line(7)


def test_a_user_without_rights_is_told_which_and_having_got_them_can_work(database_url, connection):
    place = database_url.rsplit("@", 1)[1]
    with role(connection, "few rights") as password, serve(snapshot(WORLD, 0)) as api:
        settings = {"DATABASE_URL": f"postgresql://few%20rights:{password}@{place}", "API_BASE_URL": api.url}

        line = command("run", **settings).only_line(Exit.WAREHOUSE_UNAVAILABLE)

        grant = line[line.index("grant create") : line.index(" (exit")]
        connection.execute(grant)
        connection.execute("create schema features")
        line = command("run", **settings).only_line(Exit.WAREHOUSE_UNAVAILABLE)
        assert "permission denied for schema features" in line and "own the schemas" in line
        assert connection.execute("select count(*) > 0 from marts.users").fetchone()[0]

        connection.execute('alter schema features owner to "few rights"')
        assert command("build", DATABASE_URL=settings["DATABASE_URL"]).code == Exit.PUBLISHED


@contextlib.contextmanager
def role(connection, name):
    """A role that can log in, and its password."""
    password = "only-for-this-test"
    identifier = sql.Identifier(name)
    connection.execute(sql.SQL("create role {} login password {}").format(identifier, password))
    yield password
    connection.execute(sql.SQL("drop owned by {} cascade").format(identifier))
    connection.execute(sql.SQL("drop role {}").format(identifier))


def test_an_unforeseen_error_is_one_line_and_shows_its_origin_on_request(database_url, monkeypatch):
    def fail(*_):
        raise KeyError("what nobody foresaw")

    monkeypatch.setattr("pipeline.status.show", fail)
    line = command("status", DATABASE_URL=database_url).only_line(Exit.UNFORESEEN)
    assert "KeyError" in line and "MOOVITAMIX_TRACEBACK=1" in line and "nobody foresaw" not in line
    shown = command("status", DATABASE_URL=database_url, MOOVITAMIX_TRACEBACK="1")
    assert "in fail\n" in shown.err and "KeyError: 'what nobody foresaw'" in shown.err
    assert shown.code == Exit.UNFORESEEN and "where it comes from is above (exit 1)" in shown.err.splitlines()[-1]


def test_a_dump_is_restored_into_another_warehouse_and_the_nights_go_on(built_database_url, database_url, tmp_path):
    """Case 11."""
    file = str(tmp_path / "warehouse.dump")
    assert finish(launch("pg_dump", "-Fc", "-f", file, DATABASE_URL=built_database_url)).code == 0
    restored = finish(launch("pg_restore", "--exit-on-error", file, DATABASE_URL=database_url))
    assert (restored.code, restored.err) == (0, "")
    before = contents(built_database_url)
    assert contents(database_url) == before

    for url in (built_database_url, database_url):
        assert (
            run_night_on(url, snapshot(World(seed=15, users=40, tracks=40, documents=40), 2)).message == "all published"
        )

    assert contents(database_url) == contents(built_database_url) != before


def test_psql_reaches_the_warehouse_and_ends_with_its_own_code(database_url):
    ended = finish(launch("psql", "-Atc", "select current_database()", DATABASE_URL=database_url))
    assert (ended.code, ended.out.strip()) == (0, database_url.rsplit("/", 1)[1])
    assert finish(launch("psql", "-c", "select nonsense", DATABASE_URL=database_url)).code == 1


def test_dbt_works_alone_after_a_run(built_database_url):
    ended = command("dbt", "test", "--select", "test_type:data", DATABASE_URL=built_database_url)
    assert ended.code == Exit.PUBLISHED and "ERROR=0" in ended.out and "\x1b" not in ended.out
    assert "such command" in command("dbt", "sing", DATABASE_URL=built_database_url).only_line(Exit.WRONG_SETTINGS)
    assert "dbt" in command("dbt", "--version", DATABASE_URL=built_database_url).out

    with psycopg.connect(built_database_url) as connection:
        connection.execute("update marts.users set _load_id = 'nobody published this'")
    ended = command("dbt", "test", "--select", "test_type:singular", DATABASE_URL=built_database_url)
    assert "dbt test" in ended.only_line(Exit.BUILD_FAILED)
    assert "assert_marts_show_published_loads_only" in ended.out


def test_what_dbt_may_write_is_a_run_and_no_other_is_at_work(built_database_url, monkeypatch):
    place = warehouse.find(built_database_url, "test")
    with warehouse.only_run(place):
        for arguments in (["run"], ["build", "--select", "users"], ["run-operation", "drop"], ["test"]):
            command("dbt", *arguments, DATABASE_URL=built_database_url).only_line(Exit.ALREADY_RUNNING)
        assert command("dbt", "--version", DATABASE_URL=built_database_url).code == Exit.PUBLISHED

    with psycopg.connect(built_database_url) as connection:
        locked = []
        monkeypatch.setattr("pipeline.dbt.run_aloud", lambda _: locked.append(warehouse.is_running(connection)))
        for arguments in (["--no-use-colors", "snapshot"], ["docs", "serve"]):
            assert command("dbt", *arguments, DATABASE_URL=built_database_url).code == Exit.PUBLISHED
        assert locked == [True, False]


def test_docs_are_one_page_and_the_answer_says_where(built_database_url, tmp_path):
    ended = command("docs", DATABASE_URL=built_database_url, DBT_TARGET_PATH=str(tmp_path))
    page = Path(ended.out.split(": ")[1].strip())
    assert page.parent == tmp_path and "moovitamix" in page.read_text()


def test_the_docs_are_served_to_this_machine_alone_until_a_signal_ends_it(built_database_url, tmp_path):
    settings = {"DATABASE_URL": built_database_url, "DBT_TARGET_PATH": str(tmp_path)}
    with launched("docs-serve", "--port", "0", **settings) as process:
        address = process.stdout.readline().split("the docs are at ")[1].split()[0]
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == (tmp_path / "static_index.html").read_bytes()
        with urllib.request.urlopen(f"{address}manifest.json") as answer:
            assert answer.read() == b"", "the page is all there is to see"
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", int(address.split(":")[2].strip("/"))))
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert (ended.code, ended.out, ended.err) == (Exit.PUBLISHED, "", "")


def test_a_taken_port_of_the_docs_is_told_before_the_warehouse_is_asked():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = command("docs-serve", DATABASE_URL="postgresql://127.0.0.1:1/nowhere", DOCS_PORT=port)
    line = ended.only_line(Exit.WRONG_SETTINGS)
    assert f"127.0.0.1:{port}" in line and "DOCS_PORT" in line


def test_stop_says_whether_there_was_anything_to_stop(tmp_path):
    assert "was not running" in command("stop", MOOVITAMIX_HOME=str(tmp_path)).out


def test_a_fixed_port_of_the_embedded_postgres_must_be_one(tmp_path):
    line = command("status", MOOVITAMIX_HOME=str(tmp_path), POSTGRES_PORT="70000").only_line(Exit.WRONG_SETTINGS)
    assert "POSTGRES_PORT" in line
