"""Run one extraction: recover, scan the whole source, land the changes."""

import datetime as dt
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from extract import delivered, recovery
from extract.addresses import check_base_url, find_proxy
from extract.changes import Changes, Digests, compare, count_delivered
from extract.database import connect, lock
from extract.erasures import NO_ERASURES, Erasures
from extract.errors import LandingError, SettingError, translate_file_errors
from extract.landing import (
    ROW_SCHEMA,
    SCANS_SCHEMA,
    UNREADABLE_SCHEMA,
    Batches,
    folder_for,
    land,
    pipeline_in,
    warm_up,
)
from extract.limits import DEFAULT_LIMITS, Limits
from extract.pages import Client, Traffic
from extract.recovery import Recovery
from extract.scan import CompletePass, PageProgress, scan
from extract.source_tables import SOURCE_TABLES
from extract.spool import spool_batches

LARGEST_BATCH = 100
"""Most rows per page that the API allows."""

LARGEST_WINDOW = 64
"""Most requests in flight: more would burden the API."""


@dataclass(frozen=True)
class Scan:
    """Count the rows and keys of one table's scan, as in `staging.scans`.

    `total` is None if the source gave none and the last page was decisive.
    `rows_read` = `rows_unchanged` + `rows_landed` + `rows_unreadable`; a removal is not a row that was read. Rows of
    erased people always count as unchanged.
    `keys_unsettled` are known keys that were not seen and not proven to be removed: they stay live.
    `keys_delivered` are the known keys, except those that occur only in blocked, superseded and rejected loads. Of
    them, `keys_lost` are removed, and `keys_changed` have a different content.
    """

    table_name: str
    total: int | None
    rows_read: int
    rows_unchanged: int
    rows_landed: int
    rows_removed: int
    rows_unreadable: int
    keys_known: int
    keys_unsettled: int
    keys_delivered: int
    keys_lost: int
    keys_changed: int
    passes: int
    started_at: dt.datetime
    finished_at: dt.datetime


class FieldCount(NamedTuple):
    """Count, among the readable rows, those in which a field is null and those in which it is absent."""

    rows: int
    nulls: int
    absent: int


@dataclass(frozen=True)
class Extraction:
    """Hold the result of one extraction: one load for all tables, one scan per table, and the recovery before it.

    By table: `fields` counts the fields of the API's contract in the rows read; `bytes_landed` counts JSON text.
    """

    load_id: str
    scans: Mapping[str, Scan]
    recovery: Recovery = field(default_factory=Recovery)
    fields: Mapping[str, Mapping[str, FieldCount]] = field(default_factory=dict)
    bytes_landed: Mapping[str, int] = field(default_factory=dict)


