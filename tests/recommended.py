"""Make a database with listeners of three tastes and one release, for tests of the recommender and its service."""

import contextlib
from collections.abc import Iterator

import psycopg

from tests.command import command
from tests.databases import new_database
from warehouse.errors import ExitCode

RECOMMEND = ("recommend", "--budget", "0")
# Three tastes: each user hears every fourth day a track of the own one, for forty days.
TASTES = """
insert into marts.listen_history
select
    -1 - number, users.id, tracks.id, heard.at, heard.at, heard.at, (select max(_load_id) from marts.users)
from generate_series(0, 41 * 10 - 1) as number
cross join lateral (select timestamptz '2025-12-10' + number / 41 * interval '4 days' as at) as heard
inner join (select id, row_number() over (order by id) as place from marts.users where deleted_at is null) as users
    on number % 41 + 1 = users.place
inner join (select id, row_number() over (order by id) as place from marts.tracks where deleted_at is null) as tracks
    on users.place % 3 + 3 * ((number / 41 * 7 + users.place * 5) % 13) + 1 = tracks.place
"""


@contextlib.contextmanager
def recommended(postgres_url: str, template: str, name: str) -> Iterator[str]:
    """Create a database from the template of a built one, publish a release, and yield its URL.

    Neighbours beat popularity for `discover`, and nothing does for `again`.
    """
    with new_database(postgres_url, name, f"template {template}") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TASTES)
        ended = command(*RECOMMEND, DATABASE_URL=url)
        assert (ended.code, ended.err) == (ExitCode.PUBLISHED, ""), ended
        yield url
