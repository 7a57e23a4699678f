"""Data that are missing, have shrunk or are stale are refused."""

import datetime as dt
from dataclasses import replace

from recommender.training_data import DataSize, find_data_problems

NOW = dt.datetime(2026, 7, 31, tzinfo=dt.UTC)


def test_data_are_refused_that_are_missing_shrunk_or_stale():
    size = DataSize(1_000, 500, 20_000, NOW - dt.timedelta(days=1))
    before = {"users": 1_000, "tracks": 500, "listens": 20_000}
    assert find_data_problems(size, None, NOW) == find_data_problems(size, before, NOW) == []
    assert find_data_problems(replace(size, listens=14_001), before, NOW) == []
    (shrunk,) = find_data_problems(replace(size, listens=13_999), before, NOW)
    assert shrunk == "there are 13,999 listens, 30% fewer than the 20,000 at the last training"
    (empty,) = find_data_problems(replace(size, tracks=0), before, NOW)
    assert empty == "there are no tracks yet"
    (stale,) = find_data_problems(replace(size, newest=NOW - dt.timedelta(days=11)), before, NOW)
    assert stale == "the newest listen became known on 2026-07-20, more than 10 days ago"
