"""Standard output and standard error that end no command: what was begun is finished, whatever becomes of them.

A reader that went away (`| head`), a full disk, a closed descriptor or a terminal that is gone cost what would have
been shown, and nothing else.
"""

import errno
import io
import os
import select
import sys
from typing import TextIO

# A reader that goes away does so on purpose.
READER_GONE = (errno.EPIPE, errno.ECONNRESET)


class LossyFile(io.FileIO):
    """A descriptor to write to. What it does not take is lost; `error` is the first reason.

    Each write is tried: a disk that was full for an hour takes the rest of the log.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        try:
            while (written := super().write(data)) is None:  # it does not block, and is full for now
                select.select((), (self,), ())
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes
        return written


def protect_output() -> None:
    """Make both streams of this process so. One that was put in the place of the real one, as tests do, stays."""
    _open_closed_descriptors()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _protected(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _protected(sys.stderr, 2)


def write_error() -> str | None:
    """Why standard output did not take all that was written; None also where its reader went away."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, LossyFile) else None
    return error.strerror if error and error.errno not in READER_GONE else None


def _open_closed_descriptors() -> None:
    """Or the next file that is opened, such as a connection to the warehouse, becomes standard output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest number that is free: this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _protected(stream: TextIO | None, descriptor: int) -> TextIO:
    """The stream as Python made it (None where the descriptor was closed), over a file that raises nothing.

    A letter that the terminal's encoding does not have is written as its escape.
    """
    return io.TextIOWrapper(
        io.BufferedWriter(LossyFile(descriptor)),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        newline="\n",
        line_buffering=bool(stream and stream.line_buffering),
        write_through=bool(stream and stream.write_through),
    )
