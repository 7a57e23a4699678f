"""Measure one call in its own process: seconds, CPU seconds and peak memory."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass


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
