"""`train` promotes only a better model, in stages that any process may continue, beside nights and other trainings."""

import datetime as dt
import json
import os
import time
from dataclasses import replace

import psycopg
import pytest
from fsspec.implementations.local import LocalFileSystem

from recommender import artefact_store, publishing, registry, releases, retraining, triggers
from recommender.artefacts import ArtefactError
from recommender.registry import STAGES
from recommender.releases import LISTS
from recommender.service import loaded_models
from recommender.service.state import APPLICATION, Refresher
from tests.command import command, until
from tests.databases import new_database
from tests.integration.monitoring.records import MetricValues
from warehouse import database, locks
from warehouse.errors import ExitCode

# What makes the same training everywhere: no time for tuning, and listens that are long ago.
OPTIONS = ("--budget", "0", "--accept-data")
# Three tastes: on two of three days, a user hears a track of the own one.
LISTENS = """
insert into marts.listen_history
select
    -1 - (users.place * 1000 + day), users.id, tracks.id, heard.at, heard.at, heard.at,
    (select max(_load_id) from marts.users)
from generate_series(%(first)s::integer, %(last)s::integer) as day
cross join lateral (select timestamptz '2025-12-01 12:00Z' + day * interval '1 day' as at) as heard
cross join (
    select id, row_number() over (order by id)::integer as place from marts.users where deleted_at is null
) as users
cross join lateral (select abs(hashint4(users.place * 1009 + day)) as number) as draw
inner join (
    select id, row_number() over (order by id)::integer as place from marts.tracks where deleted_at is null
) as tracks on tracks.place = 1 + users.place %% 3 + 3 * (draw.number / 7 %% 13)
where draw.number %% 3 < 2
"""


def hear(connection, first, last):
    """Let the users hear tracks on these days, counted from 2025-12-01."""
    connection.execute(LISTENS, {"first": first, "last": last})


@pytest.fixture(scope="module")
def template(postgres_url, built_template):
    """Name of a database with one training on 20 days of listens, and 15 later days that it did not know."""
    with new_database(postgres_url, "trained", f"template {built_template}") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("delete from marts.listen_history")
            hear(connection, 0, 19)
            train(url)
            hear(connection, 20, 34)
        yield "trained"


@pytest.fixture
def url(postgres_url, template):
    with new_database(postgres_url, "training", f"template {template}") as url:
        yield url


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def train(url, *arguments, **environment):
    """Train, and return the events that were logged."""
    ended = command("train", *OPTIONS, *arguments, DATABASE_URL=url, **environment)
    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, ""), ended
    return [json.loads(line) for line in ended.out.splitlines()]


def messages(events):
    return "\n".join(event.get("message", "") for event in events)


def newest(connection):
    """Return the rows of the newest training by list."""
    rows = registry.read_trainings(connection, "started_at = (select max(started_at) from recommendations.trainings)")
    return {row.list: row for row in rows}


def lists(connection):
    return connection.execute(
        "select user_id, list, rank, track_id, model_version from recommendations.current_recommendations"
        " order by user_id, list, rank"
    ).fetchall()


@pytest.fixture
def weak_champion(warehouse, monkeypatch):
    """Make popularity the champion and anchor of `discover`, and let few users be enough; return its version."""
    columns = {"params": {"half_life": None}, "fallback_params": {}, "track_count": 1, "until_seq": 1}
    columns |= {"list": "discover", "model": "popularity", "known_at": "2025-12-20", "code_version": "test"}
    number = registry.register(warehouse, columns)
    for alias in ("champion", "anchor"):
        registry.promote(warehouse, "discover", number, "planted", alias)
    monkeypatch.setattr("recommender.promotion.USERS_TO_SEE_MARGIN", 10)
    return number


