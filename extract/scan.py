"""A complete look at all endpoints: pages at once, counted, and looked at again when they do not add up."""

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from extract.changes import Keys, group
from extract.errors import IncompleteScan, SourceFailed
from extract.pages import Client
from extract.rows import Row, read_row
from extract.source_tables import SourceTable
from extract.spool import Spool

Progress = Callable[[str, int, int | None], None]
"""Called after every page with the table, the rows read of it so far, and its total."""

_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class CompletePass:
    """A table as the source showed it, every row accounted for."""

    table: SourceTable
    spool: Spool
    total: int
    passes: int
    started_at: dt.datetime
    finished_at: dt.datetime


class _PageOfRows(NamedTuple):
    total: int
    rows: list[Row]
    digest: bytes


@dataclass(eq=False)
class _Pass:
    """One look at one table, while it is under way."""

    table: SourceTable
    number: int
    spool: Spool
    started_at: dt.datetime
    doubled_before: np.ndarray | None = None
    next_page: int = 1
    last_page: int = 1
    under_way: int = 0
    totals: set[int] = field(default_factory=set)
    page_digests: set[bytes] = field(default_factory=set)
    has_repeated_page: bool = False


def scan(
    client: Client,
    tables: Sequence[SourceTable],
    *,
    window: int,
    folder: Path,
    progress: Progress | None = None,
) -> dict[str, CompletePass]:
    """Reads all pages of all tables, with `window` requests in flight over all of them together.

    The first pages come first, then the tables one after the other, so that each is looked at for as short
    a time as possible. Rows are spooled to `folder`. Raises `SourceFailed` for a page that cannot be had,
    and `IncompleteScan` when a table does not add up after `client.limits.passes` looks.
    """
    done: dict[str, CompletePass] = {}
    looks = [_Pass(table, 1, Spool(folder / f"{table.name}.1.arrow"), _now()) for table in tables]
    pending: dict[Future[_PageOfRows], _Pass] = {}
    pool = ThreadPoolExecutor(window, thread_name_prefix="page")
    try:
        while looks:
            # Twice the window: a free worker finds a page waiting, and no more bodies than that are held.
            while len(pending) < 2 * window and (look := _next(looks)):
                pending[pool.submit(_fetch, client, look.table, look.next_page)] = look
                look.next_page += 1
                look.under_way += 1
            finished, _ = wait(pending, timeout=_WATCH_SECONDS, return_when=FIRST_COMPLETED)
            client.cut_overdue()
            for future in finished:
                look = pending.pop(future)
                _take(look, future.result(), client)
                if progress:
                    progress(look.table.name, len(look.spool), max(look.totals))
                if not look.under_way and look.next_page > look.last_page:
                    looks.remove(look)
                    outcome = _end(look, client.limits.passes, folder)
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


def _fetch(client: Client, table: SourceTable, number: int) -> _PageOfRows:
    page = client.fetch(table, number)
    texts = [bytes(item) for item in page.items]
    digest = blake2b(b"\n".join(texts), digest_size=16).digest()
    return _PageOfRows(page.total, [read_row(text, table.key) for text in texts], digest)


def _take(look: _Pass, page: _PageOfRows, client: Client) -> None:
    look.under_way -= 1
    if not look.totals:
        look.last_page = max(1, -(-page.total // client.batch_size))
        if look.last_page > client.limits.pages_per_table:
            raise SourceFailed(
                f"{client.base_url}{look.table.path} claims {page.total} rows, which is more than"
                f" {client.limits.pages_per_table} pages (limit pages_per_table)."
                " Nothing was landed tonight; look at what the API sends."
            )
    look.totals.add(page.total)
    if page.rows:
        look.has_repeated_page |= page.digest in look.page_digests
        look.page_digests.add(page.digest)
    look.spool.append(page.rows)


def _end(look: _Pass, most_passes: int, folder: Path) -> CompletePass | _Pass:
    """The finished look when it adds up, else the next look at the same table."""
    look.spool.close()
    keys = group(look.spool.words(), look.spool.readable())
    if _adds_up(look, keys):
        total = max(look.totals)
        return CompletePass(look.table, look.spool, total, look.number, look.started_at, _now())
    if look.number >= most_passes:
        raise IncompleteScan(_contradiction(look, keys))
    look.spool.delete()
    return _Pass(
        look.table,
        look.number + 1,
        Spool(folder / f"{look.table.name}.{look.number + 1}.arrow"),
        look.started_at,
        doubled_before=keys.doubled(),
    )


def _adds_up(look: _Pass, keys: Keys) -> bool:
    """True when every row the source counts was seen.

    Equal totals and distinct keys prove it. Keys that are double at the source can never prove it; they
    are believed when all rows were read and a second look finds exactly the same doubles. A page that came
    twice is no such double: it hides the page in whose place it came.
    """
    if len(look.totals) != 1 or len(look.spool) != max(look.totals):
        return False
    if len(keys) == len(look.spool):
        return True
    if look.doubled_before is None or look.has_repeated_page:
        return False
    return np.array_equal(keys.doubled(), look.doubled_before)


def _contradiction(look: _Pass, keys: Keys) -> str:
    totals = sorted(look.totals)
    expected = f"{totals[0]}" if len(totals) == 1 else f"{totals[0]} to {totals[-1]}"
    repeated = "; one page came twice" if look.has_repeated_page else ""
    return (
        f"{look.table.path} does not add up after {look.number} looks: {expected} rows expected,"
        f" {len(look.spool)} seen with {len(keys)} distinct keys{repeated}."
        " Nothing was landed tonight; run again when the source is quiet."
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
