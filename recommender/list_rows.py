"""Write lists of recommendations as rows of a binary COPY: an array per list costs a fraction of a row per rank."""

import struct
from collections.abc import Iterator, Sequence

import numpy as np

from recommender.dataset import Catalogue
from recommender.interactions import Integers
from recommender.reasons import GENRE, TRACK, Reasons
from recommender.scoring import Lists

MODEL, GENRES, POPULAR = range(3)
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = struct.pack(">h", -1)
# Type oids of Postgres.
INT8, FLOAT4, TEXT = 20, 700, 25
IDS = np.dtype([("bytes", ">i4"), ("value", ">i8")])
SCORES = np.dtype([("bytes", ">i4"), ("value", ">f4")])
COLUMN_COUNT = 9


def encode(
    release_id: int,
    list_name: str,
    model_version: int,
    sources: Sequence[int],
    user_ids: Integers,
    lists: Lists,
    catalogue: Catalogue,
) -> Iterator[bytes]:
    """Yield a row for each user who has a list, in the order of releases.COLUMNS.

    `sources`: for the model of the lists and each of its fallbacks, MODEL, GENRES or POPULAR.
    """
    sizes = (lists.tracks >= 0).sum(axis=1)
    kinds = np.where(lists.tracks >= 0, np.array(sources)[lists.sources], -1)
    counts = [(kinds == kind).sum(axis=1).tolist() for kind in (MODEL, GENRES)]
    ids = _elements(IDS, catalogue.track_ids[np.maximum(lists.tracks, 0)])
    scores = _elements(SCORES, lists.scores)
    reasons = _reasons(lists.reasons, lists.tracks >= 0, catalogue)
    name = list_name.encode()
    first, second = struct.Struct(f">hiqiqi{len(name)}siqihih"), struct.Struct(">i")
    for row, size in enumerate(sizes.tolist()):
        if size:
            texts = b"".join(reasons[row, :size])
            yield b"".join(
                (
                    first.pack(
                        COLUMN_COUNT, 8, release_id, 8, int(user_ids[row]), len(name), name, 8, model_version,
                        2, counts[0][row], 2, counts[1][row],
                    ),
                    *_array(second, INT8, size, ids[row, :size].tobytes()),
                    *_array(second, FLOAT4, size, scores[row, :size].tobytes()),
                    *_array(second, TEXT, size, texts),
                )
            )  # fmt: skip


def _array(length: struct.Struct, oid: int, size: int, elements: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the parts of a one-dimensional array: its length, its header, and its elements."""
    return length.pack(20 + len(elements)), struct.pack(">iiiii", 1, 0, oid, size, 1), elements


def _elements(kind: np.dtype, values: np.ndarray) -> np.ndarray:
    found = np.empty(values.shape, kind)
    found["bytes"], found["value"] = kind["value"].itemsize, values
    return found


def _reasons(reasons: Reasons, is_there: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    """Return each reason as an element of a text array."""
    keys = (reasons.kinds.astype(np.int64) << 32) + np.maximum(reasons.positions, 0)
    keys, places = np.unique(np.where(is_there, keys, 0), return_inverse=True)
    texts = np.empty(len(keys), object)
    for number, key in enumerate(keys.tolist()):
        kind, position = key >> 32, key & (2**32 - 1)
        if kind == TRACK:
            text = f"track {catalogue.track_ids[position]}".encode()
        elif kind == GENRE:
            text = f"genre {catalogue.genre_names[position]}".encode()
        else:
            text = b"popular"
        texts[number] = struct.pack(">i", len(text)) + text
    return texts[places.reshape(is_there.shape)]
