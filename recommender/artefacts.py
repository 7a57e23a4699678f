"""Turn a fitted model into bytes and back, and apply it to the catalogue of another day.

The bytes are a NumPy archive: arrays, and a header in JSON. Nothing in it can be executed when it is read.
"""

import dataclasses
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from recommender.axes import CATALOGUE_GENRES, GENRES, TRACKS, Axes
from recommender.dataset import Catalogue
from recommender.interactions import Integers, find
from recommender.models import MODELS, FittedModel, again

FORMAT = 1


class ArtefactError(Exception):
    """Report a model that cannot be stored or used. `str()` is one line that says why."""


@dataclass(frozen=True)
class Artefact:
    """Hold a model, and the tracks and genres that its arrays are about, in their order."""

    model: FittedModel
    track_ids: Integers
    genre_names: Sequence[str]


def checksum(content: bytes) -> str:
    """Return the SHA-256 of an artefact."""
    return hashlib.sha256(content).hexdigest()


def code_version() -> str:
    """Return a hash of the source of the recommender."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def dump(model: FittedModel, catalogue: Catalogue) -> bytes:
    """Return the model as bytes. Raises ArtefactError if it is not finite."""
    check_is_finite(model)
    arrays: dict[str, np.ndarray] = {"track_ids": catalogue.track_ids}
    header = {"format": FORMAT, "genres": list(catalogue.genre_names), "model": _describe(model, "model", arrays)}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    output = io.BytesIO()
    np.savez_compressed(output, allow_pickle=False, **arrays)
    return output.getvalue()


def load(content: bytes | None, expected_checksum: str | None, format_version: int | None) -> Artefact:
    """Return the model in an artefact. Raises ArtefactError if it is missing, damaged, or of another format."""
    if content is None:
        raise ArtefactError("its artefact is missing")
    if checksum(content) != expected_checksum:
        raise ArtefactError("its artefact is damaged: the checksum differs")
    if format_version != FORMAT:
        raise ArtefactError(f"its artefact has format {format_version}, and this version of the code reads {FORMAT}")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            model = _build(header["model"], "model", arrays)
            track_ids = arrays["track_ids"]
    except TypeError:
        raise ArtefactError("its artefact was made by another version of the code") from None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ArtefactError(f"its artefact cannot be read ({type(error).__name__})") from None
    check_is_finite(model)
    return Artefact(model, track_ids, header["genres"])


def renumber(artefact: Artefact, catalogue: Catalogue) -> FittedModel:
    """Return the model for the tracks and genres of this catalogue: it knows nothing of new ones.

    CATALOGUE_GENRES in it are those of this catalogue.
    """
    is_same = np.array_equal(artefact.track_ids, catalogue.track_ids) and [*artefact.genre_names] == [
        *catalogue.genre_names
    ]
    if is_same:
        return _with_genres(artefact.model, catalogue.genres)
    genres = {name: number for number, name in enumerate(catalogue.genre_names)}
    moves = {
        TRACKS: (*find(catalogue.track_ids, artefact.track_ids), len(catalogue.track_ids)),
        GENRES: (
            np.array([genres.get(name, 0) for name in artefact.genre_names], np.int64),
            np.array([name in genres for name in artefact.genre_names], bool),
            len(genres),
        ),
    }
    return _with_genres(_move(artefact.model, moves), catalogue.genres)


def check_is_finite(model: FittedModel) -> None:
    """Raise ArtefactError if a number in the model is infinite, or none."""
    for value in _arrays(model):
        data = value.data if isinstance(value, csr_matrix) else value
        if not np.isfinite(data).all():
            raise ArtefactError(f"the model {type(model).__name__.lower()} has numbers that are not finite")


def collect_axes() -> Axes:
    """Return the axes that the modules of the models declare."""
    return {kind: axes for module in (*MODELS.values(), again) for kind, axes in module.AXES.items()}


Move = tuple[Integers, np.ndarray, int]


def _fields(model: FittedModel) -> Iterator[tuple[str, Any]]:
    for each in dataclasses.fields(model):
        yield each.name, getattr(model, each.name)


def _arrays(model: FittedModel) -> Iterator[np.ndarray | csr_matrix]:
    for _, value in _fields(model):
        if dataclasses.is_dataclass(value):
            yield from _arrays(value)
        elif isinstance(value, np.ndarray | csr_matrix):
            yield value


def _describe(model: FittedModel, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the parts of a model that JSON can hold, and add its arrays under names with the prefix."""
    fields: dict[str, Any] = {}
    for name, value in _fields(model):
        path = f"{prefix}.{name}"
        if dataclasses.is_dataclass(value):
            fields[name] = {"model": _describe(value, path, arrays)}
        elif isinstance(value, csr_matrix):
            arrays |= {f"{path}.{part}": getattr(value, part) for part in ("data", "indices", "indptr")}
            fields[name] = {"sparse": list(value.shape)}
        elif isinstance(value, np.ndarray):
            arrays[path] = value
            fields[name] = {"dense": list(value.shape)}
        else:
            fields[name] = {"value": value}
    return {"kind": type(model).__name__.lower(), "fields": fields}


