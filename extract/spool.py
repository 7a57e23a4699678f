"""Keep the rows of a scan on disk until it is known which of them land: memory stays flat for a scan of any size."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from extract.changes import Digests, view_digests
from extract.rows import Row

_BATCH_ROWS = 5_000
_BATCH_CHARS = 8 * 1024 * 1024
UNREADABLE, READABLE, WITHHELD = range(3)
_SCHEMA = pa.schema([("key", pa.string()), ("text", pa.string()), ("reason", pa.string())])


def spool_batches(batches: Iterator[pa.RecordBatch], file: Path) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Write all batches (at least one, of one schema) to `file`; return a function that reads them back."""
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
    """Hold the rows of one pass over one table: texts in a file, digests and kind in memory."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._sink = pa.OSFile(str(file), "wb")
        self._writer = pa.ipc.new_file(self._sink, _SCHEMA)
        self._waiting: list[Row] = []
        self._waiting_chars = 0
        self._batch_rows: list[int] = []
        self._digests = bytearray()
        self._kinds = bytearray()
        self.rows_without_key = 0
        """Number of rows without a complete key: each may be a row of any key."""
        self.nulls: Counter[str] = Counter()
        self.absent: Counter[str] = Counter()
        """By field, the number of readable rows in which it is null, or absent."""

    def __len__(self) -> int:
        return len(self._kinds)

    def append(self, rows: Sequence[Row]) -> None:
        """Add the rows of one page."""
        for row in rows:
            self._waiting.append(row)
            self._waiting_chars += len(row.text)
            self._digests += row.key_digest + row.content_digest
            self._kinds.append(WITHHELD if row.is_withheld else READABLE if row.reason is None else UNREADABLE)
            self.rows_without_key += not row.has_key
            if row.nulls or row.absent:
                self.nulls.update(row.nulls)
                self.absent.update(row.absent)
            if len(self._waiting) >= _BATCH_ROWS or self._waiting_chars >= _BATCH_CHARS:
                self._flush()

    def close(self) -> None:
        """End the writing; from now on the rows can be read."""
        self._flush()
        self._writer.close()
        self._sink.close()

    def delete(self) -> None:
        """Remove the file, closed or not."""
        self._sink.close()
        self._file.unlink(missing_ok=True)

    def digests(self) -> Digests:
        """Return the digests of key and content, in row order: uint64 (rows, 4)."""
        return view_digests(self._digests)

    def readable(self) -> np.ndarray:
        """Return which rows are readable: bool (rows,)."""
        return self._are(READABLE)

    def unreadable(self) -> np.ndarray:
        """Return which rows are neither readable nor withheld: bool (rows,)."""
        return self._are(UNREADABLE)

    def batches(self, wanted: np.ndarray) -> Iterator[tuple[pa.RecordBatch, list[str]]]:
        """Yield the wanted rows (bool, one per row), with their content digests in hexadecimal."""
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
