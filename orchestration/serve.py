"""An Airflow of this machine alone, for the DAG beside this file, until Ctrl-C: `make airflow`.

`airflow standalone` would do nearly that, but it starts the scheduler before there is an API for its tasks to report
to, opens a port for logs to everybody, prints a password, and leaves its processes behind on SIGTERM. For what stays on
a machine of its own, see Airflow's documentation; the DAG is the same.
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
# In this order they are started: a task reports to the API as soon as it runs. They are stopped the other way round.
COMPONENTS = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
}


class Unusable(Exception):
    """Airflow cannot be served; `str()` says why, and what to do."""


def environment(port: str) -> dict[str, str]:
    """Of all that belongs to this Airflow. What else is set stays: the DAG's steps want their settings."""
    return {
        **os.environ,
        # some of Airflow's processes start others by their bare names
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).resolve().parent / "dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # a process each, and the night has one step at a time
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": port,
        # the tasks' own API too is looked for below this address
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
    }


def serve(port: str) -> None:
    """Run all parts until a signal. Raises Unusable when the port is not to be had, or a part ends by itself."""
    signals = watched_signals()
    settings = environment(port)
    check_port(port)
    (HOME / "logs").mkdir(parents=True, exist_ok=True)
    HOME.chmod(0o700)  # keys and a password are in it
    make_login()
    say("looking after its database ...")
    migrate(settings)
    with running() as parts:
        for name, arguments in COMPONENTS.items():
            parts[name] = start(name, arguments, settings)
            if name == "api-server" and not wait_for_api(port, parts[name], signals):
                return
        say(f"http://{HOST}:{port}, user admin, password in {shown(login_file())}; Ctrl-C stops it")
        while signals.empty():
            check(parts)
            time.sleep(0.2)


def watched_signals() -> "queue.SimpleQueue[int]":
    """Where signals that want this to end arrive from now on."""
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: arrived.put(number))
    return arrived


def make_login() -> None:
    """A password for `admin`, if there is none: Airflow would make one and write it to its log."""
    if not login_file().exists():
        login_file().write_text(json.dumps({"admin": secrets.token_urlsafe(12)}))


def login_file() -> Path:
    return HOME / "simple_auth_manager_passwords.json.generated"


def migrate(settings: dict[str, str]) -> None:
    if start("db-migrate", ("db", "migrate"), settings).wait():
        raise Unusable(f"its database could not be made ready; see {shown(log('db-migrate'))}")


@contextmanager
def running() -> Iterator[dict[str, subprocess.Popen]]:
    """The parts that are entered into the yielded dict are stopped at the end, the last one first."""
    parts: dict[str, subprocess.Popen] = {}
    try:
        yield parts
    finally:
        say("stopping ...")
        for name in reversed(parts):
            stop(parts[name])
        say("stopped")


def start(name: str, arguments: tuple[str, ...], settings: dict[str, str]) -> subprocess.Popen:
    """A session of its own: Ctrl-C reaches this process alone, which then stops one after another."""
    with log(name).open("wb") as output:
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
    """Whether it answers; False when a signal came first."""
    deadline = time.monotonic() + START_SECONDS
    while signals.empty():
        check({"api-server": server})
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/api/v2/version", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise Unusable(f"no answer in {START_SECONDS} s; see {shown(log('api-server'))}") from None
            time.sleep(0.2)
    return False


def check(parts: dict[str, subprocess.Popen]) -> None:
    """Raises Unusable when one of them has ended."""
    for name, process in parts.items():
        if process.poll() is not None:
            raise Unusable(f"its {name} ended with exit code {process.returncode}; see {shown(log(name))}")


def stop(process: subprocess.Popen) -> None:
    """With its whole group: the processes that run tasks tell these to end. A step under way records that, and is tried
    again at the next start."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_port(port: str) -> None:
    """Raises Unusable for what is no port, or a port that something else listens on."""
    if not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
        raise Unusable(f"AIRFLOW__API__PORT must be a port number from 1 to 65535, not {port!r}")
    with socket.socket() as probe:
        # as the server does: what a former one left behind does not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(port)))
        except OSError:
            raise Unusable(f"port {port} is taken; choose another with: AIRFLOW__API__PORT=8081 make airflow") from None


def log(name: str) -> Path:
    return HOME / "logs" / f"{name}.log"


def shown(path: Path) -> Path:
    return path.relative_to(PROJECT)


def say(line: str) -> None:
    with suppress(OSError):  # a reader that went away, or a full disk, keeps no part from being stopped
        os.write(1, f"airflow: {line}\n".encode())


if __name__ == "__main__":
    try:
        serve(os.environ.get("AIRFLOW__API__PORT") or PORT)
    except Unusable as problem:
        sys.exit(f"airflow: {problem}")
