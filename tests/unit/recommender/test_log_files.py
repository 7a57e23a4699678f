"""A log is read from CSV and Parquet alike, and what cannot be read ends in one line that says why."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.log_files import FileError, read_file

HEADER = "user_id,track_id,listened_at\n"


def write(folder, text: str, name: str = "log.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def listens(log) -> list[tuple]:
    """Return (user_id, track_id, seconds or None, count) of each listen."""
    user = np.repeat(np.arange(log.listens.user_count), np.diff(log.listens.starts))
    times = [None] * len(user) if log.times is None else log.times.tolist()
    counts = [1] * len(user) if log.listens.counts is None else log.listens.counts.tolist()
    ids = log.user_ids[user].tolist(), log.track_ids[log.listens.tracks].tolist()
    return list(zip(*ids, times, counts, strict=True))


def test_rows_come_sorted_with_the_columns_in_any_order_and_others_ignored(tmp_path):
    path = write(
        tmp_path,
        "rating,listened_at,track_id,user_id\n5,1970-01-02T00:00:00Z,30,9\n4,1970-01-01T00:00:01Z,30,9\n,1970-01-03,20,-4\n",
    )
    (log,) = read_file(path)
    assert listens(log) == [(-4, 20, 172800, 1), (9, 30, 1, 1), (9, 30, 86400, 1)]
    assert log.listens.days.tolist() == [2, 0, 1] and log.listens.today == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T02:00:00Z", 7200),
        ("1970-01-01 02:00:00", 7200),
        ("1970-01-01T02:00:00.999+02:00", 0),
        ("1969-12-31T22:00:00-0300", 3600),
        ("1969-12-31", -86400),
        ("7200", 7200),
        ("881250949", 881250949),
        ("881250949.0", 881250949),
        ("1700000000123", 1700000000),
        (" 1970-01-01T00:00:05 ", 5),
    ],
)
def test_a_time_may_have_a_zone_or_none_or_be_a_number(tmp_path, text, seconds):
    (log,) = read_file(write(tmp_path, f"{HEADER}1,2,{text}\n"))
    assert log.times.tolist() == [seconds]


def test_a_later_row_may_write_its_time_differently(tmp_path):
    (log,) = read_file(write(tmp_path, f"{HEADER}1,2,1970-01-01\n1,2,1970-01-01T00:00:07.5+00:00\n"))
    assert log.times.tolist() == [0, 7]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([0, 86400], pa.int64()),
        pa.array([0.0, 86400.0], pa.float64()),
        pa.array([0, 86400000], pa.timestamp("ms")),
        pa.array([0, 86400000000], pa.timestamp("us", "America/Montreal")),
        pa.array([0, 1], pa.date32()),
        pa.array(["1970-01-01", "1970-01-02"]),
    ],
    ids=str,
)
def test_parquet_is_read_with_any_type_of_time(tmp_path, times):
    table = pa.table(
        {"track_id": pa.array([5, 6], pa.int32()), "user_id": [1, 1], "listened_at": times, "x": ["a", "b"]}
    )
    pq.write_table(table, tmp_path / "a file without suffix")
    (log,) = read_file(tmp_path / "a file without suffix")
    assert listens(log) == [(1, 5, 0, 1), (1, 6, 86400, 1)]


def test_counts_and_missing_times_are_allowed(tmp_path):
    (log,) = read_file(write(tmp_path, "user_id,track_id,count\n1,2,40\n1,3,1\n"))
    assert listens(log) == [(1, 2, None, 40), (1, 3, None, 1)]
    assert log.listens.listens().tolist() == [41]


def test_a_byte_order_mark_windows_line_ends_and_gzip_are_read(tmp_path):
    text = b"\xef\xbb\xbfuser_id,track_id,listened_at\r\n1,2,1970-01-01\r\n"
    for path in (write(tmp_path, text), write(tmp_path, gzip.compress(text), "log.csv.gz")):
        assert listens(read_file(path)[0]) == [(1, 2, 0, 1)]


def test_two_files_share_their_users_and_tracks(tmp_path):
    first = write(tmp_path, f"{HEADER}1,10,5\n3,30,5\n", "a.csv")
    second = write(tmp_path, f"{HEADER}2,30,6\n", "b.csv")
    training, test = read_file(first, second)
    assert training.user_ids.tolist() == test.user_ids.tolist() == [1, 2, 3]
    assert listens(training) == [(1, 10, 5, 1), (3, 30, 5, 1)] and listens(test) == [(2, 30, 6, 1)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (HEADER, "has no rows"),
        ("user,track\n1,2\n", "has no column user_id; it has 'user', 'track'"),
        ("user_id;track_id;listened_at\n1;2;3\n", "has no column user_id; it has 'user_id;track_id;listened_at'"),
        ("user_id,track_id,user_id\n1,2,3\n", "has two columns user_id"),
        (f"{HEADER}1,2,5\nbob,2,5\n", "user_id must be whole numbers, not 'bob'"),
        (f"{HEADER}1,2.5,5\n", "track_id must be whole numbers, not '2.5'"),
        (f"{HEADER}1,2,5\n,2,5\n,3,5\n", "2 rows without user_id"),
        (f"{HEADER}1,NaN,5\n", "1 row without track_id"),
        (f"{HEADER}1,2,\n", "1 row without listened_at"),
        (f"{HEADER}1,2,yesterday\n", "listened_at must be times such as 2026-01-31T10:00:00Z"),
        (f"{HEADER}1,2,5\n1,2\n", "Expected 3 columns, got 2"),
        ("user_id,track_id,count\n1,2,0\n", "count must be above 0, not 0"),
        ("user_id,track_id,count\n1,2,inf\n", "count must be above 0, not inf"),
        ("user_id,track_id,count\n1,2,many\n", "count must be numbers, not 'many'"),
        (b"PAR1 and no more", "cannot be read"),
        (f"{HEADER}99999999999999999999,2,5\n", "user_id must be whole numbers"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_one_line(tmp_path, text, why):
    with pytest.raises(FileError) as error:
        read_file(write(tmp_path, text))
    assert why in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    for path, why in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(FileError, match=why):
            read_file(path)
