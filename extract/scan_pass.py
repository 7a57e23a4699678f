"""Decide which pages of a table to read, and whether they hold all rows of it."""

import datetime as dt
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

import numpy as np

from extract.pages import Page
from extract.source_tables import SourceTable
from extract.spool import Spool


@dataclass(eq=False)
class ScanPass:
    """Track one pass over one table while it runs, and which of its pages to fetch next."""

    table: SourceTable
    number: int
    spool: Spool
    started_at: dt.datetime
    doubled_before: np.ndarray | None = None
    to_confirm: "UnconfirmedPass | None" = None
    page_rows: int = 0
    """Rows of a full page: as many as were asked for, or as the source serves at most."""
    next_page: int = 1
    last_page: float = 1
    under_way: int = 0
    totals: set[int] = field(default_factory=set)
    lacks_totals: bool = False
    end: int | None = None
    """The first page that is not full, and `rows_at_end`, the rows on it."""
    rows_at_end: int = 0
    furthest_page: int = 0
    """The last page that has rows."""
    most_rows: int = 0
    """Rows of the page that has most."""
    is_closing: bool = False
    """Whether the page `end` was requested once more, after all others."""
    has_same_end: bool = False
    """Whether it had as many rows as before."""
    first_missing: int | None = None
    """The first page that the source does not have, and `refusal`, its answer."""
    refusal: str | None = None
    page_digests: set[bytes] = field(default_factory=set)
    has_repeated_page: bool = False

    def begin_page(self) -> int | None:
        """Return the number of the page to fetch now; None if there is none, or none before others are answered."""
        if self.next_page <= self.last_page:
            self.under_way += 1
            self.next_page += 1
            return self.next_page - 1
        if self.lacks_totals and self.end and not self.under_way and not self.is_closing:
            self.is_closing = True
            self.under_way += 1
            return self.end
        return None

    def is_over(self) -> bool:
        """Return whether all pages were answered."""
        is_closed = self.is_closing or not (self.lacks_totals and self.end)
        return not self.under_way and self.next_page > self.last_page and is_closed

    def has_all_rows(self) -> bool:
        """Return whether as many rows were read as the source has, by its totals or by its last page."""
        if self.lacks_totals and not (self.has_same_end and self.furthest_page <= self.end):
            return False
        return all(total == len(self.spool) for total in self.totals)

    def misses_rows(self) -> bool:
        """Return whether a page is missing that must have rows: by a total, or because a page behind it has rows."""
        if self.first_missing is None:
            return False
        rows_before = (self.first_missing - 1) * self.page_rows
        return self.furthest_page > self.first_missing or any(total > rows_before for total in self.totals)

    def count(self, number: int, page: Page, size: int) -> None:
        """Count a page of which `size` rows were asked for, and set the last page: by the first total, or by the first
        page that is not full."""
        rows = len(page.items)
        if not self.page_rows:
            self.page_rows = page.largest_size or size
            # The first page that cannot be full: behind full pages there may be more rows than the total says.
            self.last_page = page.total // self.page_rows + 1 if page.total is not None else inf
        if page.refusal:
            if self.first_missing is None or number < self.first_missing:
                self.first_missing, self.refusal = number, page.refusal
        elif page.total is not None:
            self.totals.add(page.total)
        else:
            self.lacks_totals = True
        if rows < self.page_rows and (self.end is None or number < self.end):
            self.end, self.rows_at_end = number, rows
        if rows:
            self.furthest_page = max(self.furthest_page, number)
        self.most_rows = max(self.most_rows, rows)
        if self.lacks_totals:
            self.last_page = self.end + 1 if self.end else inf


class UnconfirmedPass(NamedTuple):
    """Hold a pass that adds up, until a later pass shows that it missed nothing.

    `keys` (uint64 (keys, 2)): the known keys that no pass has seen yet.
    """

    scan_pass: ScanPass
    keys: np.ndarray
