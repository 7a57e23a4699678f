"""Read lists as they are stored: from rows of recommendations.lists, and in the short form in which a cache holds them.

Imports nothing heavy.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from recommender.releases import COLUMNS

CHECKSUM = struct.Struct(">I")
# The id of a track, the name of a genre as JSON, or None: popular.
Reason = int | str | None


class StoredList(NamedTuple):
    """Hold one list: the columns of recommendations.lists."""

    release_id: int
    user_id: int
    list: str
    model_version: int
    model_items: int
    genre_items: int
    track_ids: list[int]
    scores: list[float]
    reasons: list[Reason]


_DECODER = msgspec.msgpack.Decoder(
    tuple[int, int, str, int, int, int, list[int], list[float], list[Reason]],
)


def parse_reason(text: str) -> Reason:
    """Return a reason from its text in recommendations.lists, which `list_rows.encode_reasons` writes."""
    kind, _, value = text.partition(" ")
    if kind == "track":
        return int(value)
    return encode_genre(value) if kind == "genre" else None


def encode_genre(name: str) -> str:
    """Return the name as JSON."""
    return msgspec.json.encode(name).decode()


def decode(row: bytes) -> StoredList:
    """Return the list in a row of `list_rows.encode`. Raises ValueError, struct.error or IndexError for other bytes."""
    columns, _, release_id, _, user_id, length = struct.unpack_from(">hiqiqi", row)
    if columns != len(COLUMNS):
        raise ValueError("not a row of recommendations.lists")
    at = 30
    name = row[at : at + length].decode()
    _, model_version, _, model_items, _, genre_items = struct.unpack_from(">iqihih", row, at + length)
    at += length + 24
    parts = []
    for _ in range(3):
        (size,) = struct.unpack_from(">i", row, at)
        (count,) = struct.unpack_from(">i", row, at + 16)
        parts.append((at + 24, count))
        at += 4 + size
    (ids, count), (scores, _), (reasons, _) = parts
    return StoredList(
        release_id,
        user_id,
        name,
        model_version,
        model_items,
        genre_items,
        list(struct.unpack_from(">" + "4xq" * count, row, ids)),
        list(struct.unpack_from(">" + "4xf" * count, row, scores)),
        [parse_reason(text) for text in _texts(row, reasons, count)],
    )


def pack(stored: StoredList) -> bytes:
    """Return the short form of a list, with a checksum."""
    content = msgspec.msgpack.encode(tuple(stored))
    return CHECKSUM.pack(zlib.crc32(content)) + content


def unpack(value: bytes) -> StoredList | None:
    """Return the list in its short form, or None if that is damaged."""
    content = value[CHECKSUM.size :]
    if len(value) < CHECKSUM.size or CHECKSUM.unpack_from(value)[0] != zlib.crc32(content):
        return None
    try:
        return StoredList._make(_DECODER.decode(content))
    except msgspec.DecodeError:
        return None


def _texts(row: bytes, at: int, count: int) -> Iterable[str]:
    for _ in range(count):
        end = at + 4 + int.from_bytes(row[at : at + 4])
        yield row[at + 4 : end].decode()
        at = end
