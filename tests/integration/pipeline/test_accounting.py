"""Over all kinds of runs, each row is counted exactly once, and readers see complete publications only."""

import psycopg
import pytest
from psycopg.rows import dict_row

from pipeline.run.dbt import Dbt
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.marts import fingerprint, reader, rows_on_disk, whole
from tests.runs import run_pipeline, run_pipeline_on, states
from warehouse.errors import ExitCode

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_database_url`
TABLES = ("users", "tracks", "listen_history")
UNREADABLE = b'{"id": 990099, "email": "nul\\u0000@example.org"}'


@pytest.fixture
def connection(built_database_url):
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as opened:
        yield opened


def test_row_counts_add_up_over_all_kinds_of_runs_and_readers_see_consistent_states(
    built_database_url, connection, monkeypatch
):
    """Cases 8, 23 and 24."""

    def night(day, *faults, more_users=()):
        world = snapshot(WORLD, day)
        rows = {**{table: getattr(world, table) for table in TABLES}, "users": [*world.users, *more_users]}
        try:
            return run_pipeline_on(built_database_url, rows, faults)
        finally:
            whole_states.update(whole(connection))

    whole_states = whole(connection)
    with reader(built_database_url) as seen:
        assert night(2, "bad_rows=0.1/1", more_users=[UNREADABLE]).exit_code == ExitCode.PUBLISHED
        assert night(3, "bad_rows@users=0.6/2", more_users=[UNREADABLE]).exit_code == ExitCode.BLOCKED
        before = whole(connection)
        assert night(4, "wrong_total=1").exit_code == ExitCode.SOURCE_FAILED
        assert whole(connection) == before, "an error is not a source without rows"
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.run.pipeline_run.Dbt.invoke", crashing_after_users(Dbt.invoke))
            with pytest.raises(MemoryError):
                night(4)
        assert night(4).exit_code == ExitCode.PUBLISHED

    verdicts = {state for (state,) in connection.execute("select distinct state from gate.loads")}
    assert verdicts == {"accepted", "accepted_with_quarantine", "superseded"}
    check_accounts(connection)
    assert seen <= whole_states
    assert len([table for table, _ in seen if table == "marts.users"]) > 2, "several nights should have been seen"


def crashing_after_users(invoke):
    def crashing(dbt, *arguments, **options):
        if "build" in arguments:
            invoke(dbt, "build", "--select", "users", "--exclude-resource-type", "unit_test", **options)
            raise MemoryError
        return invoke(dbt, *arguments, **options)

    return crashing


def assert_rows_add_up(connection):
    """Each row read was known, has landed or is set aside; each that landed is published, quarantined, blocked, or went
    with a decision. Returns the accounts, per load and table."""
    landing = " union all ".join(
        f"select '{table}' as table_name, _dlt_load_id as load_id, _dlt_id as dlt_id, payload is null as is_removal"
        f" from staging.{table}"
        for table in TABLES
    )
    published = " union all ".join(
        f"select '{table}' as table_name, _load_id as load_id, _dlt_id as dlt_id from prep.int_published_{table}"
        for table in TABLES
    )
    accounts = (
        connection.cursor(row_factory=dict_row)
        .execute(f"""
        with landed as ({landing}),
        published as ({published}),
        outcomes as (
            select
                landed.*,
                published.dlt_id is not null as is_published,
                loads.state in ('blocked', 'superseded', 'rejected') as is_blocked,
                exists (
                    select 1 from gate.quarantined_rows as quarantined
                    where quarantined.dlt_id = landed.dlt_id and quarantined.outcome is distinct from 'freed'
                ) as is_quarantined
            from landed
            left join published on landed.table_name = published.table_name and landed.dlt_id = published.dlt_id
            left join gate.loads on landed.load_id = loads.load_id and landed.table_name = loads.table_name
        ),
        gone as (
            select
                tables.key as table_name,
                of_load.key as load_id,
                sum((of_load.value ->> 'landed')::int) as landed,
                sum((of_load.value ->> 'removed')::int) as removed
            from gate.decisions
            cross join jsonb_each(details -> 'rows') as tables
            cross join jsonb_each(tables.value) as of_load
            where verb in ('erase', 'prune')
            group by 1, 2
        )
        select
            scans.table_name, scans._dlt_load_id,
            scans.rows_read, scans.rows_unchanged, scans.rows_landed, scans.rows_unreadable, scans.rows_removed,
            coalesce(max(gone.landed), 0) as landed_gone, coalesce(max(gone.removed), 0) as removals_gone,
            count(outcomes.dlt_id) filter (where not outcomes.is_removal) as found,
            count(outcomes.dlt_id) filter (where outcomes.is_removal) as removals_found,
            count(*) filter (where outcomes.is_published) as published,
            count(*) filter (where not outcomes.is_blocked and outcomes.is_quarantined) as quarantined,
            count(*) filter (where outcomes.is_blocked) as blocked,
            count(*) filter (where outcomes.is_published and (outcomes.is_quarantined or outcomes.is_blocked)) as twice
        from staging.scans
        left join outcomes on scans._dlt_load_id = outcomes.load_id and scans.table_name = outcomes.table_name
        left join gone on scans._dlt_load_id = gone.load_id and scans.table_name = gone.table_name
        group by 1, 2, 3, 4, 5, 6, 7
    """)
        .fetchall()
    )
    assert len(accounts) == 3 * connection.execute("select count(*) from staging._dlt_loads").fetchone()[0]
    for account in accounts:
        assert account["rows_read"] == sum(
            account[f"rows_{outcome}"] for outcome in ("unchanged", "landed", "unreadable")
        )
        assert account["found"] + account["landed_gone"] == account["rows_landed"], account
        assert account["removals_found"] + account["removals_gone"] == account["rows_removed"], account
        landed = account["rows_landed"] + account["rows_removed"]
        outcomes = ("published", "quarantined", "blocked", "landed_gone", "removals_gone")
        assert landed == sum(account[outcome] for outcome in outcomes), account
        assert not account["twice"]
    return accounts


def check_accounts(connection):
    """They add up, and the nights had rows of every kind."""
    accounts = assert_rows_add_up(connection)
    for outcome in ("rows_unreadable", "quarantined", "blocked"):
        assert sum(account[outcome] for account in accounts), f"the nights should have had rows that are {outcome}"
    assert connection.execute("select count(*) from staging.unreadable_rows").fetchone() == (1,)


@pytest.mark.parametrize("when", ["while it lands", "after it has landed"])
def test_a_run_whose_tables_disagree_with_its_counters_fails(when, built_database_url, connection):
    """Case 7."""
    before = whole(connection)
    with serve(snapshot(WORLD, 2)) as api:
        if when == "while it lands":
            connection.execute("""
                create function lose_one() returns trigger language plpgsql as $$
                begin
                    return case when new.payload is not null then null else new end;
                end $$;
                create trigger lose before insert on staging.users for each row execute function lose_one()
            """)
            finished = run_pipeline(built_database_url, api.url)
            assert finished.exit_code == ExitCode.WAREHOUSE_UNAVAILABLE and "withdrawn" in finished.message
            assert whole(connection) == before
            connection.execute("drop function lose_one cascade")
        else:
            assert run_pipeline(built_database_url, api.url, ("extract",)).exit_code == ExitCode.PUBLISHED
            newest = connection.execute("select max(load_id) from staging._dlt_loads").fetchone()[0]
            connection.execute(
                "delete from staging.users where _dlt_id = (select max(_dlt_id) from staging.users"
                " where _dlt_load_id = %s and payload is not null)",
                [newest],
            )
            finished = run_pipeline(built_database_url, api.url, ("gate", "build"))
            assert finished.exit_code == ExitCode.BLOCKED and "landed_rows_are_all_there" in finished.message
            assert ("marts.users", fingerprint(connection, "marts.users")) in before
        assert run_pipeline(built_database_url, api.url).exit_code == ExitCode.PUBLISHED
    check_scans_against_tables(connection)


def check_scans_against_tables(connection):
    """Of the newest load."""
    for table in TABLES:
        assert connection.execute(f"""
            select scans.rows_landed = count(landed.payload)
            from staging.scans
            left join staging.{table} as landed on scans._dlt_load_id = landed._dlt_load_id
            where scans.table_name = '{table}' and scans._dlt_load_id = (select max(load_id) from staging._dlt_loads)
            group by scans.rows_landed
        """).fetchone() == (True,)


def test_unchanged_sample_data_writes_no_row_to_the_marts(built_database_url, connection):
    """Case 18, and a day run twice."""
    before = rows_on_disk(connection)
    finished = run_pipeline_on(built_database_url, snapshot(WORLD, 1))
    assert finished.exit_code == ExitCode.PUBLISHED and set(states(finished).values()) == {"accepted"}
    assert [(scan.rows_landed, scan.rows_removed) for scan in finished.extraction.scans.values()] == [(0, 0)] * 3
    assert rows_on_disk(connection) == before
