"""Count requests for Prometheus, over all workers. The workers share a folder: PROMETHEUS_MULTIPROC_DIR."""

import os
import re
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUESTS = Counter(
    "moovitamix_service_requests_total",
    "Requests, by route template, status, and where the answer is from.",
    ["method", "route", "status", "source"],
)
LISTS = Counter(
    "moovitamix_service_lists_total",
    "Lists in answers, by where they were read from: cache, warehouse, or models (made on request).",
    ["read_from"],
)
SECONDS = Histogram(
    "moovitamix_service_request_seconds",
    "Time to answer a request, by route template.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
READY = Gauge("moovitamix_service_ready", "1 while all workers answer requests.", multiprocess_mode="livemin")
REFRESHED = Gauge(
    "moovitamix_service_refreshed_timestamp_seconds",
    "When the worker that is furthest behind last read what is published and removed.",
    multiprocess_mode="livemin",
)
RELEASE = Gauge(
    "moovitamix_service_release_id", "The release that the worker furthest behind serves.", multiprocess_mode="livemin"
)
MODELS = Gauge(
    "moovitamix_service_models_loaded",
    "1 while all workers hold the models of the release that they serve.",
    multiprocess_mode="livemin",
)
CACHE = Gauge(
    "moovitamix_service_cache_up",
    "1 while all workers read lists from the cache; absent without REDIS_URL.",
    multiprocess_mode="livemin",
)


def observe(method: str, route: str, status: int, source: str, seconds: float) -> None:
    """Count a request."""
    REQUESTS.labels(method, route, status, source).inc()
    SECONDS.labels(route).observe(seconds)


def render() -> bytes:
    """Return the metrics of all workers that are alive."""
    for file in Path(os.environ[FOLDER]).glob("gauge_live*.db"):
        number = int(re.search(r"(\d+)\.db$", file.name)[1])
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            mark_process_dead(number)
        except PermissionError:
            pass
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def leave() -> None:
    """Take this worker out of the gauges."""
    with suppress(OSError):
        mark_process_dead(os.getpid())
