"""Split JSON text without decoding it: for bodies and rows that an ordinary decoder refuses.

A decoder refuses a whole page for one `NaN`, one lone surrogate or one value nested 100,000 deep, although the other
99 rows are valid. Nothing here recurses; the text is processed as one array of bytes: 8 MB of brackets cost about
100 MB and a quarter of a second. Only brackets are counted; the caller decodes the parts.
"""

import re
import threading
from collections.abc import Iterator
from itertools import chain, islice, pairwise

import numpy as np

MOST_MEMBERS = 10_000

_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_MEMBER = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*+:\s*+(.++)', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
# The work needs many times the size of the text, so only one text is processed at a time.
_memory_lock = threading.Lock()


def elements(text: bytes, most: int) -> list[bytes] | None:
    """Return the texts of the first `most` elements of a JSON array; None when its brackets do not balance."""
    parts = _parts(text.strip(), b"[]")
    if parts is None:
        return None
    values = list(islice(parts, most))
    if values == [b""]:
        return []
    return values if all(values) else None


def members(text: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return the (name, value) texts of a JSON object, duplicate names included.

    None when `text` is no object, or has more than `MOST_MEMBERS`.
    """
    parts = _parts(text.strip(), b"{}")
    if parts is None:
        return None
    texts = list(islice(parts, MOST_MEMBERS + 1))
    if texts == [b""]:
        return []
    found = [_MEMBER.fullmatch(text) for text in texts]
    return [match.groups() for match in found] if all(found) and len(found) <= MOST_MEMBERS else None


def depth(text: bytes) -> int:
    """Return the nesting depth of the arrays and objects in `text`."""
    with _memory_lock:
        return int(_depths(_outside_strings(text)[0]).max(initial=0))


def longest_string(text: bytes | bytearray) -> int:
    """Return the bytes of the longest string in `text` without its quotes; an unterminated one counts too."""
    with _memory_lock:
        quotes = np.flatnonzero(_are_quotes(_without_escapes(text)))
        lengths = quotes[1::2] - quotes[: len(quotes) // 2 * 2 : 2] - 1
        without_end = len(text) - int(quotes[-1]) - 1 if len(quotes) % 2 else 0
        return max(int(lengths.max(initial=0)), without_end)


def has_lone_surrogate(text: str) -> bool:
    """Return True when a `\\uD800` to `\\uDFFF` escape of `text` lacks its other half."""
    awaited_at = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        is_low = 0xDC00 <= code <= 0xDFFF
        if is_low != (escape.start() == awaited_at) or (awaited_at >= 0 and not is_low):
            return True
        awaited_at = escape.end() if 0xD800 <= code <= 0xDBFF else -1
    return awaited_at >= 0


def has_nul(text: str) -> bool:
    """Return True when `text` holds the escape `\\u0000`; an escaped backslash before `u0000` is not one."""
    return any(escape[1] and int(escape[1], 16) == 0 for escape in _ESCAPE.finditer(text))


def _parts(text: bytes, brackets: bytes) -> Iterator[bytes] | None:
    """Yield the texts between the commas of an array or object; None when the brackets do not balance."""
    if text[:1] != brackets[:1] or text[-1:] != brackets[1:]:
        return None
    with _memory_lock:
        outside, is_ended = _outside_strings(text)
        depths = _depths(outside)
        if not is_ended or depths[-1] != 0 or depths[:-1].min() < 1:
            return None
        commas = np.flatnonzero((depths == 1) & (outside == ord(",")))
    edges = chain((0,), commas, (len(text) - 1,))
    return (text[before + 1 : after].strip() for before, after in pairwise(edges))


def _outside_strings(text: bytes) -> tuple[np.ndarray, bool]:
    """Return the bytes of `text` (uint8) with blanks in place of its strings, and whether the last string ends."""
    chars = _without_escapes(text)
    is_inside = np.logical_xor.accumulate(_are_quotes(chars))
    return np.where(is_inside, np.uint8(ord(" ")), chars), not (len(text) and is_inside[-1])


def _without_escapes(text: bytes | bytearray) -> np.ndarray:
    """Return the bytes of `text` (uint8) without the escapes that could hide or imitate the end of a string."""
    return np.frombuffer(text.replace(b"\\\\", b"  ").replace(b'\\"', b"  "), np.uint8)


def _are_quotes(chars: np.ndarray) -> np.ndarray:
    return chars == ord('"')


def _depths(outside: np.ndarray) -> np.ndarray:
    """Return the number of open brackets after each byte: int32."""
    return np.cumsum(_STEPS[outside], dtype=np.int32)
