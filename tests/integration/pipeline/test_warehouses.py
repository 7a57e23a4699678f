"""Runs work with every form of DATABASE_URL, on other servers and full disks, and write no password."""

import itertools
import os
import pwd
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote, quote_plus

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command, finish, launched, until
from tests.databases import other_encoding
from tests.integration.pipeline.test_run_record import RECORD
from warehouse import database
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)
PASSWORD = """p@ss:w/or d%$#&?'"\\=+é"""


@pytest.fixture
def odd_login(database_url, connection):
    """Parameters of a connection to the test's database as a user with the oddest of passwords."""
    connection.execute(sql.SQL("create role odd superuser login password {}").format(PASSWORD))
    known = conninfo_to_dict(database_url)
    yield {"host": known["host"], "port": known["port"], "dbname": known["dbname"], "user": "odd"}
    connection.execute("drop owned by odd cascade")
    connection.execute("drop role odd")


def as_url(login, scheme="postgresql", password=PASSWORD, **query):
    options = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    place = f"{login['host']}:{login['port']}/{login['dbname']}"
    return f"{scheme}://{login['user']}:{quote(password, safe='')}@{place}?{options}"


def as_pairs(login, **more):
    def quoted(value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return " ".join(f"{name}={quoted(value)}" for name, value in {**login, **more}.items())


def test_every_form_of_an_address_leads_to_the_same_warehouse(odd_login, tmp_path, monkeypatch):
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passfile = tmp_path / "passwords"
    passfile.write_text(f"*:*:*:odd:{escaped}\n")
    passfile.chmod(0o600)
    services = tmp_path / "services"
    in_service = {**odd_login, "options": "-c work_mem=8MB -c client_encoding=LATIN1"}
    services.write_text("[night]\n" + "".join(f"{name}={value}\n" for name, value in in_service.items()))
    plain = as_url(odd_login).replace(quote(PASSWORD, safe=""), "").replace("odd:", "odd")
    forms = [
        (as_url(odd_login), {}),
        (as_url(odd_login, "postgres", sslmode="disable", application_name="a b"), {}),
        (as_url(odd_login, options="-c search_path=nowhere -c work_mem=8MB"), {}),
        (as_url({**odd_login, "host": f"127.0.0.1:1,{odd_login['host']}"}), {}),
        (as_url(odd_login, connect_timeout="3"), {"PGHOSTADDR": "127.0.0.1"}),
        (as_url(odd_login, client_encoding="LATIN1"), {}),
        (as_url(odd_login), {"PGCLIENTENCODING": "SQL_ASCII"}),
        (as_pairs(odd_login, password=PASSWORD), {}),
        (as_pairs(odd_login, hostaddr="127.0.0.1", password=PASSWORD), {}),
        (plain, {"PGPASSWORD": PASSWORD}),
        (plain, {"PGPASSFILE": str(passfile)}),
        ("service=night", {"PGSERVICEFILE": str(services), "PGPASSFILE": str(passfile)}),
        ("postgresql://", {**{f"PG{n.upper()}": v for n, v in odd_login.items() if n != "dbname"},
                           "PGDATABASE": odd_login["dbname"], "PGPASSWORD": PASSWORD}),
    ]  # fmt: skip
    for form, environment in forms:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            place = database.find(form, "the test")
        # what goes to dlt and Great Expectations is whole without any of that
        with psycopg.connect(place.conninfo) as connection:
            assert connection.execute(
                "select current_user, current_database(), current_setting('application_name')"
            ).fetchone() == ("odd", odd_login["dbname"], "the test"), form
            assert connection.info.encoding == "utf-8", form
            if "options" in form or "service" in form:
                assert connection.execute("show work_mem").fetchone() == ("8MB",)
        assert place.parameters["password"] == PASSWORD


def test_runs_with_an_unusual_address_succeed_and_write_no_password(odd_login, connection, tmp_path):
    folders = {"MOOVITAMIX_HOME": tmp_path / "home", "DBT_TARGET_PATH": tmp_path / "t", "DBT_LOG_PATH": tmp_path / "l"}
    environment = {name: str(folder) for name, folder in folders.items()} | {"PGCLIENTENCODING": "SQL_ASCII"}
    address = as_url(odd_login, "postgres", sslmode="disable", application_name="x", options="-c work_mem=8MB")
    outputs = []
    with serve(snapshot(WORLD, 0)) as api:
        environment |= {"DATABASE_URL": address, "API_BASE_URL": api.url}
        good = command("run", **environment)
        api.faults.add("latency=1")
        with launched("extract", **environment) as process:
            until(lambda: api.requests.in_flight)
            outputs.append(subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout)
            api.faults.clear()
            ended = finish(process)
            assert ended.code == ExitCode.PUBLISHED
    assert good.code == ExitCode.PUBLISHED
    assert connection.execute("select count(*) > 0 from marts.listen_history").fetchone()[0]
    connection.execute("alter table marts.track_genres add constraint no_more check (genre is null) not valid")
    connection.execute("truncate marts.track_genres, prep.builds")  # all is to be counted again
    bad = command("build", **{**environment, "DATABASE_URL": as_pairs(odd_login, password=PASSWORD)})
    assert bad.code == ExitCode.BUILD_FAILED
    lost = [
        command("status", DATABASE_URL=form)
        for form in (
            address.replace("/test?", "/no_test?"),
            address.replace(f":{odd_login['port']}/", ":1/"),
            as_url(odd_login, password=PASSWORD + "x"),
            f"postgresql://odd:{PASSWORD}@127.0.0.1/db",
            f"host=127.0.0.1 user=odd password={PASSWORD}",
        )
    ]
    assert {ended.code for ended in lost} <= {ExitCode.WRONG_SETTINGS, ExitCode.WAREHOUSE_UNAVAILABLE}
    outputs += itertools.chain.from_iterable((ended.out, ended.err) for ended in (ended, good, bad, *lost))
    outputs += [repr(connection.execute(f"select * from ops.{table}").fetchall()) for table in RECORD]
    outputs += [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(outputs) > 20, "dlt's and dbt's folders should hold something"
    spellings = {PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), quote_plus(PASSWORD), repr(PASSWORD)[1:-1]}
    for spelling in spellings | {"p@ss", "w/or", "ss:w", quote("p@ss:w", safe="")}:
        for text in outputs:
            assert spelling not in text, text[max(0, text.index(spelling) - 200) :][:400]


@pytest.mark.machine
def test_postgres_15_on_a_socket_works_as_the_warehouse(debian_postgres):
    folder, port = debian_postgres
    address = f"postgresql://moovitamix@/postgres?host={quote(str(folder), safe='')}&port={port}"
    world = snapshot(WORLD, 0)
    users = [*world.users, b'{"id": 990099, "email": "nul\\u0000@example.org"}']
    with serve({"users": users, "tracks": world.tracks, "listen_history": world.listen_history}) as api:
        ended = command("run", DATABASE_URL=address, API_BASE_URL=api.url)
    assert ended.code == ExitCode.PUBLISHED, ended.err
    with psycopg.connect(address, autocommit=True) as connection:
        assert connection.info.server_version // 10000 == 15
        assert connection.execute("select count(*) > 0 from features.user_genre_affinity").fetchone()[0]
        connection.execute("analyze")

        erased = command("erase", "990099", "--reason", "a request", DATABASE_URL=address, ERASURE_KEY="k" * 32)

        # before version 18 only a superuser can empty the statistics of a table that became empty
        (line,) = [line for line in erased.out.splitlines() if "delete from pg_statistic" in line]
        kept = "select count(*) from pg_stats where tablename = 'unreadable_rows'"
        assert connection.execute(kept).fetchone()[0] > 0
        connection.execute(line[line.index("delete from") :])
        assert connection.execute(kept).fetchone() == (0,)


def test_a_warehouse_that_cannot_hold_every_text_is_refused(postgres_url):
    with other_encoding(postgres_url, "SQL_ASCII") as address:
        line = command("run", DATABASE_URL=address, API_BASE_URL="http://127.0.0.1:9").only_line(
            ExitCode.WAREHOUSE_UNAVAILABLE
        )
        assert "is encoded in SQL_ASCII" in line and "encoding 'UTF8'" in line
        with psycopg.connect(address) as connection:
            assert connection.execute("select from pg_namespace where nspname = 'ops'").rowcount == 0


@pytest.fixture
def tiny_disk():
    """A file system of 16 MB that the suite's Postgres may write to."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    root = Path(tempfile.mkdtemp(prefix="moovitamix-disk-"))
    root.chmod(0o755)
    options = f"size=16m,mode=700,uid={pwd.getpwnam('nobody').pw_uid}"
    tried = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root], capture_output=True, text=True)
    if tried.returncode != 0:
        root.rmdir()
        pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
    yield root
    subprocess.run(["umount", root], check=True)
    root.rmdir()


def test_a_full_disk_ends_the_run_and_the_next_one_succeeds(postgres_url, tiny_disk):
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"create tablespace tiny location '{tiny_disk}'")
        server.execute("create database tiny tablespace tiny")
        try:
            world = snapshot(WORLD, 0)
            long_text = os.urandom(100_000).hex()  # does not compress
            users = [{**user, "first_name": f"{number}{long_text}"} for number, user in enumerate(world.users)]
            address = postgres_url.rsplit("/", 1)[0] + "/tiny"
            with serve({"users": users, "tracks": world.tracks, "listen_history": world.listen_history}) as api:
                settings = {"DATABASE_URL": address, "API_BASE_URL": api.url}
                line = command("run", **settings).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
                assert "No space left on device" in line
                subprocess.run(["mount", "-o", "remount,size=400m", tiny_disk], check=True)
                assert command("extract", **settings).code == ExitCode.PUBLISHED
            with psycopg.connect(address) as connection:
                assert connection.execute("select count(*) from staging.users").fetchone() == (len(users),)
        finally:
            server.execute("drop database tiny with (force)")
            server.execute("drop tablespace tiny")


def test_a_database_with_a_publication_of_all_tables_is_usable(built_database_url):
    """For logical replication."""
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        (user_id,) = connection.execute("select min(id)::text from marts.users").fetchone()
        connection.execute("create publication everything for all tables")
        connection.execute("""
            insert into staging.users (key, payload, content_hash, _dlt_load_id, _dlt_id)
            select key, payload, content_hash, 'a crash', 'a crash' from staging.users limit 1
        """)
    with serve(snapshot(WORLD, 2), ["bad_rows=0.1/1"]) as api:
        ended = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url)
        assert ended.code == ExitCode.PUBLISHED and "Deleted 1 row" in ended.out, ended
    ended = command("erase", user_id, "--reason", "why", DATABASE_URL=built_database_url, ERASURE_KEY="x" * 32)
    assert ended.code == ExitCode.PUBLISHED, ended
