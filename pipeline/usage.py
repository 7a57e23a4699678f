"""What a run or a step costs the machine: processor, memory, disk and network, as far as the machine tells."""

import contextlib
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

Measures = dict[str, float]
"""By column of `ops.runs` and `ops.steps`; without those that this machine does not tell."""


class Meter:
    """Measures from its making on.

    `folder` is, or will be, on the disk to look at; `server` is the warehouse's Postgres, where it is this project's.
    """

    def __init__(self, folder: Path, server: int | None) -> None:
        self._folder = folder
        self._server = server
        self._highest = 0
        _forget_peak_memory()
        self._before = _counters(server)

    def of_step(self) -> "Meter":
        """A meter for a part of what this one measures, from now on."""
        self._highest = max(self._highest, _peak_memory())
        return Meter(self._folder, self._server)

    def measures(self) -> Measures:
        """What has been used until now."""
        now = _counters(self._server)
        disk = shutil.disk_usage(next(place for place in (self._folder, *self._folder.parents) if place.exists()))
        return {
            **{name: max(0, now[name] - before) for name, before in self._before.items() if name in now},
            "peak_memory_bytes": max(self._highest, _peak_memory()),
            "disk_free_bytes": disk.free,
            "disk_size_bytes": disk.total,
        }


def _counters(server: int | None) -> Measures:
    """What only grows. The network is all of the machine's, or of the container's: no system counts it by process."""
    process = psutil.Process()
    counters: Measures = {"cpu_seconds": _cpu_seconds(process)}
    with _where_it_is_told():
        files = process.io_counters()
        counters |= {"disk_read_bytes": files.read_bytes, "disk_written_bytes": files.write_bytes}
    with _where_it_is_told():
        network = psutil.net_io_counters()
        counters |= {"network_received_bytes": network.bytes_recv, "network_sent_bytes": network.bytes_sent}
    if server:
        with _where_it_is_told():
            counters["database_cpu_seconds"] = _database_cpu_seconds(psutil.Process(server))
    return counters


def _cpu_seconds(process: psutil.Process) -> float:
    """The process and its children that have ended."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _database_cpu_seconds(server: psutil.Process) -> float:
    """All that work for the server: backends that have ended are in its own figure."""
    seconds = 0.0
    for backend in server.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += _cpu_seconds(backend)
    return seconds + _cpu_seconds(server)


@contextlib.contextmanager
def _where_it_is_told() -> Iterator[None]:
    """macOS has no figures of files, a sandbox may hide those of the network or of other processes."""
    with contextlib.suppress(AttributeError, OSError, psutil.Error):
        yield


def _peak_memory() -> int:
    """Bytes: the most that was resident at a time since it was last forgotten."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    # since the process began; Linux alone forgets
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else 1024 * highest


def _forget_peak_memory() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
