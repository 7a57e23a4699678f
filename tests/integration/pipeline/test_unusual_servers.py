"""A warehouse that is read-only, pooled, of another isolation or language; and a shell that knows another server."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from extract.database import describe_failure
from monitoring import metrics
from pipeline.run.dbt import Dbt, to_command_error
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command, finish, launch
from tests.databases import new_database
from tests.debian_postgres import debian_database
from tests.marts import contents
from tests.runs import forget_builds
from warehouse import database, embedded_postgres
from warehouse.errors import ExitCode

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_template`


@pytest.fixture
def api() -> Iterator[object]:
    with serve(snapshot(WORLD, 2)) as server:
        yield server


@contextlib.contextmanager
def setting(database_url: str, name: str, value: str) -> Iterator[None]:
    """Set a default of the database for the block."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        names = sql.Identifier(connection.info.dbname), sql.Identifier(name)
        connection.execute(sql.SQL("alter database {} set {} = {}").format(*names, sql.Literal(value)))
    yield


def test_a_read_only_warehouse_is_named_with_the_ways_out(built_database_url, api):
    with setting(built_database_url, "default_transaction_read_only", "on"):
        verbs = (["run"], ["build"], ["erase", "1", "--reason", "why"], ["prune", "--keep", "1d", "--reason", "why"])
        for verb in verbs:
            ended = command(*verb, DATABASE_URL=built_database_url, API_BASE_URL=api.url, ERASURE_KEY="x" * 32)
            line = ended.only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
            assert "it is read-only" in line and "default_transaction_read_only" in line, verb
        assert command("status", DATABASE_URL=built_database_url).code == ExitCode.PUBLISHED
    with psycopg.connect(built_database_url, options="-c default_transaction_read_only=off") as connection:
        connection.execute("drop table ops.alembic_version")
    line = command("migrate", DATABASE_URL=built_database_url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "it is read-only" in line


def test_a_run_has_its_own_isolation_level(built_database_url, api):
    with setting(built_database_url, "default_transaction_isolation", "serializable"):
        with database.find(built_database_url, "test").connect() as connection:
            assert connection.execute("show transaction_isolation").fetchone() == ("read committed",)
        ended = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url)
        assert ended.code == ExitCode.PUBLISHED, ended


# Others would change what Postgres returns, or how it reads SQL.
OTHER_SETTINGS = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "idle_session_timeout": "50ms",
    "idle_in_transaction_session_timeout": "5ms",
}


def test_settings_of_the_database_do_not_change_a_run(database_url):
    with contextlib.ExitStack() as stack:
        for name, value in OTHER_SETTINGS.items():
            stack.enter_context(setting(database_url, name, value))
        settings = {"DATABASE_URL": database_url, "PGDATESTYLE": "SQL, DMY"}
        with serve(snapshot(WORLD, 1), ["bad_rows=0.1/1"]) as api:
            for _ in range(2):
                ended = command("run", API_BASE_URL=api.url, **settings)
                assert ended.code == ExitCode.PUBLISHED, ended
                api.set_rows(snapshot(WORLD, 2).tables())
        for verb in (["status"], ["gate", "show"], ["gate", "replay", "--reason", "why", "--dry-run"]):
            assert command(*verb, **settings).code == ExitCode.PUBLISHED, verb
        with database.connect_for_monitoring(database_url, "test", 3) as connection:
            assert metrics.families(connection)


def test_a_timeout_in_the_options_of_the_shell_is_named(built_database_url):
    with psycopg.connect(built_database_url) as blocker:
        blocker.execute("lock table pg_namespace")  # the first statement of every command waits for it
        ended = command("status", DATABASE_URL=built_database_url, PGOPTIONS="-c statement_timeout=50")
    assert "`statement_timeout` is too short" in ended.only_line(ExitCode.WAREHOUSE_UNAVAILABLE)


def test_options_of_the_shell_that_forbid_writing_do_not_hinder_reading(built_database_url):
    options = "-c default_transaction_read_only=on"
    assert command("status", DATABASE_URL=built_database_url, PGOPTIONS=options).code == ExitCode.PUBLISHED


def test_a_landing_that_takes_too_long_names_the_setting(built_database_url):
    with (
        psycopg.connect(built_database_url, options="-c statement_timeout=1") as connection,
        pytest.raises(psycopg.errors.QueryCanceled) as failed,
    ):
        connection.execute("select pg_sleep(60)")
    line = describe_failure(failed.value, built_database_url)
    assert "canceling statement" in line and "`statement_timeout` is too short" in line


@pytest.mark.parametrize("name", ["it's", 'say "so"'])
def test_a_database_that_dbt_cannot_name_is_refused(postgres_url, name):
    with new_database(postgres_url, sql.Identifier(name).as_string()):
        address = make_conninfo(postgres_url, dbname=name)
        line = command("run", DATABASE_URL=address, API_BASE_URL="http://127.0.0.1:9").only_line(
            ExitCode.WRONG_SETTINGS
        )
        assert "contains a quote, which dbt cannot use" in line


