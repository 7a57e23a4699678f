"""Shards of users make the lists of one release beside each other; `recommend` publishes them, or makes all itself."""

import datetime as dt
import json
import signal
from dataclasses import replace

import psycopg
import pytest

from pipeline.operations import shards
from recommender import artefacts, dataset, drafts, known_range, publishing, registry, release_models, releases
from tests.command import LIMIT_SECONDS, command, until
from tests.databases import new_database
from tests.forks import fork
from tests.integration.recommender import crashing_recommend
from tests.recommended import RECOMMEND, recommended
from warehouse import database, locks
from warehouse.errors import ExitCode

TABLES = ("drafts", "draft_shards", "draft_lists")


@pytest.fixture(scope="module")
def template(postgres_url, built_template):
    """Name of a database with one release, after which so much time has passed that another one is due."""
    with recommended(postgres_url, built_template, "before_shards") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            age(connection)
        yield "before_shards"


@pytest.fixture
def url(postgres_url, template):
    with new_database(postgres_url, "sharded", f"template {template}") as url:
        yield url


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def moment(warehouse, monkeypatch):
    """Let the clock of the recommender stand still; return what sets it."""
    real = known_range.read
    now = [real(warehouse).now]
    monkeypatch.setattr(known_range, "read", lambda connection: replace(real(connection), now=now[0]))
    return now


def age(connection):
    connection.execute("update recommendations.releases set released_at = '2026-01-01'")


def make(url, shard, *arguments):
    """Make a shard, and return what it says."""
    return message_of(command("recommend", "--shard", shard, *arguments, DATABASE_URL=url), "shard")


def recommend(url, *arguments):
    """Publish, and return what the step says."""
    return message_of(command(*RECOMMEND, *arguments, DATABASE_URL=url), "recommendations")


def message_of(ended, event):
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, ""), ended
    (found,) = [line for line in map(json.loads, ended.out.splitlines()) if line["event"] == event]
    return found["message"]


def sizes(connection):
    """Return how many rows the tables of drafts have."""
    return tuple(connection.execute(f"select count(*) from recommendations.{name}").fetchone()[0] for name in TABLES)


def made_shards(connection):
    """Return the shards of the draft that are made, as (number, count)."""
    return connection.execute(
        "select shard, shards from recommendations.drafts inner join recommendations.draft_shards using (draft_id)"
        " order by 1"
    ).fetchall()


def contents(connection, release_id):
    """Return all that a release consists of, without its number and how long it took; and the scores of its lists."""
    found = {
        table: connection.execute(
            "select to_jsonb(each) - array['release_id', 'released_at', 'seconds', 'scores']"
            f" from recommendations.{table} as each where release_id = %s order by 1",
            [release_id],
        ).fetchall()
        for table in ("releases", "lists", "popular_tracks", "release_models")
    }
    assert all(found.values())
    scores = connection.execute(
        "select score from recommendations.lists cross join unnest(scores) with ordinality as each (score, place)"
        " where release_id = %s order by user_id, list, place",
        [release_id],
    )
    return found, [score for (score,) in scores]


def another_champion(connection):
    """Make popularity the champion of `discover`."""
    columns = {"params": {"half_life": None}, "fallback_params": {}, "track_count": 1, "until_seq": 1}
    columns |= {"list": "discover", "model": "popularity", "known_at": "2026-01-01", "code_version": "test"}
    number = registry.register(connection, columns)
    registry.promote(connection, "discover", number, "by a person")
    return number


@pytest.fixture
def scored(monkeypatch):
    """Return the list that grows with the number of users whenever lists are made."""
    numbers, real = [], release_models.recommend

    def recommend_and_note(recommender, users, *arguments, **named):
        numbers.append(len(users))
        return real(recommender, users, *arguments, **named)

    monkeypatch.setattr(release_models, "recommend", recommend_and_note)
    return numbers


