"""Limit the cost of reading the source; environment variables set the limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from extract.errors import SettingError

_MOST_DIGITS = 15
# A 32 MB row of 16 million elements is more than Postgres' parser may allocate; decoders fail at a depth of 1,000.
# No thread can wait for more than 9e9 seconds; a year is long enough.
_LARGEST = {"MAX_ROW_BYTES": 16 * 1024 * 1024, "MAX_DEPTH": 500, "MAX_SECONDS": 365 * 24 * 3600}


@dataclass(frozen=True)
class Limits:
    """Limit the cost of the source. An exceeded limit raises `SourceError`, with the name of its variable."""

    page_bytes: int = 8 * 1024 * 1024
    """Bytes of one page, after decompression."""
    row_bytes: int = 1024 * 1024
    """Bytes of one row, its numbers written out; larger ones are set aside."""
    string_bytes: int = 4 * 1024 * 1024
    """Bytes of one string, as the JSON text spells it."""
    depth: int = 100
    """Deepest nesting; deeper rows are set aside."""
    pages_per_table: int = 1_000_000
    total_bytes: int = 64 * 1024 * 1024 * 1024
    """Bytes of all pages of the whole extraction, after decompression, all scan passes included."""
    seconds: float = 3600
    """Time for the whole extraction, the landing not included."""
    passes: int = 4
    """Most scan passes over one table, for any reason."""
    attempts: int = 6
    """Tries for one page."""
    attempt_seconds: float = 30
    """Time for one try, from the first byte sent to the last byte read."""
    first_wait_seconds: float = 0.5
    """Pause after the first failed try; it doubles from try to try."""
    longest_wait_seconds: float = 30


DEFAULT_LIMITS = Limits()

LIMIT_VARIABLES = {
    "MAX_PAGE_BYTES": "page_bytes",
    "MAX_ROW_BYTES": "row_bytes",
    "MAX_STRING_BYTES": "string_bytes",
    "MAX_DEPTH": "depth",
    "MAX_PAGES": "pages_per_table",
    "MAX_TOTAL_BYTES": "total_bytes",
    "MAX_SECONDS": "seconds",
}
"""The limits that are settings. The error of an exceeded limit names its variable."""


def limits_from_environment(environ: Mapping[str, str]) -> Limits:
    """Return the default limits, overridden by `environ`. Raises `SettingError` naming the variable."""
    return Limits(
        **{
            limit: _whole_number(variable, environ[variable])
            for variable, limit in LIMIT_VARIABLES.items()
            if environ.get(variable)
        }
    )


def _whole_number(variable: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS or not int(text):
        raise SettingError(f"{variable} must be a whole number above 0, not {text[:40]!r}")
    if int(text) > _LARGEST.get(variable, int(text)):
        raise SettingError(f"{variable} must be a whole number from 1 to {_LARGEST[variable]}, not {text}")
    return int(text)
