"""Extraction and landing: against a bare client, against the prototype, against a raw COPY."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

import extract
from benchmarks import bare_client, prototype
from benchmarks.measuring import Measurement, best_of, measured
from benchmarks.page_server import SHARES, serving
from benchmarks.targets import Figure
from extract.pages import DEFAULT_LIMITS, Client
from extract.scan import scan

LATENCY_SECONDS = 0.03
WINDOW = 8
BATCH_ROWS = 100


def figures(server_url: str, rows: int, many_rows: int) -> Iterator[Figure]:
    """The extraction's rows of the targets; `server_url` is a Postgres server's database to make others beside."""
    with serving(rows, LATENCY_SECONDS) as slow_url:
        bare = best_of(2, bare_client.run, slow_url, WINDOW)
        read = best_of(2, scan_only, slow_url)
        yield Figure(
            f"extract {rows:,} rows vs a bare client, {WINDOW} in flight, 30 ms", 1.2, read.seconds / bare.seconds
        )
        yield from _against_prototype(server_url, slow_url, rows, "30 ms", target=1 / 4)
    with serving(rows, 0) as fast_url:
        yield from _against_prototype(server_url, fast_url, rows, "at once", target=1)
        with _database(server_url) as database_url:
            night = measured(extract_night, fast_url, database_url)
            landed = measured(landing_seconds, fast_url, database_url)
            copied = measured(copy_of_what_landed, database_url)
            seconds = float(str(landed.answer))
            yield Figure(f"land {rows:,} rows vs a raw COPY of them", 4, seconds / float(str(copied.answer)))
    with serving(many_rows, 0) as fast_url, _database(server_url) as database_url:
        many = measured(extract_night, fast_url, database_url)
        again = measured(extract_night, fast_url, database_url)
        yield Figure("peak memory of a first night, MB", 300, many.peak_mb, unit="")
        yield Figure(f"peak memory, {many_rows:,} rows vs {rows:,}", 1.5, many.peak_mb / night.peak_mb)
        yield Figure(f"seconds per row, {many_rows:,} rows vs {rows:,}", 1.3, _per_row(many, night, many_rows, rows))
        yield Figure("peak memory of an unchanged night, MB", 500, again.peak_mb, unit="")


def _per_row(many: Measurement, few: Measurement, many_rows: int, rows: int) -> float:
    return (many.seconds / many_rows) / (few.seconds / rows)


def _against_prototype(server_url: str, api_url: str, rows: int, latency: str, target: float) -> Iterator[Figure]:
    with _database(server_url) as database_url:
        old = measured(prototype.run, api_url, database_url)
        new = measured(extract_night, api_url, database_url)
    yield Figure(f"extract and land {rows:,} rows vs the prototype, {latency}", target, new.seconds / old.seconds)


def scan_only(api_url: str) -> None:
    """All pages read, checked and spooled, nothing landed."""
    with tempfile.TemporaryDirectory() as folder:
        client = Client(api_url, window=WINDOW, deadline_seconds=3600, limits=DEFAULT_LIMITS, batch_size=BATCH_ROWS)
        scan(client, extract.SOURCE_TABLES, window=WINDOW, folder=Path(folder))


def extract_night(api_url: str, database_url: str) -> None:
    """A whole extraction, as the night does it."""
    with tempfile.TemporaryDirectory() as folder:
        extract.run(database_url, api_url, working_folder=Path(folder), window=WINDOW)


def landing_seconds(api_url: str, database_url: str) -> float:
    """Seconds that a first night takes beyond the reading, into an empty schema."""
    import time

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop schema staging cascade")
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        extract.run(
            database_url,
            api_url,
            working_folder=Path(folder),
            window=WINDOW,
            progress=lambda *_: moments.append(time.perf_counter()),
        )
    return time.perf_counter() - moments[-1]


def copy_of_what_landed(database_url: str) -> float:
    """Seconds of a COPY of the landed rows into tables of the same shape, keys and indexes."""
    import io
    import time

    with psycopg.connect(database_url, autocommit=True) as connection:
        total = 0.0
        for table in SHARES:
            connection.execute(f"create schema if not exists copied; drop table if exists copied.{table}")
            connection.execute(f"create table copied.{table} (like staging.{table} including all)")
            text = io.BytesIO()
            columns = "key, payload, content_hash, _dlt_load_id, _dlt_id"
            with connection.cursor().copy(f"copy staging.{table} ({columns}) to stdout") as copy:
                for chunk in copy:
                    text.write(chunk)
            started = time.perf_counter()
            with connection.cursor().copy(f"copy copied.{table} ({columns}) from stdin") as copy:
                copy.write(text.getbuffer())
            total += time.perf_counter() - started
        return total


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute("drop database if exists bench with (force)")
        server.execute("create database bench")
    try:
        yield server_url.rsplit("/", 1)[0] + "/bench"
    finally:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute("drop database bench with (force)")
