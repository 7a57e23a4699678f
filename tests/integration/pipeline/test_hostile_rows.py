"""Cases 36 and 37: hostile texts of an API pass through a run unchanged, and are never executed."""

import json
import os
from pathlib import Path

import psycopg
import pytest

from sample_api.server import serve
from tests.command import command, last_run
from tests.hostile_text import HOSTILE, obeyed
from tests.integration.expectations.warehouse import document, track, user
from tests.world_model import split_genres
from warehouse.errors import ExitCode
from warehouse.names import SCHEMAS

pytestmark = pytest.mark.slow

LEGAL = dict(enumerate(HOSTILE.values(), start=101))
FORMULAS = {
    201: "=cmd|' /C calc'!A0",
    202: "+1+1",
    203: '@SUM(1,2)"; --',
    204: "-2+3\t'",
}
EVERYTHING = "\n".join(HOSTILE[what] for what in HOSTILE if what != "very long")


@pytest.fixture(autouse=True)
def another_world(monkeypatch):
    """The tracks of the template are gone at once, and that is meant."""
    monkeypatch.setenv("MAX_REMOVED_SHARE", "1")


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


def relations(connection):
    return set(
        connection.execute(
            """
            select relnamespace::regnamespace::text, relname
            from pg_class
            where
                relnamespace::regnamespace::text = any(%s)
                and not relispartition
        """,
            [list(SCHEMAS)],
        )
    )


def test_hostile_values_and_names_reach_the_marts_unchanged(built_database_url, connection):
    texts = LEGAL | FORMULAS
    rows = {
        "users": [
            *(
                user(number, first_name=text, last_name=text, gender=text, favorite_genres=text, **{text[:50]: text})
                for number, text in texts.items()
            ),
            *(user(number) for number in range(1, 60)),
            user(900, email=EVERYTHING),
            user(EVERYTHING[:200]),
        ],
        "tracks": [
            *(
                track(number, name=text, artist=text, songwriters=text, album=text, genres=f"Rock,{text}")
                for number, text in texts.items()
            ),
            track(900, duration=EVERYTHING),
        ],
        "listen_history": [
            *(document(number, items=[number], **{text[:50]: text}) for number, text in texts.items()),
            document(900, created_at=EVERYTHING[:200]),
        ],
    }
    known = relations(connection)
    with serve(rows) as api:
        ended = command("run", DATABASE_URL=built_database_url, API_BASE_URL=api.url)

    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, "")
    assert relations(connection) == known
    found = connection.execute("select id, first_name, last_name, gender, favorite_genres from marts.users")
    assert {number: set(seen) for number, *seen in found if number in texts} == {n: {texts[n]} for n in texts}
    found = connection.execute("select id, name, artist, songwriters, album, genres from marts.tracks")
    assert {number: set(seen) for number, *seen in found if number in texts} == {
        number: {text, f"Rock,{text}"} for number, text in texts.items()
    }
    found = connection.execute("select track_id, genre from marts.track_genres where track_id = any(%s)", [[*texts]])
    assert set(found) == {
        (number, genre)
        for number, text in texts.items()
        for genre in split_genres(f"Rock,{text}")
        if len(genre.encode()) <= 1000
    }
    found = connection.execute("select user_id, track_id from marts.listen_history where user_id = any(%s)", [[*texts]])
    assert set(found) == {(number, number) for number in texts}
    for shown in (
        ended.out,
        command("status", DATABASE_URL=built_database_url).out,
        command("gate", "show", DATABASE_URL=built_database_url).out,
    ):
        assert obeyed(shown) == set()
    for line in ended.out.splitlines():
        assert set(json.loads(line)) >= {"time", "event", "run_id"}, line


def test_hostile_values_in_an_error_stay_on_one_line_and_are_escaped(
    built_database_url, connection, monkeypatch, tmp_path
):
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path))
    connection.execute("""
        create function marts.complain() returns trigger language plpgsql as $$
        begin
            if new.id = 900 then raise exception 'refused: %', new.name; end if;
            return new;
        end $$;
        create trigger complains before insert or update on marts.tracks for each row execute function marts.complain()
    """)
    with serve({"tracks": [track(900, name=EVERYTHING)]}) as api:
        address = {"DATABASE_URL": built_database_url, "API_BASE_URL": api.url}
        assert command("extract", **address).code == ExitCode.PUBLISHED
    with monkeypatch.context() as patch:
        patch.setattr("expectations.tracks.suite", broken_suite)
        broken = command("gate", DATABASE_URL=built_database_url)
    check_failure(broken, ExitCode.GATE_BROKEN, "RuntimeError", connection)
    command("gate", DATABASE_URL=built_database_url)

    failed = command("build", DATABASE_URL=built_database_url)

    check_failure(failed, ExitCode.BUILD_FAILED, "dbt failed: tracks: refused", connection)
    assert obeyed(command("status", DATABASE_URL=built_database_url).out) == set()
    logged = Path(os.environ["DBT_LOG_PATH"], "dbt.log").read_text()
    assert "refused" in logged
    assert obeyed(logged) == set()
    for line in logged.splitlines():
        json.loads(line)


def broken_suite():
    raise RuntimeError(EVERYTHING)


def check_failure(ended, code, texts, connection):
    line = ended.only_line(code)
    assert texts in line
    _, _, message = last_run(connection)
    for output in (line, ended.out, message):
        assert obeyed(output) == set()
    assert len(line.splitlines()) == len(message.splitlines()) == 1
    assert "o'brien" in line, "what nobody obeys may be seen"
