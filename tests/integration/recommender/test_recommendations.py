"""`recommend` publishes lists whole, keeps them while nothing changes, and readers never see what is gone."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psycopg
import pytest
from psycopg.rows import dict_row
from scipy.sparse import random

from recommender import (
    artefacts,
    dataset,
    known_range,
    list_rows,
    live_quality,
    publishing,
    registry,
    release_models,
    releases,
)
from recommender.models.neighbours import FIRST_TRIALS, Neighbours
from tests.command import LIMIT_SECONDS, PROJECT, command, until
from tests.databases import new_database
from tests.forks import fork
from tests.integration.expectations.warehouse import document, track, user
from tests.integration.recommender import crashing_recommend
from tests.recommended import RECOMMEND, recommended
from tests.runs import run_pipeline_on
from warehouse.errors import ExitCode

# A program that prints the exit code of both commands, and which libraries of the recommender they have imported.
IMPORTS = """
import sys
from pipeline.cli import main
for arguments in (["recommend", "--shard", "1/2"], ["recommend"]):
    sys.argv = ["pipeline", *arguments]
    try:
        main.main()
    except SystemExit as end:
        print(end.code, sorted({"scipy", "implicit", "optuna", "pandas", "recommender.publishing"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def template(postgres_url, built_template):
    """Name of a database with one release: neighbours beat popularity for `discover`, and nothing does for `again`."""
    with recommended(postgres_url, built_template, "recommended"):
        yield "recommended"


@pytest.fixture
def url(postgres_url, template):
    with new_database(postgres_url, "recommending", f"template {template}") as url:
        yield url


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def recommend(url, *arguments):
    """Publish, and return the output."""
    ended = command(*RECOMMEND, *arguments, DATABASE_URL=url)
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, ""), ended
    return ended.out


def publish(connection, **options):
    """Publish a new release, also if nothing has changed."""
    known = known_range.read(connection)
    now, until_seq = known.now, known.until_seq
    return publishing.publish(connection, now, until_seq, **{"artist_cap": 3, "budget": 0, **options})


def current(connection):
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "select * from recommendations.current_recommendations order by user_id, list, rank"
    ).fetchall()


def counts(connection):
    """Return how many rows each table has, and the partitions of the lists."""
    tables = ("trainings", "model_versions", "aliases", "releases", "release_history", "lists", "release_models")
    found = [connection.execute(f"select count(*) from recommendations.{name}").fetchone()[0] for name in tables]
    names = connection.execute(
        "select relname from pg_class"
        " where relnamespace = 'recommendations'::regnamespace and relname ~ 'lists_[0-9]+$' order by 1"
    ).fetchall()
    return found, names


def test_each_listed_user_has_new_tracks_and_known_ones_that_are_there_with_a_reason(warehouse):
    rows = current(warehouse)
    listed = {number for (number,) in warehouse.execute("select id from marts.users where deleted_at is null")}
    there = {number for (number,) in warehouse.execute("select id from marts.tracks where deleted_at is null")}
    heard = set(warehouse.execute("select user_id, track_id from marts.listen_history").fetchall())
    assert {row["user_id"] for row in rows if row["list"] == "discover"} == listed
    assert {row["user_id"] for row in rows if row["list"] == "again"} == {
        number for number in listed if any(pair == (number, track) for pair in heard for track in there)
    }
    for row in rows:
        pair = row["user_id"], row["track_id"]
        assert row["track_id"] in there and (pair in heard) == (row["list"] == "again")
        # popularity makes `again`; in `discover` neighbours explain by tracks, and fallback models do not
        source = "popular" if row["list"] == "again" else "model" if row["reason"]["type"] == "track" else "genres"
        assert row["source"] == source
        if row["reason"]["type"] == "track":
            assert (row["user_id"], row["reason"]["track_id"]) in heard
        elif row["reason"]["type"] == "genre":
            genres = warehouse.execute("select genre from marts.track_genres where track_id = %s", [row["track_id"]])
            assert (row["reason"]["genre"],) in genres.fetchall()
        else:
            assert row["reason"] == {"type": "popular"}


def test_lists_are_ranked_from_one_without_gaps_and_within_the_cap_per_artist(warehouse):
    artists = dict(warehouse.execute("select id, artist from marts.tracks").fetchall())
    by_list = {}
    for row in current(warehouse):
        by_list.setdefault((row["user_id"], row["list"]), []).append(row)
    for (_, name), rows in by_list.items():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1)) and len(rows) <= release_models.LENGTHS[
            name
        ]
        assert len({row["track_id"] for row in rows}) == len(rows)
        own = [artists[row["track_id"]] for row in rows if artists[row["track_id"]]]
        assert max(map(own.count, own), default=0) <= 3
        sources = [("model", "genres", "popular").index(row["source"]) for row in rows]
        assert sources == sorted(sources)


