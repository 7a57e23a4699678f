"""The sample API as the night's source, for as long as the pull takes."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

# Day 0 of the sample world lies this far before the first run: that many nights can be played on one day before the
# world's times would lie in the future, which the gate does not believe.
DAYS_BEFORE_FIRST_RUN = 60


@contextmanager
def serve_day(day: int, first_run_on: dt.date) -> Iterator[str]:
    """Serve the given day of the world on a free port of this machine; yields the base URL."""
    from sample_api.server import serve
    from sample_api.world import World, snapshot

    world = World(start=first_run_on - dt.timedelta(days=DAYS_BEFORE_FIRST_RUN))
    with serve(snapshot(world, day)) as server:
        yield server.url