def test_two_shards_make_the_release_that_one_process_makes(url, warehouse, moment, scored):
    (users,) = warehouse.execute("select count(*) from marts.users where deleted_at is null").fetchone()
    assert recommend(url) == "release 2 is published"
    assert scored == [users, users]
    age(warehouse)
    scored.clear()

    first, second = make(url, "1/2"), make(url, "2/2")
    assert sizes(warehouse) == (1, 2, releases.read_published(warehouse).lists)
    assert make(url, "2/2") == "shard 2/2 is made already"
    assert sum(scored) == 2 * users and len(scored) == 4 and max(scored) < users
    assert [first, second] == [f"shard {n}/2 is made: lists of {scored[2 * n - 1]} users" for n in (1, 2)]
    # the moment is that of the first shard
    moment[0] += dt.timedelta(hours=1)
    scored.clear()

    assert recommend(url) == "release 3 is published with the lists of 2 shards"

    assert scored == [] and sizes(warehouse) == (0, 0, 0)
    (whole, scores), (sharded, other_scores) = contents(warehouse, 2), contents(warehouse, 3)
    assert sharded == whole
    # the order of the sums depends on how many users are scored at once
    assert other_scores == pytest.approx(scores, rel=1e-5)
    assert releases.read_published(warehouse).release_id == 3
    rows = warehouse.execute(
        "select command, status, step, figures from ops.runs inner join ops.steps using (run_id, status)"
        " where command = 'shard' order by run_seq"
    ).fetchall()
    assert [row[3]["shard"] for row in rows] == ["1/2", "2/2", "2/2"]
    assert {row[:3] for row in rows} == {("shard", "succeeded", "shard")} and rows[0][3]["users"] > rows[2][3][
        "users"
    ] == 0


def test_a_draft_fits_only_what_it_was_begun_for(url, warehouse):
    make(url, "1/2")
    known = known_range.read(warehouse)
    basis = drafts.Basis(known.until_seq, releases.read_champions(warehouse), 3, 0, artefacts.code_version())
    assert drafts.find(warehouse, basis, known.now).made == [1]
    assert drafts.find(warehouse, basis, known.now + drafts.LONGEST_KEPT) is None
    other_champions = dict.fromkeys(basis.model_versions, 1)
    for difference in (
        {"until_seq": known.until_seq + 1},
        {"model_versions": other_champions},
        {"artist_cap": 2},
        {"seed": 1},
        {"code_version": "another"},
    ):
        assert drafts.find(warehouse, replace(basis, **difference), known.now) is None


@pytest.mark.parametrize("what", ["the cap", "the champion", "the number of shards"])
def test_a_draft_that_does_not_fit_is_left_and_all_lists_are_made(what, url, warehouse, scored):
    for shard in ("1/2", "2/2"):
        make(url, shard)
    champions, users = releases.read_champions(warehouse), sum(scored) // 2
    cap = 3
    if what == "the cap":
        cap = 1
    elif what == "the champion":
        champions["discover"] = another_champion(warehouse)
    why = "those of the shards followed from something else"
    if what == "the number of shards":
        warehouse.execute("update recommendations.drafts set shards = 3")
        why = "only 2 of 3 shards had been made"
    scored.clear()

    found = recommend(url, "--artist-cap", str(cap))
    assert found == f"release 2 is published; all lists were made here, because {why}"

    assert scored == [users, users] and sizes(warehouse) == (0, 0, 0)
    release = releases.read_published(warehouse)
    assert (release.artist_cap, release.model_versions) == (cap, champions)
    versions = warehouse.execute("select distinct list, model_version from recommendations.lists where release_id = 2")
    assert dict(versions.fetchall()) == champions


def test_another_draft_begins_if_the_one_there_does_not_fit_and_a_promotion_publishes_its_own_lists(url, warehouse):
    make(url, "1/2")
    number = another_champion(warehouse)
    make(url, "1/2")
    lists = "select distinct model_version from recommendations.draft_lists where list = 'discover'"
    assert made_shards(warehouse) == [(1, 2)] and warehouse.execute(lists).fetchall() == [(number,)]
    make(url, "2/3")
    assert made_shards(warehouse) == [(2, 3)]
    make(url, "1/1")
    assert made_shards(warehouse) == [(1, 1)]
    known, promotions = known_range.read(warehouse), [publishing.Promotion("discover", 1, "test")]
    outcome = publishing.publish(warehouse, known.now, known.until_seq, artist_cap=3, budget=0, promotions=promotions)
    assert outcome.release.model_versions["discover"] == 1 and sizes(warehouse) == (0, 0, 0)


def test_a_shard_is_stored_once_and_says_when_its_draft_is_gone(url, warehouse, monkeypatch):
    real, during_the_read = dataset.read, [lambda: make(url, "1/2")]

    def read_while_another_process_works(*arguments):
        if during_the_read:
            during_the_read.pop()()
        return real(*arguments)

    monkeypatch.setattr(dataset, "read", read_while_another_process_works)
    make(url, "1/2")
    pairs = "select count(*), count(distinct (user_id, list)) from recommendations.draft_lists"
    assert made_shards(warehouse) == [(1, 2)] and len(set(warehouse.execute(pairs).fetchone())) == 1

    during_the_read.append(lambda: (another_champion(warehouse), make(url, "2/2")))
    line = command("recommend", "--shard", "2/2", DATABASE_URL=url).only_line(ExitCode.RECOMMENDATIONS_FAILED)
    assert "shard 2/2 was not stored: shards of another release began since" in line
    assert "make all lists with: make recommend" in line
    assert made_shards(warehouse) == [(2, 2)]
    versions = warehouse.execute("select distinct list, model_version from recommendations.draft_lists").fetchall()
    assert dict(versions) == releases.read_champions(warehouse) and len(versions) == 2


