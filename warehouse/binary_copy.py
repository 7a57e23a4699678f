"""Name the parts of the binary COPY format: a header, rows, and an end."""

import struct
from collections.abc import Iterable, Iterator

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = SIGNATURE + bytes(8)
END = struct.pack(">h", -1)


def rows_in(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the rows of a COPY from the server, which sends one per message, the first one after the header."""
    for message in messages:
        row = bytes(message)
        if row.startswith(SIGNATURE):
            row = row[len(HEADER) :]
        if row and row != END:
            yield row
