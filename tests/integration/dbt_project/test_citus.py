"""The target `citus`: how tables are laid out, and that no statement is one that Citus refuses or cannot push down.

Citus is not available in the test environment: stubs stand for what the project calls of it. The statements are those
in the log of the server, of the runs of `built_template`, of a first build, `recommend`, `grant`, `erase` and `prune`.
"""

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from unittest import mock

import psycopg
import pytest

from pipeline.run.role_definitions import ROLES
from recommender import triggers
from recommender.service import page
from recommender.service.warehouse_reads import WarehouseReads
from tests import citus
from tests.citus import DISTRIBUTED, REFERENCE, Catalog, Text
from tests.command import command
from tests.databases import database_copy
from tests.runs import run_pipeline
from warehouse.database import find
from warehouse.errors import ExitCode
from warehouse.names import STEP_ROLE_NAMES

# The stubs record each call and the state of the table at that moment.
STUBS = """
create table public.calls (
    number bigint generated always as identity, function text, table_name text, column_name text, colocated_with text,
    mode text, rows bigint, foreign_keys bigint, primary_keys bigint
);

create view public.pg_dist_partition as select table_name::regclass as logicalrelid from public.calls;

create function public.record_call(function text, table_name regclass, column_name text, colocated_with text)
returns void language plpgsql as $$
declare
    rows bigint;
begin
    execute format('select count(*) from %s', table_name) into rows;
    insert into public.calls (function, table_name, column_name, colocated_with, mode, rows, foreign_keys, primary_keys)
    select function, table_name::text, column_name, colocated_with,
        current_setting('citus.multi_shard_modify_mode', true), rows,
        count(*) filter (where contype = 'f'), count(*) filter (where contype = 'p')
    from pg_constraint where conrelid = table_name;
end
$$;

create function public.create_distributed_table(
    table_name regclass, distribution_column text, colocate_with text default 'default'
) returns void language sql as 'select public.record_call(''distributed'', $1, $2, $3)';

create function public.create_reference_table(table_name regclass)
returns void language sql as 'select public.record_call(''reference'', $1, null, null)';

insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
select max(oid::bigint) + 1, 'citus', 10, 11, false, 'stubs' from pg_extension;
"""

DROP_MODELS = """
do $$
declare
    name text;
begin
    for name in
        select
            format(
                'drop %s if exists %s.%I cascade',
                case relkind when 'v' then 'view' else 'table' end, relnamespace::regnamespace, relname
            )
        from pg_class
        where
            relnamespace::regnamespace::text in ('prep', 'marts', 'features') and relkind in ('r', 'p', 'v')
            -- not what the preparation of a warehouse makes
            and relname !~ '^(builds|snapshots|user_snapshots|stg_moovitamix__.*)$'
    loop
        execute name;
    end loop;
    truncate prep.builds;
end
$$
"""

DATABASE = re.compile(r'"(built|on_citus)"\.(?=")')
# What a due training and the page of the service ask.
MORE_TEXTS = (triggers.UNKNOWN % {"as_of": "now()", "since": "now()"}, page.EXAMPLE_USERS)
# The parser knows only the query in it.
COPIED = re.compile(r"^\s*copy\s*\((.*)\)\s*to\s+stdout.*", re.IGNORECASE | re.DOTALL)
NAMED = re.compile(r"\b(marts|prep|features|pg_temp)\b")
LOGGED = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] LOG:  (?:statement|execute [^:]+): (.*)")


@dataclass(frozen=True)
class Lab:
    """Hold a warehouse of the target `citus`, and by process of the server the texts that clients sent.

    `nights`: of two runs, on another target. `sessions`: of this warehouse.
    """

    connection: psycopg.Connection
    nights: dict[str, list[str]]
    sessions: dict[str, list[str]]

    @property
    def texts(self) -> list[str]:
        sessions = (*self.nights.values(), *self.sessions.values())
        return list(dict.fromkeys((*(text for session in sessions for text in session), *MORE_TEXTS)))

    @cached_property
    def parsed(self) -> list[Text]:
        return [Text(COPIED.sub(r"\1", DATABASE.sub("", text))) for text in self.texts if NAMED.search(text)]

    def transactions(self) -> Iterator[Sequence[str]]:
        for session in self.sessions.values():
            current: list[str] = []
            for text in session:
                if re.match(r"begin|commit|rollback", text, re.IGNORECASE):
                    yield current
                    current = []
                else:
                    current.append(text)
            yield current


def logged(log):
    """Return the texts in a part of the log of the server, by process."""
    sessions = {}
    session = None
    for line in log.decode().splitlines():
        if found := LOGGED.match(line):
            session = sessions.setdefault(found[1], [])
            session.append(found[2])
        elif line.startswith("\t") and session:
            session[-1] += "\n" + line[1:]
        else:
            session = None
    return sessions


