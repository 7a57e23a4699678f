"""Define the measured calls of the extraction; other modules are not imported, because imports count as memory."""

import io
import tempfile
import time
from pathlib import Path

import psycopg

from extract import extraction
from extract.pages import DEFAULT_LIMITS, Client
from extract.scan import scan
from extract.source_tables import SOURCE_TABLES

WINDOW = 8
BATCH_ROWS = 100


def scan_only(api_url: str) -> None:
    """Read, check and spool all pages, without landing."""
    with tempfile.TemporaryDirectory() as folder:
        client = Client(api_url, window=WINDOW, deadline_seconds=3600, limits=DEFAULT_LIMITS, batch_size=BATCH_ROWS)
        scan(client, SOURCE_TABLES, window=WINDOW, folder=Path(folder))


def extract_all(api_url: str, database_url: str) -> None:
    """Run a whole extraction, as in a night."""
    with tempfile.TemporaryDirectory() as folder:
        extraction.run(database_url, api_url, working_folder=Path(folder), window=WINDOW)


def landing_seconds(api_url: str, database_url: str) -> float:
    """Return the seconds of a first run after the last page, into empty tables."""
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        extraction.run(
            database_url,
            api_url,
            working_folder=Path(folder),
            window=WINDOW,
            progress=lambda *_: moments.append(time.perf_counter()),
        )
    return time.perf_counter() - moments[-1]


def copy_landed_rows(database_url: str) -> float:
    """Return the seconds of a COPY of the landed rows into tables with the same shape, keys and indexes."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        total = 0.0
        for table in (table.name for table in SOURCE_TABLES):
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
