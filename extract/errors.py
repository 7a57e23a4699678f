"""The ways an extraction ends badly. Each message is one line: what happened, and what to do next."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
_UNPRINTABLE = re.compile(r"[^ -~\u00a1-\ud7ff\ue000-\uffff]+")


class WrongSetting(ValueError):
    """An argument that no source or database can answer for: a malformed address, a batch size of 0."""


class SourceFailed(Exception):
    """The API could not be read completely and truthfully; nothing was landed tonight."""


class IncompleteScan(SourceFailed):
    """Every look at an endpoint showed totals and rows that contradict each other."""


class LandingFailed(Exception):
    """The database refused, is unreachable or full, or what landed is not what was sent."""


@contextmanager
def working_folder_explained(folder: Path) -> Iterator[None]:
    """What goes wrong with files becomes `LandingFailed` when the disk is to blame, and else `WrongSetting`."""
    try:
        yield
    except OSError as error:
        kind = LandingFailed if error.errno in _DISK_FAILURES else WrongSetting
        reason = os.strerror(error.errno) if error.errno else one_line(error)
        raise kind(
            f"The working folder {folder} cannot be used: {reason}. Nothing was landed tonight;"
            " free space there, or set MOOVITAMIX_HOME to another folder."
        ) from error


def one_line(text: object, longest: int = 300) -> str:
    """`text` without line breaks and control characters, cut to `longest` characters.

    Servers and databases answer with several lines and, when hostile, with terminal escape codes.
    """
    line = _UNPRINTABLE.sub(" ", str(text)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"