@pytest.fixture(scope="module")
def lab(postgres_url, postgres_folder, built_template, without_roles_afterwards):
    """A first build, `recommend`, `erase`, `prune`, and `grant` twice."""
    log = postgres_folder / "postgres.log"
    nights = log.read_bytes()
    with (
        database_copy(postgres_url, built_template, "on_citus") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
    ):
        connection.execute(DROP_MODELS)
        connection.execute(STUBS)
        connection.execute("alter database on_citus set log_statement = 'all'")
        with mock.patch.dict(os.environ, {"DBT_TARGET": "citus"}):
            assert run_pipeline(url, "http://127.0.0.1:9", ("build",)).exit_code == ExitCode.PUBLISHED
            connection.execute("update gate.publications set published_at = now() - interval '3 days'")
            (user_id,) = connection.execute("select user_id from marts.listen_history limit 1").fetchone()
            key = {"DATABASE_URL": url, "ERASURE_KEY": "only for this test " * 3, "TRAIN_BUDGET": "0"}
            for arguments in (
                ("recommend",),
                ("erase", str(user_id), "--reason", "asked for it"),
                ("prune", "--keep", "1d", "--reason", "disk space"),
                ("grant",),
                ("grant",),
            ):
                ended = command(*arguments, **key)
                assert ended.code == ExitCode.PUBLISHED, ended.err
        yield Lab(connection, logged(nights), logged(log.read_bytes()[len(nights) :]))


def test_tables_are_distributed_once_while_empty_and_without_foreign_keys(lab):
    calls = lab.connection.execute(
        "select function, table_name, column_name, colocated_with, rows, foreign_keys, primary_keys from public.calls"
        " order by number"
    ).fetchall()

    assert {name: column for function, name, column, *_ in calls if function == "distributed"} == DISTRIBUTED
    assert {name for function, name, *_ in calls if function == "reference"} == REFERENCE
    assert len(calls) == len(DISTRIBUTED) + len(REFERENCE)
    assert {(rows, foreign_keys, primary_keys) for *_, rows, foreign_keys, primary_keys in calls} == {(0, 0, 1)}
    assert lab.connection.execute(
        "select distinct mode from public.calls where table_name <> 'prep.builds'"
    ).fetchall() == [("sequential",)]
    names = [name for _, name, *_ in calls]
    assert names[0] == "prep.builds"
    colocated = {name: other for function, name, _, other, *_ in calls if function == "distributed"}
    assert colocated.pop("marts.users") == "none"
    assert set(colocated.values()) == {"marts.users"}
    assert all(names.index("marts.users") < names.index(name) for name in colocated)


def test_keys_of_distributed_tables_include_the_distribution_column_and_foreign_keys_are_named(lab):
    keys = lab.connection.execute(
        """
        select conrelid::regclass::text, contype::text, conname, pg_get_constraintdef(oid)
        from pg_constraint
        where conparentid = 0 and contype in ('p', 'u', 'f') and conrelid::regclass::text = any(%s)
    """,
        [list(DISTRIBUTED)],
    ).fetchall()
    assert {kind for _, kind, *_ in keys} == {"p", "f"}
    for table, kind, name, definition in keys:
        if kind == "f":
            assert name.endswith("_fk")
            # to a reference table, or on the distribution column of both tables
            assert "REFERENCES marts.tracks(id)" in definition or "(user_id) REFERENCES marts.users(id)" in definition
        else:
            columns = re.search(r"\((.*?)\)", definition)[1].split(", ")
            assert DISTRIBUTED[table] in columns, (table, definition)


@pytest.mark.parametrize("check", citus.CHECKS, ids=lambda check: check.__name__)
def test_no_statement_is_one_that_citus_refuses_or_does_not_push_down(check, lab):
    catalog = Catalog(lab.connection)
    found = {str(refusal) for text in lab.parsed for refusal in check(text, catalog)}
    assert not found, check.__doc__


def test_tables_and_months_are_made_in_the_order_that_citus_needs(lab):
    for table in (DISTRIBUTED.keys() | REFERENCE) - {"prep.builds"}:  # which a migration makes
        made = [texts for texts in lab.transactions() if any(creates(text, table) for text in texts)]
        assert len(made) == 1
        assert citus.is_in_order(made[0], table), made
    months = [text for text in lab.texts if "do $partitions$" in text]
    assert len(months) == 3  # of a first and a second night, and of the first build
    assert all(map(citus.adds_months_in_order, months))


def test_steps_can_log_in_and_readers_can_read_what_the_features_read(lab):
    assert lab.connection.execute(
        "select array_agg(rolname::text order by rolname) from pg_roles where rolname = any(%s) and rolcanlogin",
        [list(ROLES)],
    ).fetchone() == (sorted(STEP_ROLE_NAMES),)
    for relation in ("prep.builds", "prep.user_totals", "prep.user_genre_totals", "prep.first_listens"):
        assert lab.connection.execute(
            "select has_table_privilege('moovitamix_analyst', %s, 'select')", [relation]
        ).fetchone() == (True,)


@pytest.mark.parametrize(("database", "mode"), [("on_citus", "auto"), ("built", "force_generic_plan")])
def test_the_service_plans_with_the_values_of_a_request_where_citus_needs_them(database, mode, lab, postgres_url):
    reads = WarehouseReads(lambda: find(f"{postgres_url.rsplit('/', 1)[0]}/{database}", "test"))

    async def read():
        try:
            return await reads.read_row("show plan_cache_mode")
        finally:
            await reads.close()

    assert asyncio.run(read()) == (mode,)