def run(
    database_url: str,
    api_base_url: str,
    *,
    working_folder: Path,
    batch_size: int = LARGEST_BATCH,
    window: int = 8,
    api_proxy: str | None = None,
    disregarded_loads: Mapping[str, Collection[str]] = {},
    erasures: Erasures = NO_ERASURES,
    progress: PageProgress | None = None,
    on_recovery: Callable[[Recovery], None] | None = None,
    traffic: dict[str, Traffic] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Extraction:
    """Extract all source tables and land the changes as one dlt load in schema `staging`.

    `api_proxy` is the setting API_PROXY: the address of a proxy, or "environment".
    `disregarded_loads` names, per table, the loads whose rows were never accepted. Rows are compared with the
    deliveries before those loads; rows that contradict those loads land too. Rows covered by `erasures` never land.
    `on_recovery` is called before the first request. `traffic` counts the requests per table, also when the extraction
    fails. Raises `SourceError`, `LandingError` or `SettingError`: then this run has landed nothing, but the recovery
    may have landed the packed load of an earlier run.
    """
    _check(batch_size, window)
    base_url = check_base_url(api_base_url)
    proxy = find_proxy(api_proxy, base_url)
    with connect(database_url) as connection, translate_file_errors(working_folder):
        lock(connection)
        _check_tombstones(connection, erasures)
        # The load may have been packed before an erasure, perhaps on another machine.
        lands_packed_load = not erasures.tombstones
        recovered = recovery.recover(connection, database_url, working_folder, lands_packed_load=lands_packed_load)
        if on_recovery:
            on_recovery(recovered)
        folder = folder_for(connection, working_folder)
        spool = folder / recovery.SPOOL
        # Personal data passes through it.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        spool.mkdir()
        traffic = {} if traffic is None else traffic
        traffic |= {table.name: Traffic() for table in SOURCE_TABLES}
        try:
            client = Client(
                base_url,
                window=window,
                proxy=proxy,
                deadline_seconds=limits.seconds,
                limits=limits,
                batch_size=batch_size,
                traffic=traffic,
            )
            known = {
                table.name: delivered.live_contents(connection, table.name, disregarded_loads.get(table.name, ()))
                for table in SOURCE_TABLES
            }
            threading.Thread(target=warm_up, name="warm-up").start()
            complete = scan(
                client, SOURCE_TABLES, window=window, folder=spool, known=known, erasures=erasures, progress=progress
            )
            load_id, scans, bytes_landed = _land(connection, database_url, folder, complete, known, disregarded_loads)
        finally:
            shutil.rmtree(spool, ignore_errors=True)
    fields = {name: _field_counts(scan_pass) for name, scan_pass in complete.items()}
    return Extraction(load_id, scans, recovered, fields, bytes_landed)


def _land(
    connection: psycopg.Connection,
    database_url: str,
    folder: Path,
    complete: Mapping[str, CompletePass],
    known: dict[str, Digests],
    disregarded_loads: Mapping[str, Collection[str]],
) -> tuple[str, dict[str, Scan], Counter[str]]:
    scans: dict[str, Scan] = {}
    batches: dict[str, Batches] = {}
    set_aside: list[tuple[CompletePass, np.ndarray]] = []
    bytes_landed: Counter[str] = Counter()
    for source_table in SOURCE_TABLES:
        name = source_table.name
        scan_pass = complete[name]
        disregarded = disregarded_loads.get(name, ())
        before = known.pop(name)
        changes = compare(before, scan_pass.spool.digests(), scan_pass.spool.readable())
        scans[name] = _summarize_scan(scan_pass, changes, keys_lost=count_delivered(scan_pass.gone, before))
        del before
        batches[name] = _batches(connection, folder / recovery.SPOOL, scan_pass, changes, disregarded, bytes_landed)
        set_aside.append((scan_pass, _newly_unreadable(connection, scan_pass)))
    load_id = land(
        pipeline_in(folder, connection, database_url),
        database_url,
        batches,
        lambda: _unreadable_batches(set_aside),
        _scans_batch(scans.values()),
    )
    if contradiction := recovery.find_contradictions(connection, load_id):
        recovery.withdraw(connection, load_id)
        raise LandingError(f"Load {load_id} was withdrawn: {contradiction}. Nothing was landed; run again.")
    return load_id, scans, bytes_landed


def _summarize_scan(scan_pass: CompletePass, changes: Changes, keys_lost: int) -> Scan:
    read = len(scan_pass.spool)
    landed = int(changes.landed.sum())
    unreadable = int(scan_pass.spool.unreadable().sum())
    return Scan(
        table_name=scan_pass.table.name,
        total=scan_pass.total,
        rows_read=read,
        rows_unchanged=read - landed - unreadable,
        rows_landed=landed,
        rows_removed=len(scan_pass.gone),
        rows_unreadable=unreadable,
        keys_known=changes.keys_known,
        keys_unsettled=scan_pass.keys_unsettled,
        keys_delivered=changes.keys_delivered,
        keys_lost=keys_lost,
        keys_changed=changes.keys_changed,
        passes=scan_pass.passes,
        started_at=scan_pass.started_at,
        finished_at=scan_pass.finished_at,
    )


def _field_counts(scan_pass: CompletePass) -> dict[str, FieldCount]:
    rows = int(scan_pass.spool.readable().sum())
    return {
        name: FieldCount(rows, scan_pass.spool.nulls[name], scan_pass.spool.absent[name])
        for name in scan_pass.table.fields
    }


def _batches(
    connection: psycopg.Connection,
    spool: Path,
    scan_pass: CompletePass,
    changes: Changes,
    disregarded: Collection[str],
    bytes_landed: Counter[str],
) -> Batches:
    name = scan_pass.table.name
    removals: Batches = tuple
    if len(scan_pass.gone):
        # dlt reads all tables in turn, but the connection can serve only one query at a time.
        removals = spool_batches(
            delivered.removals(connection, name, disregarded, scan_pass.gone),
            spool / f"{name}.removals.arrow",
        )

    def rows() -> Iterator[pa.RecordBatch]:
        for batch, hashes in scan_pass.spool.batches(changes.landed):
            bytes_landed[name] += pc.sum(pc.binary_length(batch["text"])).as_py()
            yield pa.record_batch([batch["key"], batch["text"], pa.array(hashes)], schema=ROW_SCHEMA)
        yield from removals()

    return rows


def _newly_unreadable(connection: psycopg.Connection, scan_pass: CompletePass) -> np.ndarray:
    """Return the first copies of the unreadable rows that are not set aside yet: bool (rows,)."""
    wanted = scan_pass.spool.unreadable()
    if wanted.any():
        known = delivered.unreadable_contents(connection, scan_pass.table.name)
    else:
        known = np.empty((0, 4), np.uint64)
    # Here the content serves as the key: each text is set aside once, even if several keys have it.
    rows = np.flatnonzero(wanted)
    contents = np.tile(scan_pass.spool.digests()[rows, 2:], 2)
    wanted[rows] = compare(known, contents, np.ones(len(rows), bool)).landed
    return wanted


def _unreadable_batches(set_aside: list[tuple[CompletePass, np.ndarray]]) -> Iterator[pa.RecordBatch]:
    for scan_pass, wanted in set_aside:
        for batch, hashes in scan_pass.spool.batches(wanted):
            names = pa.array([scan_pass.table.name] * batch.num_rows)
            yield pa.record_batch(
                [names, batch["key"], batch["text"], batch["reason"], pa.array(hashes)],
                schema=UNREADABLE_SCHEMA,
            )


def _scans_batch(scans: Collection[Scan]) -> pa.RecordBatch:
    return pa.record_batch(
        [
            pa.array([getattr(scan, name) for scan in scans], SCANS_SCHEMA.field(name).type)
            for name in SCANS_SCHEMA.names
        ],
        schema=SCANS_SCHEMA,
    )


def _check_tombstones(connection: psycopg.Connection, erasures: Erasures) -> None:
    """Raise SettingError unless `erasures` covers all erased users: an extraction would bring back the missing ones."""
    if delivered.tombstones(connection) - erasures.tombstones:
        raise SettingError(
            "This warehouse has erased users that this extraction does not know and would bring back."
            " Nothing was landed; run: python -m pipeline extract"
        )


def _check(batch_size: int, window: int) -> None:
    if not 1 <= batch_size <= LARGEST_BATCH:
        raise SettingError(f"BATCH_SIZE must be from 1 to {LARGEST_BATCH}, not {batch_size}")
    if not 1 <= window <= LARGEST_WINDOW:
        raise SettingError(f"WINDOW must be from 1 to {LARGEST_WINDOW}, not {window}")