@pytest.mark.slow
def test_any_other_name_of_a_database_works(postgres_url, api):
    name = r"100 %s \ {{ x }} $HOME & é"
    with new_database(postgres_url, sql.Identifier(name).as_string()):
        ended = command("run", DATABASE_URL=make_conninfo(postgres_url, dbname=name), API_BASE_URL=api.url)
        assert ended.code == ExitCode.PUBLISHED, ended


def test_a_mart_of_another_owner_is_named_with_the_way_out(built_database_url, api):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("create role somebody_else")
        connection.execute("alter table marts.users owner to somebody_else")
        try:
            line = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url).only_line(
                ExitCode.WAREHOUSE_UNAVAILABLE
            )
            assert "permission denied" in line and "must own the schemas" in line and "their relations" in line
            ended = command("dbt", "build", "--select", "listen_history", DATABASE_URL=built_database_url)
            assert ended.code == ExitCode.WAREHOUSE_UNAVAILABLE and "must own the schemas" in ended.err
        finally:
            connection.execute("reassign owned by somebody_else to current_user")
            connection.execute("drop role somebody_else")


def test_a_dropped_table_is_made_again_or_named(built_database_url, api):
    settings = {"DATABASE_URL": built_database_url, "API_BASE_URL": api.url}
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("drop table gate.batch_users")
        assert command("run", **settings).code == ExitCode.PUBLISHED
        connection.execute("alter table gate.loads rename to loads_of_old")
        line = command("run", **settings).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
        assert 'relation "gate.loads" does not exist' in line and "restore-from-backup.md" in line


@pytest.fixture
def files_of_dbt(tmp_path, monkeypatch) -> Path:
    """Return the folder in which dbt writes, in `target` and `logs`."""
    for variable, name in {"DBT_TARGET_PATH": "target", "DBT_LOG_PATH": "logs"}.items():
        monkeypatch.setenv(variable, str(tmp_path / name))
    return tmp_path


def fill_disk_under(file: Path) -> None:
    """Let every write into the file fail. Nothing may read it: it has no end."""
    file.parent.mkdir(parents=True)
    file.symlink_to("/dev/full")


def test_a_disk_that_is_full_for_dbt_is_named(built_database_url, files_of_dbt):
    forget_builds(built_database_url)
    fill_disk_under(files_of_dbt / "target/run/moovitamix/models/marts/users.sql")
    line = command("build", DATABASE_URL=built_database_url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert f"{files_of_dbt} cannot be written (No space left on device); free space there" in line
    assert "MOOVITAMIX_HOME" in line


def test_a_disk_that_is_full_for_the_log_of_dbt_ends_no_run(built_database_url, tmp_path, monkeypatch):
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    forget_builds(built_database_url)
    fill_disk_under(tmp_path / "logs/dbt.log")
    ended = command("build", DATABASE_URL=built_database_url)
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, "")


@pytest.mark.parametrize(
    ("sqlstate", "advice"),
    [
        ("53100", "free space on its disk"),
        ("42501", "the user lacks a privilege"),
        ("25006", "it is read-only"),
        ("57014", "`statement_timeout`"),
        ("55P03", "`lock_timeout`"),
        ("25P04", "`transaction_timeout`"),
        ("57P01", "run again"),
        ("53300", "run again"),
        ("23505", None),
        ("42P01", None),
    ],
)
def test_advice_follows_the_sqlstate_in_any_language(sqlstate, advice):
    found = database.advice_about(sqlstate, "FEHLER: irgendetwas")
    assert found is None if advice is None else advice in found


def test_a_failure_within_dbt_is_recognized_by_its_sqlstate(built_database_url, monkeypatch):
    """A server in another language would say it in other words."""
    warehouse = database.find(built_database_url, "test")
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS", "PGAPPNAME", "PGCLIENTENCODING"):
        monkeypatch.setenv(name, "")  # restored at the end
    monkeypatch.setenv("DBT_ENV_SECRET_PGPASSWORD", "")
    database.export(warehouse)
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        connection.execute("""
            create function marts.fail() returns trigger language plpgsql as
            $$ begin raise exception 'das darfst du nicht' using errcode = '42501'; end $$;
            create trigger fails before insert or delete or update on marts.tracks
            for each statement execute function marts.fail()
        """)
        connection.execute("update prep.builds set fingerprint = 'another'")
    outcome = Dbt("--no-write-json").invoke("run", "--select", "+tracks")
    error = to_command_error(outcome, warehouse, ExitCode.BUILD_FAILED, "dbt failed")
    assert error.code == ExitCode.WAREHOUSE_UNAVAILABLE
    assert "das darfst du nicht (SQLSTATE 42501)" in str(error) and "the user lacks a privilege" in str(error)


