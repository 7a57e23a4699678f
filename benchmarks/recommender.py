"""Measure the recommender: reading listens beside a row-wise copy, and scoring beside the bare matrix product."""

import datetime as dt
import time
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from benchmarks.databases import database
from benchmarks.measuring import Measurement, measure
from benchmarks.targets import Figure
from recommender import interactions
from recommender.dataset import Catalogue, Dataset, Users
from recommender.interactions import Interactions
from recommender.models import als, neighbours
from recommender.scoring import BATCH, DISCOVER, Recommender, recommend

FACTORS, K = 64, 50
SEED = 5
# A user hears this many tracks: most of the own group, the others any. Every group has so many tracks.
TRACKS_PER_USER, TRACKS_PER_GROUP, OWN_SHARE = 50, 200, 0.8
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
# A fifth as many tracks as listens per user, a few of them much more often.
LISTENS = """
create schema marts;
create table marts.listen_history as
select
    1 + n %% %(users)s as user_id,
    1 + floor(%(tracks)s * random() ^ 2)::bigint as track_id,
    timestamptz '2026-10-31' - random() * interval '365 days' as listened_at,
    timestamptz '2026-10-31' as known_at
from generate_series(1, %(listens)s) as n;
"""


def figures(server_url: str, users: int, listens: int, log: Callable[[str], None]) -> Iterator[Figure]:
    """Measure the recommender's targets with as many tracks as users; `server_url` is a database on the server."""
    with database(server_url, "bench_listens") as url:
        with psycopg.connect(url, autocommit=True) as connection, psycopg.ClientCursor(connection) as cursor:
            cursor.execute(LISTENS, {"users": users, "tracks": users, "listens": listens})
            cursor.execute("vacuum analyze marts.listen_history")
        read, rows = measure(read_arrays, url, users), measure(read_rows, url)
    log(f"reading: {read.cpu_seconds:.1f} CPU s in arrays, {rows.cpu_seconds:.1f} row by row")
    yield Figure(f"reading {listens:,} listens vs row-wise COPY, CPU", 0.2, read.cpu_seconds / rows.cpu_seconds)
    yield Figure(f"peak memory of reading {listens:,} listens", 300, read.peak_mb, unit=" MB")
    bare = measure(bare_product, users)
    for what, target, call in (
        ("neighbours, without reasons", 1.0, score_with_neighbours),
        ("neighbours, with reasons", 2.5, explain_with_neighbours),
        ("ALS, without reasons", 2.6, score_with_als),
    ):
        took: Measurement = measure(call, users)
        seconds = took.answer
        log(f"{what}: {seconds:.1f} CPU s, bare product {bare.answer:.1f}")
        yield Figure(f"top {K} of {users:,} users x tracks: {what}, CPU", target, seconds / bare.answer)


def read_arrays(database_url: str, users: int) -> int:
    ids = np.arange(1, users + 1)
    with psycopg.connect(database_url, autocommit=True) as connection:
        return len(interactions.read(connection, ids, ids, until=NOW).tracks)


def read_rows(database_url: str) -> int:
    """Read the same pairs and days row by row, as a client without arrays does."""
    query = "copy (select user_id, track_id, listened_at::date - date '1970-01-01' from marts.listen_history)"
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"{query} to stdout (format binary)") as copy,
    ):
        copy.set_types(["int8", "int8", "int4"])
        return sum(1 for _ in copy.rows())


def bare_product(users: int) -> float:
    """Multiply the factors of all users and tracks, batch by batch; return CPU seconds."""
    draw = np.random.default_rng(SEED)
    one, other = (draw.random((users, FACTORS), np.float32) for _ in range(2))
    with threadpool_limits(1, "blas"):
        return _cpu_seconds(lambda: [(one[start : start + BATCH] @ other.T)[0, 0] for start in range(0, users, BATCH)])


def score_with_neighbours(users: int) -> float:
    return _score(_dataset(users), _neighbours(users), with_reasons=False)


def explain_with_neighbours(users: int) -> float:
    return _score(_dataset(users), _neighbours(users), with_reasons=True)


def score_with_als(users: int) -> float:
    factors = np.random.default_rng(SEED).normal(size=(users, FACTORS)).astype(np.float32)
    return _score(_dataset(users), als.Als(factors, 10.0, 5.0, None), with_reasons=False)


def _neighbours(users: int) -> neighbours.Neighbours:
    return neighbours.fit(_dataset(users), {**neighbours.FIRST_TRIALS[0], "k": 100}, SEED)


def _score(data: Dataset, model: neighbours.Neighbours | als.Als, with_reasons: bool) -> float:
    def score() -> None:
        recommend(Recommender(model, ()), data.users, data.catalogue, DISCOVER, K, with_reasons=with_reasons)

    with threadpool_limits(1, "blas"):
        return _cpu_seconds(score)


def _dataset(users: int) -> Dataset:
    """Return users of many groups with as many tracks, and no catalogue to speak of."""
    draw = np.random.default_rng(SEED)
    shape = (users, TRACKS_PER_USER)
    groups = users // TRACKS_PER_GROUP
    own = draw.integers(0, groups, users)[:, None] + groups * (draw.random(shape) ** 2 * TRACKS_PER_GROUP).astype(int)
    tracks = np.where(draw.random(shape) < OWN_SHARE, own, (users * draw.random(shape) ** 2).astype(int))
    listens = Interactions(
        np.arange(users + 1) * TRACKS_PER_USER,
        np.sort(tracks, axis=1).ravel().astype(np.int32),
        np.zeros(users * TRACKS_PER_USER, np.int32),
        users,
        0,
    )
    ids, nothing = np.arange(users), csr_matrix((users, 0), dtype=np.float32)
    catalogue = Catalogue(ids, np.ones(users, bool), np.full(users, -1, np.int32), nothing)
    return Dataset(ids, np.ones(users, bool), Users(listens, nothing), catalogue)


def _cpu_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started
