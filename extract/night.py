"""One night's extraction: recover, look at the whole source, land what changed."""

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
from extract.changes import Changes, Words, compare, delivered_among
from extract.database import connected, lock
from extract.erasures import NO_ERASURES, Erasures
from extract.errors import LandingFailed, WrongSetting, working_folder_explained
from extract.landing import (
    ROW_SCHEMA,
    SCANS_SCHEMA,
    UNREADABLE_SCHEMA,
    Batches,
    adopt,
    folder_of,
    land,
    pipeline_in,
    warm_up,
)
from extract.limits import DEFAULT_LIMITS, Limits
from extract.pages import Client, Traffic, checked_base_url
from extract.recovery import Recovery
from extract.scan import CompletePass, Progress, scan
from extract.source_tables import SOURCE_TABLES
from extract.spool import spooled

LARGEST_BATCH = 100
"""Rows per page that the API allows."""

LARGEST_WINDOW = 64
"""Requests in flight that are still polite."""


@dataclass(frozen=True)
class Scan:
    """The figures of one table's scan, as they are in `staging.scans`.

    `rows_read` = `rows_unchanged` + `rows_landed` + `rows_unreadable`; a removal is not a row that was read. Rows of
    erased people count as unchanged, whatever they hold.
    `keys_unsettled` are the known keys that were not seen, and not proven to be gone either: they stay alive.
    `keys_delivered` are the known keys without those that only blocked, superseded and rejected loads know; of them,
    `keys_lost` are gone, and `keys_changed` have another content.
    """

    table_name: str
    total: int
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
    """In how many of the readable rows that were read a field is null, and in how many it is not there."""

    rows: int
    nulls: int
    absent: int


