"""Run a local Airflow for the DAG in `dags/` until Ctrl-C: `make airflow`.

`airflow standalone` is similar. But it starts the scheduler together with the API, which tasks report to and which
takes 40 s to answer. It serves logs to the network on two ports, prints a password, and leaves its processes running on
SIGTERM (measured with Airflow 3.3.2). For a permanent installation, see Airflow's documentation; the DAG is the same.
"""

import json
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
HOME = PROJECT / ".airflow" / "home"
PROGRAMS = Path(sys.executable).parent
HOST = "127.0.0.1"
PORT = "8080"
START_SECONDS = 180
STOP_SECONDS = 60
# In starting order: a task reports to the API as soon as it runs. They are stopped in reverse order.
COMPONENTS = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
}


class AirflowError(Exception):
    """Report that Airflow cannot be served; `str()` says why, and what to do."""


def environment(port: str) -> dict[str, str]:
    """Return the environment of this Airflow's processes. Other variables stay: the DAG's steps need their settings."""
    return {
        **os.environ,
        # some of Airflow's processes start others by their bare names
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).resolve().parent / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # one process per task; a night runs one step at a time, and two shards of users
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": port,
        # also the base address of the tasks' API
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
    }


def serve(port: str) -> None:
    """Run all parts until a signal. Raises AirflowError when the port is not available, or a part ends."""
    signals = watch_signals()
    settings = environment(port)
    check_port(port)
    (HOME / "logs").mkdir(parents=True, exist_ok=True)
    HOME.chmod(0o700)  # keys and a password are in it
    make_login()
    log("preparing the database ...")
    migrate(settings)
    with running() as parts:
        for name, arguments in COMPONENTS.items():
            parts[name] = start(name, arguments, settings)
            if name == "api-server" and not wait_for_api(port, parts[name], signals):
                return
        log(f"http://{HOST}:{port}, user admin, password in {relative(login_file())}; Ctrl-C stops it")
        while signals.empty():
            check(parts)
            time.sleep(0.2)


def watch_signals() -> "queue.SimpleQueue[int]":
    """Catch the signals that end this program, and return the queue in which they arrive."""
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: arrived.put(number))
    return arrived


def make_login() -> None:
    """Create a password for `admin` if there is none: Airflow would create one and write it to its log."""
    if not login_file().exists():
        login_file().write_text(json.dumps({"admin": secrets.token_urlsafe(12)}))


def login_file() -> Path:
    return HOME / "simple_auth_manager_passwords.json.generated"


def migrate(settings: dict[str, str]) -> None:
    if start("db-migrate", ("db", "migrate"), settings).wait():
        raise AirflowError(f"its database could not be prepared; see {relative(log_file('db-migrate'))}")


@contextmanager
def running() -> Iterator[dict[str, subprocess.Popen]]:
    """Stop the parts in the yielded dict at the end, the last one first."""
    parts: dict[str, subprocess.Popen] = {}
    try:
        yield parts
    finally:
        log("stopping ...")
        for name in reversed(parts):
            stop(parts[name])
        log("stopped")


def start(name: str, arguments: tuple[str, ...], settings: dict[str, str]) -> subprocess.Popen:
    """Start a part in its own session: Ctrl-C then reaches only this process, which stops the parts in order."""
    with log_file(name).open("wb") as output:
        return subprocess.Popen(
            (PROGRAMS / "airflow", *arguments),
            env=settings,
            cwd=HOME,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def wait_for_api(port: str, server: subprocess.Popen, signals: "queue.SimpleQueue[int]") -> bool:
    """Wait until the API answers; False when a signal came first."""
    deadline = time.monotonic() + START_SECONDS
    while signals.empty():
        check({"api-server": server})
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/api/v2/version", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise AirflowError(f"no answer in {START_SECONDS} s; see {relative(log_file('api-server'))}") from None
            time.sleep(0.2)
    return False


def check(parts: dict[str, subprocess.Popen]) -> None:
    """Raise AirflowError when a part has ended."""
    for name, process in parts.items():
        if process.poll() is not None:
            raise AirflowError(f"its {name} ended with exit code {process.returncode}; see {relative(log_file(name))}")


def stop(process: subprocess.Popen) -> None:
    """Stop the whole process group: the processes that run tasks forward the signal. A running step records that, and
    is retried at the next start."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_port(port: str) -> None:
    """Raise AirflowError for an invalid port, or a port that is in use."""
    if not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
        raise AirflowError(f"AIRFLOW__API__PORT must be a port number from 1 to 65535, not {port!r}")
    with socket.socket() as probe:
        # as the server does: closed connections of an earlier server do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(port)))
        except OSError:
            raise AirflowError(
                f"port {port} is taken; choose another with: AIRFLOW__API__PORT=8081 make airflow"
            ) from None


def log_file(name: str) -> Path:
    return HOME / "logs" / f"{name}.log"


def relative(path: Path) -> Path:
    return path.relative_to(PROJECT)


def log(line: str) -> None:
    with suppress(OSError):  # a closed output or a full disk must not prevent the stopping of parts
        os.write(1, f"airflow: {line}\n".encode())


if __name__ == "__main__":
    try:
        serve(os.environ.get("AIRFLOW__API__PORT") or PORT)
    except AirflowError as problem:
        sys.exit(f"airflow: {problem}")