def test_the_output_says_what_was_trained_on_what_compared_with_what_and_why(url, warehouse, tmp_path):
    said = messages(train(url))
    rows = newest(warehouse)
    for words in (
        "trigger: asked",
        "data: 41 users, 40 tracks and 978 listens, as known on ",
        "tuned on what users heard from 2025-12-28 to 2025-12-31, compared on 2026-01-01 to 2026-01-04",
        "tuning tried so many parameters: als 2,",
        "discover: refreshed (recipe of the champion, on the same data), ease: NDCG@10 0.",
        "discover: champion (the champion as it is served now), ease: NDCG@10 0.",
        "decision for discover: the champion's recipe is fitted to everything known now. Why: the recipe stays, ",
        "release 2 with 82 lists is published",
    ):
        assert words in said
    assert rows["discover"].reason in said and rows["again"].reason in said
    assert {row.outcome for row in rows.values()} == {"refreshed"} and not registry.read_unfinished_trainings(warehouse)
    champions = releases.read_champions(warehouse)
    assert releases.read_published(warehouse).model_versions == champions
    assert releases.read_versions_by_alias(warehouse, "anchor") == {"again": 2, "discover": 1} != champions
    compared = {
        (row["contender"], row["segment"]): row
        for row in registry.read_evaluations(warehouse, rows["discover"].training_id)
    }
    assert {contender for contender, _ in compared} == {"refreshed", "champion", "challenger", "popularity"}
    refreshed, champion = compared["refreshed", "all"], compared["champion", "all"]
    assert refreshed["champion_difference"] == 0 and refreshed["popularity_difference"] > 0
    assert champion["champion_difference"] == pytest.approx(champion["ndcg"] - refreshed["ndcg"], abs=1e-6)
    stored = dict(
        warehouse.execute(
            "select contender, ndcg from recommendations.evaluations where segment = 'all' and training_id = %s",
            [rows["discover"].training_id],
        ).fetchall()
    )
    assert (stored["champion"], stored["served"]) == (refreshed["ndcg"], champion["ndcg"])
    assert warehouse.execute(
        "select runs.command, runs.status, runs.exit_code, steps.figures, runs.peak_memory_bytes > 0"
        " from ops.runs inner join ops.steps using (run_id) where command = 'train' order by run_seq desc limit 1"
    ).fetchone() == ("train", "succeeded", 0, {"discover": "refreshed", "again": "refreshed"}, True)
    command("report", DATABASE_URL=url, REPORT_OUTPUT=str(tmp_path / "report.html"), RETRAIN_EVERY="3d")
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Recommendation models</h2>" in page and "No retraining is due." in page and "refreshed" in page
    assert f"version {champions['discover']}" in page and "not measured" in page
    # no newer listens: the final window was used
    assert "the final window must begin on 2026-01-05 or later" in messages(train(url))
    # it counts for the schedule
    assert {(row.outcome, row.listens) for row in newest(warehouse).values()} == {("too_little_data", 978)}
    assert releases.read_champions(warehouse) == champions


@pytest.mark.slow
def test_each_stage_runs_in_a_command_of_its_own(url, warehouse):
    for done, stage in enumerate(STAGES):
        for other in STAGES[1:]:
            if other != stage:
                line = command("train", other, DATABASE_URL=url).only_line(ExitCode.WRONG_SETTINGS)
                assert (f"make train ARGS={stage}" if done else "start one with: make train") in line
        said = messages(train(url, stage))
        for completed in STAGES[: done + 1] if stage != STAGES[-1] else ():
            assert f"has completed {completed} already" in messages(train(url, completed, "--if-due"))
        if stage != STAGES[-1]:
            assert f"the next stage is: make train ARGS={STAGES[done + 1]}" in said
            assert {row.stage for row in registry.read_unfinished_trainings(warehouse)} == {stage}
    assert "decision for discover" in said and releases.read_published(warehouse).release_id == 2


def fail_to_load(*_):
    raise ArtefactError("planted")