REFUSED = {
    citus.sent_with_others: [
        "alter table marts.users add column planted bigint; alter table marts.tracks add column planted bigint",
        'set local x = 1; grant select on "marts"."users" to somebody',
        "revoke all on prep.user_totals from somebody; select 1",
    ],
    citus.view_dropped_in_pg_temp: ['drop view pg_temp."users__columns"', "drop view if exists pg_temp.users__columns"],
    citus.deleted_by_local_rows: [
        "delete from marts.users as present where not exists"
        " (select 1 from users__dbt_tmp as desired where desired.id = present.id)",
    ],
    citus.exists_without_columns: ["select not exists (select from marts.listen_history)"],
    citus.catalog_view_beside_mart: [
        "select exists (select 1 from marts.users) and exists (select from pg_stats where tablename = 'users')",
    ],
    citus.mart_left_joined_to_local_rows: [
        "select 1 from prep.int_listens as listens left join marts.users as users on listens.user_id = users.id",
        "with users as (select * from marts.users) select 1 from gate.loads left join users on load_id = _load_id",
    ],
    citus.lateral_subquery_over_shards: [
        "create view marts.planted as select 1 from marts.listen_history as listens left join lateral"
        " (select listen_id from prep.first_listens where user_id = listens.user_id offset 0) as firsts on true",
        "with days as (select day from generate_series(1, 2) as numbers (day)) select 1 from days cross join lateral"
        " (select count(*) from marts.listen_history where track_id = days.day) as counts",
        "select 1 from prep.int_document_versions as versions cross join lateral"
        " (select id from marts.listen_history where user_id = versions.user_id offset 0) as listens",
    ],
    citus.subquery_beside_count: [
        "select (select count(*) from marts.users), count(*) from marts.listen_history",
    ],
    citus.landed_rows_beside_mart: [
        "select id from prep.stg_moovitamix__users union select id from marts.users",
        "with landed as (select id from staging.users) select 1 from landed, marts.users",
    ],
    citus.local_table_in_feature: [
        "create view features.planted as select users.id from marts.users, gate.loads",
        "create or replace view features.planted as"
        " (select id from marts.users where exists (select 1 from prep.int_listens))",
    ],
    citus.union_of_different_types: [
        "select user_id, 0 as listens from prep.user_totals union all select user_id, listens from prep.user_totals",
        "with totals as (select user_id, 0 as listens from prep.user_totals)"
        " select * from totals union all select user_id, count(*) from marts.listen_history group by 1",
    ],
    citus.all_columns_of_users_in_view: [
        "create view features.planted as with users as (select * from marts.users) select id from users",
    ],
    citus.changing_function_in_update: [
        "update prep.builds set totals_until = now()",
        "update features.snapshots set fingerprint = concat_ws(' ', counted.listens)"
        " from (select count(*) as listens from marts.listen_history) as counted",
    ],
}


@pytest.mark.parametrize(
    ("check", "statement"),
    [(check, statement) for check, statements in REFUSED.items() for statement in statements],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_check_finds_a_planted_statement(check, statement, lab):
    assert list(check(Text(statement), Catalog(lab.connection)))


def test_every_check_has_a_planted_statement():
    assert REFUSED.keys() == set(citus.CHECKS)


SEQUENTIAL = f"set local {citus.SEQUENTIAL} to 'sequential'"
CREATED = "create table marts.users (id bigint primary key)"
SHARDED = "select create_distributed_table('marts.users', 'id')"
FILLED = "insert into marts.users (id) select 1"
WITH_KEY = "alter table marts.users add foreign key (id) references marts.tracks (id)"


@pytest.mark.parametrize(
    ("texts", "is_right"),
    [
        ((SEQUENTIAL, CREATED, SHARDED, FILLED, WITH_KEY), True),
        ((CREATED, SEQUENTIAL, SHARDED, FILLED, WITH_KEY), False),
        ((CREATED, SHARDED, FILLED, WITH_KEY), False),
        ((SEQUENTIAL, CREATED, FILLED, SHARDED, WITH_KEY), False),
        ((SEQUENTIAL, CREATED, SHARDED, WITH_KEY, FILLED), False),
    ],
)
def test_the_order_of_a_planted_transaction_is_seen(texts, is_right):
    assert citus.is_in_order(texts, "marts.users") is is_right


@pytest.mark.parametrize(
    ("body", "is_right"),
    [
        (f"perform set_config('{citus.SEQUENTIAL}', 'sequential', true); create table a (); attach", True),
        (f"create table a (); perform set_config('{citus.SEQUENTIAL}', 'sequential', true); attach", False),
        ("create table a (); attach", False),
    ],
)
def test_the_order_of_a_planted_month_is_seen(body, is_right):
    assert citus.adds_months_in_order(f"select 1; do $partitions$ begin {body} end $partitions$;") is is_right


def creates(text, table):
    schema, name = table.split(".")
    return re.search(rf'create\s+table\s+("\w+"\.)?"?{schema}"?\."?{name}"?\s', text)
