"""Write lists of recommendations as rows of a binary COPY: an array per list costs a fraction of a row per rank."""

import struct
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from recommender.dataset import Catalogue
from recommender.interactions import Integers
from recommender.list_making import Lists
from recommender.models import genres, popularity
from recommender.reasons import GENRE, TRACK, Reasons
from recommender.releases import COLUMNS

MODEL, GENRES, POPULAR = range(3)
SOURCES = {genres.NAME: GENRES, popularity.NAME: POPULAR}
# Type oids of Postgres.
INT8, FLOAT4, TEXT = 20, 700, 25
IDS = np.dtype([("bytes", ">i4"), ("value", ">i8")])
SCORES = np.dtype([("bytes", ">i4"), ("value", ">f4")])


def encode(
    release_id: int,
    list_name: str,
    model_version: int,
    sources: Sequence[int],
    user_ids: Integers,
    lists: Lists,
    catalogue: Catalogue,
    elements: np.ndarray,
) -> Iterator[bytes]:
    """Yield a row for each user who has a list, in the order of releases.COLUMNS.

    `sources`: for the model of the lists and each of its fallback models, MODEL, GENRES or POPULAR. `elements`: those
    of `encode_reasons`.
    """
    sizes = (lists.tracks >= 0).sum(axis=1)
    kinds = np.where(lists.tracks >= 0, np.array(sources)[lists.sources], -1)
    counts = [(kinds == kind).sum(axis=1).tolist() for kind in (MODEL, GENRES)]
    ids = _elements(IDS, catalogue.track_ids[np.maximum(lists.tracks, 0)])
    scores = _elements(SCORES, lists.scores)
    reasons = elements[_numbers(lists.reasons, len(catalogue.track_ids))]
    name = list_name.encode()
    first, second = struct.Struct(f">hiqiqi{len(name)}siqihih"), struct.Struct(">i")
    for row, size in enumerate(sizes.tolist()):
        if size:
            texts = b"".join(reasons[row, :size])
            yield b"".join(
                (
                    first.pack(
                        len(COLUMNS), 8, release_id, 8, int(user_ids[row]), len(name), name, 8, model_version,
                        2, counts[0][row], 2, counts[1][row],
                    ),
                    *_array(second, INT8, size, ids[row, :size].tobytes()),
                    *_array(second, FLOAT4, size, scores[row, :size].tobytes()),
                    *_array(second, TEXT, size, texts),
                )
            )  # fmt: skip


def find_sources(models: Iterable[str]) -> list[int]:
    """Return for each model by name the source of its items: MODEL, GENRES or POPULAR."""
    return [SOURCES.get(name, MODEL) for name in models]


def _array(length: struct.Struct, oid: int, size: int, elements: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the parts of a one-dimensional array: its length, its header, and its elements."""
    return length.pack(20 + len(elements)), struct.pack(">iiiii", 1, 0, oid, size, 1), elements


def _elements(kind: np.dtype, values: np.ndarray) -> np.ndarray:
    found = np.empty(values.shape, kind)
    found["bytes"], found["value"] = kind["value"].itemsize, values
    return found


def encode_reasons(catalogue: Catalogue) -> np.ndarray:
    """Return all reasons as elements of a text array: popular, then each track, then each genre."""
    tracks, genres = (
        [f"{kind} {value}" for value in values]
        for kind, values in (("track", catalogue.track_ids.tolist()), ("genre", catalogue.genre_names))
    )
    found = np.empty(1 + len(tracks) + len(genres), object)
    for number, text in enumerate(("popular", *tracks, *genres)):
        content = text.encode()
        found[number] = struct.pack(">i", len(content)) + content
    return found


def _numbers(reasons: Reasons, track_count: int) -> Integers:
    """Return the place of each reason among the elements."""
    first = np.select([reasons.kinds == TRACK, reasons.kinds == GENRE], [1, 1 + track_count], 0)
    return np.where(first > 0, first + reasons.positions, 0)
