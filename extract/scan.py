"""A complete look at all endpoints: pages at once, counted, and looked at again when they do not add up.

Two proofs are made of looks at a table of which nothing is known but its pages:

- A look *adds up* when every page told the same total and as many distinct keys were seen. It can still have
  missed a row that stood still: when a row before the reading position is deleted and another one is added
  behind it, every row between moves one place to the front, and one of them slips past.
- A look that adds up *missed nothing* when a later look sees all of its keys again. For there were as many rows
  as keys were seen; if one of the rows was missed, then one of the keys seen belonged to no row any more, and
  had been deleted before the look ended. (Unless a deleted key comes back between the two looks.)

So a known key is gone only when a look that missed nothing missed it. That costs a second reading in nights
with removals, and in these only. Two kinds of look land their rows and prove nothing about the keys they lack: one
with doubles, whose total counts more rows than it has keys, so that a double may stand in the place of a row; and
one with rows that do not tell their key, each of which may be the row that is missing.
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

from extract.changes import Tally, Words, missing, tally
from extract.erasures import NO_ERASURES, Erasures
from extract.errors import IncompleteScan, SourceFailed
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
    """A table as the source showed it, every row accounted for."""

    table: SourceTable
    spool: Spool
    total: int
    gone: np.ndarray
    """uint64 (keys, 2): digests of the known keys that are proven to be gone from the source."""
    keys_unsettled: int
    """How many known keys no look saw and no look proved to be gone: the source did not stand still for long enough."""
    passes: int
    """Looks at the table, this one and all others of tonight."""
    started_at: dt.datetime
    finished_at: dt.datetime


@dataclass(eq=False)
class _Pass:
    """One look at one table, while it is under way."""

    table: SourceTable
    number: int
    spool: Spool
    started_at: dt.datetime
    doubled_before: np.ndarray | None = None
    to_confirm: "_Lacking | None" = None
    next_page: int = 1
    last_page: int = 1
    under_way: int = 0
    totals: set[int] = field(default_factory=set)
    page_digests: set[bytes] = field(default_factory=set)
    has_repeated_page: bool = False


class _Lacking(NamedTuple):
    """A look that adds up and tells all its keys, and the known keys (uint64 (keys, 2)) that no look has seen yet."""

    look: _Pass
    keys: np.ndarray


def scan(
    client: Client,
    tables: Sequence[SourceTable],
    *,
    window: int,
    folder: Path,
    known: Mapping[str, Words] = MappingProxyType({}),
    erasures: Erasures = NO_ERASURES,
    progress: Progress | None = None,
) -> dict[str, CompletePass]:
    """Reads all pages of all tables, with `window` requests in flight over all of them together.

    The first pages come first, then the tables one after the other, so that each is looked at for as short
    a time as possible. Rows are spooled to `folder`. `known` has the live keys of each table that was delivered
    before. Of the rows that `erasures` withhold only the digests are kept, so that a look at them adds up. Raises
    `SourceFailed` for a page that cannot be had, and `IncompleteScan` when no look at a table added up and
    `client.limits.passes` are used up. When they are used up before it is proven which keys are
    gone, the rows land all the same: an unproven removal can wait a night, the rows need not.
    """
    done: dict[str, CompletePass] = {}
    looks = [_Pass(table, 1, Spool(folder / f"{table.name}.1.arrow"), _now()) for table in tables]
    pending: dict[Future[Page], _Pass] = {}
    taken_bytes = 0
    pool = ThreadPoolExecutor(window, thread_name_prefix="page")
    try:
        while looks:
            # Twice the window: a free worker finds a page waiting, and no more bodies than that are held.
            while len(pending) < 2 * window and (look := _next(looks)):
                pending[pool.submit(client.fetch, look.table, look.next_page)] = look
                look.next_page += 1
                look.under_way += 1
            finished, _ = wait(pending, timeout=_WATCH_SECONDS, return_when=FIRST_COMPLETED)
            client.cut_overdue()
            while finished:
                future = finished.pop()
                look = pending.pop(future)
                page = future.result()
                taken_bytes += page.size_bytes
                if taken_bytes > client.limits.total_bytes:
                    raise SourceFailed(
                        f"{client.base_url}{look.table.path}: the pages of the whole pull are more than"
                        f" {client.limits.total_bytes} bytes (limit MAX_TOTAL_BYTES)."
                        " Nothing was landed tonight; raise it or look at what the API sends."
                    )
                _take(look, page, client, erasures)
                if progress:
                    progress(look.table.name, len(look.spool), max(look.totals))
                if not look.under_way and look.next_page > look.last_page:
                    looks.remove(look)
                    outcome = _end(look, known.get(look.table.name, _NO_KEYS), client.limits.passes, folder)
                    client.check_deadline(look.table)
                    if isinstance(outcome, _Pass):
                        looks.append(outcome)
                    else:
                        done[look.table.name] = outcome
    finally:
        client.close()
        pool.shutdown(cancel_futures=True)
    return done


def _next(looks: list[_Pass]) -> _Pass | None:
    """The look whose next page is asked for: one that has not begun, else the first with pages left."""
    waiting = [look for look in looks if look.next_page <= look.last_page]
    return min(waiting, key=lambda look: look.next_page > 1, default=None)


def _take(look: _Pass, page: Page, client: Client, erasures: Erasures) -> None:
    look.under_way -= 1
    if not look.totals:
        look.last_page = max(1, -(-page.total // client.batch_size))
        if look.last_page > client.limits.pages_per_table:
            raise SourceFailed(
                f"{client.base_url}{look.table.path} claims {page.total} rows, which is more than"
                f" {client.limits.pages_per_table} pages (limit MAX_PAGES)."
                " Nothing was landed tonight; look at what the API sends."
            )
    look.totals.add(page.total)
    # In this one thread, because a decoded row can be twenty times its text.
    rows = []
    for item in page.items:
        row = read_row(item, look.table.key, client.limits, look.table.fields)
        rows.append(_nameless(row) if erasures.withhold(look.table, row.key, row.text) else row)
        # A page of a few megabytes can be made to cost seconds.
        client.check_deadline(look.table)
    # One row that comes again is a double at the source.
    if len(rows) > 1:
        digest = blake2b(b"".join(row.key_digest + row.content_digest for row in rows), digest_size=16).digest()
        look.has_repeated_page |= digest in look.page_digests
        look.page_digests.add(digest)
    look.spool.append(rows)


def _nameless(row: Row) -> Row:
    return Row(None, "", None, row.key_digest, row.content_digest, is_withheld=True)


def _end(look: _Pass, known: Words, most_passes: int, folder: Path) -> CompletePass | _Pass:
    """What lands, or the next look at the same table when that is not known yet."""
    look.spool.close()
    seen = look.spool.words()
    found = tally(seen, look.spool.readable())
    before = look.to_confirm
    adds_up = _adds_up(look, found)
    is_believed = adds_up or (before is None and _has_lasting_doubles(look, found))
    can_prove = adds_up and not look.spool.untold_rows
    is_last = look.number >= most_passes
    if not (is_believed or before):
        look.spool.delete()
        if is_last:
            raise IncompleteScan(_contradiction(look, found))
        return _next_look(look, found, None, folder)
    # Whether it adds up or not: a look that sees a key tells that it lives.
    lacking = missing(before.keys if before else known, seen)
    is_proven = bool(before) and not look.spool.untold_rows and not len(missing(before.look.spool.words(), seen))
    if before:
        (before.look if is_believed else look).spool.delete()
    whole = look if is_believed else before.look
    if len(lacking) and not is_proven and not is_last and (can_prove or whole is not look):
        return _next_look(look, found, _Lacking(whole, lacking), folder)
    return CompletePass(
        look.table,
        whole.spool,
        max(whole.totals),
        gone=lacking if is_proven else _NO_KEYS,
        keys_unsettled=0 if is_proven else len(lacking),
        passes=look.number,
        started_at=look.started_at,
        finished_at=_now(),
    )


def _next_look(look: _Pass, found: Tally, to_confirm: _Lacking | None, folder: Path) -> _Pass:
    number = look.number + 1
    spool = Spool(folder / f"{look.table.name}.{number}.arrow")
    return _Pass(look.table, number, spool, look.started_at, doubled_before=found.doubled, to_confirm=to_confirm)


def _adds_up(look: _Pass, found: Tally) -> bool:
    """True when as many rows and distinct keys were seen as the source counted all the time."""
    return _has_all_rows(look) and found.keys == len(look.spool)


def _has_lasting_doubles(look: _Pass, found: Tally) -> bool:
    """True when all rows were read and a second look finds exactly the same doubles.

    A page that came twice is no such double: it hides the page in whose place it came.
    """
    if not _has_all_rows(look) or look.doubled_before is None or look.has_repeated_page:
        return False
    return np.array_equal(found.doubled, look.doubled_before)


def _has_all_rows(look: _Pass) -> bool:
    return len(look.totals) == 1 and len(look.spool) == max(look.totals)


def _contradiction(look: _Pass, found: Tally) -> str:
    totals = sorted(look.totals)
    expected = f"{totals[0]}" if len(totals) == 1 else f"{totals[0]} to {totals[-1]}"
    repeated = "; one page came twice" if look.has_repeated_page else ""
    return (
        f"{look.table.path} does not add up after {look.number} looks: {expected} rows expected,"
        f" {len(look.spool)} seen with {found.keys} distinct keys{repeated}."
        " Nothing was landed tonight; run again when the source is quiet."
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
