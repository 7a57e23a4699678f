"""Scan all endpoints completely: fetch pages concurrently, and repeat a table's pass when its counts do not add up.

The scan proves two properties of a pass, although it knows nothing but the pages:

- A pass *adds up* when every page has the same total and as many distinct keys were seen. (If the total fills the last
  page, an empty one must follow: some servers never count further than to 10,000.) It can still have missed an
  unchanged row: when a row before the reading position is deleted and another one is added behind it, all rows between
  move one position forward, and one of them is never read.
  (A server may answer 404 or 204 for a page that it does not have. Such a page counts as empty, so the rows of a page
  that is missing in the middle are missing from the sum.)
  If a page has no total, the last page takes its place: the first page that is not full, followed by an empty one. When
  all others are read, it is read again. If it still has as many rows, then the table ended with as many rows as were
  read. (An empty last page proves: with no more.)
- A pass that adds up *missed nothing* when a later pass sees all of its keys again. It saw as many keys as there were
  rows. If it missed a row, then one of the keys it saw had been deleted before the pass ended, and the later pass
  cannot see it. (Unless the deleted key comes back between the two passes.)
  This holds without totals, too: it needs the number of rows only at the end of the pass.

So a known key is removed only when a pass that missed nothing did not see it. That costs a second pass, but only in
runs with removals. Two kinds of pass land their rows and prove no removal: a pass with duplicate keys, because a
duplicate may stand in the place of a missed row; and a pass with rows without a key, because each of them may be the
missing row.

Without totals, a row that is deleted during a pass goes unnoticed, and the pass misses another row. So a pass without
totals lands only when it missed nothing: such a table is always read twice. (With duplicate keys, two passes must find
the same duplicates.)
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

import numpy as np

from extract.changes import Digests, Tally, missing_keys, tally
from extract.erasures import NO_ERASURES, Erasures
from extract.errors import IncompleteScanError, SourceError
from extract.pages import Client, Page
from extract.rows import Row, read_row
from extract.scan_pass import ScanPass, UnconfirmedPass
from extract.source_tables import SourceTable
from extract.spool import Spool
from warehouse.counts import count

PageProgress = Callable[[str, int, int | None], None]
"""Called after every page with the table, the rows read of it so far, and its total."""

_WATCH_SECONDS = 1.0
_NO_KEYS = np.empty((0, 2), np.uint64)


@dataclass(frozen=True)
class CompletePass:
    """Hold a complete pass over a table."""

    table: SourceTable
    spool: Spool
    total: int | None
    """Number of rows according to the source; None if it did not say, and the last page was decisive."""
    gone: np.ndarray
    """uint64 (keys, 2): digests of the known keys that are proven to be gone from the source."""
    keys_unsettled: int
    """Number of known keys that no pass saw and no pass proved to be gone, because the source kept changing."""
    passes: int
    """Number of passes over the table in this run."""
    started_at: dt.datetime
    finished_at: dt.datetime


def scan(
    client: Client,
    tables: Sequence[SourceTable],
    *,
    window: int,
    folder: Path,
    known: Mapping[str, Digests] = MappingProxyType({}),
    erasures: Erasures = NO_ERASURES,
    progress: PageProgress | None = None,
) -> dict[str, CompletePass]:
    """Read all pages of all tables, with `window` requests in flight over all of them together.

    First the first page of each table is fetched, then the tables one after the other, to keep each pass short. Rows
    are spooled to `folder`. `known` holds the live keys of each delivered table. Rows that `erasures` withholds keep
    only their digests, so the counts still add up. Raises `SourceError` when a page cannot be fetched, and
    `IncompleteScanError` when none of `client.limits.passes` passes over a table added up. When they are used up before
    removals are proven, the rows land anyway, and the removals wait for a later run.
    """
    done: dict[str, CompletePass] = {}
    passes = [ScanPass(table, 1, Spool(folder / f"{table.name}.1.arrow"), _now()) for table in tables]
    pending: dict[Future[Page], tuple[ScanPass, int]] = {}
    taken_bytes = 0
    pool = ThreadPoolExecutor(window, thread_name_prefix="page")
    try:
        while passes:
            # Twice the window: a free worker always has a page to fetch, and the number of bodies in memory is bounded.
            while len(pending) < 2 * window and (wanted := _next(passes)):
                scan_pass, number = wanted
                size = scan_pass.page_rows or client.batch_size
                pending[pool.submit(client.fetch, scan_pass.table, number, size)] = wanted
            finished, _ = wait(pending, timeout=_WATCH_SECONDS, return_when=FIRST_COMPLETED)
            client.cut_overdue()
            while finished:
                future = finished.pop()
                scan_pass, number = pending.pop(future)
                page = future.result()
                taken_bytes += page.size_bytes
                if taken_bytes > client.limits.total_bytes:
                    raise SourceError(
                        f"{client.base_url}{scan_pass.table.path}: the pages of the whole extraction are more than"
                        f" {count(client.limits.total_bytes, 'byte')} (limit MAX_TOTAL_BYTES)."
                        " Nothing was landed; raise the limit or check what the API sends."
                    )
                _take(scan_pass, number, page, client, erasures)
                if progress:
                    progress(scan_pass.table.name, len(scan_pass.spool), max(scan_pass.totals, default=None))
                if scan_pass.is_over():
                    passes.remove(scan_pass)
                    outcome = _end(scan_pass, known.get(scan_pass.table.name, _NO_KEYS), client.limits.passes, folder)
                    client.check_deadline(scan_pass.table)
                    if isinstance(outcome, ScanPass):
                        passes.append(outcome)
                    else:
                        done[scan_pass.table.name] = outcome
    finally:
        client.close()
        pool.shutdown(cancel_futures=True)
    return done


def _next(passes: list[ScanPass]) -> tuple[ScanPass, int] | None:
    """Return the pass whose next page is fetched, and that page: one that has not begun, else the first with pages."""
    for scan_pass in sorted(passes, key=lambda scan_pass: scan_pass.next_page > 1):
        if number := scan_pass.begin_page():
            return scan_pass, number
    return None


def _take(scan_pass: ScanPass, number: int, page: Page, client: Client, erasures: Erasures) -> None:
    scan_pass.under_way -= 1
    if scan_pass.is_closing:
        scan_pass.has_same_end = len(page.items) == scan_pass.rows_at_end
        return
    scan_pass.count(number, page, client.batch_size)
    pages = scan_pass.furthest_page if scan_pass.lacks_totals else scan_pass.last_page
    if pages > client.limits.pages_per_table:
        claim = "has" if scan_pass.lacks_totals else f"claims {count(page.total, 'row')}, which is"
        raise SourceError(
            f"{client.base_url}{scan_pass.table.path} {claim} more than {count(client.limits.pages_per_table, 'page')}"
            " (limit MAX_PAGES). Nothing was landed; check what the API sends."
        )
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
    if scan_pass.lacks_totals and scan_pass.has_repeated_page:
        # A source that ignores the page number has no end.
        scan_pass.last_page = 0
    scan_pass.spool.append(rows)


def _withhold(row: Row) -> Row:
    return Row(None, "", None, row.key_digest, row.content_digest, is_withheld=True)


def _end(scan_pass: ScanPass, known: Digests, most_passes: int, folder: Path) -> CompletePass | ScanPass:
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
        if is_last and scan_pass.refusal and scan_pass.misses_rows():
            raise SourceError(scan_pass.refusal)
        if is_last:
            raise IncompleteScanError(_contradiction(scan_pass, found))
        return _next_pass(scan_pass, found, None, folder)
    # Also in a pass that does not add up, a key that was seen is live.
    lacking = missing_keys(before.keys if before else known, seen)
    missed_nothing = bool(before) and not len(missing_keys(before.scan_pass.spool.digests(), seen))
    is_proven = missed_nothing and not scan_pass.spool.rows_without_key
    if before:
        (before.scan_pass if is_believed else scan_pass).spool.delete()
    whole = scan_pass if is_believed else before.scan_pass
    # Lasting duplicates took two passes already, and no pass can prove more.
    is_doubtful = whole.lacks_totals and not missed_nothing and (adds_up or whole is not scan_pass)
    is_worth_proving = len(lacking) and not is_proven and (can_prove or whole is not scan_pass)
    if not is_last and (is_doubtful or is_worth_proving):
        return _next_pass(scan_pass, found, UnconfirmedPass(whole, lacking), folder)
    if is_doubtful:
        whole.spool.delete()
        raise IncompleteScanError(
            f"{scan_pass.table.path} gives no total, and none of {scan_pass.number} passes saw all rows of the one"
            " before. Nothing was landed; run again when the source has stopped changing."
        )
    return CompletePass(
        scan_pass.table,
        whole.spool,
        None if whole.lacks_totals else max(whole.totals),
        gone=lacking if is_proven else _NO_KEYS,
        keys_unsettled=0 if is_proven else len(lacking),
        passes=scan_pass.number,
        started_at=scan_pass.started_at,
        finished_at=_now(),
    )


def _next_pass(scan_pass: ScanPass, found: Tally, to_confirm: UnconfirmedPass | None, folder: Path) -> ScanPass:
    number = scan_pass.number + 1
    spool = Spool(folder / f"{scan_pass.table.name}.{number}.arrow")
    return ScanPass(
        scan_pass.table, number, spool, scan_pass.started_at, doubled_before=found.doubled, to_confirm=to_confirm
    )


def _adds_up(scan_pass: ScanPass, found: Tally) -> bool:
    """Return True when the rows, the distinct keys and the constant total of the source are equal in number."""
    return scan_pass.has_all_rows() and found.keys == len(scan_pass.spool)


def _has_lasting_doubles(scan_pass: ScanPass, found: Tally) -> bool:
    """Return True when all rows were read and a second pass finds exactly the same duplicate keys.

    A repeated page does not qualify: it hides the page that it replaced.
    """
    if not scan_pass.has_all_rows() or scan_pass.doubled_before is None or scan_pass.has_repeated_page:
        return False
    return np.array_equal(found.doubled, scan_pass.doubled_before)


def _contradiction(scan_pass: ScanPass, found: Tally) -> str:
    totals = sorted(scan_pass.totals)
    expected = "more rows"
    if totals:
        least = f"{totals[0]:,} to " if len(totals) > 1 else ""
        expected = f"{least}{count(totals[-1], 'row')}"
    repeated = "; one page came twice" if scan_pass.has_repeated_page else ""
    advice = "run again when the source has stopped changing"
    if scan_pass.has_repeated_page:
        advice += "; if it repeats its last page after the end, it must answer with an empty page or 404 there"
    elif 0 < scan_pass.most_rows < scan_pass.page_rows and not scan_pass.has_all_rows():
        most = scan_pass.most_rows
        advice = f"if the API serves at most {count(most, 'row')} per page, set BATCH_SIZE={most}"
    return (
        f"{scan_pass.table.path} does not add up after {scan_pass.number} passes: {expected} expected,"
        f" {len(scan_pass.spool):,} seen with {count(found.keys, 'distinct key')}{repeated}."
        f" Nothing was landed; {advice}."
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
