"""Measure the build: a night on a long history against a shorter one, and against hand-written SQL."""

import datetime as dt
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg

from benchmarks import recommending
from benchmarks.databases import database
from benchmarks.dbt_runs import render, run_dbt
from benchmarks.history import DAYS, add_daily_load, add_history, add_listens_of, create_inputs
from benchmarks.measuring import machine_state, measure
from benchmarks.targets import Figure, ratio, spread
from pipeline.run.build_state import BUILD_WITHOUT_VIEWS, WHOLE_BUILD
from recommender import feature_store

ROUNDS = 3
READERS = 200
HEAVIEST_LISTENS = 100_000
MOST_GIGABYTES, MOST_MINUTES, MOST_SNAPSHOT_SECONDS = 15, 25, 180
# The models that turn landed documents into listens; the others build users, tracks and totals of features.
LISTENS_MODELS = (
    "int_document_versions",
    "int_present_listens",
    "int_listens",
    "int_vanished_listens",
    "listen_history",
    "int_unparked_listens",
    "parked_listens",
)
# The same rows as the models', for a load that is not published late and whose documents are all new.
HAND_WRITTEN = """
insert into marts.listen_history (id, user_id, track_id, listened_at, created_at, known_at, _load_id)
select
    (
        'x'
        || left(md5(concat_ws('|', user_id, epoch_microseconds, track_id, nth)), 16)
    )::bit(64)::bigint,
    user_id,
    track_id,
    listens.updated_at,
    listens.created_at,
    greatest(listens.updated_at, publications.known_at, users.known_at, tracks.known_at),
    _dlt_load_id
from (
    select
        documents.*,
        item::bigint as track_id,
        row_number() over (partition by user_id, created_at, item) as nth
    from (
        select
            (payload ->> 'user_id')::bigint as user_id,
            (payload ->> 'created_at')::timestamp at time zone 'UTC' as created_at,
            (extract(epoch from (payload ->> 'created_at')::timestamp) * 1000000)::bigint as epoch_microseconds,
            (payload ->> 'updated_at')::timestamp at time zone 'UTC' as updated_at,
            payload -> 'items' as items,
            _dlt_load_id
        from staging.listen_history
        where _dlt_load_id = %s
    ) as documents
    cross join lateral jsonb_array_elements(items) as items (item)
) as listens
inner join prep.int_publications as publications
    on _dlt_load_id = publications.load_id and publications.table_name = 'listen_history'
inner join marts.users as users on user_id = users.id
inner join marts.tracks as tracks on track_id = tracks.id
on conflict do nothing
"""


@dataclass(frozen=True)
class Round:
    """Hold what one round measured on a history.

    Seconds: `build` of one night's listens, `models` of this build that make listens, `hand_written` for as many
    listens, `quiet` build of none. Milliseconds: `one_user`, the median over users, and `heaviest_user`.
    """

    build: float
    models: float
    hand_written: float
    quiet: float
    one_user: float
    heaviest_user: float
    peak_mb: float


@dataclass
class History:
    """Hold a history in its own database, and the rounds that were measured on it."""

    listens: int
    url: str
    nights: int = 0
    rounds: list[Round] = field(default_factory=list)

    def values(self, name: str) -> list[float]:
        """Return one value of each round; the first round only warms up, and does not count."""
        return [getattr(measured, name) for measured in self.rounds[1:]]


def figures(
    server_url: str, profiles: int, few: int, many: int, night: int, log: Callable[[str], None]
) -> Iterator[Figure]:
    """Measure the build's targets; `server_url` is a database on the Postgres server for the benchmarks.

    Both histories exist at the same time. In each round, each is built and compared in turn.
    """
    started = time.perf_counter()
    with database(server_url, "bench_short") as short_url, database(server_url, "bench_long") as long_url:
        short, long = histories = History(few, short_url), History(many, long_url)
        for history in histories:
            _fill(history, profiles, log)
        for number in range(ROUNDS + 1):
            # the other one first in each second round
            for history in histories if number % 2 else reversed(histories):
                history.rounds.append(_measure_round(history, profiles, night))
            log(f"round {number} of {ROUNDS}: {machine_state()}")
        sizes = f"{many:,} vs {few:,} listens"
        yield ratio(f"a build of {night:,} listens, {sizes}", 1.1, long.values("build"), short.values("build"))
        for history in reversed(histories):
            what = f"its listens models vs hand-written INSERT, {history.listens:,}"
            yield ratio(what, 1.4, history.values("models"), history.values("hand_written"))
        yield spread("reading one user's features", 2, long.values("one_user"), unit=" ms")
        yield ratio(f"reading one user's features, {sizes}", 1.25, long.values("one_user"), short.values("one_user"))
        what = f"reading the features of the heaviest user, {HEAVIEST_LISTENS:,} listens"
        yield spread(what, 50, long.values("heaviest_user"), unit=" ms")
        yield spread(f"a build of {night:,} listens, {many:,} listens", None, long.values("build"), unit=" s")
        yield spread(f"a build of none, {many:,} listens", None, long.values("quiet"), unit=" s")
        with psycopg.connect(long.url, autocommit=True) as connection:
            connection.execute("update prep.builds set totals_until = totals_until - interval '1 day'")
            day = f"a day of {many // DAYS:,} listens into the totals"
            yield Figure(f"the same with {day}", None, measure(build, long.url).seconds, unit=" s")
            every_user = _seconds(connection, "select count(*), sum(affinity) from features.user_genre_affinity")
            every_user += _seconds(connection, "select count(*), sum(distinct_tracks) from features.user_profile")
            yield Figure(f"features of all users, {many:,} listens", None, every_user, unit=" s")
            yield from _snapshot_figures(connection, long)
            yield from recommending.figures(long.url, f"{long.listens:,} listens", log)
            gigabytes = connection.execute("select pg_database_size(current_database()) / 1e9").fetchone()[0]
        peak_mb, short_peak_mb = (max(history.values("peak_mb")) for history in (long, short))
        yield Figure(f"peak memory of the build, {sizes}", 1.1, peak_mb / short_peak_mb)
        yield Figure(f"size on disk, {many:,} listens", MOST_GIGABYTES, float(gigabytes), unit=" GB")
    yield Figure("minutes of all this", MOST_MINUTES, (time.perf_counter() - started) / 60, unit="")