@dataclass(frozen=True)
class Extraction:
    """What one night brought: one load for all tables, one scan per table, and what was recovered before.

    By table: the `fields` of the API's contract, counted in the rows read; `bytes_landed` of JSON text.
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
    disregarded_loads: Mapping[str, Collection[str]] = {},
    erasures: Erasures = NO_ERASURES,
    progress: Progress | None = None,
    on_recovery: Callable[[Recovery], None] | None = None,
    traffic: dict[str, Traffic] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Extraction:
    """Pulls all source tables and lands what changed as one dlt load in schema `staging`.

    `disregarded_loads` names, per table, the loads whose rows were never accepted: tonight's rows are
    compared with what was delivered before them, and what contradicts them lands too. `erasures` tells whose
    rows never land. Raises `SourceFailed`, `LandingFailed` or `WrongSetting`; nothing of tonight is landed then,
    but what an earlier run had packed may be: `on_recovery` is told so before the pull begins. `traffic` has what each
    table was asked for, however the pull ends.
    """
    _check(batch_size, window)
    base_url = checked_base_url(api_base_url)
    with connected(database_url) as connection, working_folder_explained(working_folder):
        lock(connection)
        _check_tombstones(connection, erasures)
        # It may have been packed before an erasure, perhaps by a machine that knew nothing of it.
        lands_packed_load = not erasures.tombstones
        recovered = recovery.recovered(connection, database_url, working_folder, lands_packed_load=lands_packed_load)
        if on_recovery:
            on_recovery(recovered)
        folder = folder_of(connection, working_folder)
        spool = folder / recovery.SPOOL
        # Rows of people pass through it.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        spool.mkdir()
        traffic = {} if traffic is None else traffic
        traffic |= {table.name: Traffic() for table in SOURCE_TABLES}
        try:
            client = Client(
                base_url,
                window=window,
                deadline_seconds=limits.seconds,
                limits=limits,
                batch_size=batch_size,
                traffic=traffic,
            )
            known = {
                table.name: _known(connection, table.name, disregarded_loads.get(table.name, ()))
                for table in SOURCE_TABLES
            }
            threading.Thread(target=warm_up, name="warm-up").start()
            complete = scan(
                client, SOURCE_TABLES, window=window, folder=spool, known=known, erasures=erasures, progress=progress
            )
            load_id, scans, bytes_landed = _land(connection, database_url, folder, complete, known, disregarded_loads)
        finally:
            shutil.rmtree(spool, ignore_errors=True)
    fields = {name: _field_counts(look) for name, look in complete.items()}
    return Extraction(load_id, scans, recovered, fields, bytes_landed)


def _land(
    connection: psycopg.Connection,
    database_url: str,
    folder: Path,
    complete: Mapping[str, CompletePass],
    known: dict[str, Words],
    disregarded_loads: Mapping[str, Collection[str]],
) -> tuple[str, dict[str, Scan], Counter[str]]:
    scans: dict[str, Scan] = {}
    batches: dict[str, Batches] = {}
    set_aside: list[tuple[CompletePass, np.ndarray]] = []
    bytes_landed: Counter[str] = Counter()
    for source_table in SOURCE_TABLES:
        name = source_table.name
        look = complete[name]
        disregarded = disregarded_loads.get(name, ())
        before = known.pop(name)
        changes = compare(before, look.spool.words(), look.spool.readable())
        scans[name] = _figures(look, changes, keys_lost=delivered_among(look.gone, before))
        del before
        batches[name] = _batches(connection, folder / recovery.SPOOL, look, changes, disregarded, bytes_landed)
        set_aside.append((look, _newly_unreadable(connection, look)))
    load_id = land(
        connection,
        pipeline_in(folder, connection, database_url),
        database_url,
        batches,
        lambda: _unreadable_batches(set_aside),
        _scans_batch(scans.values()),
    )
    adopt(connection, list(batches))
    if contradiction := recovery.reconciliation(connection, load_id):
        recovery.withdraw(connection, load_id)
        raise LandingFailed(f"Load {load_id} was withdrawn: {contradiction}. Nothing was landed tonight; run again.")
    return load_id, scans, bytes_landed


def _known(connection: psycopg.Connection, table: str, disregarded: Collection[str]) -> np.ndarray:
    if not delivered.exists(connection, table):
        return np.empty((0, 4), np.uint64)
    return delivered.live_contents(connection, table, disregarded)


def _figures(look: CompletePass, changes: Changes, keys_lost: int) -> Scan:
    read = len(look.spool)
    landed = int(changes.landed.sum())
    unreadable = int(look.spool.unreadable().sum())
    return Scan(
        table_name=look.table.name,
        total=look.total,
        rows_read=read,
        rows_unchanged=read - landed - unreadable,
        rows_landed=landed,
        rows_removed=len(look.gone),
        rows_unreadable=unreadable,
        keys_known=changes.keys_known,
        keys_unsettled=look.keys_unsettled,
        keys_delivered=changes.keys_delivered,
        keys_lost=keys_lost,
        keys_changed=changes.keys_changed,
        passes=look.passes,
        started_at=look.started_at,
        finished_at=look.finished_at,
    )


def _field_counts(look: CompletePass) -> dict[str, FieldCount]:
    rows = int(look.spool.readable().sum())
    return {name: FieldCount(rows, look.spool.nulls[name], look.spool.absent[name]) for name in look.table.fields}


def _batches(
    connection: psycopg.Connection,
    spool: Path,
    look: CompletePass,
    changes: Changes,
    disregarded: Collection[str],
    bytes_landed: Counter[str],
) -> Batches:
    name = look.table.name
    removals: Batches = tuple
    if len(look.gone):
        # dlt draws from all tables in turn, while the connection can only serve one query at a time.
        removals = spooled(
            delivered.removals(connection, name, disregarded, look.gone),
            spool / f"{name}.removals.arrow",
        )

    def rows() -> Iterator[pa.RecordBatch]:
        for batch, hashes in look.spool.batches(changes.landed):
            bytes_landed[name] += pc.sum(pc.binary_length(batch["text"])).as_py()
            yield pa.record_batch([batch["key"], batch["text"], pa.array(hashes)], schema=ROW_SCHEMA)
        yield from removals()

    return rows


def _newly_unreadable(connection: psycopg.Connection, look: CompletePass) -> np.ndarray:
    """bool (rows,): the first copies of the unreadable rows that are not set aside yet."""
    wanted = look.spool.unreadable()
    if wanted.any() and delivered.exists(connection, "unreadable_rows"):
        known = delivered.unreadable_contents(connection, look.table.name)
    else:
        known = np.empty((0, 4), np.uint64)
    # Their content is their key here: a text is set aside once, whoever has it.
    rows = np.flatnonzero(wanted)
    contents = np.tile(look.spool.words()[rows, 2:], 2)
    wanted[rows] = compare(known, contents, np.ones(len(rows), bool)).landed
    return wanted


def _unreadable_batches(set_aside: list[tuple[CompletePass, np.ndarray]]) -> Iterator[pa.RecordBatch]:
    for look, wanted in set_aside:
        for batch, hashes in look.spool.batches(wanted):
            names = pa.array([look.table.name] * batch.num_rows)
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
    """Fails closed, whoever calls: a pull that does not know all who were erased would bring the others back."""
    if delivered.tombstones(connection) - erasures.tombstones:
        raise WrongSetting(
            "This warehouse has erased users whom this pull was not told of, and would bring back."
            " Nothing was landed tonight; run: python -m pipeline extract"
        )


def _check(batch_size: int, window: int) -> None:
    if not 1 <= batch_size <= LARGEST_BATCH:
        raise WrongSetting(f"BATCH_SIZE must be from 1 to {LARGEST_BATCH}, not {batch_size}")
    if not 1 <= window <= LARGEST_WINDOW:
        raise WrongSetting(f"WINDOW must be from 1 to {LARGEST_WINDOW}, not {window}")
