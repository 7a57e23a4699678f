"""The tables that the target `citus` creates, with stubs for the two Citus functions that it calls.

Citus is not available in the test environment: how it plans the statements is not tested.
"""

import os
import re
from unittest import mock

import psycopg
import pytest

from pipeline.run.dbt import PROJECT_FOLDER
from tests.rendered_models import RenderedModels
from tests.runs import run_dbt

pytestmark = pytest.mark.slow

# The stubs record each call and the state of the table at that moment.
STUBS = """
create table public.calls (
    number bigint generated always as identity, function text, table_name text, column_name text, colocated_with text,
    rows bigint, foreign_keys bigint, primary_keys bigint
);

create function public.record_call(function text, table_name regclass, column_name text, colocated_with text)
returns void language plpgsql as $$
declare
    rows bigint;
begin
    execute format('select count(*) from %s', table_name) into rows;
    insert into public.calls (function, table_name, column_name, colocated_with, rows, foreign_keys, primary_keys)
    select function, table_name::text, column_name, colocated_with, rows,
        count(*) filter (where contype = 'f'), count(*) filter (where contype = 'p')
    from pg_constraint where conrelid = table_name;
end
$$;

create function public.create_distributed_table(
    table_name regclass, distribution_column text, colocate_with text default 'default'
) returns void language sql as 'select public.record_call(''distributed'', $1, $2, $3)';

create function public.create_reference_table(table_name regclass)
returns void language sql as 'select public.record_call(''reference'', $1, null, null)';
"""
DISTRIBUTED = {
    "marts.users": "id",
    "marts.listen_history": "user_id",
    "prep.user_totals": "user_id",
    "prep.user_genre_totals": "user_id",
    "prep.first_listens": "user_id",
}
REFERENCE = {"marts.tracks", "marts.track_genres", "prep.parked_listens"}


DROP_MODELS = """
do $$
declare
    name text;
begin
    for name in
        select format('drop %s if exists prep.%I cascade', case relkind when 'v' then 'view' else 'table' end, relname)
        from pg_class
        where relnamespace = 'prep'::regnamespace and relkind in ('r', 'v') and relname <> 'builds'
    loop
        execute name;
    end loop;
end
$$
"""


@pytest.fixture
def on_citus(built_database_url):
    """Build the models for the first time with the target `citus`, from the inputs of a small warehouse."""
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as connection:
        connection.execute("drop schema marts, features cascade")
        connection.execute("truncate prep.builds")
        connection.execute(DROP_MODELS)
        connection.execute(STUBS)
        with mock.patch.dict(os.environ, {"DBT_TARGET": "citus"}):
            outcome = run_dbt(built_database_url, "build", "--exclude-resource-type", "unit_test")
            assert outcome.succeeded, outcome.lines
            yield connection


def test_tables_are_distributed_once_while_empty_and_without_foreign_keys(on_citus):
    calls = on_citus.execute(
        "select function, table_name, column_name, colocated_with, rows, foreign_keys, primary_keys from public.calls"
        " order by number"
    ).fetchall()

    assert {name: column for function, name, column, *_ in calls if function == "distributed"} == DISTRIBUTED
    assert {name for function, name, *_ in calls if function == "reference"} == REFERENCE
    assert len(calls) == len(DISTRIBUTED) + len(REFERENCE)
    assert {(rows, foreign_keys, primary_keys) for *_, rows, foreign_keys, primary_keys in calls} == {(0, 0, 1)}
    names = [name for _, name, *_ in calls]
    assert names[0] in ("marts.users", "marts.tracks")
    colocated = {name: other for function, name, _, other, *_ in calls if function == "distributed"}
    assert colocated.pop("marts.users") == "none"
    assert set(colocated.values()) == {"marts.users"}
    assert all(names.index("marts.users") < names.index(name) for name in colocated)


def test_keys_of_distributed_tables_include_the_distribution_column_and_foreign_keys_are_named(on_citus):
    keys = on_citus.execute(
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


def test_a_later_run_distributes_nothing_and_uses_no_merge(on_citus, built_database_url):
    on_citus.execute("truncate public.calls")
    statements = [statement for found in RenderedModels(built_database_url).statements.values() for statement in found]
    assert on_citus.execute("select count(*) from public.calls").fetchone() == (0,)
    assert any("on conflict" in statement for statement in statements)
    assert not [statement for statement in statements if re.search(r"\bmerge\b", statement, re.IGNORECASE)]


def test_other_targets_do_not_need_citus(built_database_url):
    outputs = (PROJECT_FOLDER.parent / "profiles.yml.example").read_text()
    assert "citus:" in outputs
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as connection:
        connection.execute("drop schema marts, features cascade")
        assert run_dbt(built_database_url, "run").succeeded, "the functions of Citus do not exist here"
