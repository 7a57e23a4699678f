"""Genres that look the same to people are one genre, in every database; older warehouses are recounted."""

import psycopg
import pytest

from pipeline.run import preparation
from tests.databases import LOCALE_C, LOCALE_TURKISH, new_database
from tests.debian_postgres import debian_database
from tests.integration.expectations.warehouse import document, track, user
from tests.runs import render, run_pipeline_on
from warehouse import normalization

pytestmark = pytest.mark.slow

SPELLINGS = {
    "users": [user(1, favorite_genres="\tＰＯＰ ,E\u0301LECTRO")],
    "tracks": [
        track(1, genres="Rock,\tPop"),
        track(2, genres="Rock\u3000，\u00a0Pop"),
        track(3, genres="ro\u200bck, ｐｏｐ"),
        track(4, genres="e\u0301lectro"),
        track(5, genres="ÉLECTRO,électro"),
    ],
    "listen_history": [document(1, items=[1, 2, 3, 4, 5])],
}
AFFINITIES = 'select genre, listens from features.user_genre_affinity order by genre collate "C"'
EXPECTED = [("pop", 3), ("rock", 3), ("électro", 2)]
PRESENT = "select (select after_seq from prep.int_build_window), count(*) from marts.track_genres"


def night(url: str) -> None:
    assert run_pipeline_on(url, SPELLINGS).message == "all published"


@pytest.mark.parametrize(
    "database",
    [
        lambda postgres_url: new_database(postgres_url, "genres"),
        lambda postgres_url: new_database(postgres_url, "genres", LOCALE_C),
        pytest.param(lambda postgres_url: debian_database(LOCALE_TURKISH), marks=pytest.mark.machine),
    ],
    ids=["default", "C", "Turkish"],
)
def test_genres_that_look_equal_are_one_in_every_database(postgres_url, database):
    with database(postgres_url) as url:
        night(url)
        with psycopg.connect(url) as connection:
            assert connection.execute(AFFINITIES).fetchall() == EXPECTED
            assert connection.execute("select favorite_genre_share from features.user_profile").fetchall() == [(5 / 8,)]
            as_known = render(url, 'user_genre_affinity("now()")')
            query = AFFINITIES.replace("features.user_genre_affinity", f"({as_known}) as known")
            assert connection.execute(query).fetchall() == EXPECTED


def test_a_change_of_the_normalization_function_recounts_everything(database_url, connection, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(normalization, "function_source", lambda: "begin return lower(value); end")
        patch.setattr(preparation, "fingerprint", lambda: "of another version")
        night(database_url)
        assert connection.execute(AFFINITIES).fetchall() != EXPECTED

    night(database_url)

    assert connection.execute(PRESENT).fetchone() == (0, 8)
    assert connection.execute(AFFINITIES).fetchall() == EXPECTED
