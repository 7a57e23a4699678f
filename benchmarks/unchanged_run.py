"""Measure a whole run in which nothing changed: the command as it is scheduled, on the sample data."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.databases import database
from benchmarks.targets import Figure, spread
from sample_api.server import serve
from sample_api.world import World, snapshot

TIMES = 5
COMMAND = (sys.executable, "-m", "pipeline", "run")


def figures(server_url: str) -> Iterator[Figure]:
    """Measure a run after which the sample API still serves the same rows; `server_url` is a database on the server."""
    with (
        serve(snapshot(World(), 0)) as api,
        database(server_url, "bench_unchanged") as url,
        tempfile.TemporaryDirectory() as home,
    ):
        environment = {**os.environ, "API_BASE_URL": api.url, "DATABASE_URL": url, "MOOVITAMIX_HOME": home}
        _run(environment)
        runs = [_run(environment) for _ in range(TIMES)]
    seconds, cpu_seconds = zip(*runs, strict=True)
    yield spread("a run in which nothing changed, small data", 4, seconds, " s")
    yield spread("the same, CPU of its process", 5, cpu_seconds, " s")


def _run(environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of one run. Raises RuntimeError if it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"a run failed: {output[-500:]}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime
