"""A server as a distribution packs it, beside the suite's own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.pipeline.command import until

DEBIANS_POSTGRES = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def debians_postgres() -> Iterator[tuple[Path, int]]:
    """Folder (of a socket) and port of a Postgres 15 as a distribution packs it."""
    if not DEBIANS_POSTGRES.exists():
        pytest.skip(f"no {DEBIANS_POSTGRES}")
    become = {}
    root = Path(tempfile.mkdtemp(prefix="moovitamix-15-"))
    root.chmod(0o755)
    data = root / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:  # Postgres does not run as root
        nobody = pwd.getpwnam("nobody")
        become = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in (root, data):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [DEBIANS_POSTGRES / "initdb", "-D", data, "-U", "moovitamix", "--auth=trust", "-E", "UTF8", "--locale=C", "-N"],
        check=True,
        **quiet,
        **become,
    )
    server = subprocess.Popen(
        [DEBIANS_POSTGRES / "postgres", "-D", data, "-k", root, "-p", str(port)]
        + [f"-c{setting}" for setting in ("listen_addresses=", "fsync=off", "synchronous_commit=off")],
        **quiet,
        **become,
    )
    try:
        until(lambda: answers(root, port))
        yield root, port
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(root)


def answers(folder: Path, port: int) -> bool:
    try:
        psycopg.connect(host=str(folder), port=port, user="moovitamix", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