def test_a_better_recipe_is_promoted_with_its_lists_and_taken_back_at_once(url, warehouse, weak_champion, monkeypatch):
    publishing.publish(warehouse, now_of(warehouse), 2, artist_cap=3, budget=0)
    before = lists(warehouse)
    said = messages(train(url))
    assert "decision for discover: promoted. Why: neighbours beats the champion's recipe by +0." in said
    champion = releases.read_champions(warehouse)["discover"]
    assert releases.read_versions_by_alias(warehouse, "anchor")["discover"] == champion != weak_champion
    assert {row[4] for row in lists(warehouse) if row[1] == "discover"} == {champion}
    shown = command("model", "list", DATABASE_URL=url).out
    assert any(
        line.split()[:3] == [str(champion), "discover", "neighbours"] and "champion, anchor" in line
        for line in shown.splitlines()
    )
    shown = command("model", "show", str(champion), DATABASE_URL=url).out
    assert "recipe: neighbours (a 0.7" in shown and "promoted: neighbours beats the champion's recipe" in shown
    shown = command("model", "compare", str(champion), str(weak_champion), DATABASE_URL=url).out
    assert "there are no listens since the newer one was trained" in shown

    reason = ("--reason", "no  good", "--list", "discover")
    shown = command("model", "rollback", *reason, "--dry-run", DATABASE_URL=url).out
    change = f"the champion of discover from version {champion} to version {weak_champion}"
    assert f"would change {change}; nothing was changed" in shown
    assert releases.read_champions(warehouse)["discover"] == champion
    refresher = Refresher(lambda: database.find(url, APPLICATION), lambda *_, **__: None, None)
    refresher.start()
    until(lambda: refresher.has_models)
    with monkeypatch.context() as patch:
        patch.setattr("recommender.service.loaded_models.load", fail_to_load)
        began = time.monotonic()
        ended = command("model", "rollback", *reason, DATABASE_URL=url)
        assert time.monotonic() - began < 1
        until(lambda: refresher.state.release.release_id == 4)
        assert refresher.state.models is None, "the models that were taken back must not answer"
        refresher.stop()
    assert f"changed {change}; readers see its lists again, as release 4" in ended.out, ended
    assert [row for row in lists(warehouse) if row[1] == "discover"] == [row for row in before if row[1] == "discover"]
    assert {row[4] for row in lists(warehouse) if row[1] == "again"} == {releases.read_champions(warehouse)["again"]}
    assert set(loaded_models.load(warehouse, releases.read_published(warehouse), None).recommenders) == set(LISTS)
    rankings = warehouse.execute("select list from recommendations.popular_tracks where release_id = 4 order by 1")
    assert rankings.fetchall() == [("again",), ("discover",)]
    with warehouse.transaction(force_rollback=True):
        assert releases.roll_back(warehouse, "not release 3, which was taken back") == (4, 2)
        assert releases.roll_back(warehouse, "one further") == (2, 1)
        registry.promote(warehouse, "discover", champion, "rollback from the beach: by a person of an earlier version")
        assert registry.find_previous_champions(warehouse, "discover") == {"discover": (champion, weak_champion)}
    ended = command("model", "promote", str(champion), "--reason", "rollback from 1", DATABASE_URL=url)
    assert "--reason begins with 'rollback from '" in ended.only_line(ExitCode.WRONG_SETTINGS)
    assert releases.read_versions_by_alias(warehouse, "anchor")["discover"] == weak_champion
    (decision, *_) = registry.read_alias_history(warehouse, "discover", 1)
    assert decision["reason"] == f"rollback from {champion}: no good"

    ended = command("model", "promote", str(champion), "--reason", "good", "--later", DATABASE_URL=url)
    assert "its lists follow with the next run" in ended.out, ended
    assert releases.read_champions(warehouse)["discover"] == champion
    assert {row[4] for row in lists(warehouse) if row[1] == "discover"} == {weak_champion}
    command("model", "rollback", *reason, DATABASE_URL=url)
    ended = command("model", "promote", str(champion), "--reason", "good", DATABASE_URL=url)
    assert ended.code == ExitCode.PUBLISHED, ended
    assert {row[4] for row in lists(warehouse) if row[1] == "discover"} == {champion}
    again = command("model", "promote", str(champion), "--reason", "good", DATABASE_URL=url)
    assert "is the champion of discover already" in again.only_line(ExitCode.WRONG_SETTINGS)


