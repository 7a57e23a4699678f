"""Protect commands from failures of standard output and standard error.

A closed pipe (`| head`), a full disk, a closed descriptor or a closed terminal loses output, but never ends a command.
"""

import errno
import io
import os
import select
import sys
from typing import TextIO

# The reader closed the pipe on purpose.
READER_GONE = (errno.EPIPE, errno.ECONNRESET)


class LossyFile(io.FileIO):
    """Write to a descriptor and drop what cannot be written. `error` is the first failure.

    Each write is tried, because a full disk may have space again later.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        try:
            while (written := super().write(data)) is None:  # a non-blocking descriptor that is full
                select.select((), (self,), ())
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes
        return written


def protect_output() -> None:
    """Protect both streams of this process. A stream that a test has replaced stays as it is."""
    _open_closed_descriptors()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _protect(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _protect(sys.stderr, 2)


def write_error() -> str | None:
    """Return why a part of standard output was lost. Return None if nothing was, or if the reader closed the pipe."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, LossyFile) else None
    return error.strerror if error and error.errno not in READER_GONE else None


def _open_closed_descriptors() -> None:
    """Open closed descriptors, or the next opened file, such as a database connection, becomes standard output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # os.open takes the lowest free number, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _protect(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a stream like the given one (None: the descriptor was closed) over a LossyFile.

    A character that the encoding of the terminal lacks is written as an escape.
    """
    return io.TextIOWrapper(
        io.BufferedWriter(LossyFile(descriptor)),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        newline="\n",
        line_buffering=bool(stream and stream.line_buffering),
        write_through=bool(stream and stream.write_through),
    )