def test_the_embedded_postgres_ignores_what_the_shell_knows_about_another_server(tmp_path):
    about_another = {
        "PGSSLMODE": "require",
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "elsewhere",
        "PGOPTIONS": "-c no_such_setting=1",
        "PGPASSFILE": "/nowhere",
        "PGREQUIREAUTH": "none",
        "PGTZ": "Mars/Olympus",
        "PGDATA": "/nowhere",
        "PGPORT": "1",
    }
    home = tmp_path / """a folder with %, 'quotes', "more" & blanks"""
    try:
        started = time.monotonic()
        ended = command("status", MOOVITAMIX_HOME=str(home), **about_another)
        assert ended.code == ExitCode.PUBLISHED and time.monotonic() - started < 30, ended
        assert "no run yet" in ended.out
    finally:
        embedded_postgres.stop(home / ".postgres")


def test_variables_of_dbt_in_the_shell_do_not_change_a_run(built_database_url, api):
    shell = {"DBT_FULL_REFRESH": "true", "DBT_EXCLUDE_RESOURCE_TYPES": "model", "DBT_WARN_ERROR": "true"}
    ended = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url, **shell)
    assert ended.code == ExitCode.PUBLISHED, ended
    with psycopg.connect(built_database_url) as connection:
        assert connection.execute("select after_seq > 0 from prep.int_build_window").fetchone() == (True,)


@pytest.fixture
def pooled_url(built_database_url, request) -> Iterator[str]:
    """Yield an address of the warehouse through pgbouncer, in the mode of the test's parameter."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    known = conninfo_to_dict(built_database_url)
    port = embedded_postgres.free_port()
    # not tmp_path, whose parents another user may not pass
    folder = Path(tempfile.mkdtemp(prefix="moovitamix-pooler-"))
    users = folder / "users.txt"
    users.write_text(f'"{known["user"]}" "{known["password"]}"\n')
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        f"""
        [databases]
        {known["dbname"]} = host={known["host"]} port={known["port"]}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = plain
        auth_file = {users}
        pool_mode = {request.param[0]}
        {"ignore_startup_parameters = options" if request.param[1] else ""}
    """.replace("        ", "")
    )
    as_nobody = {} if os.geteuid() else {"user": 65534, "group": 65534}  # it refuses to run as root
    for path in (folder, users, configuration):
        path.chmod(0o755 if path.is_dir() else 0o644)
    process = subprocess.Popen([program, str(configuration)], stderr=subprocess.PIPE, **as_nobody)
    try:
        url = f"postgresql://{known['user']}:{known['password']}@127.0.0.1:{port}/{known['dbname']}"
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(url, connect_timeout=5).close()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline or process.poll() is not None:
                    process.terminate()
                    pytest.fail(process.communicate()[1].decode())
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()
        shutil.rmtree(folder)


@pytest.mark.machine
@pytest.mark.parametrize("pooled_url", [("transaction", True), ("transaction", False)], indirect=True)
def test_a_pooler_in_transaction_mode_is_refused_with_the_way_out(pooled_url, api):
    line = command("run", DATABASE_URL=pooled_url, API_BASE_URL=api.url).only_line(ExitCode.WRONG_SETTINGS)
    assert "connection pooler in transaction mode" in line and "session mode" in line


@pytest.mark.machine
@pytest.mark.parametrize("pooled_url", [("session", True)], indirect=True)
def test_a_pooler_in_session_mode_works(pooled_url, api):
    ended = command("run", DATABASE_URL=pooled_url, API_BASE_URL=api.url)
    assert ended.code == ExitCode.PUBLISHED, ended


@pytest.mark.machine
def test_a_dump_is_restored_into_the_oldest_supported_postgres(built_database_url, api, tmp_path):
    file = str(tmp_path / "warehouse.dump")
    assert command("pg-dump", "-Fc", "-f", file, DATABASE_URL=built_database_url).code == 0
    with debian_database() as url:
        ended = finish(launch("pg-restore", "--exit-on-error", file, DATABASE_URL=url))
        assert (ended.code, ended.err) == (0, "")
        ended = finish(launch("pg-restore", "--exit-on-error", file, DATABASE_URL=url))
        assert ended.code != 0 and "already exists" in ended.err
        assert contents(url) == contents(built_database_url)
        assert command("run", DATABASE_URL=url, API_BASE_URL=api.url).code == ExitCode.PUBLISHED


@pytest.mark.slow
def test_variables_of_python_in_the_shell_do_not_end_a_run(built_database_url, api):
    """Of a run, its gate: the libraries of the rules are those that do not bear them."""
    variables = {"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error"}
    assert command("extract", DATABASE_URL=built_database_url, API_BASE_URL=api.url).code == ExitCode.PUBLISHED
    ended = finish(launch("gate", DATABASE_URL=built_database_url, **variables))
    assert ended.code == ExitCode.PUBLISHED, ended
