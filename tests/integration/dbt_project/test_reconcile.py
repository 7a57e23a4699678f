"""The strategy `reconcile` deletes the rows whose source is gone, and every stateful model uses it."""

import os
import shutil
from unittest import mock

import psycopg
import pytest
from dbt.cli.main import dbtRunner
from dbt_bouncer.testing import check_fails, check_passes

from expectations import decisions
from pipeline.run.dbt import PROJECT_FOLDER, Dbt, profiles_folder
from tests.runs import run_dbt
from warehouse import database

RULE = {"name": "check_incremental_model_deletes_rows", "custom_checks_dir": PROJECT_FOLDER / "checks"}
PROJECT_FILE = """
name: reconciled
profile: moovitamix
models:
  reconciled:
    +materialized: incremental
    +incremental_strategy: reconcile
    +unique_key: id
    +indexes: [{columns: [id], unique: true}]
"""
WITHOUT_SCOPE = "select id, value from public.source_rows"
WITH_SCOPE = """
{{ config(scope={'model': 'changed_ids', 'match': {'id': 'id'}}) }}
select id, value from public.source_rows where id in (select id from {{ ref('changed_ids') }})
"""
CHANGED_IDS = "{{ config(materialized='view') }} select id from public.changed_ids"


@pytest.fixture
def reconcile(database_url, connection, tmp_path):
    """Return a function that builds a model on source rows 1 to 4, then on changed ones, and returns both results."""
    (tmp_path / "dbt_project.yml").write_text(PROJECT_FILE)
    shutil.copytree(PROJECT_FOLDER / "macros" / "materializations", tmp_path / "macros")
    (tmp_path / "models").mkdir()
    connection.execute("create table source_rows as select id, 'old' as value from generate_series(1, 4) as id")
    connection.execute("create table changed_ids as select id from source_rows")

    def build():
        folders = ("--project-dir", str(tmp_path), "--profiles-dir", str(profiles_folder()))
        arguments = ("--log-level", "none", "--no-write-json", "run", "--target-path", str(tmp_path / "target"))
        with mock.patch.dict(os.environ):
            database.export(database.find(database_url, "test"))
            outcome = dbtRunner().invoke([*arguments, *folders])
        assert outcome.success, outcome.exception or [result.message for result in outcome.result]
        return {row[0]: row[1:] for row in connection.execute("select id, value, xmin::text from prep.reconciled")}

    def build_twice(model):
        (tmp_path / "models" / "changed_ids.sql").write_text(CHANGED_IDS)
        (tmp_path / "models" / "reconciled.sql").write_text(model)
        before = build()
        connection.execute("delete from source_rows where id in (2, 4)")
        connection.execute("update source_rows set value = 'new' where id = 1")
        connection.execute("insert into source_rows values (5, 'new')")
        connection.execute("delete from changed_ids where id = 4")
        connection.execute("insert into changed_ids values (5)")
        return before, build()

    return build_twice


def test_without_a_scope_each_row_whose_source_is_gone_is_deleted_and_the_rest_is_kept(reconcile):
    before, after = reconcile(WITHOUT_SCOPE)
    assert sorted(before) == [1, 2, 3, 4]
    assert {key: value for key, (value, _) in after.items()} == {1: "new", 3: "old", 5: "new"}
    assert after[3] == before[3], "a row that is right is not written"


def test_with_a_scope_only_rows_in_it_are_deleted(reconcile):
    before, after = reconcile(WITH_SCOPE)
    assert {key: value for key, (value, _) in after.items()} == {1: "new", 3: "old", 4: "old", 5: "new"}
    assert (after[3], after[4]) == (before[3], before[4])


@pytest.fixture(scope="module")
def models(postgres_url):
    """Return the models of the manifest, by name."""
    with mock.patch.dict(os.environ):
        database.export(database.find(postgres_url, "test"))
        nodes = Dbt("--no-write-json")._run("parse").result.nodes.values()
    return {node.name: node.to_dict() for node in nodes if node.resource_type == "model"}


def test_the_rule_accepts_each_model_of_the_project(models):
    for model in models.values():
        check_passes(**RULE, model=model, ctx_models=list(models.values()))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"incremental_strategy": "merge"}, "keeps rows whose source is gone"),
        ({"incremental_strategy": None}, "keeps rows whose source is gone"),
        ({"scope": {"model": "tracks", "match": {"track_id": "id"}}}, "deletes only rows in its scope, `tracks`"),
        ({"scope": {"model": "int_changed_users", "match": {"track_id": "id"}}}, "its scope, `int_changed_users`"),
        ({"scope": {"model": "int_build_window", "match": {"track_id": "id"}}}, "its scope, `int_build_window`"),
        ({"scope": None}, "would delete all other rows"),
    ],
)
def test_the_rule_rejects_a_model_that_would_keep_or_lose_rows(models, change, problem):
    model = models["track_genres"]
    changed = {**model, "config": {**model["config"], **change}}
    check_fails(**RULE, match=problem, model=changed, ctx_models=list(models.values()))


@pytest.mark.slow
@pytest.mark.parametrize("table", ["users", "tracks", "listen_history"])
def test_after_a_rejected_load_each_stateful_table_is_as_if_it_was_built_from_nothing(
    built_database_url, models, table
):
    tables = [
        f"{node['schema']}.{node['alias']}"
        for node in models.values()
        if node["config"]["materialized"] == "incremental"
    ]
    with psycopg.connect(built_database_url, autocommit=True, application_name="test") as connection:

        def contents():
            return {name: sorted(map(str, connection.execute(f"select * from {name}").fetchall())) for name in tables}

        loads = connection.execute("select load_id from gate.loads where table_name = %s order by 1", [table])
        (first,) = loads.fetchone()
        before = contents()
        decisions.reject(connection, first, table, "test", is_dry_run=False)
        assert run_dbt(built_database_url, "run").succeeded
        after = contents()
        for name in tables:
            connection.execute(f"drop table {name} cascade")
        assert run_dbt(built_database_url, "run").succeeded

        assert after == contents()
        assert any(len(after[name]) < len(before[name]) for name in tables)
