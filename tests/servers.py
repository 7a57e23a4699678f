"""Run Postgres servers of a single test from any folder of Postgres programs, on a socket."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tests.command import LIMIT_SECONDS, until
from warehouse.embedded_postgres import free_port

SUPERUSER = "moovitamix"


@contextmanager
def servers_folder() -> Iterator[Path]:
    """Create a folder of the user who runs the servers, and remove it at the end."""
    root = Path(tempfile.mkdtemp(prefix="moovitamix-servers-"))
    root.chmod(0o755)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(root, nobody.pw_uid, nobody.pw_gid)
    try:
        yield root
    finally:
        shutil.rmtree(root)


def run_program(*command: Any) -> None:
    """Run a Postgres program as the user who runs the servers."""
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, cwd="/", **_become())


def initialize(programs: Path, data: Path, *options: str) -> None:
    """Create a cluster that trusts everybody who can access its socket."""
    settings = ("-U", SUPERUSER, "--auth=trust", "-E", "UTF8", "--locale=C", "-N", *options)
    run_program(programs / "initdb", "-D", data, *settings)


@contextmanager
def running(programs: Path, data: Path, *settings: str) -> Iterator[tuple[Path, int]]:
    """Run the server of this cluster; yield the folder of its socket and log, and its port."""
    root = data.parent
    port = free_port()
    with (root / f"{data.name}.log").open("ab") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", root, "-p", str(port)]
            + [f"-c{setting}" for setting in ("listen_addresses=", "fsync=off", *settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            **_become(),
        )
    try:
        until(lambda: answers(root, port))
        yield root, port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(LIMIT_SECONDS)


def address(folder: Path, port: int, **more: str) -> str:
    return make_conninfo(**{"host": str(folder), "port": port, "user": SUPERUSER, "dbname": "postgres", **more})


def answers(folder: Path, port: int) -> bool:
    try:
        psycopg.connect(address(folder, port)).close()
    except psycopg.OperationalError:
        return False
    return True


def _become() -> dict[str, Any]:
    if os.geteuid() != 0:  # Postgres does not run as root
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