def test_an_unchanged_warehouse_keeps_its_release_without_importing_a_library_of_the_recommender(url, warehouse):
    before = counts(warehouse)
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=PROJECT, env={**os.environ, "DATABASE_URL": url}, capture_output=True
    )
    out = ended.stdout.decode()
    assert out.splitlines().count("0 []") == 2, ended
    assert out.count('"message": "nothing has changed since release 1"') == 2, ended
    assert counts(warehouse) == before
    status, figures = warehouse.execute("select status, figures from ops.steps where step = 'recommend'").fetchall()[-1]
    assert (status, figures["release_id"], figures["is_new"]) == ("succeeded", 1, False)


@pytest.mark.parametrize(
    "change",
    [
        "update recommendations.releases set until_seq = until_seq - 1",
        "update recommendations.releases set released_at = released_at - interval '7 days'",
        "update recommendations.releases set artist_cap = 2",
        "insert into recommendations.aliases (list, model_version, reason)"
        " values ('discover', (select max(model_version) from recommendations.model_versions), 'test')",
    ],
)
def test_a_release_is_made_when_something_changed(change, warehouse):
    known = known_range.read(warehouse)
    now, until_seq = known.now, known.until_seq
    lists = releases.LISTS
    assert releases.find_unchanged(warehouse, now, until_seq, 3, lists)
    if "aliases" in change:
        warehouse.execute(
            "insert into recommendations.model_versions (list, model, params, fallback_params, track_count, until_seq,"
            " known_at, code_version) values ('discover', 'popularity', '{}', '{}', 1, 1, now(), '')"
        )
    warehouse.execute(change)
    assert releases.find_unchanged(warehouse, now, until_seq, 3, lists) is None


def test_a_later_release_uses_the_champions_and_three_are_kept_until_they_are_measured(warehouse, monkeypatch):
    champions, measured = releases.read_champions(warehouse), []

    def fail(*_):
        measured.append(len(counts(warehouse)[1]))
        raise psycopg.errors.DiskFull("no space left\nDETAIL:  Key (user_id)=(7)")

    for night in range(3):
        if night == 2:
            monkeypatch.setattr(live_quality, "compute", fail)
        outcome = publish(warehouse)
        assert outcome.release.model_versions == champions | {
            name: outcome.release.model_versions[name] for name in releases.LISTS if name not in champions
        }
    assert outcome.release.release_id == 4
    assert (measured, outcome.quality_problem) == ([4], "no space left")
    assert counts(warehouse)[1] == [("lists_2",), ("lists_3",), ("lists_4",)]
    kept = warehouse.execute("select distinct release_id from recommendations.release_models order by 1").fetchall()
    assert kept == [(2,), (3,), (4,)]


def test_a_release_is_taken_back_at_once_and_the_history_stays(url, warehouse):
    first = current(warehouse)
    publish(warehouse, artist_cap=1)
    second = current(warehouse)
    assert first != second
    ended = command("recommendations", "rollback", "--reason", "too  narrow", DATABASE_URL=url)
    assert "readers see release 1 again, not 2" in ended.out, ended
    assert current(warehouse) == first
    assert warehouse.execute(
        "select release_id, reason from recommendations.release_history order by 1, 2"
    ).fetchall() == [
        (1, "made"),
        (1, "rollback from 2: too narrow"),
        (2, "made"),
    ]
    listed = [line.split() for line in command("recommendations", "releases", DATABASE_URL=url).out.splitlines()]
    (second_row,), (first_row,) = ([line for line in listed if line[:1] == [number]] for number in "21")
    assert "kept" in second_row and "made" in second_row
    assert "published" in first_row and "rollback" in first_row
    assert "nothing has changed since release 2" in recommend(url, "--artist-cap", "1")
    assert current(warehouse) == first, "the lists that were taken back must not return"
    publish(warehouse)
    assert releases.roll_back(warehouse, "not to 2, which was taken back") == (3, 1)
    again = command("recommendations", "rollback", "--reason", "more", DATABASE_URL=url)
    assert "no earlier release" in again.only_line(ExitCode.WRONG_SETTINGS)


