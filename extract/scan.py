"""Scan all endpoints completely: fetch pages concurrently, and repeat a table's pass when its counts do not add up.

The scan proves two properties of a pass, although it knows nothing but the pages:

- A pass *adds up* when every page has the same total and as many distinct keys were seen. It can still have missed an
  unchanged row: when a row before the reading position is deleted and another one is added behind it, all rows between
  move one position forward, and one of them is never read.
- A pass that adds up *missed nothing* when a later pass sees all of its keys again. It saw as many keys as there were
  rows. If it missed a row, then one of the keys it saw had been deleted before the pass ended, and the later pass
  cannot see it. (Unless the deleted key comes back between the two passes.)

So a known key is removed only when a pass that missed nothing did not see it. That costs a second pass, but only in
runs with removals. Two kinds of pass land their rows and prove no removal: a pass with duplicate keys, because a
duplicate may stand in the place of a missed row; and a pass with rows without a key, because each of them may be the
missing row.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from extract.changes import Digests, Tally, missing, tally
from extract.erasures import NO_ERASURES, Erasures
from extract.errors import IncompleteScanError, SourceError
from extract.pages import Client, Page
from extract.rows import Row, read_row
from extract.source_tables import SourceTable
from extract.spool import Spool

Progress = Callable[[str, int, int | None], None]
"""Called after every page with the table, the rows read of it so far, and its total."""

_WATCH_SECONDS = 1.0
_NO_KEYS = np.empty((0, 2), np.uint64)


@dataclass(frozen=True)
class CompletePass:
    """Hold a complete pass over a table."""

    table: SourceTable
    spool: Spool
    total: int
    gone: np.ndarray
    """uint64 (keys, 2): digests of the known keys that are proven to be gone from the source."""
    keys_unsettled: int
    """Number of known keys that no pass saw and no pass proved to be gone, because the source kept changing."""
    passes: int
    """Number of passes over the table in this run."""
    started_at: dt.datetime
    finished_at: dt.datetime


@dataclass(eq=False)
class _Pass:
    """Track one pass over one table while it runs."""

    table: SourceTable
    number: int
    spool: Spool
    started_at: dt.datetime
    doubled_before: np.ndarray | None = None
    to_confirm: "_Unconfirmed | None" = None
    next_page: int = 1
    last_page: int = 1
    under_way: int = 0
    totals: set[int] = field(default_factory=set)
    page_digests: set[bytes] = field(default_factory=set)
    has_repeated_page: bool = False


class _Unconfirmed(NamedTuple):
    """Hold a pass that adds up and has all keys, and the known keys (uint64 (keys, 2)) that no pass has seen yet."""

    scan_pass: _Pass
    keys: np.ndarray


def scan(
    client: Client,
    tables: Sequence[SourceTable],
    *,
    window: int,
    folder: Path,
    known: Mapping[str, Digests] = MappingProxyType({}),
    erasures: Erasures = NO_ERASURES,
    progress: Progress | None = None,
) -> dict[str, CompletePass]:
    """Read all pages of all tables, with `window` requests in flight over all of them together.

    First the first page of each table is fetched, then the tables one after the other, to keep each pass short. Rows
    are spooled to `folder`. `known` holds the live keys of each delivered table. Rows that `erasures` withholds keep
    only their digests, so the counts still add up. Raises `SourceError` when a page cannot be fetched, and
    `IncompleteScanError` when none of `client.limits.passes` passes over a table added up. When they are used up before
    removals are proven, the rows land anyway, and the removals wait for a later run.
    """
    done: dict[str, CompletePass] = {}
    passes = [_Pass(table, 1, Spool(folder / f"{table.name}.1.arrow"), _now()) for table in tables]
    pending: dict[Future[Page], _Pass] = {}
    taken_bytes = 0
    pool = ThreadPoolExecutor(window, thread_name_prefix="page")
    try:
        while passes:
            # Twice the window: a free worker always has a page to fetch, and the number of bodies in memory is bounded.
            while len(pending) < 2 * window and (scan_pass := _next(passes)):
                pending[pool.submit(client.fetch, scan_pass.table, scan_pass.next_page)] = scan_pass
                scan_pass.next_page += 1
                scan_pass.under_way += 1
            finished, _ = wait(pending, timeout=_WATCH_SECONDS, return_when=FIRST_COMPLETED)
            client.cut_overdue()
            while finished:
                future = finished.pop()
                scan_pass = pending.pop(future)
                page = future.result()
                taken_bytes += page.size_bytes
                if taken_bytes > client.limits.total_bytes:
                    raise SourceError(
                        f"{client.base_url}{scan_pass.table.path}: the pages of the whole pull are more than"
                        f" {client.limits.total_bytes} bytes (limit MAX_TOTAL_BYTES)."
                        " Nothing was landed; raise the limit or check what the API sends."
                    )
                _take(scan_pass, page, client, erasures)
                if progress:
                    progress(scan_pass.table.name, len(scan_pass.spool), max(scan_pass.totals))
                if not scan_pass.under_way and scan_pass.next_page > scan_pass.last_page:
                    passes.remove(scan_pass)
                    outcome = _end(scan_pass, known.get(scan_pass.table.name, _NO_KEYS), client.limits.passes, folder)
                    client.check_deadline(scan_pass.table)
                    if isinstance(outcome, _Pass):
                        passes.append(outcome)
                    else:
                        done[scan_pass.table.name] = outcome
    finally:
        client.close()
        pool.shutdown(cancel_futures=True)
    return done


def _next(passes: list[_Pass]) -> _Pass | None:
    """Return the pass whose next page is fetched: one that has not begun, else the first with pages left."""
    waiting = [scan_pass for scan_pass in passes if scan_pass.next_page <= scan_pass.last_page]
    return min(waiting, key=lambda scan_pass: scan_pass.next_page > 1, default=None)


def _take(scan_pass: _Pass, page: Page, client: Client, erasures: Erasures) -> None:
    scan_pass.under_way -= 1
    if not scan_pass.totals:
        scan_pass.last_page = max(1, -(-page.total // client.batch_size))
        if scan_pass.last_page > client.limits.pages_per_table:
            raise SourceError(
                f"{client.base_url}{scan_pass.table.path} claims {page.total} rows, which is more than"
                f" {client.limits.pages_per_table} pages (limit MAX_PAGES)."
                " Nothing was landed; check what the API sends."
            )
    scan_pass.totals.add(page.total)
    # Only in this thread, because a decoded row can be twenty times the size of its text.
    rows = []
    for item in page.items:
        row = read_row(item, scan_pass.table.key, client.limits, scan_pass.table.fields)
        rows.append(_withhold(row) if erasures.withholds(scan_pass.table, row.key, row.text) else row)
        # Decoding a hostile page of a few megabytes can take seconds.
        client.check_deadline(scan_pass.table)
    # A page of one row may repeat: then its key is a duplicate at the source.
    if len(rows) > 1:
        digest = blake2b(b"".join(row.key_digest + row.content_digest for row in rows), digest_size=16).digest()
        scan_pass.has_repeated_page |= digest in scan_pass.page_digests
        scan_pass.page_digests.add(digest)
    scan_pass.spool.append(rows)


def _withhold(row: Row) -> Row:
    return Row(None, "", None, row.key_digest, row.content_digest, is_withheld=True)


def _end(scan_pass: _Pass, known: Digests, most_passes: int, folder: Path) -> CompletePass | _Pass:
    """Return the complete pass, or the next pass over the same table when one is needed."""
    scan_pass.spool.close()
    seen = scan_pass.spool.digests()
    found = tally(seen, scan_pass.spool.readable())
    before = scan_pass.to_confirm
    adds_up = _adds_up(scan_pass, found)
    is_believed = adds_up or (before is None and _has_lasting_doubles(scan_pass, found))
    can_prove = adds_up and not scan_pass.spool.rows_without_key
    is_last = scan_pass.number >= most_passes
    if not (is_believed or before):
        scan_pass.spool.delete()
        if is_last:
            raise IncompleteScanError(_contradiction(scan_pass, found))
        return _next_pass(scan_pass, found, None, folder)
    # Also in a pass that does not add up, a key that was seen is live.
    lacking = missing(before.keys if before else known, seen)
    is_proven = (
        bool(before)
        and not scan_pass.spool.rows_without_key
        and not len(missing(before.scan_pass.spool.digests(), seen))
    )
    if before:
        (before.scan_pass if is_believed else scan_pass).spool.delete()
    whole = scan_pass if is_believed else before.scan_pass
    if len(lacking) and not is_proven and not is_last and (can_prove or whole is not scan_pass):
        return _next_pass(scan_pass, found, _Unconfirmed(whole, lacking), folder)
    return CompletePass(
        scan_pass.table,
        whole.spool,
        max(whole.totals),
        gone=lacking if is_proven else _NO_KEYS,
        keys_unsettled=0 if is_proven else len(lacking),
        passes=scan_pass.number,
        started_at=scan_pass.started_at,
        finished_at=_now(),
    )


def _next_pass(scan_pass: _Pass, found: Tally, to_confirm: _Unconfirmed | None, folder: Path) -> _Pass:
    number = scan_pass.number + 1
    spool = Spool(folder / f"{scan_pass.table.name}.{number}.arrow")
    return _Pass(
        scan_pass.table, number, spool, scan_pass.started_at, doubled_before=found.doubled, to_confirm=to_confirm
    )


def _adds_up(scan_pass: _Pass, found: Tally) -> bool:
    """Return True when the rows, the distinct keys and the constant total of the source are equal in number."""
    return _has_all_rows(scan_pass) and found.keys == len(scan_pass.spool)


def _has_lasting_doubles(scan_pass: _Pass, found: Tally) -> bool:
    """Return True when all rows were read and a second pass finds exactly the same duplicate keys.

    A repeated page does not qualify: it hides the page that it replaced.
    """
    if not _has_all_rows(scan_pass) or scan_pass.doubled_before is None or scan_pass.has_repeated_page:
        return False
    return np.array_equal(found.doubled, scan_pass.doubled_before)


def _has_all_rows(scan_pass: _Pass) -> bool:
    return len(scan_pass.totals) == 1 and len(scan_pass.spool) == max(scan_pass.totals)


def _contradiction(scan_pass: _Pass, found: Tally) -> str:
    totals = sorted(scan_pass.totals)
    expected = f"{totals[0]}" if len(totals) == 1 else f"{totals[0]} to {totals[-1]}"
    repeated = "; one page came twice" if scan_pass.has_repeated_page else ""
    return (
        f"{scan_pass.table.path} does not add up after {scan_pass.number} passes: {expected} rows expected,"
        f" {len(scan_pass.spool)} seen with {found.keys} distinct keys{repeated}."
        " Nothing was landed; run again when the source has stopped changing."
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
