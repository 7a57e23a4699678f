"""Measure one call in its own process: seconds, CPU seconds and peak memory."""

import contextlib
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measurement:
    """Hold `seconds` of the call without imports, and `peak_mb` of the whole process with imports."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    answer: object = None


def measure(call: Callable[..., object], *arguments: object) -> Measurement:
    """Run `call(*arguments)` (both importable by name) in a fresh process. Raises RuntimeError when it fails."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, call, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise RuntimeError(f"{call.__module__}.{call.__qualname__} failed") from None
    finally:
        process.join()


def _run(sender: object, call: Callable[..., object], arguments: tuple) -> None:
    started, cpu_started = time.perf_counter(), time.process_time()
    answer = call(*arguments)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sender.send(Measurement(seconds, cpu_seconds, peak_mb, answer))
    sender.close()


def best_of(times: int, call: Callable[..., object], *arguments: object) -> Measurement:
    """Return the fastest of several calls: noise on a shared machine only adds time."""
    return min((measure(call, *arguments) for _ in range(times)), key=lambda measurement: measurement.seconds)


def machine_state() -> str:
    """Describe how busy the machine is: a ratio means little if something else is at work."""
    parts = [f"{os.cpu_count()} cores", f"load {os.getloadavg()[0]:.1f}"]
    with contextlib.suppress(OSError):  # Linux only
        memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        parts.append(f"{int(memory['MemAvailable'].split()[0]) / 1e6:.0f} GB available")
        times = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        parts.append(f"{times[7] / sum(times):.1%} of the time stolen by other machines")
    return ", ".join(parts)