def _build(described: Mapping[str, Any], prefix: str, arrays: Mapping[str, np.ndarray]) -> FittedModel:
    values: dict[str, Any] = {}
    for name, field in described["fields"].items():
        path = f"{prefix}.{name}"
        if "model" in field:
            values[name] = _build(field["model"], path, arrays)
        elif "sparse" in field:
            parts = tuple(arrays[f"{path}.{part}"] for part in ("data", "indices", "indptr"))
            values[name] = csr_matrix(parts, shape=tuple(field["sparse"]))
        elif "dense" in field:
            values[name] = arrays[path]
        else:
            values[name] = field["value"]
    kinds = {kind.__name__.lower(): kind for kind in collect_axes()}
    return kinds[described["kind"]](**values)


def _move(model: FittedModel, moves: Mapping[str, Move]) -> FittedModel:
    axes = collect_axes()[type(model)]
    changed: dict[str, Any] = {}
    for name, value in _fields(model):
        if dataclasses.is_dataclass(value):
            changed[name] = _move(value, moves)
        elif isinstance(value, np.ndarray | csr_matrix) and axes[name] != CATALOGUE_GENRES:
            along = [moves[axis] for axis in axes[name]]
            changed[name] = _move_sparse(value, along) if isinstance(value, csr_matrix) else _move_dense(value, along)
    return dataclasses.replace(model, **changed)


def _with_genres(model: FittedModel, genres: csr_matrix) -> FittedModel:
    changed: dict[str, Any] = {
        name: _with_genres(value, genres) for name, value in _fields(model) if dataclasses.is_dataclass(value)
    }
    changed |= {name: genres for name, axes in collect_axes()[type(model)].items() if axes == CATALOGUE_GENRES}
    return dataclasses.replace(model, **changed) if changed else model


def _move_dense(values: np.ndarray, along: Sequence[Move]) -> np.ndarray:
    for axis, (positions, is_kept, size) in enumerate(along):
        moved = np.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), values.dtype)
        target = [slice(None)] * values.ndim
        target[axis] = positions[is_kept]
        moved[tuple(target)] = np.compress(is_kept, values, axis=axis)
        values = moved
    return values


def _move_sparse(values: csr_matrix, along: Sequence[Move]) -> csr_matrix:
    entries = values.tocoo()
    (rows, is_row, height), (columns, is_column, width) = along
    is_kept = is_row[entries.row] & is_column[entries.col]
    at = rows[entries.row[is_kept]].astype(np.int32), columns[entries.col[is_kept]].astype(np.int32)
    moved = csr_matrix((entries.data[is_kept], at), shape=(height, width))
    moved.sort_indices()
    return moved
