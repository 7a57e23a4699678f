"""The ways an extraction ends badly. Each message is one line: what happened, and what to do next."""

import re

_UNPRINTABLE = re.compile(r"[^ -~\u00a1-\ud7ff\ue000-\uffff]+")


class WrongSetting(ValueError):
    """An argument that no source or database can answer for: a malformed address, a batch size of 0."""


class SourceFailed(Exception):
    """The API could not be read completely and truthfully; nothing was landed tonight."""


class IncompleteScan(SourceFailed):
    """Every look at an endpoint showed totals and rows that contradict each other."""


class LandingFailed(Exception):
    """The database refused, is unreachable or full, or what landed is not what was sent."""


def one_line(text: object, longest: int = 300) -> str:
    """`text` without line breaks and control characters, cut to `longest` characters.

    Servers and databases answer with several lines and, when hostile, with terminal escape codes.
    """
    line = _UNPRINTABLE.sub(" ", str(text)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"
