"""The commands of the read replica's runbook, executed on a primary and a standby."""

import contextlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import namedtuple_row

from sample_api.world import World, snapshot
from tests.command import PROJECT, command, until
from tests.debian_postgres import DEBIANS_POSTGRES
from tests.marts import contents
from tests.runs import run_pipeline_on
from tests.servers import address, initialize, run_program, running, servers_folder
from warehouse import embedded_postgres
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

RUNBOOK = (PROJECT / "docs" / "runbooks" / "read-replica.md").read_text()
PREPARE, LET_QUERIES_FINISH, READ, OF_WHEN, DROP_SLOT, SAME = re.findall("```sql\n(.*?)```", RUNBOOK, re.DOTALL)
BASE_BACKUP = re.search("^pg_basebackup .*$", RUNBOOK, re.MULTILINE)[0]
CAP_MB = 4
NO_CHECKPOINT_OF_ITS_OWN = ("checkpoint_timeout=1h", "max_wal_size=1GB")


@pytest.fixture(params=[pytest.param("15", marks=pytest.mark.machine), "18"])
def programs(request) -> Path:
    folder = DEBIANS_POSTGRES if request.param == "15" else embedded_postgres.binary("postgres").parent
    try:
        run_program(folder / "postgres", "--version")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no Postgres {request.param} that the server's user can run: {error}")
    return folder


@pytest.fixture
def root() -> Iterator[Path]:
    with servers_folder() as folder:
        yield folder


@pytest.fixture
def primary(programs, root) -> Iterator[str]:
    """Address of a server that a replica can follow."""
    initialize(programs, root / "primary", "--wal-segsize=1")
    with running(programs, root / "primary", *NO_CHECKPOINT_OF_ITS_OWN) as place:
        execute(address(*place), PREPARE.replace("20GB", f"{CAP_MB}MB"))
        yield address(*place)


def make_replica(programs: Path, primary: str, root: Path) -> None:
    backup = BASE_BACKUP.replace("host=PRIMARY user=replica", f"{primary} user=replica")
    name, *options = shlex.split(backup.replace("DATA", str(root / "replica")))
    run_program(programs / name, *options)


@contextlib.contextmanager
def following(programs: Path, root: Path) -> Iterator[str]:
    """Address of the replica, while it runs."""
    with running(programs, root / "replica") as place:
        execute(address(*place), LET_QUERIES_FINISH)
        yield address(*place)


def execute(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(str.strip, statements.split(";")):
            connection.execute(statement)


def one(url: str, query: str):
    with psycopg.connect(url, row_factory=namedtuple_row) as connection:
        return connection.execute(query).fetchone()


def read_slot(primary: str):
    """The slot, as the runbook looks at it."""
    return one(primary, READ)


def is_up_to_date(primary: str) -> bool:
    seen = read_slot(primary)
    return (seen.wal_status, seen.state, seen.behind) == ("reserved", "streaming", "0 bytes")


@pytest.mark.parametrize("programs", ["18"], indirect=True)
def test_a_run_reaches_the_read_only_replica(programs, primary, root):
    make_replica(programs, primary, root)
    with following(programs, root) as replica:
        until(lambda: is_up_to_date(primary))
        execute(replica, "select pg_wal_replay_pause()")
        until(lambda: one(replica, "select pg_get_wal_replay_pause_state() as state").state == "paused")

        night = run_pipeline_on(primary, snapshot(World(seed=15, users=20, tracks=20, documents=20), 0))

        assert night.message == "all published"
        assert command("grant", DATABASE_URL=primary).code == ExitCode.PUBLISHED
        execute(primary, "create role ada login in role moovitamix_analyst")
        assert read_slot(primary).state == "streaming" and re.search("kB|MB", read_slot(primary).behind)
        assert one(replica, "select to_regclass('marts.users') as table").table is None

        execute(replica, "select pg_wal_replay_resume()")
        until(lambda: is_up_to_date(primary))
        assert contents(replica) == contents(primary)
        assert one(replica, SAME) == one(primary, SAME) and one(replica, SAME).count > 0
        for statement in ("delete from marts.users", "create view all_users as select 1", "create role eve"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                execute(replica, statement)

        analyst = make_conninfo(replica, user="ada")
        assert one(analyst, "select count(*) from features.user_profile").count > 0
        assert one(analyst, OF_WHEN).shows_the_warehouse_of is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(analyst, "select email from marts.users")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="in a read-only transaction"):
            execute(analyst, "create temporary table mine (id bigint)")


def test_a_disconnected_replica_catches_up_within_the_limit_and_is_recreated_beyond_it(programs, primary, root):
    make_replica(programs, primary, root)
    execute(primary, "create table news (text text)")
    grow(primary, megabytes=CAP_MB // 2)
    assert (read_slot(primary).wal_status, read_slot(primary).state) == ("reserved", None)
    with following(programs, root) as replica:
        until(lambda: is_up_to_date(primary))
        seen = one(replica, "select count(*) from news")
        assert seen == one(primary, "select count(*) from news")
    awaited = one(primary, "select pg_walfile_name(restart_lsn) as name from pg_replication_slots").name
    kept = f"select count(*) from pg_ls_waldir() where name = '{awaited}'"

    grow(primary, megabytes=CAP_MB * 2)
    assert read_slot(primary).wal_status == "unreserved" and one(primary, kept).count == 1
    execute(primary, "checkpoint")

    assert read_slot(primary).wal_status == "lost" and one(primary, kept).count == 0
    with following(programs, root) as replica:
        log = root / "replica.log"
        until(lambda: re.search("has already been removed|can no longer access replication slot", log.read_text()))
        assert one(replica, "select count(*) from news") == seen

    execute(primary, DROP_SLOT)
    shutil.rmtree(root / "replica")
    make_replica(programs, primary, root)
    with following(programs, root) as replica:
        until(lambda: is_up_to_date(primary))
        assert one(replica, "select count(*) from news") == one(primary, "select count(*) from news") != seen


def grow(primary: str, megabytes: int) -> None:
    """Write about so much WAL."""
    execute(primary, f"insert into news select repeat('x', 1000) from generate_series(1, {megabytes * 1000})")
