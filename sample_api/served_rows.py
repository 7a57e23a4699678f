"""Encode the served rows once, cut them into pages, and apply the faults of rows and pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sample_api.bad_rows import Row, SpoiledRow, draw, spoil
from sample_api.faults import Faults, Rule, Share
from sample_api.tables import TABLES
from sample_api.world import Snapshot

RowsByTable = Mapping[str, Sequence[Row | bytes]]

MOVED_ID = 1_000_000_000


class ServedRows:
    """Hold the current rows of the three tables. One thread serves them; another may call `replace`."""

    def __init__(self, rows: RowsByTable | Snapshot, faults: Faults) -> None:
        self.faults = faults
        self.replace(rows)

    def replace(self, rows: RowsByTable | Snapshot) -> None:
        """Serve other rows from the next request on: dicts, or the JSON bytes of a row, sent unchanged.

        A table that is not named is empty. Raises ValueError for a table the API does not have.
        """
        tables = rows.tables() if isinstance(rows, Snapshot) else rows
        if unknown := set(tables) - set(TABLES):
            raise ValueError(f"the API has no table {', '.join(sorted(unknown))}")
        self._tables = {table: _Table(table, tables.get(table, ())) for table in TABLES}

    def of(self, table: str) -> list[bytes]:
        """Return the currently served rows, in order, each as JSON."""
        return self._tables[table].served_rows(self.faults)

    def spoiled_rows(self, table: str) -> list[SpoiledRow]:
        """Return the damages of the fault `bad_rows` to the currently served rows."""
        return self._tables[table].spoiled_rows(self.faults)

    def page(self, table: str, page: int, size: int) -> bytes:
        """Return the JSON body of one page, with faults. `page` counts from 1; past the last one it is empty."""
        served = self._tables[table]
        rows = served.served_rows(self.faults)
        path = f"/{table}"
        said_size = size
        if largest := self.faults.strike(path, "largest_size"):
            size = min(size, largest.value.rows)
            said_size = said_size if largest.value.is_unsaid else size
        total, pages = len(rows), -(-len(rows) // size)

        def hit(fault: str, first_page: int = 1) -> Rule | None:
            rule = self.faults.rule(path, fault)
            on_page = rule is not None and rule.value.is_page(page, pages, first_page)
            return rule if on_page and rule.strikes(path) else None

        shown = page - 1 if hit("repeated_page", first_page=2) else page
        items = rows[max(0, shown - 1) * size : shown * size]
        if hit("short_page"):
            items = items[:-1]
        if hit("empty_page"):
            items = []
        if wrong := hit("wrong_total"):
            total = max(0, total + wrong.value.amount)
        no_items = self.faults.strike(path, "no_items")
        content = b"" if no_items else b'"items":[' + b",".join(items) + b"],"
        if moving := self.faults.rule(path, "moving"):
            served.move(moving.value)
        said_total = b'"total":%d,' % total
        if missing := self.faults.strike(path, "no_total"):
            said_total = b"" if missing.value else b'"total":null,'
        body = b'{%b%b"page":%d,"size":%d,"pages":%d}' % (content, said_total, page, said_size, pages)
        if encoding := self.faults.strike(path, "encoding"):
            return body.decode(errors="replace").encode(encoding.value)
        return body


class _Table:
    def __init__(self, name: str, rows: Sequence[Row | bytes]) -> None:
        self.name = name
        self.rows = [row if isinstance(row, bytes) else msgspec.json.encode(row) for row in rows]
        self.moves = 0
        self._worked_out: tuple[object, list[bytes], list[SpoiledRow]] | None = None

    def served_rows(self, faults: Faults) -> list[bytes]:
        return self._work_out(faults)[1]

    def spoiled_rows(self, faults: Faults) -> list[SpoiledRow]:
        return self._work_out(faults)[2]

    def move(self, at_most: int) -> None:
        """Move rows after an answered page, in turn: delete the first; insert at the head; insert and drop the last.

        The first makes the next page skip a row, the second makes it repeat one, the third repeats one with an
        unchanged total.
        """
        if self.moves >= at_most or not self.rows:
            return
        turn = self.moves % 3
        self.moves += 1
        rows = self.rows[1:] if turn == 0 else self.rows if turn == 1 else self.rows[:-1]
        self.rows = rows if turn == 0 else [self._new_row(), *rows]

    def _new_row(self) -> bytes:
        row = msgspec.json.decode(self.rows[0])
        if self.name == "listen_history":
            earlier = datetime.fromisoformat(row["created_at"]) - timedelta(microseconds=self.moves)
            row["created_at"] = earlier.isoformat(timespec="microseconds")
        else:
            row["id"] = MOVED_ID + self.moves
        return msgspec.json.encode(row)

    def _work_out(self, faults: Faults) -> tuple[object, list[bytes], list[SpoiledRow]]:
        found = (faults.rule(f"/{self.name}", name) for name in ("empty", "bulk_removal", "bad_rows"))
        rules = [(rule.name, rule.value) for rule in found if rule]
        asked = (self.moves, rules)
        if self._worked_out is None or self._worked_out[0] != asked:
            rows, spoiled = self.rows, []
            for fault, value in rules:
                rows, spoiled = _apply_fault(self.name, rows, fault, value)
            self._worked_out = (asked, rows, spoiled)
        return self._worked_out


def _apply_fault(
    table: str, rows: list[bytes], fault: str, value: Share | None
) -> tuple[list[bytes], list[SpoiledRow]]:
    if value is None:
        return [], []
    known: list[Any] = msgspec.json.decode(b"[" + b",".join(rows) + b"]")
    if fault == "bulk_removal":
        gone = set(draw(table, known, value.share, value.seed))
        return [row for position, row in enumerate(rows) if position not in gone], []
    spoiled_rows, spoiled = spoil(table, known, value.share, value.seed)
    return [msgspec.json.encode(row) for row in spoiled_rows], spoiled
