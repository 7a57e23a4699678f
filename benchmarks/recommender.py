"""Measure the recommender: reading listens beside a row-wise copy, scoring beside the bare matrix product, and
publishing beside a row per track."""

import datetime as dt
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from benchmarks.databases import database
from benchmarks.history import create_inputs
from benchmarks.measuring import Measurement, measure
from benchmarks.targets import Figure
from recommender import interactions, list_rows, releases
from recommender.dataset import Catalogue, Dataset, Users
from recommender.interactions import Interactions
from recommender.list_making import BATCH, Lists, Recommender, recommend
from recommender.models import als, neighbours
from recommender.reasons import TRACK, make_reasons
from recommender.releases import DISCOVER
from warehouse import binary_copy

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
    with database(server_url, "bench_lists") as url:
        create_inputs(url)
        (arrays, array_mb), (rows, row_mb) = (measure(call, url, users).answer for call in (publish, publish_rows))
    log(f"publishing: {arrays:.1f} CPU s and {array_mb:.0f} MB, {rows:.1f} and {row_mb:.0f} with a row per track")
    yield Figure(f"publishing {users:,} lists of {K} vs a row per track, CPU", 0.3, arrays / rows)
    yield Figure(f"size of {users:,} lists of {K} vs a row per track", 0.3, array_mb / row_mb)


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


# The same columns with a row per track, in the format of a binary COPY.
TRACK_ROW = np.dtype(
    [
        ("columns", ">i2"),
        *(
            field
            for name, kind in (
                ("user_id", ">i8"),
                ("list", "S8"),
                ("rank", ">i4"),
                ("track_id", ">i8"),
                ("score", ">f4"),
                ("reason", "S12"),
                ("source", "S5"),
                ("model_version", ">i8"),
            )
            for field in ((f"{name} bytes", ">i4"), (name, kind))
        ),
    ]
)


def publish(database_url: str, users: int) -> tuple[float, float]:
    """Publish lists as releases do; return CPU seconds of client and server, and MB."""
    lists, catalogue = _lists(users)
    ids = np.arange(1, users + 1)

    def rows(release_id: int) -> Iterator[bytes]:
        yield binary_copy.HEADER
        elements = list_rows.encode_reasons(catalogue)
        for start in range(0, users, BATCH):
            part = slice(start, start + BATCH)
            some = Lists(
                lists.tracks[part],
                lists.scores[part],
                lists.sources[part],
                make_reasons(TRACK, lists.reasons.positions[part]),
            )
            yield b"".join(
                list_rows.encode(release_id, DISCOVER, 1, [list_rows.MODEL], ids[part], some, catalogue, elements)
            )
        yield binary_copy.END

    columns = {"as_of": NOW, "until_seq": 1, "model_versions": {}, "artist_cap": 3}
    columns |= {"users": users, "lists": users, "seconds": 0, "figures": {}}
    with psycopg.connect(database_url, autocommit=True) as connection:

        def call() -> None:
            with connection.transaction():
                release_id, partition = releases.begin(connection)
                releases.copy_lists(connection, partition, rows(release_id))
                releases.publish(connection, release_id, columns, "benchmark")

        return _cpu_of_both(connection, call), _megabytes(connection, "recommendations.lists_1")


def publish_rows(database_url: str, users: int) -> tuple[float, float]:
    """Publish the same with a row per track; return CPU seconds of client and server, and MB."""
    lists, catalogue = _lists(users)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "create table track_rows (user_id bigint, list text, rank integer, track_id bigint, score real,"
            " reason text, source text, model_version bigint, primary key (user_id, list, rank))"
        )

        def call() -> None:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy("copy track_rows from stdin (format binary)") as copy:
                    copy.write(binary_copy.HEADER)
                    texts = np.array([f"track {number:06}".encode() for number in catalogue.track_ids])
                    for start in range(0, users, BATCH):
                        copy.write(_track_rows(lists, catalogue, texts, start, min(start + BATCH, users)))
                    copy.write(binary_copy.END)
                cursor.execute("analyze track_rows")

        return _cpu_of_both(connection, call), _megabytes(connection, "track_rows")


def _track_rows(lists: Lists, catalogue: Catalogue, texts: np.ndarray, start: int, stop: int) -> bytes:
    found = np.empty((stop - start, K), TRACK_ROW)
    found["columns"] = 8
    for name in TRACK_ROW.names[2::2]:
        found[f"{name} bytes"] = TRACK_ROW[name].itemsize
    found["user_id"], found["rank"] = np.arange(start + 1, stop + 1)[:, None], np.arange(1, K + 1)
    found["list"], found["source"], found["model_version"] = DISCOVER.encode(), b"model", 1
    found["track_id"], found["score"] = catalogue.track_ids[lists.tracks[start:stop]], lists.scores[start:stop]
    found["reason"] = texts[lists.reasons.positions[start:stop]]
    return found.tobytes()


def _lists(users: int) -> tuple[Lists, Catalogue]:
    """Return lists of drawn tracks, each because of another one."""
    draw = np.random.default_rng(SEED)
    tracks, reasons = (draw.integers(0, users, (users, K)).astype(np.int32) for _ in range(2))
    scores = draw.random((users, K), np.float32)
    nothing = csr_matrix((users, 0), dtype=np.float32)
    catalogue = Catalogue(np.arange(users), np.ones(users, bool), np.full(users, -1, np.int32), nothing)
    return Lists(tracks, scores, np.zeros(tracks.shape, np.int8), make_reasons(TRACK, reasons)), catalogue


def _cpu_of_both(connection: psycopg.Connection, call: Callable[[], object]) -> float:
    """Return the CPU seconds of this process and of its backend, which runs on the same machine (Linux)."""
    server = Path(f"/proc/{connection.info.backend_pid}/stat")

    def ticks() -> int:
        return sum(map(int, server.read_text().rsplit(")", 1)[1].split()[11:13]))

    before = ticks()
    seconds = _cpu_seconds(call)
    return seconds + (ticks() - before) / os.sysconf("SC_CLK_TCK")


def _megabytes(connection: psycopg.Connection, table: str) -> float:
    return float(connection.execute("select pg_total_relation_size(%s::regclass) / 1e6", [table]).fetchone()[0])


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
