"""Taking JSON text apart without decoding it: for bodies and rows that an ordinary decoder refuses.

A page with one `NaN`, one lone surrogate or one value nested 100,000 deep is refused whole by a decoder,
although the other 99 rows are fine. Nothing here recurses, so depth costs nothing.
"""

import re
from collections.abc import Iterator

# Possessive, because an ordinary `*` keeps 100 bytes per escape to come back to: a gigabyte for 16 MB of escapes.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:"]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STRING_OR_REST = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def elements(text: bytes) -> list[bytes] | None:
    """The texts of the elements of a JSON array; None when the brackets of `text` do not balance."""
    parts = _parts(text.strip(), b"[", b"]")
    return None if parts is None else [value for _, value in parts]


def members(text: bytes) -> list[tuple[bytes, bytes]] | None:
    """The (name, value) texts of a JSON object, doubles included; None when `text` is not one."""
    parts = _parts(text.strip(), b"{", b"}")
    if parts is None or any(name is None for name, _ in parts):
        return None
    return [(name or b"", value) for name, value in parts]


def depth(text: bytes) -> int:
    """How deep the arrays and objects of `text` are nested."""
    deepest = level = 0
    for char in _STRING.sub(b"", text).translate(None, _ALL_BUT_BRACKETS):
        if char in b"[{":
            level += 1
            deepest = max(deepest, level)
        else:
            level -= 1
    return deepest


def longest_string(text: bytes) -> int:
    """Bytes of the longest string in `text`, quotes not counted; one that does not end counts too."""
    return max((match.end(1) - match.start(1) for match in _STRING_OR_REST.finditer(text)), default=0)


def has_lone_surrogate(text: str) -> bool:
    """True when a `\\uD800` to `\\uDFFF` escape of `text` stands without its other half."""
    awaited_at = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        is_low = 0xDC00 <= code <= 0xDFFF
        if is_low != (escape.start() == awaited_at) or (awaited_at >= 0 and not is_low):
            return True
        awaited_at = escape.end() if 0xD800 <= code <= 0xDBFF else -1
    return awaited_at >= 0


def has_nul(text: str) -> bool:
    """True when `text` holds the escape `\\u0000`; an escaped backslash before `u0000` is not one."""
    return any(escape[1] and int(escape[1], 16) == 0 for escape in _ESCAPE.finditer(text))


def _parts(text: bytes, opening: bytes, closing: bytes) -> list[tuple[bytes | None, bytes]] | None:
    if text[:1] != opening:
        return None
    parts: list[tuple[bytes | None, bytes]] = []
    open_brackets: list[bytes] = []
    name, start = None, 1
    for token, begin, end in _structure(text):
        if token == b'"':
            return None
        if token in b"[{":
            open_brackets.append(token)
            continue
        if token in b"]}":
            if not open_brackets or open_brackets.pop() != (b"[" if token == b"]" else b"{"):
                return None
            if open_brackets:
                continue
            last = text[start:begin].strip()
            if last or name is not None or parts:
                parts.append((name, last))
            return parts if end == len(text) and all(value for _, value in parts) else None
        if len(open_brackets) != 1:
            continue
        if token == b",":
            parts.append((name, text[start:begin].strip()))
            name, start = None, end
        elif opening == b"{" and name is None:
            name, start = text[start:begin].strip(), end
    return None


def _structure(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    for match in _TOKEN.finditer(text):
        # A quote that stands alone opens a string that never ends.
        if match[0][:1] != b'"' or len(match[0]) == 1:
            yield match[0], match.start(), match.end()