def test_shards_work_beside_each_other_and_beside_no_run(url, warehouse, monkeypatch):
    place = database.find(url, locks.RUN_APPLICATION)
    with locks.run_lock(place):
        line = command("recommend", "--shard", "1/2", DATABASE_URL=url).only_line(ExitCode.ALREADY_RUNNING)
        assert "another run is using" in line
    seen, real, others = [], release_models.recommend, ["2/2"]

    def while_a_shard_works(*arguments, **named):
        if others:
            seen.append(make(url, others.pop()))
            for arguments_of_run in (RECOMMEND, ("erase", "1", "--reason", "x")):
                refused = command(*arguments_of_run, DATABASE_URL=url, ERASURE_KEY="k" * 32)
                seen.append(refused.only_line(ExitCode.ALREADY_RUNNING))
            # a run that was killed, and does not hold the lock
            warehouse.execute("insert into ops.runs (run_id, command) values ('killed', 'run')")
            seen.append(
                warehouse.execute("select status from ops.current_runs where run_id = 'killed'").fetchone()[0],
            )
            # the connection that works would hold runs off, if its process were killed
            seen.append(
                warehouse.execute(
                    "select count(*) from pg_locks inner join pg_stat_activity using (pid) where locktype = 'advisory'"
                    " and mode = 'ShareLock' and application_name = %s",
                    [shards.APPLICATION],
                ).fetchone()
            )
        return real(*arguments, **named)

    monkeypatch.setattr(release_models, "recommend", while_a_shard_works)
    # what a killed run has left is ended
    with psycopg.connect(url, application_name=locks.RUN_APPLICATION) as left:
        make(url, "1/2")
        with pytest.raises(psycopg.OperationalError):
            left.execute("select 1")
    assert seen[0].startswith("shard 2/2 is made") and seen[-2:] == ["crashed", (1,)]
    assert all("shards of a release are using" in line for line in seen[1:-2]) and len(seen) == 5
    assert made_shards(warehouse) == [(1, 2), (2, 2)] and not locks.is_running(warehouse)


def test_an_erased_user_is_in_no_draft_and_its_shards_are_not_used(url, warehouse):
    for shard in ("1/2", "2/2"):
        make(url, shard)
    (user_id,) = warehouse.execute("select min(user_id) from recommendations.draft_lists").fetchone()
    ended = command("erase", str(user_id), "--reason", "as requested", DATABASE_URL=url, ERASURE_KEY="k" * 32)
    assert ended.code == ExitCode.PUBLISHED, ended
    assert "rows of recommendations.draft_lists" in ended.out
    assert sizes(warehouse) == (0, 0, 0)


def test_a_warehouse_without_champions_or_runs_says_what_to_do(built_database_url, database_url):
    message = make(built_database_url, "1/2")
    assert message == "there is no champion of discover and again yet, so `recommend` makes all lists"
    ended = command("recommend", "--shard", "1/2", DATABASE_URL=database_url)
    assert "make run" in ended.only_line(ExitCode.WRONG_SETTINGS)
    for wrong in ("0/2", "3/2", "1", "1/1001", "a/b", "-1/2"):
        line = command("recommend", "--shard", wrong, DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)
        assert "such as 1/8" in line


@pytest.mark.slow
@pytest.mark.parametrize("point", crashing_recommend.POINTS_OF_SHARDS)
def test_killed_anywhere_the_next_attempt_finishes_and_nothing_is_left(point, url, warehouse, tmp_path):
    """Case 44."""
    is_of_shard = "shard" in point
    make(url, "1/2")
    if not is_of_shard:
        make(url, "2/2")
    before = sizes(warehouse)
    arguments = ("recommend", "--shard", "2/2") if is_of_shard else RECOMMEND

    log = tmp_path / "log"
    process = fork(crashing_recommend.run, point, arguments, {"DATABASE_URL": url}, log=log)
    process.join(LIMIT_SECONDS)

    assert process.exitcode == -signal.SIGKILL, log.read_text()
    until(lambda: not warehouse.execute("select from pg_stat_activity where application_name ~ 'moovitamix'").rowcount)
    assert sizes(warehouse) == before and releases.read_published(warehouse).release_id == 1
    if is_of_shard:
        make(url, "2/2")
    assert recommend(url).endswith("is published with the lists of 2 shards")
    assert sizes(warehouse) == (0, 0, 0)
    left = "select from pg_class where relname ~ '^lists_[0-9]+$'"
    assert warehouse.execute(left).rowcount == 2
