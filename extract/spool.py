"""Tonight's rows on disk until it is known which of them land: memory stays flat, however large the scan."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from extract.changes import Words, words
from extract.rows import Row

_BATCH_ROWS = 5_000
_BATCH_CHARS = 8 * 1024 * 1024
UNREADABLE, READABLE, WITHHELD = range(3)
_SCHEMA = pa.schema([("key", pa.string()), ("text", pa.string()), ("reason", pa.string())])


def spooled(batches: Iterator[pa.RecordBatch], file: Path) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Writes all batches (at least one, of one schema) to `file` and returns what reads them back."""
    first = next(batches)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)

    def read() -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(file), "rb") as source:
            yield from pa.ipc.open_stream(source)

    return read


class Spool:
    """The rows of one pass over one table: texts in a file, digests and kind in memory."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._sink = pa.OSFile(str(file), "wb")
        self._writer = pa.ipc.new_file(self._sink, _SCHEMA)
        self._waiting: list[Row] = []
        self._waiting_chars = 0
        self._batch_rows: list[int] = []
        self._digests = bytearray()
        self._kinds = bytearray()
        self.untold_rows = 0
        """How many rows do not tell their key: each may be a row of any key."""
        self.nulls: Counter[str] = Counter()
        self.absent: Counter[str] = Counter()
        """By field, in how many readable rows it is null, or not there."""

    def __len__(self) -> int:
        return len(self._kinds)

    def append(self, rows: Sequence[Row]) -> None:
        """Adds the rows of one page."""
        for row in rows:
            self._waiting.append(row)
            self._waiting_chars += len(row.text)
            self._digests += row.key_digest + row.content_digest
            self._kinds.append(WITHHELD if row.is_withheld else READABLE if row.reason is None else UNREADABLE)
            self.untold_rows += not row.tells_key
            if row.nulls or row.absent:
                self.nulls.update(row.nulls)
                self.absent.update(row.absent)
            if len(self._waiting) >= _BATCH_ROWS or self._waiting_chars >= _BATCH_CHARS:
                self._flush()

    def close(self) -> None:
        """Ends the writing; the rows can be read from now on."""
        self._flush()
        self._writer.close()
        self._sink.close()

    def delete(self) -> None:
        """Removes the file, closed or not."""
        self._sink.close()
        self._file.unlink(missing_ok=True)

    def words(self) -> Words:
        """uint64 (rows, 4): the digests of key and content, in the order of the rows."""
        return words(self._digests)

    def readable(self) -> np.ndarray:
        """bool (rows,)"""
        return self._are(READABLE)

    def unreadable(self) -> np.ndarray:
        """bool (rows,): neither readable nor withheld."""
        return self._are(UNREADABLE)

    def batches(self, wanted: np.ndarray) -> Iterator[tuple[pa.RecordBatch, list[str]]]:
        """The wanted rows (bool, one per row), with their content digests in hexadecimal."""
        digests = memoryview(self._digests)
        with pa.OSFile(str(self._file), "rb") as source:
            reader = pa.ipc.open_file(source)
            start = 0
            for number, rows in enumerate(self._batch_rows):
                mask = wanted[start : start + rows]
                positions = (np.flatnonzero(mask) + start) * 32
                start += rows
                if len(positions):
                    hashes = [digests[at + 16 : at + 32].hex() for at in positions]
                    yield reader.get_batch(number).filter(pa.array(mask)), hashes

    def _are(self, kind: int) -> np.ndarray:
        return np.frombuffer(self._kinds, np.uint8) == kind

    def _flush(self) -> None:
        if self._waiting:
            columns = [pa.array([getattr(row, name) for row in self._waiting], pa.string()) for name in _SCHEMA.names]
            self._batch_rows.append(len(self._waiting))
            self._writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            self._waiting.clear()
            self._waiting_chars = 0
