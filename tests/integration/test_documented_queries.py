"""Three runs on the sample world fill the features and answer the queries of the documentation, on any date."""

import datetime as dt
import re
import shlex

import psycopg
import pytest

from pipeline.settings import PROJECT
from tests.command import command
from tests.databases import new_database
from warehouse.errors import ExitCode

BLOCKS = re.compile(r"^```(sql|sh)\n(.*?)^```", re.M | re.S)
# Queries that need more: a replica, a server that may be changed, or rows that Postgres cannot store.
NOT_HERE = ("pg_replication_slots", "pg_drop_replication_slot", "pg_reload_conf", "staging.unreadable_rows")
# Moments at which the three runs end, in UTC; None: now.
MOMENTS = (
    None,
    pytest.param("2024-02-29 23:59:59", marks=pytest.mark.slow),
    pytest.param("2026-01-01 00:00:01", marks=pytest.mark.slow),
)


def documented_queries():
    """Yield (file, query) for every query in the documentation."""
    folders = ("docs", "dbt_project")
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("*/*.md")]
    pages += [page for folder in folders for page in PROJECT.joinpath(folder).glob("*/**/*.md")]
    for page in sorted(set(pages)):
        for language, block in BLOCKS.findall(page.read_text()):
            for statement in block.split(";") if language == "sql" else psql_arguments(block):
                if re.match(r"\s*(select|with)\b", statement):
                    yield str(page.relative_to(PROJECT)), statement.strip().replace("USER_ID", "1")


def psql_arguments(block):
    """Yield the statements of `make psql`."""
    for line in block.splitlines():
        if line.startswith("make psql ARGS="):
            arguments = shlex.split(shlex.split(line, comments=True)[2].removeprefix("ARGS="))
            yield from (argument for argument in arguments if not argument.startswith("-"))


ALL_QUERIES = list(documented_queries())
QUERIES = [(page, query) for page, query in ALL_QUERIES if not any(name in query for name in NOT_HERE)]


@pytest.fixture(scope="module", params=MOMENTS, ids=str)
def after_three_runs(request, postgres_url):
    """Yield the URL of a warehouse after three runs on one day; for Postgres, it is this moment."""
    with new_database(postgres_url, "documented") as url:
        settings = {"DATABASE_URL": url, "SAMPLE": "1"}
        if request.param:
            moment = dt.datetime.fromisoformat(request.param).replace(tzinfo=dt.UTC)
            settings["SAMPLE_START"] = str(moment.date() - dt.timedelta(days=6))
            stop_the_clock(url, moment)
        for _ in range(3):
            ended = command("run", **settings)
            assert ended.code == ExitCode.PUBLISHED, ended
        yield url


def stop_the_clock(url, moment):
    """Make `now()` return this moment, in all views and queries of this database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema stopped_clock")
        connection.execute(
            "create function stopped_clock.now() returns timestamptz language sql stable"
            f" as $$ select '{moment.isoformat()}'::timestamptz $$"
        )
        connection.execute(
            f"alter database {connection.info.dbname} set search_path = stopped_clock, pg_catalog, public"
        )


def test_most_listeners_have_listened_within_7_30_and_90_days(after_three_runs):
    query = """
        select
            count(*),
            count(*) filter (where listens_7d > 0),
            count(*) filter (where listens_30d > listens_7d),
            count(*) filter (where listens_90d > listens_30d)
        from (
            select
                user_id,
                sum(listens_7d) as listens_7d,
                sum(listens_30d) as listens_30d,
                sum(listens_90d) as listens_90d
            from features.user_genre_affinity
            group by user_id
        ) as users
    """
    with psycopg.connect(after_three_runs) as connection:
        listeners, *recent = connection.execute(query).fetchone()
    assert listeners > 500
    assert all(count > listeners / 2 for count in recent), (listeners, recent)


def test_the_documentation_has_queries():
    assert {"README.md", "dbt_project/models/_overview.md", "docs/run-record.md"} <= {page for page, _ in QUERIES}
    assert len(QUERIES) > 15
    assert all(any(name in query for _, query in ALL_QUERIES) for name in NOT_HERE)


def test_the_ten_questions_are_ten_short_queries():
    overview = PROJECT.joinpath("dbt_project/models/_overview.md").read_text()
    questions = BLOCKS.findall(overview.partition("## Ten questions")[2].partition("\n## ")[0])
    assert len(questions) == 10
    assert all(len(query.splitlines()) <= 8 for _, query in questions)
    assert sum(page.endswith("_overview.md") for page, _ in QUERIES) >= 10


@pytest.fixture(scope="module")
def after_a_bad_night(after_three_runs):
    """Add what the documents ask for: recommendations, rows in quarantine, and a decision."""
    settings = {"DATABASE_URL": after_three_runs, "SAMPLE": "1"}
    ended = command("recommend", **settings)
    assert ended.code == ExitCode.PUBLISHED, ended
    assert command("run", "--fault", "bad_rows@users=0.05", **settings).code == ExitCode.PUBLISHED
    # the lists of before are compared with the new listens
    assert command("recommend", **settings).code == ExitCode.PUBLISHED
    assert command("features", "snapshot", **settings).code == ExitCode.PUBLISHED
    assert command("gate", "replay", "--reason", "a rule was fixed", **settings).code == ExitCode.PUBLISHED
    with psycopg.connect(after_three_runs) as connection:
        yield connection


@pytest.mark.parametrize(("page", "query"), QUERIES)
def test_every_query_returns_rows(after_a_bad_night, page, query, request):
    rows = after_a_bad_night.execute(query).fetchall()
    # listens are compared with releases, which have the time of the server: no test can stop that clock
    is_stopped = request.node.callspec.params["after_three_runs"] is not None
    assert rows or (is_stopped and "quality" in query), page