def _snapshot_figures(connection: psycopg.Connection, history: History) -> Iterator[Figure]:
    """Measure a snapshot of a month ago, and what it takes on disk."""
    select = render(history.url, feature_store.RENDERED_FOR_ALL)
    started = time.perf_counter()
    feature_store.take_snapshot(connection, select, dt.datetime.now(dt.UTC) - dt.timedelta(days=30), kept=1)
    seconds = time.perf_counter() - started
    what = f"a snapshot of all users as known a month ago, {history.listens:,} listens"
    yield Figure(what, MOST_SNAPSHOT_SECONDS, seconds, unit=" s")
    (megabytes,) = connection.execute("select pg_total_relation_size('features.user_snapshots') / 1e6").fetchone()
    yield Figure("size of this snapshot on disk", None, float(megabytes), unit=" MB")


def _fill(history: History, profiles: int, log: Callable[[str], None]) -> None:
    create_inputs(history.url)
    with psycopg.connect(history.url, autocommit=True) as connection:
        started = time.perf_counter()
        add_history(connection, profiles, history.listens)
        # of the last user, who has few others and is not among the readers
        add_listens_of(connection, profiles, profiles, HEAVIEST_LISTENS)
        log(f"{history.listens:,} listens generated in {time.perf_counter() - started:.0f} s")
        whole = measure(build, history.url)
        log(f"built from nothing in {whole.seconds:.0f} s, {whole.peak_mb:.0f} MB")
        connection.execute("vacuum analyze")


def _measure_round(history: History, profiles: int, listens: int) -> Round:
    with psycopg.connect(history.url, autocommit=True) as connection:
        load = _add_night(history, connection, profiles, listens)
        started = time.perf_counter()
        connection.execute(HAND_WRITTEN, [load])
        hand_written = time.perf_counter() - started
        measure(build_night, history.url)  # finds these listens in place, so that the next build has only its own
        _add_night(history, connection, profiles, listens)
        night = measure(build_night, history.url)
        quiet = measure(build_night, history.url)
        users = [_seconds_of_one_user(connection, user) for user in range(1, profiles, profiles // READERS)]
        heaviest_user = _seconds_of_one_user(connection, profiles)
    return Round(
        build=night.seconds,
        models=sum(night.answer[model] for model in LISTENS_MODELS),
        hand_written=hand_written,
        quiet=quiet.seconds,
        one_user=1000 * statistics.median(users),
        heaviest_user=1000 * heaviest_user,
        peak_mb=night.peak_mb,
    )


def _add_night(history: History, connection: psycopg.Connection, profiles: int, listens: int) -> str:
    history.nights += 1
    return add_daily_load(connection, history.nights, profiles, listens)


def build(database_url: str) -> dict[str, float]:
    """Run a whole build, and return seconds per model and test."""
    return run_dbt(database_url, *WHOLE_BUILD)


def build_night(database_url: str) -> dict[str, float]:
    """Run the build of a night after which no view has changed, and return seconds per model and test."""
    return run_dbt(database_url, *BUILD_WITHOUT_VIEWS)


def _seconds_of_one_user(connection: psycopg.Connection, user_id: int) -> float:
    return min(
        sum(
            _seconds(connection, f"select * from features.{view} where user_id = %s", user_id)
            for view in ("user_genre_affinity", "user_profile")
        )
        for _ in range(3)
    )


def _seconds(connection: psycopg.Connection, query: str, *values: object) -> float:
    started = time.perf_counter()
    connection.execute(query, values or None).fetchall()
    return time.perf_counter() - started
