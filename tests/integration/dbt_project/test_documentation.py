"""The catalogue describes everything, also in the database."""

import json
import os
from pathlib import Path

import psycopg
import pytest

from recommender import feature_store
from tests.runs import run_dbt


@pytest.fixture(scope="module")
def manifest(postgres_url, built_template):
    assert run_dbt(postgres_url.rsplit("/", 1)[0] + f"/{built_template}", "docs", "generate", "--static").succeeded
    return json.loads(Path(os.environ["DBT_TARGET_PATH"], "manifest.json").read_text())


def models(manifest):
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_every_model_and_source_table_and_each_of_its_columns_is_described(manifest):
    for node in [*models(manifest), *manifest["sources"].values()]:
        assert node["description"], node["name"]
        assert node["columns"], node["name"]
        for column in node["columns"].values():
            assert column["description"], f"{node['name']}.{column['name']}"


def test_every_description_starts_with_the_grain_and_names_the_primary_key(manifest):
    for node in models(manifest):
        assert node["description"].startswith("One row per "), node["name"]
        assert "Primary key" in node["description"], node["name"]


def test_the_described_columns_are_the_columns_of_the_database(manifest, postgres_url, built_template):
    with psycopg.connect(postgres_url.rsplit("/", 1)[0] + f"/{built_template}") as connection:
        for node in models(manifest):
            found = connection.execute(
                "select column_name from information_schema.columns"
                " where table_schema = %s and table_name = %s order by ordinal_position",
                [node["schema"], node["name"]],
            ).fetchall()
            assert [name for (name,) in found] == list(node["columns"]), node["name"]


def test_the_descriptions_are_in_the_database(postgres_url, built_template):
    with psycopg.connect(postgres_url.rsplit("/", 1)[0] + f"/{built_template}") as connection:
        (comment,) = connection.execute(
            "select col_description('marts.listen_history'::regclass, ordinal_position)"
            " from information_schema.columns where table_name = 'listen_history' and column_name = 'listened_at'"
            " and table_schema = 'marts'"
        ).fetchone()
    assert "latest moment it can have happened" in " ".join(comment.split())


def test_every_consumer_is_an_exposure_with_owner_url_and_maturity(manifest):
    exposures = manifest["exposures"].values()
    assert {exposure["name"] for exposure in exposures} == {"genre_recommender", "analyst_queries"}
    for exposure in exposures:
        assert exposure["owner"]["email"] and exposure["url"] and exposure["maturity"]
        assert exposure["config"]["meta"]["reads_schemas"]


def test_unit_tests_are_named_as_sentences_and_cover_each_case_of_a_listen(manifest):
    names = {test["name"] for test in manifest["unit_tests"].values()}
    assert all(len(name.split("_")) > 3 for name in names)
    for words in ("first_delivery", "growing", "sliding", "repeated", "unchanged", "stale", "order", "null_items"):
        assert any(words in name for name in names), words


def test_the_docs_are_one_page_that_holds_the_catalogue(built_database_url):
    assert run_dbt(built_database_url, "docs", "generate", "--static").succeeded
    page = Path(os.environ["DBT_TARGET_PATH"], "static_index.html").read_text()
    assert "The MooVitamix warehouse" in page
    assert "listened_at" in page


def test_the_newest_version_of_a_feature_has_the_plain_name_and_snapshots_name_it(manifest):
    versions = {}
    for node in models(manifest):
        if node["schema"] == "features" and not node["name"].endswith("_history"):
            newest = node["version"] == node["latest_version"]
            assert node["alias"] == (node["name"] if newest else f"{node['name']}_v{node['version']}"), node[
                "unique_id"
            ]
            versions[node["name"]] = node["latest_version"]
    assert len(versions) >= 5
    assert versions[feature_store.FEATURE_SET] == feature_store.VERSION