def test_history_cannot_be_changed(warehouse):
    for statement in (
        "update recommendations.release_history set reason = ''",
        "delete from recommendations.aliases",
        "truncate recommendations.release_history",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
            warehouse.execute(statement)


@pytest.mark.parametrize(
    "function",
    ["promote", "publish", "encode", "store_refitted", "drop_old"],
)
def test_a_failure_at_any_point_leaves_the_old_release_whole_and_nothing_else(function, warehouse, monkeypatch):
    rows, before = current(warehouse), counts(warehouse)
    module = {"publish": releases, "drop_old": releases, "encode": list_rows}.get(function, registry)
    real = getattr(module, function)

    def fail_afterwards(*arguments, **named):
        result = real(*arguments, **named)
        if function == "encode":
            yield next(result)
        raise RuntimeError("planted")

    def fail_at_once(*arguments, **named):
        if function != "drop_old":
            real(*arguments, **named)
        raise RuntimeError("planted")

    monkeypatch.setattr(module, function, fail_afterwards if function == "encode" else fail_at_once)
    promotions = [publishing.Promotion("discover", releases.read_champions(warehouse)["discover"], "again")]
    with pytest.raises(RuntimeError, match="planted"):
        publish(warehouse, promotions=promotions)
    if function == "drop_old":  # the release is out, and the next one drops what is too much
        assert releases.read_published(warehouse).release_id == 2
    else:
        assert current(warehouse) == rows and counts(warehouse) == before
    monkeypatch.undo()
    publish(warehouse)
    assert len(counts(warehouse)[1]) == (3 if function == "drop_old" else 2)


def test_a_reader_who_holds_old_lists_delays_only_their_end(url, warehouse, monkeypatch):
    monkeypatch.setattr(releases, "DROP_TIMEOUT", "50ms")
    for _ in range(2):
        publish(warehouse)
    with psycopg.connect(url) as reader:
        reader.execute("select count(*) from recommendations.lists")
        outcome = publish(warehouse)
        assert outcome.kept_too_long == [1]
        # readers see the new release now
        assert current(warehouse)[0]["released_at"] == outcome.release.released_at
    # taken back to the oldest one, which then is the published one
    for _ in range(3):
        releases.roll_back(warehouse, "test")
    assert releases.drop_old(warehouse) == []
    assert releases.read_published(warehouse).release_id == 1 and ("lists_1",) in counts(warehouse)[1]
    assert publish(warehouse).kept_too_long == []
    assert counts(warehouse)[1] == [("lists_3",), ("lists_4",), ("lists_5",)]


def test_a_removed_track_and_a_removed_or_erased_user_are_gone_at_once(url, warehouse):
    rows = current(warehouse)
    gone_track, gone_user, erased = rows[0]["track_id"], rows[-1]["user_id"], rows[0]["user_id"]
    warehouse.execute("update marts.tracks set deleted_at = now() where id = %s", [gone_track])
    warehouse.execute("update marts.users set deleted_at = now() where id = %s", [gone_user])
    assert current(warehouse) == [row for row in rows if row["track_id"] != gone_track and row["user_id"] != gone_user]
    publish(warehouse)
    ended = command("erase", str(erased), "--reason", "as requested", DATABASE_URL=url, ERASURE_KEY="k" * 32)
    assert ended.code == ExitCode.PUBLISHED, ended
    of_releases = warehouse.execute(
        "select count(*) from recommendations.lists where user_id = %s", [erased]
    ).fetchone()
    assert of_releases == (0,) and not [row for row in current(warehouse) if row["user_id"] == erased]
    assert "rows of recommendations.lists" in ended.out


def test_a_user_is_shown_with_reasons_and_an_unknown_one_is_refused(url, warehouse):
    user_id = current(warehouse)[0]["user_id"]
    ended = command("recommendations", "show", str(user_id), DATABASE_URL=url)
    assert ended.code == 0 and f"user {user_id}, release 1 of " in ended.out, ended
    assert "that the user has not heard, by model version" in ended.out and "because of" in ended.out
    warehouse.execute("update marts.tracks set name = '[/x] song', artist = '[bold]'")
    ended = command("recommendations", "show", str(user_id), DATABASE_URL=url)
    assert ended.code == 0 and "[/x] song" in ended.out and "[bold]" in ended.out
    unknown = command("recommendations", "show", "123456789", DATABASE_URL=url)
    assert "release 1 has no list of user 123456789" in unknown.only_line(ExitCode.WRONG_SETTINGS)


@pytest.fixture
def stored_model(warehouse):
    """Make a model with an artefact the champion of `discover`; return its version, and the pairs of tracks it has."""
    (known_tracks,) = warehouse.execute("select array_agg(id order by id) from marts.tracks").fetchone()
    ids = np.array(known_tracks[1:], np.int64)  # the first one is new tonight
    weights = random(len(ids), len(ids), 0.3, "csr", np.float32, np.random.default_rng(0))
    model = Neighbours(weights, None)
    catalogue = type("Catalogue", (), {"track_ids": ids, "genre_names": ()})
    content = artefacts.dump(model, catalogue)
    number = registry.register(
        warehouse,
        {
            "list": "discover",
            "model": "neighbours",
            "params": dict(FIRST_TRIALS[0]),
            "fallback_params": {},
            "artefact": content,
            "checksum": artefacts.checksum(content),
            "format_version": artefacts.FORMAT,
            "track_count": len(ids),
            "until_seq": 1,
            "known_at": "2026-01-01",
            "code_version": "test",
        },
    )
    registry.promote(warehouse, "discover", number, "test")
    return number, {(ids[one], ids[other]) for one, other in zip(*weights.nonzero(), strict=True)}


def test_a_stored_model_makes_the_lists_of_the_tracks_of_tonight(url, warehouse, stored_model):
    number, pairs = stored_model
    assert '"model": "neighbours"' in recommend(url)
    rows = [row for row in current(warehouse) if row["list"] == "discover"]
    assert {row["model_version"] for row in rows} == {number}
    of_model = [(row["reason"]["track_id"], row["track_id"]) for row in rows if row["source"] == "model"]
    assert len(of_model) > 100 and set(of_model) <= pairs


def test_a_champion_that_is_taken_back_beside_a_night_gets_no_new_lists(url, warehouse, stored_model, monkeypatch):
    number, _ = stored_model
    former, rows = releases.read_published(warehouse).model_versions["discover"], current(warehouse)
    real, decisions = dataset.read, [former, number]

    def read_while_a_person_decides(*arguments):
        registry.promote(warehouse, "discover", decisions.pop(0), "by a person")
        return real(*arguments)

    monkeypatch.setattr(dataset, "read", read_while_a_person_decides)
    line = command(*RECOMMEND, DATABASE_URL=url).only_line(ExitCode.RECOMMENDATIONS_FAILED)
    assert "the champion of discover was changed twice while they were made; readers keep release 1; run again" in line
    assert current(warehouse) == rows and not decisions
    # the second attempt reads the same champion again
    decisions += [former, former]
    assert publish(warehouse).release.model_versions["discover"] == former
    assert (
        releases.read_published(warehouse).release_id == releases.read_history(warehouse, 1)[0]["release_id"]
        and not decisions
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("artefact = null", "its artefact is missing"),
        ("artefact = set_byte(artefact, 400, get_byte(artefact, 400) # 1)", "the checksum differs"),
        ("format_version = 99", "has format 99"),
    ],
)
def test_a_champion_that_cannot_be_used_is_refused_and_the_old_release_stays(
    damage, words, url, warehouse, stored_model
):
    rows, before = current(warehouse), counts(warehouse)
    warehouse.execute(f"update recommendations.model_versions set {damage} where model_version = %s", [stored_model[0]])
    line = command(*RECOMMEND, DATABASE_URL=url).only_line(ExitCode.RECOMMENDATIONS_FAILED)
    assert words in line and f"model version {stored_model[0]}" in line and "readers keep release 1" in line
    assert (current(warehouse), counts(warehouse)) == (rows, before)
    ended = command("train", "--budget", "0", "--accept-data", DATABASE_URL=url)
    assert ended.code == ExitCode.PUBLISHED and "cannot be used" in ended.out, ended
    assert "the final window overlaps one that was used" in ended.out
    assert releases.read_published(warehouse).release_id > 1
    assert releases.read_champions(warehouse)["discover"] > stored_model[0]