@pytest.mark.slow
def test_only_own_files_are_dropped_and_a_folder_without_rights_is_a_warning(url, warehouse, tmp_path, monkeypatch):
    monkeypatch.setattr(artefact_store, "MOST_BYTES", 100)
    train(url, ARTIFACT_FOLDER=str(tmp_path))
    own = tmp_path / database.identity(warehouse)
    used = {path.relative_to(tmp_path).as_posix() for path in own.iterdir()}
    stored = warehouse.execute("select artefact_file from recommendations.model_versions where artefact_file <> ''")
    assert used == {file for (file,) in stored} != set()
    kept = [tmp_path / f"{'a' * 64}.npz", tmp_path / "other" / f"{'a' * 64}.npz", own / "weights.npz"]
    unused = [own / f"{'a' * 64}.npz", own / f"{'b' * 64}.npz.part"]
    for path in (*kept, *unused):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    assert artefact_store.drop_unused(warehouse, str(tmp_path)) == len(unused)
    assert all(path.exists() for path in kept) and not any(path.exists() for path in unused)
    assert all((tmp_path / name).exists() for name in used)

    def refuse(*arguments, **named):
        raise PermissionError

    hear(warehouse, 35, 45)
    monkeypatch.setattr(LocalFileSystem, "ls", refuse)
    assert "warning: unused files of ARTIFACT_FOLDER cannot be deleted (PermissionError)" in messages(
        train(url, ARTIFACT_FOLDER=str(tmp_path))
    )


def now_of(connection):
    return connection.execute("select now()").fetchone()[0]


@pytest.fixture
def working_role(warehouse, monkeypatch):
    """Let the step `recommend` work with a role of its own."""
    find = database.find
    warehouse.execute("create role trains superuser")
    monkeypatch.setattr(database, "find", lambda *place: replace(find(*place), roles={"recommend": "trains"}))
    yield
    warehouse.execute("reassign owned by trains to current_user; drop role trains")


