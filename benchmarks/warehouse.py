"""Measure the build: a night on a long history against a shorter one, and against hand-written SQL."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg

from benchmarks.databases import database
from benchmarks.dbt_runs import run_dbt
from benchmarks.history import DAYS, add_daily_load, add_history, create_inputs
from benchmarks.measuring import Measurement, measure
from benchmarks.targets import Figure
from pipeline.run.pipeline_run import NIGHTLY_BUILD

READERS = 200
MOST_GIGABYTES, MOST_MINUTES = 15, 20
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
HAND_WRITTEN = """
insert into marts.listen_history (id, user_id, track_id, listened_at, created_at, _load_id)
select
    (
        'x'
        || left(md5(concat_ws('|', user_id, (extract(epoch from created_at) * 1000000)::bigint, track_id, nth)), 16)
    )::bit(64)::bigint,
    user_id,
    track_id,
    updated_at,
    created_at,
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
            (payload ->> 'updated_at')::timestamp at time zone 'UTC' as updated_at,
            payload -> 'items' as items,
            _dlt_load_id
        from staging.listen_history
        where _dlt_load_id = %s
    ) as documents
    cross join lateral jsonb_array_elements(items) as items (item)
) as listens
on conflict do nothing
"""


@dataclass(frozen=True)
class Nights:
    """Hold the seconds of nights on one history: `first` and `again` build one night's listens each, `day` builds
    none and adds one more day of the history to the totals.
    """

    first: Measurement
    again: Measurement
    quiet: Measurement
    day: Measurement
    listens_models: float
    one_user_ms: float
    heaviest_user_ms: float
    all_users: float
    gigabytes: float
    hand_written: float


def figures(
    server_url: str, profiles: int, few: int, many: int, night: int, log: Callable[[str], None]
) -> Iterator[Figure]:
    """Measure the build's targets; `server_url` is a database on the Postgres server for the benchmarks."""
    started = time.perf_counter()
    short, long = (_nights(server_url, profiles, listens, night, log) for listens in (few, many))
    sizes = f"{many:,} vs {few:,} listens"
    yield Figure(f"a build of {night:,} listens, {sizes}", 1.25, long.first.seconds / short.first.seconds)
    yield Figure("the same of another night", 1.25, long.again.seconds / short.again.seconds)
    yield Figure(f"its listens models vs hand-written INSERT, {many:,}", 1.5, long.listens_models / long.hand_written)
    yield Figure(f"its listens models vs hand-written INSERT, {few:,}", 1.5, short.listens_models / short.hand_written)
    yield Figure("reading one user's features", 5, long.one_user_ms, unit=" ms")
    yield Figure(f"reading one user's features, {sizes}", 1.25, long.one_user_ms / short.one_user_ms)
    yield Figure(f"a build of none, {many:,} listens", None, long.quiet.seconds, unit=" s")
    day = f"a day of {many // DAYS:,} listens into the totals"
    yield Figure(f"the same with {day}", None, long.day.seconds, unit=" s")
    yield Figure(f"features of all users, {many:,} listens", None, long.all_users, unit=" s")
    yield Figure(f"peak memory of the build, {sizes}", 1.1, long.first.peak_mb / short.first.peak_mb)
    yield Figure(f"size on disk, {many:,} listens", MOST_GIGABYTES, long.gigabytes, unit=" GB")
    yield Figure("minutes of all this", MOST_MINUTES, (time.perf_counter() - started) / 60, unit="")


def _nights(server_url: str, profiles: int, listens: int, night: int, log: Callable[[str], None]) -> Nights:
    with database(server_url) as url:
        create_inputs(url)
        with psycopg.connect(url, autocommit=True) as connection:
            started = time.perf_counter()
            add_history(connection, profiles, listens)
            log(f"{listens:,} listens generated in {time.perf_counter() - started:.0f} s")
            whole = measure(build, url)
            log(f"built from nothing in {whole.seconds:.0f} s, {whole.peak_mb:.0f} MB")
            connection.execute("vacuum analyze")
            first = _night(connection, url, 1, profiles, night)
            again = _night(connection, url, 2, profiles, night)
            quiet = measure(build, url)
            connection.execute("update prep.builds set totals_until = totals_until - interval '1 day'")
            day = measure(build, url)
            one_user = [_seconds_of_one_user(connection, user) for user in range(1, profiles, profiles // READERS)]
            nights = Nights(
                first,
                again,
                quiet,
                day,
                listens_models=min(_seconds_of_listens_models(each) for each in (first, again)),
                one_user_ms=1000 * statistics.median(one_user),
                heaviest_user_ms=1000 * one_user[0],
                all_users=_seconds(connection, "select count(*), sum(affinity) from features.user_genre_affinity")
                + _seconds(connection, "select count(*), sum(distinct_tracks) from features.user_profile"),
                gigabytes=connection.execute("select pg_database_size(current_database()) / 1e9").fetchone()[0],
                # last, because no build processes these listens
                hand_written=min(
                    _reference_seconds(connection, add_daily_load(connection, number, profiles, night))
                    for number in (3, 4)
                ),
            )
        log(
            f"{listens:,} listens: a build of {night:,} more {first.seconds:.1f} s, then {again.seconds:.1f} s, of none"
            f" {quiet.seconds:.1f} s, of a day into the totals {day.seconds:.1f} s;"
            f" models of listens {nights.listens_models:.1f} s, hand-written {nights.hand_written:.1f} s;"
            f" features of one user {nights.one_user_ms:.2f} ms, of the heaviest {nights.heaviest_user_ms:.1f} ms,"
            f" of all {nights.all_users:.1f} s; {nights.gigabytes:.1f} GB; {first.peak_mb:.0f} MB"
        )
        return nights


def _night(connection: psycopg.Connection, url: str, number: int, profiles: int, listens: int) -> Measurement:
    add_daily_load(connection, number, profiles, listens)
    return measure(build, url)


def build(database_url: str) -> dict[str, float]:
    """Run the nightly build, and return seconds per model and test."""
    return run_dbt(database_url, *NIGHTLY_BUILD)


def _seconds_of_listens_models(night: Measurement) -> float:
    return sum(night.answer[model] for model in LISTENS_MODELS)


def _reference_seconds(connection: psycopg.Connection, load: str) -> float:
    """Return the seconds of the hand-written SQL for a load that no build has processed."""
    started = time.perf_counter()
    connection.execute(HAND_WRITTEN, [load])
    return time.perf_counter() - started


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