def test_a_training_is_recorded_with_its_reason(warehouse):
    rows = warehouse.execute(
        "select list, trigger, outcome, reason, finished_at >= started_at from recommendations.trainings order by 1"
    ).fetchall()
    assert [row[0] for row in rows] == ["again", "discover"] and all(row[4] for row in rows)
    for list_name, trigger, outcome, reason, _ in rows:
        assert trigger == "no_champion" and reason
        (champion,) = warehouse.execute(
            "select model from recommendations.aliases inner join recommendations.model_versions using (model_version)"
            " where aliases.list = %s",
            [list_name],
        ).fetchone()
        assert outcome == {"discover": "promoted", "again": "popularity"}[list_name]
        assert (champion == "popularity") is (outcome == "popularity") and champion in reason


ROWS = {
    "one user, one track, one listen": ([user(1)], [track(1)], [document(1, items=[1])]),
    "no listen": ([user(1), user(2)], [track(1), track(2)], []),
    "no user": ([], [track(1)], []),
    "no track": ([user(1)], [], []),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_too_little_data_for_a_comparison_gives_popularity_and_says_so(name, prepared_url):
    users, tracks, documents = ROWS[name]
    rows = {"users": users, "tracks": tracks, "listen_history": documents}
    assert run_pipeline_on(prepared_url, rows).exit_code == ExitCode.PUBLISHED
    out = recommend(prepared_url)
    (event,) = [json.loads(line) for line in out.splitlines() if '"event": "recommendations"' in line]
    assert set(event["popularity"]) == set(releases.LISTS) and all(event["popularity"].values())
    assert ("there are no users or no tracks yet" in event["message"]) is not bool(users and tracks)
    with psycopg.connect(prepared_url) as connection:
        assert releases.read_champions(connection) == {}
        assert bool(current(connection)) == bool(users and tracks)
    assert "nothing has changed" in recommend(prepared_url)


def test_a_warehouse_without_a_run_says_what_to_do(database_url):
    for arguments in (("recommendations", "show", "7"), ("recommendations", "releases")):
        assert "make run" in command(*arguments, DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)


@pytest.mark.slow
def test_a_warehouse_without_a_build_says_what_to_do(prepared_url):
    for arguments in (("recommendations", "show", "7"), ("recommendations", "rollback", "--reason", "x")):
        assert "make run" in command(*arguments, DATABASE_URL=prepared_url).only_line(ExitCode.WRONG_SETTINGS)
    ended = command("recommend", DATABASE_URL=prepared_url)
    assert ended.code == ExitCode.PUBLISHED
    assert "nothing is built yet; start a whole run with: make run" in ended.out


def test_marts_that_are_behind_the_decisions_are_refused(url, warehouse):
    warehouse.execute("update prep.builds set seq = seq - 1")
    assert "make build" in command(*RECOMMEND, DATABASE_URL=url).only_line(ExitCode.WRONG_SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("point", crashing_recommend.POINTS)
def test_a_killed_step_leaves_one_whole_release_and_the_next_one_finishes(point, url, warehouse, tmp_path):
    """Case 44."""
    for _ in range(2):
        publish(warehouse)
    rows, before = current(warehouse), counts(warehouse)
    warehouse.execute("update recommendations.releases set until_seq = until_seq - 1")

    log = tmp_path / "log"
    process = fork(crashing_recommend.run, point, RECOMMEND, {"DATABASE_URL": url}, log=log)
    process.join(LIMIT_SECONDS)

    assert process.exitcode == -signal.SIGKILL, log.read_text()
    # the server rolls back when it notices
    until(lambda: not warehouse.execute("select from pg_stat_activity where application_name ~ 'run'").rowcount)
    is_out = point == "before old lists are dropped"
    if is_out:
        assert len(counts(warehouse)[1]) == 4
    else:
        assert (current(warehouse), counts(warehouse)) == (rows, before)
    out = recommend(url)
    assert ("nothing has changed since release 4" in out) is is_out
    release = releases.read_published(warehouse)
    seen = {(row["user_id"], row["list"], row["released_at"]) for row in current(warehouse)}
    assert {released_at for *_, released_at in seen} == {release.released_at} and len(seen) == release.lists
    publish(warehouse)
    newest = "select 'lists_' || release_id from recommendations.releases order by release_id desc limit 3"
    assert counts(warehouse)[1] == sorted(warehouse.execute(newest).fetchall()), "none is left behind"


def test_the_view_reads_one_partition_only(warehouse):
    for _ in range(2):
        publish(warehouse)
    (plan,) = warehouse.execute(
        "explain (analyze, format json) select * from recommendations.current_recommendations where user_id = 1"
    ).fetchone()
    text = json.dumps(plan)
    assert "lists_3" in text
    assert text.count('"Actual Loops": 0') >= 2 or text.count("Subplans Removed") >= 1
