"""Measure extraction and landing against a bare client, the prototype, and a raw COPY."""

from collections.abc import Callable, Iterator

from benchmarks import bare_client, prototype
from benchmarks.databases import migrated_database
from benchmarks.extraction_calls import WINDOW, copy_landed_rows, extract_all, landing_seconds, scan_only
from benchmarks.measuring import Measurement, best_of, measure
from benchmarks.page_server import serve_pages
from benchmarks.targets import Figure

LATENCY_SECONDS = 0.03


def figures(server_url: str, rows: int, many_rows: int) -> Iterator[Figure]:
    """Measure the extraction's targets; `server_url` is a database on the Postgres server for the benchmarks."""
    with serve_pages(rows, LATENCY_SECONDS) as slow_url:
        bare = best_of(2, bare_client.run, slow_url, WINDOW)
        read = best_of(2, scan_only, slow_url)
        yield Figure(
            f"extract {rows:,} rows vs a bare client, {WINDOW} in flight, 30 ms", 1.2, read.seconds / bare.seconds
        )
        yield from _against_prototype(server_url, slow_url, rows, "30 ms", target=1 / 4)
    with serve_pages(rows, 0) as fast_url:
        yield from _against_prototype(server_url, fast_url, rows, "at once", target=1)
        with migrated_database(server_url) as database_url:
            night = measure(extract_all, fast_url, database_url)
        with migrated_database(server_url) as database_url:
            landed = measure(landing_seconds, fast_url, database_url)
            copied = measure(copy_landed_rows, database_url)
            seconds = float(str(landed.answer))
            yield Figure(f"land {rows:,} rows vs a raw COPY of them", 4, seconds / float(str(copied.answer)))
    with serve_pages(many_rows, 0) as fast_url, migrated_database(server_url) as database_url:
        many = measure(extract_all, fast_url, database_url)
        again = measure(extract_all, fast_url, database_url)
        yield Figure("peak memory of a first night, MB", 300, many.peak_mb, unit="")
        yield Figure(f"peak memory, {many_rows:,} rows vs {rows:,}", 1.5, many.peak_mb / night.peak_mb)
        yield Figure(f"seconds per row, {many_rows:,} rows vs {rows:,}", 1.3, _per_row(many, night, many_rows, rows))
        yield Figure("peak memory of an unchanged night, MB", 300, again.peak_mb, unit="")


def _per_row(many: Measurement, few: Measurement, many_rows: int, rows: int) -> float:
    return (many.seconds / many_rows) / (few.seconds / rows)


def _against_prototype(server_url: str, api_url: str, rows: int, latency: str, target: float) -> Iterator[Figure]:
    old, new = (_first_night(server_url, api_url, call) for call in (prototype.run, extract_all))
    yield Figure(f"extract and land {rows:,} rows vs the prototype, {latency}", target, new / old)


def _first_night(server_url: str, api_url: str, call: Callable[[str, str], None]) -> float:
    """Return the seconds of a first run into an empty database, the better of two."""
    found = []
    for _ in range(2):
        with migrated_database(server_url) as database_url:
            found.append(measure(call, api_url, database_url).seconds)
    return min(found)
