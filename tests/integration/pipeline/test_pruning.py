"""`prune` deletes only old superseded versions, and no reader is affected."""

import datetime as dt
import itertools
import json
from random import Random

import psycopg
import pytest
from psycopg.rows import dict_row

from pipeline.operations.pruning import parse_age
from sample_api.world import World, snapshot
from tests.command import command, last_run
from tests.databases import prepare
from tests.integration.pipeline.test_accounting import assert_rows_add_up
from tests.integration.pipeline.test_erasure import RUN_LEDGER, changed_relations, decisions, everything
from tests.runs import run_dbt, run_pipeline_on
from warehouse import database, locks
from warehouse.counts import count
from warehouse.errors import ExitCode

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_database_url`
MARTS = ("users", "tracks", "track_genres", "listen_history")
STATES = ("pending", "accepted", "accepted_with_quarantine", "blocked", "superseded", "released", "rejected")
PUBLISHED = {"accepted", "accepted_with_quarantine", "released"}
SEED = 4


def prune(database_url, *arguments, keep="90d", reason="disk space"):
    return command("prune", "--keep", keep, "--reason", reason, *arguments, DATABASE_URL=database_url)


def marts(connection):
    """Return all rows without `known_at`, which depends on the versions that are left."""
    found = {}
    for table in MARTS:
        rows = connection.cursor(row_factory=dict_row).execute(f"select * from marts.{table}").fetchall()
        found[table] = sorted(({**row, "known_at": None} for row in rows), key=str)
    return found


def published_days_ago(connection, days):
    connection.execute("update gate.publications set published_at = now() - make_interval(days => %s)", [days])


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


def test_pruning_affects_neither_the_marts_nor_the_next_run(built_database_url, connection):
    published_days_ago(connection, 91)
    versions = "select count(*) from staging.users union all select count(*) from staging.tracks"
    before = marts(connection), connection.execute(versions).fetchall()

    ended = prune(built_database_url)

    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, "")
    after = connection.execute(versions).fetchall()
    gone = {name: old - new for name, (old,), (new,) in zip(("users", "tracks"), before[1], after, strict=True)}
    assert all(gone.values()), "a world in which nothing changes proves nothing"
    deleted = ", ".join(f"{count(gone[name], 'row')} of staging.{name}" for name in ("users", "tracks"))
    assert f"deleted: {deleted}" in ended.out
    assert marts(connection) == before[0]
    assert_rows_add_up(connection)
    (decision,) = decisions(connection)
    assert (decision["verb"], decision["reason"], decision["details"]["keep"]) == ("prune", "disk space", "90 days")
    assert decision["details"]["deleted"] == {f"staging.{name}": rows for name, rows in gone.items()}
    assert last_run(connection)[:2] == ("succeeded", ExitCode.PUBLISHED)

    connection.execute("truncate marts.users, marts.tracks, marts.track_genres, marts.listen_history")
    assert run_dbt(built_database_url, "run", "--full-refresh").succeeded
    assert marts(connection) == before[0]
    extraction = run_pipeline_on(built_database_url, snapshot(WORLD, 1), steps=("extract",)).extraction
    assert [(scan.rows_landed, scan.rows_removed) for scan in extraction.scans.values()] == [(0, 0)] * 3

    again = prune(built_database_url)
    assert again.code == ExitCode.PUBLISHED and "deleted: 0 rows of staging.users" in again.out
    assert len(decisions(connection)) == 1


def test_a_reject_counts_rows_without_an_older_version_and_the_next_run_reloads_them(built_database_url, connection):
    world = snapshot(WORLD, 2).tables()
    renamed = [{**user, "first_name": "New"} for user in world["users"]]
    load_id = run_pipeline_on(built_database_url, {**world, "users": renamed}).extraction.load_id
    published_days_ago(connection, 91)
    prune(built_database_url)
    shown = "select id from marts.users where first_name = 'New' and deleted_at is null"
    known = {user_id for (user_id,) in connection.execute(shown)}
    (gone,) = connection.execute("select min(user_id) from marts.listen_history").fetchone()
    arguments = ("gate", "reject", load_id, "users", "--reason", "a test system answered")

    dry_run = command(*arguments, "--dry-run", DATABASE_URL=built_database_url)
    rejected = command(*arguments, DATABASE_URL=built_database_url)

    for ended in (dry_run, rejected):
        assert (
            f"  {len(known)} rows without another version: the marts lose them until the next run loads them"
            in ended.out
        )
    assert connection.execute(shown).fetchall() == []
    run_pipeline_on(built_database_url, {**world, "users": [user for user in renamed if user["id"] != gone]})
    assert {user_id for (user_id,) in connection.execute(shown)} == known - {gone}
    parked = connection.execute("select count(*) from prep.parked_listens where user_id = %s", [gone])
    assert parked.fetchone()[0] > 0


def test_a_superseded_version_is_kept_for_the_given_time(built_database_url, connection):
    published_days_ago(connection, 6)
    before = everything(connection)
    assert prune(built_database_url, keep="1w").code == ExitCode.PUBLISHED
    assert changed_relations(before, everything(connection)) <= RUN_LEDGER
    assert "0 of staging.users" not in prune(built_database_url, keep="5d").out


def test_a_dry_run_shows_what_would_go_and_writes_nothing(built_database_url, connection):
    published_days_ago(connection, 91)
    before = everything(connection)
    shown = prune(built_database_url, "--dry-run").out
    assert "next: nothing was changed" in shown
    assert everything(connection) == before
    details = shown.partition("next: ")[0]
    assert "staging.tracks" in details and prune(built_database_url).out.startswith(details)


@pytest.mark.parametrize("keep", ["0d", "0w", "90", "d", "-90d", "90 days", "1h", "1.5d", "999999d", ""])
def test_an_invalid_age_is_wrong_usage(keep, database_url):
    line = prune(database_url, keep=keep).only_line(ExitCode.WRONG_SETTINGS)
    assert "--keep" in line and "90d" in line
    assert "--reason" in prune(database_url, reason=" ").only_line(ExitCode.WRONG_SETTINGS)


def test_times_are_days_or_weeks():
    assert [parse_age("1d"), parse_age("90d"), parse_age("12w")] == [dt.timedelta(days=days) for days in (1, 90, 84)]


def test_an_empty_warehouse_has_nothing_to_prune(database_url):
    for ended in (prune(database_url, "--dry-run"), prune(database_url)):
        assert "nothing has been loaded yet" in ended.only_line(ExitCode.WRONG_SETTINGS)
    prepare(database_url)
    assert prune(database_url, "--dry-run").code == prune(database_url).code == ExitCode.PUBLISHED


def test_pruning_is_refused_while_a_run_is_in_progress(built_database_url):
    with locks.run_lock(database.find(built_database_url, locks.RUN_APPLICATION)):
        prune(built_database_url).only_line(ExitCode.ALREADY_RUNNING)


def test_pruned_versions_match_a_plain_implementation_of_the_rule(database_url, tmp_path):
    """Random histories of many keys, with loads of every state and rows of every outcome."""
    print(f"seed {SEED}")
    prepare(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        histories = histories_of(connection, Random(SEED))

        assert prune(database_url).code == ExitCode.PUBLISHED

        for table, versions in histories.items():
            kept = {dlt_id for (dlt_id,) in connection.execute(f"select _dlt_id from staging.{table}")}
            expected = {dlt_id for dlt_id in versions if not has_long_been_superseded(versions, dlt_id)}
            assert kept == expected
            assert len(versions) / 10 < len(versions) - len(kept) < len(versions) * 2 / 3, "a test of either outcome"
        (decision,) = decisions(connection)
        details = decision["details"]["rows"]["users"].values()
        assert (
            sum(load["landed"] + load["removed"] for load in details) == decision["details"]["deleted"]["staging.users"]
        )
        assert sum(load["removed"] for load in details) > 0


def histories_of(connection, random):
    """Versions of 200 keys in 14 loads, by table: dlt id -> key, number of the load, is a removal, days since the load
    was known, is published, was ever in quarantine. The clock is set back now and then."""
    versions = {"users": {}, "tracks": {}}
    days_ago = known_days_ago = 303  # never exactly 90
    for number, table in itertools.product(range(14), versions):
        load_id, state = f"load {number:02}", random.choice([*STATES, *sorted(PUBLISHED) * 3])
        connection.execute(
            "insert into gate.loads (load_id, table_name, state, rows_read, rows_landed, rows_removed)"
            " values (%s, %s, %s, 0, 0, 0)",
            [load_id, table, state],
        )
        # a load that was rejected may have been published before; one that was replayed is published again
        if state in PUBLISHED | {"rejected"}:
            for kind in ("load", "replay")[: random.choice([1, 1, 2])]:
                days_ago = max(1, days_ago - random.choice([0, 7, 14, 21]))
                set_back = random.choice([0, 0, 0, 0, 40])
                known_days_ago = min(known_days_ago, days_ago + set_back)
                connection.execute(
                    "insert into gate.publications (load_id, table_name, kind, published_at)"
                    " values (%s, %s, %s, now() - make_interval(days => %s))",
                    [load_id, table, kind, days_ago + set_back],
                )
        for key in range(200):
            if random.random() < 0.5:
                continue
            dlt_id, is_removal, is_quarantined = f"{table} {number} {key}", random.random() < 0.2, random.random() < 0.2
            connection.execute(
                f"insert into staging.{table} (key, payload, content_hash, _dlt_load_id, _dlt_id)"
                " values (%s, %s, '0', %s, %s)",
                [f"[{key}]", None if is_removal else json.dumps({"id": key}), load_id, dlt_id],
            )
            if is_quarantined:
                connection.execute(
                    "insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule, outcome)"
                    " values (%s, %s, %s, %s, 'a rule', %s)",
                    [load_id, table, f"[{key}]", dlt_id, random.choice([None, "freed", "superseded"])],
                )
            versions[table][dlt_id] = (key, number, is_removal, known_days_ago, state in PUBLISHED, is_quarantined)
    return versions


def has_long_been_superseded(versions, dlt_id):
    key, number, _, _, is_published, is_quarantined = versions[dlt_id]
    return (
        is_published
        and not is_quarantined
        and any(
            other_key == key and other > number and not is_removal and published and not quarantined and days > 90
            for other_key, other, is_removal, days, published, quarantined in versions.values()
        )
    )
