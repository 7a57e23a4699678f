"""Read one row of the API: its key, its content hash, and whether Postgres can hold it."""

import json
import re
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import NamedTuple, NoReturn

import msgspec

from extract import json_text
from extract.keys import encode_key
from extract.limits import DEFAULT_LIMITS, Limits
from warehouse.counts import count

NUMBER_CAP = 1000
"""Most digits, and largest exponent, of a number: 900 bytes of `1e131000` would fill 13 MB of jsonb."""

DIGEST_BYTES = 16

KEY_CAP = 1000
"""Most bytes of a key: the index on the versions of a key allows at most 2,700."""

# All of them, line ends too: a line holding only `\\.` would end a COPY.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}
_FLOAT = re.compile(r"-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
_DIGITS_AS_ZEROS = bytes(ord("0") if code in b"0123456789" else ord(" ") for code in range(256))
_TOO_MANY_DIGITS = b"0" * (NUMBER_CAP + 1)


class Row(NamedTuple):
    """Hold a row as it will be stored.

    `text` is the API's JSON text (for an unreadable row: that text, escaped to fit a text column). `reason` is None for
    a readable row. `key` is None when the key of an unreadable row cannot be found. `has_key` is False for that row,
    and for each row whose key lacks a field. `nulls` and `absent` list the expected fields that a readable row has as
    null, or lacks. A withheld row is counted and not stored: it has only digests.
    """

    key: str | None
    text: str
    reason: str | None
    key_digest: bytes
    content_digest: bytes
    has_key: bool = True
    is_withheld: bool = False
    nulls: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class _UnreadableRowError(Exception):
    pass


def _float_text(text: str) -> msgspec.Raw:
    # Keep the text, not the number: 1.10 and 1e400 must stay as they are.
    if len(text) > 24 or "e" in text or "E" in text:
        _check_number(text)
    return msgspec.Raw(text.encode())


def _check_number(text: str) -> int:
    """Return the number of digits that the exponent adds when the number is written out."""
    whole, fraction, exponent = _FLOAT.fullmatch(text).groups()
    digits = len(whole) + len(fraction or "")
    if digits > NUMBER_CAP or len(exponent or "") > 6 or abs(int(exponent or 0)) > NUMBER_CAP:
        raise _UnreadableRowError(f"a number of more than {NUMBER_CAP} digits")
    return abs(int(exponent or 0))


_decode = msgspec.json.Decoder(float_hook=_float_text).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


def read_row(raw: bytes, key_fields: Sequence[str], limits: Limits = DEFAULT_LIMITS, fields: Sequence[str] = ()) -> Row:
    """Read the row in `raw` (the JSON text of one item), keyed by `key_fields`; `fields` are the expected ones.

    A row beyond the `row_bytes` or the `depth` of `limits` is unreadable; at most `row_bytes` of its text are kept.

    The content hash covers the canonical form (sorted names, no white space, the shortest escapes, numbers as they
    were written), so two texts of the same value have the same hash.
    """
    try:
        if len(raw) > limits.row_bytes:
            raise _UnreadableRowError(
                f"larger than {count(limits.row_bytes, 'byte')} (limit MAX_ROW_BYTES), the first of which are kept"
            )
        value = _decode(raw)
        canonical = _encode(value)
        # The canonical text of a valid row is never longer than the row. When it is shorter, something
        # was dropped: white space and escapes, or one of two equal names.
        if (
            len(canonical) != len(raw)
            or b"\\u" in raw
            or raw.count(b"[") + raw.count(b"{") > limits.depth
            or _may_hold_large_numbers(raw, limits)
        ):
            _check_closely(raw, limits)
        # A value that is no object has no fields.
        members = value if isinstance(value, dict) else {}
        values = [members.get(name) for name in key_fields] if members is value else [None]
        key = encode_key(values)
        if len(key) > KEY_CAP:
            raise _UnreadableRowError(f"a key longer than {KEY_CAP} bytes")
        has_key = None not in values
        row = Row(key.decode(), raw.decode(), None, digest_of_key(key), _content_digest(canonical), has_key)
        unset = [name for name in fields if members.get(name) is None]
        if not unset:
            return row
        nulls = tuple(name for name in unset if name in members)
        return row._replace(nulls=nulls, absent=tuple(name for name in unset if name not in members))
    except _UnreadableRowError as error:
        reason = str(error)
    except RecursionError:
        reason = f"nested deeper than {limits.depth}"
    except UnicodeError:
        reason = "not UTF-8"
    except (msgspec.MsgspecError, ValueError):
        reason = _reason(raw, limits)
    return _unreadable(raw, key_fields, reason, limits)


def digest_of_key(key: bytes) -> bytes:
    """Return the 16-byte digest of a key; `delivered.KEY_DIGEST` computes the same in Postgres."""
    return sha256(key).digest()[:DIGEST_BYTES]


def _content_digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


def _may_hold_large_numbers(raw: bytes, limits: Limits) -> bool:
    """Return True for each row whose numbers may be too long, alone or together, and for few other rows."""
    if len(raw) <= min(NUMBER_CAP, limits.row_bytes // NUMBER_CAP):
        return False
    written_out = len(raw) + NUMBER_CAP * (raw.count(b"e") + raw.count(b"E"))
    return written_out > limits.row_bytes or _TOO_MANY_DIGITS in raw.translate(_DIGITS_AS_ZEROS)


def _check_closely(raw: bytes, limits: Limits) -> None:
    """Raise `_UnreadableRowError` for a row that decodes but cannot be stored unchanged."""
    if json_text.depth(raw) > limits.depth:
        raise _UnreadableRowError(f"nested deeper than {limits.depth}")
    text = raw.decode()
    if b"\\u" in raw:
        if json_text.has_nul(text):
            raise _UnreadableRowError("a NUL character")
        if json_text.has_lone_surrogate(text):
            raise _UnreadableRowError("a lone surrogate")
    written_out = len(raw)

    def add_number(number: str) -> None:
        nonlocal written_out
        written_out += _check_number(number)

    json.loads(
        text,
        object_pairs_hook=_refuse_doubles,
        parse_float=add_number,
        parse_int=add_number,
        parse_constant=_refuse,
    )
    if written_out > limits.row_bytes:
        raise _UnreadableRowError(
            f"numbers of more than {count(limits.row_bytes, 'digit')} together (limit MAX_ROW_BYTES)"
        )


def _refuse_doubles(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _UnreadableRowError("the same field twice in one object")


def _refuse(constant: str) -> NoReturn:
    raise _UnreadableRowError(f"{constant} is not JSON")


def _reason(raw: bytes, limits: Limits) -> str:
    try:
        _check_closely(raw, limits)
    except _UnreadableRowError as error:
        return str(error)
    except ValueError:
        return "not JSON"
    return "a value that cannot be decoded"


def _unreadable(raw: bytes, key_fields: Sequence[str], reason: str, limits: Limits) -> Row:
    content = _content_digest(raw)
    key = _find_key(raw, key_fields, limits)
    # A row without a key still counts as one row of the scan, so it needs a digest of its own.
    key_digest = digest_of_key(key) if key is not None else digest_of_key(b"no key " + content)
    text = raw[: limits.row_bytes].decode(errors="backslashreplace").translate(_CONTROLS)
    return Row(key.decode() if key is not None else None, text, reason, key_digest, content, key is not None)


def _find_key(raw: bytes, key_fields: Sequence[str], limits: Limits) -> bytes | None:
    texts_by_name: dict[object, list[bytes]] = {}
    for name, value in json_text.members(raw) or []:
        try:
            texts_by_name.setdefault(_decode(name), []).append(value)
        except (msgspec.MsgspecError, ValueError, TypeError):
            continue
    values = []
    for field in key_fields:
        texts = texts_by_name.get(field, [])
        try:
            if len(texts) != 1 or len(texts[0]) > KEY_CAP or json_text.depth(texts[0]) > limits.depth:
                return None
            values.append(_decode(texts[0]))
        except (msgspec.MsgspecError, ValueError, _UnreadableRowError):
            return None
    key = encode_key(values)
    return key if None not in values and len(key) <= KEY_CAP else None
