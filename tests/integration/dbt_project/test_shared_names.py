"""The dbt project and the Python packages agree on names that both define."""

import json
import re

import jinja2
import psycopg
import pytest

from extract.source_tables import SOURCE_TABLES
from pipeline.settings import PROJECT
from warehouse import names

PUBLICATIONS = PROJECT / "dbt_project" / "macros" / "publications.sql"


def test_is_published_accepts_the_published_states():
    macros = jinja2.Environment().from_string(
        PUBLICATIONS.read_text(), globals={"source": lambda schema, table: f"{schema}.{table}"}
    )

    condition = str(macros.module.is_published("staged", "users"))

    (states,) = re.findall(r"\bloads\.state in \((.*?)\)", condition)
    assert sorted(re.findall(r"'(\w+)'", states)) == sorted(names.PUBLISHED)


@pytest.mark.parametrize("table", SOURCE_TABLES, ids=lambda table: table.name)
def test_a_staging_view_has_a_column_for_each_contract_field_and_lists_other_fields_as_unknown(
    built_database_url, table
):
    view = f"prep.stg_moovitamix__{table.name}"
    with psycopg.connect(built_database_url, application_name="test") as connection:
        columns = {column.name for column in connection.execute(f"select * from {view} limit 0").description}
        other_fields = columns - set(table.fields)
        payload = json.dumps(dict.fromkeys([*table.fields, *other_fields]))
        connection.execute(
            f"insert into staging.{table.name} (key, payload, content_hash, _dlt_load_id, _dlt_id)"
            " values ('[null]', %s, 'hash', 'load', 'row of the test')",
            [payload],
        )
        (unknown,) = connection.execute(
            f"select unknown_fields from {view} where _dlt_id = 'row of the test'"
        ).fetchone()
        connection.rollback()

    assert set(table.fields) <= columns
    assert set(unknown.split(", ")) == other_fields
