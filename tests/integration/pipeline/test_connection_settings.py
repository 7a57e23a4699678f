"""`connect`, and the login for analysts on the embedded Postgres."""

import os
import stat
import subprocess

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pipeline.run import analyst_login, role_definitions
from tests.command import command
from tests.runs import small_sample_world
from warehouse import embedded_postgres
from warehouse.errors import ExitCode

READABLE = "select count(*) from marts.listens, marts.active_users, features.user_profile"


@pytest.fixture
def built(built_database_url):
    """Yield a connection of the owner; the roles are removed afterwards, because they belong to the whole server."""
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as connection:
        yield connection
        for role in (analyst_login.LOGIN, role_definitions.ANALYST):
            connection.execute(f"drop owned by {role}; drop role {role}")


def test_the_login_for_analysts_reads_everything_but_personal_columns_and_changes_nothing(
    built, built_database_url, tmp_path
):
    analyst_login.keep(built, tmp_path)
    file = analyst_login.password_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    login = make_conninfo(built_database_url, user=analyst_login.LOGIN, password=file.read_text())
    with psycopg.connect(login, autocommit=True) as analyst:
        assert analyst.execute(READABLE).fetchone()[0] > 0
        assert analyst.execute("select count(id) from marts.users").fetchone()[0] > 0
        for statement in ("select email from marts.users", "select * from gate.loads", "select * from staging.users"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute(statement)
        for statement in ("delete from marts.tracks", "create temporary table mine (id integer)"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                analyst.execute(statement)
        analyst.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst.execute("delete from marts.tracks")

        built.execute(f"revoke select on marts.artists from {role_definitions.ANALYST}")
        password, privileges = (
            file.read_text(),
            "select relname, xmin from pg_class where relacl is not null order by 1",
        )
        analyst_login.keep(built, tmp_path)
        analyst.execute("select name from marts.artists")
        before = built.execute(privileges).fetchall()
        analyst_login.keep(built, tmp_path)
        assert built.execute(privileges).fetchall() == before, "without a change, nothing is written"
    assert file.read_text() == password

    file.unlink()
    analyst_login.keep(built, tmp_path)
    psycopg.connect(login, password=file.read_text()).close()


def test_on_another_server_connect_names_the_role_and_prints_no_password(built_database_url):
    ended = command("connect", DATABASE_URL=built_database_url)
    assert ended.code == ExitCode.PUBLISHED
    address = psycopg.conninfo.conninfo_to_dict(built_database_url)
    lines = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert (lines["host"], lines["port"], lines["database"]) == (address["host"], address["port"], address["dbname"])
    assert "make grant" in lines["password"]
    assert set(lines) >= {"user", "psql", "SQLAlchemy", "DBeaver", "Metabase"}
    assert address["password"] not in ended.out + ended.err


def test_before_the_first_run_connect_and_insights_name_the_next_command(database_url):
    for name in ("connect", "insights"):
        assert "make run" in command(name, DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)


@pytest.mark.slow
def test_after_the_first_run_the_printed_settings_work_and_survive_a_restart(tmp_path):
    home = {"MOOVITAMIX_HOME": str(tmp_path)}
    tmp_path.chmod(0o711)
    try:
        with small_sample_world():
            assert command("run", **home).code == ExitCode.PUBLISHED
        assert stat.S_IMODE((tmp_path / ".postgres" / "analyst_password").stat().st_mode) == 0o600
        first = command("connect", **home).out
        embedded_postgres.stop(tmp_path / ".postgres")
        assert command("connect", **home).out == first, "the port stays the same"
        lines = dict(line.split(maxsplit=1) for line in first.splitlines())
        path = f"{embedded_postgres.binary('psql').parent}:{os.environ['PATH']}"
        shown = subprocess.run(
            [*("sh", "-c", f"{lines['psql']} -tAc 'select count(*) > 0, current_user from marts.listens'")],
            env={"PATH": path},
            capture_output=True,
            text=True,
        )
        assert shown.stdout.strip() == "t|analyst", shown
        assert command("insights", **home).out.endswith(f": {tmp_path / 'reports' / 'listening.html'}\n")
        page = (tmp_path / "reports" / "listening.html").read_text()
        assert (
            "Artists of the month" in page
            and "<script" not in page
            and "http" not in page.replace("http://www.w3.org", "")
        )
    finally:
        embedded_postgres.stop(tmp_path / ".postgres")
