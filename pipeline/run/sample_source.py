"""Serve the sample API during the extraction."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Day 0 of the sample data is this many days before the first run. That many runs fit into one real day before the
# sample times lie in the future, which the gate rejects.
DAYS_BEFORE_FIRST_RUN = 60


@contextmanager
def serve_day(day: int, first_run_on: dt.date, faults: Sequence[str] = ()) -> Iterator[str]:
    """Serve the given day of the sample data, with these faults, on a free port, and yield the base URL."""
    from sample_api.server import serve
    from sample_api.world import World, snapshot

    world = World(start=first_run_on - dt.timedelta(days=DAYS_BEFORE_FIRST_RUN))
    with serve(snapshot(world, day), faults) as server:
        yield server.url
