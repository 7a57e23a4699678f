"""Define the errors of an extraction. Each message is one line: what happened, and what to do next."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.redaction import sanitize

DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class SettingError(ValueError):
    """Report a wrong argument: a malformed address, a batch size of 0."""


class SourceError(Exception):
    """Report that the API could not be read completely and correctly; nothing was landed."""


class IncompleteScanError(SourceError):
    """Report that in every pass over an endpoint the totals contradicted the rows."""


class LandingError(Exception):
    """Report that the database refused, is unreachable or full, or that landed rows differ from the sent ones."""


@contextmanager
def translate_file_errors(folder: Path) -> Iterator[None]:
    """Turn file errors into `LandingError` when the disk is the cause, and else into `SettingError`."""
    try:
        yield
    except OSError as error:
        kind = LandingError if error.errno in DISK_FAILURES else SettingError
        reason = os.strerror(error.errno) if error.errno else one_line(error)
        free_space = "free space there, or " if kind is LandingError else ""
        raise kind(
            f"The working folder {folder} cannot be used: {reason}. Nothing was landed;"
            f" {free_space}set MOOVITAMIX_HOME to another folder."
        ) from error


def one_line(text: object, longest: int = 300) -> str:
    """Put `text` on one line of at most `longest` characters: servers and databases send several lines and, when
    hostile, terminal escape codes."""
    return sanitize(" ".join(str(text).split()), longest)