@pytest.mark.slow
def test_a_training_works_beside_a_run_and_is_finished_when_the_run_is_over(url, warehouse, working_role):
    place = database.find(url, locks.RUN_APPLICATION)
    with locks.run_lock(place):
        line = command("train", *OPTIONS, DATABASE_URL=url).only_line(ExitCode.ALREADY_RUNNING)
    assert "what was trained is kept, finish it later with: make train" in line
    assert {row.stage for row in registry.read_unfinished_trainings(warehouse)} == {"evaluate"}
    assert releases.read_champions(warehouse) == {"again": 2, "discover": 1}
    with psycopg.connect(url, autocommit=True) as other, retraining.training_lock(other):
        line = command("train", *OPTIONS, DATABASE_URL=url).only_line(ExitCode.ALREADY_RUNNING)
        assert "another training is using the warehouse" in line
    # the schedule finishes it, too, and ends what a killed run has left
    with psycopg.connect(url, application_name=locks.RUN_APPLICATION) as left:
        assert "it continues with promote" in messages(train(url, "--if-due"))
        with pytest.raises(psycopg.OperationalError):
            left.execute("select 1")
    assert releases.read_published(warehouse).model_versions == {"again": 4, "discover": 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "function"),
    [
        (registry, "record_training"),
        (registry, "update_training"),
        (registry, "register"),
        (registry, "promote"),
        (releases, "publish"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_a_training_that_was_killed_at_any_point_continues(module, function, url, warehouse, monkeypatch):
    before = lists(warehouse), releases.read_champions(warehouse)
    real = getattr(module, function)

    def fail(*arguments, **named):
        real(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, function, fail)
    assert command("train", *OPTIONS, DATABASE_URL=url).code == ExitCode.UNEXPECTED_ERROR
    assert (lists(warehouse), releases.read_champions(warehouse)) == before
    monkeypatch.undo()
    train(url)
    assert not registry.read_unfinished_trainings(warehouse)
    assert releases.read_published(warehouse).model_versions == releases.read_champions(warehouse) != before[1]
    (models,) = warehouse.execute("select count(*) from recommendations.model_versions").fetchone()
    assert models == 4, "no model may be registered twice"


@pytest.mark.slow
def test_an_old_training_starts_over_and_one_for_another_champion_is_abandoned(url, warehouse):
    train(url, "prepare")
    warehouse.execute(
        "update recommendations.trainings set started_at = now() - interval '2 days' where stage = 'prepare'"
    )
    for stage in STAGES[:3]:
        train(url, *((stage,) if stage != "prepare" else ("prepare",)))
    (old,) = {row.reason for row in registry.read_trainings(warehouse, "outcome = 'abandoned'")}
    assert old == "abandoned after the stage prepare: a later training replaced it"
    decided = {row.list: row.training_id for row in registry.read_unfinished_trainings(warehouse)}
    registry.promote(warehouse, "discover", 1, "rollback from 1: test")
    other = registry.read_history(warehouse, limit=10)[-1]["model_version"]
    warehouse.execute(
        "insert into recommendations.model_versions (list, model, params, fallback_params, track_count, until_seq,"
        " known_at, code_version) values ('discover', 'popularity', '{}', '{}', 1, 1, now(), '')"
    )
    (other,) = warehouse.execute("select max(model_version) from recommendations.model_versions").fetchone()
    registry.promote(warehouse, "discover", other, "by a person")
    said = messages(train(url, "promote"))
    assert "abandoned: the champion of discover has changed since the comparison" in said
    assert releases.read_champions(warehouse)["discover"] == other and not registry.read_unfinished_trainings(warehouse)
    assert {
        row.outcome for row in registry.read_trainings(warehouse, "training_id = any(%s)", [list(decided.values())])
    } == {"abandoned"}


@pytest.mark.slow
def test_data_that_have_shrunk_or_are_stale_are_refused_with_figures(url, warehouse):
    warehouse.execute("delete from marts.listen_history where user_id % 3 > 0")
    line = command("train", "--budget", "0", DATABASE_URL=url).only_line(ExitCode.RECOMMENDATIONS_FAILED)
    assert "nothing was trained: there are " in line and "fewer than the 561 at the last training" in line
    assert "the newest listen became known on 2026-01-04, more than 10 days ago" in line
    assert "readers keep their lists" in line and "--accept-data" in line
    refused = newest(warehouse)
    assert {row.outcome for row in refused.values()} == {"data_refused"}
    again = command("train", "--budget", "0", DATABASE_URL=url).only_line(ExitCode.RECOMMENDATIONS_FAILED)
    assert again == line and newest(warehouse) == refused, "another attempt is no new refusal"
    warehouse.execute("delete from marts.listen_history")
    line = command("train", *OPTIONS[:2], DATABASE_URL=url).only_line(ExitCode.RECOMMENDATIONS_FAILED)
    assert "there are no listens yet" in line
    assert "no listens yet" in messages(train(url))


# For each day a first release that most users saw, and a later one that few saw.
QUALITY = """
alter table recommendations.quality
    drop constraint if exists quality_release_id_fkey, drop constraint if exists quality_model_version_fkey;
truncate recommendations.quality;
insert into recommendations.quality
select
    release_id, 'discover', 'all', current_date - 30 + night::integer, %(version)s, users, 1, 0, 0, 0, 0, 0,
    value, value - 0.02, value + 0.02
from unnest(%(nights)s::real[]) with ordinality as nights (of_first, night)
cross join lateral (values (1, 500, of_first), (2, 5, 0.2)) as releases (release_id, users, value)
"""


@pytest.mark.slow
def test_a_retraining_is_due_by_schedule_volume_degradation_or_unknown_tracks_and_says_so(url, warehouse):
    def due_messages(*arguments):
        ended = command("train", "prepare", "--if-due", *OPTIONS, *arguments, DATABASE_URL=url)
        assert ended.code == ExitCode.PUBLISHED, ended
        found = messages([json.loads(line) for line in ended.out.splitlines()])
        started = [row.trigger for row in registry.read_unfinished_trainings(warehouse)]
        warehouse.execute("delete from recommendations.trainings where finished_at is null")
        return found, set(started)

    found, started = due_messages("--volume", "1")
    assert not started and "no retraining is due; train all the same with: make train" in found
    assert "not due: the last training was 0.0 days ago; a training is due after 7.0 days" in found
    assert "not due: discover: nothing to compare: the champion is popularity, or new" in found
    found, started = due_messages()
    assert started == {"volume"} and "978 listens, +74.3% since the last training; a training is due at +20%" in found
    for days, due in ((7, {"schedule"}), (-7, set())):
        warehouse.execute(
            "update recommendations.trainings set started_at = started_at - %s * interval '1 day'", [days]
        )
        assert due_messages("--volume", "1")[1] == due
    warehouse.execute("""
        create table features.histories as table features.track_history;
        drop view features.track_history cascade;
        alter table features.histories rename to track_history;
        update features.track_history set valid_from = now()
    """)
    week = [dt.datetime(2026, 1, 5, tzinfo=dt.UTC), dt.timedelta(days=7), 1.0]
    (discover,) = [check for check in triggers.check_triggers(warehouse, *week) if check.is_due]
    assert (discover.name, discover.detail) == (
        "unknown_tracks",
        "discover: 100.0% of the plays of 7 days are of tracks that the champion does not know;"
        " a training is due at 10%",
    ), "`again` is popularity, which counts the tracks of each night"
    # three nights at launch, then others
    for nights, version, is_due in (
        ([0.1, 0.1, 0.1, 0.05, 0.05], 1, False),
        ([0.1, 0.1, 0.1, 0.05, 0.09, 0.05], 1, False),
        ([0.1, 0.1, 0.1, 0.09, 0.09, 0.09], 1, False),
        ([0.1, 0.1, 0.1, 0.05, 0.05, 0.05], 2, False),
        ([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05], 1, True),
    ):
        psycopg.ClientCursor(warehouse).execute(QUALITY, {"nights": nights, "version": version})
        found, started = due_messages("--volume", "1")
        assert started == ({"degradation"} if is_due else set()), nights
    assert "due: discover: NDCG@10 differs from popularity by +0.0500 in the last 3 nights, and by +0.1000 at" in found
    # a training that did not end does not hide it
    train(url, "prepare")
    names = [check.name for check in triggers.check_triggers(warehouse, now_of(warehouse), *week[1:]) if check.is_due]
    assert names[0] == "degradation" and names[-1] == "interrupted"


@pytest.mark.slow
def test_a_degraded_model_is_replaced_on_a_window_that_may_overlap(url, warehouse):
    train(url)
    nights = [0.1, 0.1, 0.1, 0.01, 0.01, 0.01]
    psycopg.ClientCursor(warehouse).execute(QUALITY, {"nights": nights, "version": 3})
    below, champion = "recommendations_nights_below_launch", "champion_version"
    shown = MetricValues(warehouse)
    assert (shown[below, "discover"], shown[champion, "discover"]) == (3, 3), "the alert fires"
    said = messages(train(url, "--if-due"))
    assert "due: discover: NDCG@10 differs" in said and "the final window overlaps one that was used" in said
    rows = newest(warehouse)
    assert rows["discover"].trigger == "degradation" and rows["discover"].is_overlapping
    assert rows["discover"].outcome == "refreshed" and releases.read_champions(warehouse)["discover"] > 3
    shown = MetricValues(warehouse)
    assert shown[below, "discover"] is None and shown[champion, "discover"] > 3, "the alert resolves"
    # these nights are not those of the new champion
    assert "no retraining is due" in messages(train(url, "--if-due"))
