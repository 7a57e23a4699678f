"""Measure what a run or a step uses of the machine: processor, memory, disk and network."""

import contextlib
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

Measures = dict[str, float]
"""By column of `ops.runs` and `ops.steps`, without those that this machine cannot measure."""


class Meter:
    """Measure usage from the creation of the meter on.

    `folder` is, or will be, on the disk to measure. `server` is the process id of the embedded Postgres, if it is used.
    """

    def __init__(self, folder: Path, server: int | None) -> None:
        self._folder = folder
        self._server = server
        self._highest = 0
        _forget_peak_memory()
        self._before = _counters(server)

    def start_step_meter(self) -> "Meter":
        """Return a meter for a step, from now on."""
        self._highest = max(self._highest, _peak_memory())
        return Meter(self._folder, self._server)

    def measures(self) -> Measures:
        """Return the usage until now."""
        now = _counters(self._server)
        disk = shutil.disk_usage(next(path for path in (self._folder, *self._folder.parents) if path.exists()))
        return {
            **{name: max(0, now[name] - before) for name, before in self._before.items() if name in now},
            "peak_memory_bytes": max(self._highest, _peak_memory()),
            "disk_free_bytes": disk.free,
            "disk_size_bytes": disk.total,
        }


def _counters(server: int | None) -> Measures:
    """Return the counters that only grow. Network traffic is that of the machine or container, not of the process."""
    process = psutil.Process()
    counters: Measures = {"cpu_seconds": _cpu_seconds(process)}
    with _ignore_missing_counters():
        files = process.io_counters()
        counters |= {"disk_read_bytes": files.read_bytes, "disk_written_bytes": files.write_bytes}
    with _ignore_missing_counters():
        network = psutil.net_io_counters()
        counters |= {"network_received_bytes": network.bytes_recv, "network_sent_bytes": network.bytes_sent}
    if server:
        with _ignore_missing_counters():
            counters["database_cpu_seconds"] = _database_cpu_seconds(psutil.Process(server))
    return counters


def _cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of the process and of its ended children."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _database_cpu_seconds(server: psutil.Process) -> float:
    """Return the CPU time of the server and its backends; its own counter includes ended backends."""
    seconds = 0.0
    for backend in server.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += _cpu_seconds(backend)
    return seconds + _cpu_seconds(server)


@contextlib.contextmanager
def _ignore_missing_counters() -> Iterator[None]:
    """Suppress errors of missing counters: macOS has none for files, and a sandbox may hide others."""
    with contextlib.suppress(AttributeError, OSError, psutil.Error):
        yield


def _peak_memory() -> int:
    """Return the peak of resident memory since the last reset, in bytes."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    # since the process started: only Linux can reset the peak
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else 1024 * highest


def _forget_peak_memory() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
