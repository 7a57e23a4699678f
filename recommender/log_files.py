"""Read listens from a CSV or Parquet file: `user_id, track_id, listened_at`, and optionally `count`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from recommender.interactions import Integers, Interactions, find
from warehouse.counts import count

IDS = ("user_id", "track_id")
TIME, COUNT = "listened_at", "count"
BATCH_ROWS = 1 << 18
SECONDS_PER_DAY = 86_400
# A number in `listened_at` is seconds since 1970, or milliseconds if it is larger: this is the year 2286.
LARGEST_SECONDS = 10_000_000_000
HAS_ZONE = r"(?:[zZ]|[+-]\d\d(?::?\d\d)?)$"
IS_DATE = r"^\d{4}-\d\d-\d\d$"


class FileError(Exception):
    """Report that a file cannot be used. `str()` is one line that says what to change."""


@dataclass(frozen=True)
class Log:
    """Hold the listens of a file, sorted by user, track and time. `user_ids` and `track_ids` are sorted.

    `times`: seconds since 1970 of each listen; None if the file has none, and then all days are 0.
    """

    user_ids: Integers
    track_ids: Integers
    listens: Interactions
    times: Integers | None


def read_file(*paths: Path) -> list[Log]:
    """Read one or more files with the same users and tracks. Raises FileError.

    Rows are read in batches. The peak is about 90 bytes of memory per row, while they are sorted.
    """
    tables = [_read(path) for path in paths]
    user_ids, track_ids = (np.unique(np.concatenate([table[name].ids for table in tables])) for name in IDS)
    return [_log(table, user_ids, track_ids) for table in tables]


@dataclass(frozen=True)
class _Codes:
    """Hold a column of ids as positions in its sorted distinct values."""

    ids: Integers
    codes: Integers


def _log(table: dict, user_ids: Integers, track_ids: Integers) -> Log:
    users, tracks = (
        find(ids, table[name].ids)[0].astype(np.int32)[table[name].codes]
        for name, ids in zip(IDS, (user_ids, track_ids), strict=True)
    )
    times, counts = table[TIME], table[COUNT]
    order = np.lexsort((tracks, users) if times is None else (times, tracks, users))
    starts = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=len(user_ids)))])
    times = None if times is None else times[order]
    days = np.zeros(len(users), np.int32) if times is None else (times // SECONDS_PER_DAY).astype(np.int32)
    listens = Interactions(
        starts,
        tracks[order],
        days,
        len(track_ids),
        int(days.max(initial=0)),
        None if counts is None else counts[order],
    )
    return Log(user_ids, track_ids, listens, times)


def _read(path: Path) -> dict:
    """Return the columns of a file. Raises FileError."""
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        batches = _parquet_batches(path) if is_parquet else _csv_batches(path)
        columns = [_columns(batch, path) for batch in batches]
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror or error})") from None
    except pa.ArrowException as error:
        raise FileError(f"{path} cannot be read: {str(error).splitlines()[0].rstrip('.')}") from None
    rows = sum(len(batch[IDS[0]]) for batch in columns)
    if not rows:
        raise FileError(f"{path} has no rows")
    found: dict = {name: _encode([batch.pop(name) for batch in columns]) for name in IDS}
    for name in (TIME, COUNT):
        found[name] = np.concatenate([batch[name] for batch in columns]) if name in columns[0] else None
    return found


def _encode(parts: list[Integers]) -> _Codes:
    distinct = [np.unique(part) for part in parts]
    ids = np.unique(np.concatenate(distinct))
    return _Codes(ids, np.concatenate([find(ids, part)[0].astype(np.int32) for part in parts]))


def _csv_batches(path: Path) -> Iterator[pa.RecordBatch]:
    # texts stay texts until they are checked: inference from the first rows would fail on later ones
    types = {name: pa.string() for name in (*IDS, TIME, COUNT)}
    try:
        with pa.input_stream(path, compression="detect") as stream:
            yield from pyarrow.csv.open_csv(
                stream,
                pyarrow.csv.ReadOptions(block_size=1 << 24),
                convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
            )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            raise FileError(f"{path} is empty") from None
        raise


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pyarrow.parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        yield from file.iter_batches(BATCH_ROWS, columns=[name for name in names if name in (*IDS, TIME, COUNT)])


def _columns(batch: pa.RecordBatch, path: Path) -> dict[str, np.ndarray]:
    names = batch.schema.names
    for name in (*IDS, TIME, COUNT):
        if names.count(name) > 1:
            raise FileError(f"{path} has two columns {name}")
    missing = [name for name in IDS if name not in names]
    if missing:
        raise FileError(f"{path} has no column {missing[0]}; it has {', '.join(map(repr, names[:8])) or 'none'}")
    found = {name: _integers(batch.column(name), name, path) for name in IDS}
    if TIME in names:
        found[TIME] = _seconds(batch.column(TIME), path)
    if COUNT in names:
        found[COUNT] = _counts(batch.column(COUNT), path)
    return found


def _integers(column: pa.Array, name: str, path: Path) -> Integers:
    _check_complete(column, name, path)
    try:
        return column.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        raise FileError(f"{path}: {name} must be whole numbers, not {_first_wrong(column, pa.int64())}") from None


def _counts(column: pa.Array, path: Path) -> np.ndarray:
    _check_complete(column, COUNT, path)
    try:
        counts = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        raise FileError(f"{path}: {COUNT} must be numbers, not {_first_wrong(column, pa.float64())}") from None
    is_wrong = ~(np.isfinite(counts) & (counts > 0))
    if is_wrong.any():
        raise FileError(f"{path}: {COUNT} must be above 0, not {counts[is_wrong][0]:g}")
    return counts.astype(np.float32)


def _seconds(column: pa.Array, path: Path) -> Integers:
    """Return seconds since 1970. A time without a zone is UTC."""
    _check_complete(column, TIME, path)
    try:
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            column = pc.cast(column, pa.int64(), safe=False)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = column.cast(pa.string())
            if pc.all(pc.match_substring_regex(column, r"^\d+(?:\.0*)?$")).as_py():
                column = pc.cast(pc.cast(column, pa.float64()), pa.int64())
            else:
                column = _with_zone(column)
        if pa.types.is_integer(column.type):
            numbers = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
            return np.where(np.abs(numbers) > LARGEST_SECONDS, numbers // 1000, numbers)
        # as text with a zone, or a type that has one or none
        moments = column.cast(pa.timestamp("us", "UTC") if pa.types.is_string(column.type) else pa.timestamp("us"))
        return moments.cast(pa.int64()).to_numpy(zero_copy_only=False) // 1_000_000
    except pa.ArrowException:
        raise FileError(
            f"{path}: {TIME} must be times such as 2026-01-31T10:00:00Z, or seconds since 1970,"
            f" not {_first_wrong(column, pa.timestamp('us', 'UTC'))}"
        ) from None


def _with_zone(column: pa.StringArray) -> pa.StringArray:
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.match_substring_regex(text, IS_DATE), pc.binary_join_element_wise(text, "00:00:00", " "), text)
    zoned = pc.binary_join_element_wise(text, "Z", "")
    # a date ends like a zone: look behind the first ten letters
    has_zone = pc.match_substring_regex(pc.utf8_slice_codeunits(text, 10), HAS_ZONE)
    return pc.if_else(has_zone, text, zoned)


def _check_complete(column: pa.Array, name: str, path: Path) -> None:
    missing = column.null_count
    if pa.types.is_floating(column.type):
        missing = pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0
    if missing:
        raise FileError(f"{path}: {count(missing, 'row')} without {name}; fill or remove them")


def _first_wrong(column: pa.Array, wanted: pa.DataType) -> str:
    """Return the first value that cannot be cast, to show it."""
    for value in column:
        try:
            value.cast(wanted)
        except pa.ArrowException:
            return repr(str(value))[:60]
    return "this"
