"""What is read from the warehouse equals plain SQL over the same tables, as known at each moment."""

import datetime as dt
from collections import Counter

import numpy as np
import psycopg
import pytest

from recommender import dataset, interactions
from recommender.interactions import EPOCH
from tests.command import command
from warehouse.errors import ExitCode


@pytest.fixture
def built(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        yield connection


def moments(connection) -> list[dt.datetime]:
    """Return moments before, between and after the listens and the two publications."""
    listened = connection.execute("select distinct listened_at from marts.listen_history order by 1").fetchall()
    known = connection.execute("select distinct known_at from marts.listen_history order by 1").fetchall()
    chosen = [*listened[:: max(1, len(listened) // 6)], *known[-3:]]
    return [moment for (moment,) in chosen] + [listened[0][0] - dt.timedelta(days=1)]


def listens_of(known: dataset.Dataset) -> Counter:
    user = np.repeat(known.user_ids, np.diff(known.listens.starts)).tolist()
    tracks = known.catalogue.track_ids[known.listens.tracks].tolist()
    days = [EPOCH + dt.timedelta(days=day) for day in known.listens.days.tolist()]
    return Counter(zip(user, tracks, days, strict=True))


def test_a_dataset_holds_what_was_known_then(built):
    compared = 0
    for at in moments(built):
        known = dataset.read(built, at)
        expected = built.execute(
            "select user_id, track_id, (listened_at at time zone 'UTC')::date from marts.listen_history"
            " where known_at <= %(at)s and listened_at <= %(at)s",
            {"at": at},
        ).fetchall()
        assert listens_of(known) == Counter(expected)
        compared += len(expected)
        for table, column, ids, is_there in (
            ("user", "favorite_genres", known.user_ids, known.is_listed),
            ("track", "genres", known.catalogue.track_ids, known.catalogue.is_candidate),
        ):
            rows = built.execute(
                f"select {table}_id, {column}, coalesce(removed_at > %(at)s, true) and created_at <= %(at)s"
                f" from features.{table}_history where coalesce(valid_from <= %(at)s, true)"
                f" and coalesce(valid_to > %(at)s, true)",
                {"at": at},
            ).fetchall()
            assert dict(zip(ids.tolist(), is_there.tolist(), strict=True)) == {number: flag for number, _, flag in rows}
            genres = known.users.favorites if table == "user" else known.catalogue.genres
            names = np.array(known.catalogue.genre_names)
            for (number, declared, _), row in zip(sorted(rows), genres, strict=True):
                assert set(names[row.indices]) == set(declared or ()) & set(names), number
    assert compared > 100


def test_reading_twice_gives_the_same_arrays_in_whatever_order_the_rows_lie(built):
    at = moments(built)[-2]
    before = dataset.read(built, at)
    built.execute("create table copied as select * from marts.listen_history order by random()")
    built.execute("truncate marts.listen_history")
    built.execute("insert into marts.listen_history select * from copied")
    after = dataset.read(built, at)
    for name in ("starts", "tracks", "days"):
        np.testing.assert_array_equal(getattr(before.listens, name), getattr(after.listens, name))


def test_listens_of_others_are_left_out_and_windows_begin_after_a_moment(built):
    user_ids = np.array([number for (number,) in built.execute("select id from marts.users order by id")])[::2]
    track_ids = np.array([number for (number,) in built.execute("select id from marts.tracks order by id")])[::3]
    after, until = sorted(moment for moment in moments(built)[1:4:2])
    as_of = dt.datetime.max.replace(tzinfo=dt.UTC)
    found = interactions.read(built, user_ids, track_ids, until=until, after=after, as_of=as_of)
    (expected,) = built.execute(
        "select count(*) from marts.listen_history where user_id = any(%s) and track_id = any(%s)"
        " and listened_at > %s and listened_at <= %s",
        [user_ids.tolist(), track_ids.tolist(), after, until],
    ).fetchone()
    assert len(found.tracks) == expected > 0 and found.track_count == len(track_ids)


def test_a_listen_published_after_the_cut_is_not_in_its_training_data(built):
    (at,) = built.execute("select max(listened_at) from marts.listen_history").fetchone()
    user_id, track_id = built.execute("select user_id, track_id from marts.listen_history limit 1").fetchone()
    before = listens_of(dataset.read(built, at))
    built.execute(
        "insert into marts.listen_history select 1, user_id, track_id, %s, created_at, %s, _load_id"
        " from marts.listen_history where (user_id, track_id) = (%s, %s) limit 1",
        [at - dt.timedelta(days=1), at + dt.timedelta(hours=1), user_id, track_id],
    )
    assert listens_of(dataset.read(built, at)) == before
    later = listens_of(dataset.read(built, at + dt.timedelta(hours=2)))
    assert (later - before).total() == 1


def test_the_command_compares_on_the_warehouse_and_the_report_links_to_its_page(built_database_url, tmp_path):
    settings = {"DATABASE_URL": built_database_url, "MOOVITAMIX_HOME": str(tmp_path)}
    command("report", **settings)
    assert "evaluation.html" not in (tmp_path / "reports/nights.html").read_text()
    options = ("--window", "40", "--budget", "0", "--models", "genres,neighbours,again")
    ended = command("evaluate", *options, **settings)
    assert ended.code == 0, ended.err
    assert "trained on data before" in ended.out and "genres" in ended.out
    assert "genres" in (tmp_path / "reports/evaluation.html").read_text()
    command("report", **settings)
    assert 'href="evaluation.html"' in (tmp_path / "reports/nights.html").read_text()


def test_an_empty_warehouse_says_what_is_missing(database_url):
    ended = command("evaluate", DATABASE_URL=database_url)
    assert "first run: make run" in ended.only_line(ExitCode.WRONG_SETTINGS)


def test_a_pruned_past_is_refused(built, built_database_url):
    (oldest,) = built.execute("select min(listened_at) from marts.listen_history").fetchone()
    later = oldest + dt.timedelta(days=110)
    built.execute(
        "insert into gate.decisions (operator, verb, table_name, reason, details)"
        " values ('test', 'prune', 'users', 'old', jsonb_build_object('horizon', %s::timestamptz))",
        [later],
    )
    ended = command("evaluate", "--budget", "0", DATABASE_URL=built_database_url)
    assert "was pruned: give a shorter --window" in ended.only_line(ExitCode.WRONG_SETTINGS)
