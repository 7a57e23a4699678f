"""Test loads that are checked late, in another order, or that repeat: the marts are identical."""

import pytest

from tests.integration.expectations.warehouse import document, track, user
from tests.marts import COLUMNS, contents
from tests.rendered_models import RenderedModels
from tests.runs import run_dbt

pytestmark = pytest.mark.slow

LATER = "2026-02-02T10:00:00"
LATEST = "2026-02-03T10:00:00"
LOADS = [
    {
        "users": [user(1), user(2), user(3)],
        "tracks": [track(1), track(2)],
        "listen_history": [document(1, items=[1]), document(4, items=[2])],
    },
    {
        "users": [user(1, last_name="Grey", updated_at=LATER), user(2, email="nobody"), user(3, email="nobody")],
        "tracks": [track(1, genres="Jazz", updated_at=LATER), track(3)],
        "listen_history": [document(1, items=[1, 2], updated_at=LATER), document(2, items="none")],
    },
    {
        "users": [user(1, last_name="Black", updated_at=LATEST), user(3, email="c@example.org")],
        "tracks": [track(2, duration="long")],
        "listen_history": [document(1, items=[2, 3, 3], updated_at=LATEST), document(2, items=[1])],
    },
]
GONE = [{}, {}, {"users": ["[2]"], "tracks": ["[3]"]}]


@pytest.fixture
def models(warehouse):
    assert run_dbt(warehouse.url, "run").succeeded
    return RenderedModels(warehouse.url)


def land(warehouse):
    return [warehouse.land(load, removed=gone, is_complete=False) for load, gone in zip(LOADS, GONE, strict=True)]


def check(warehouse, models, load_ids):
    """Run gate and build once per load, each with one more load to check."""
    for load_id in load_ids:
        warehouse.complete(load_id)
        assert {verdict.state for verdict in warehouse.check().values()} <= {"accepted", "accepted_with_quarantine"}
        models.build(warehouse.connection)


def everything(warehouse):
    """Return the quarantined rows and the marts, without `known_at`, which does depend on the order."""
    return {
        **{table: warehouse.rows(f"select to_jsonb(t) - 'known_at' from {table} as t order by 1") for table in COLUMNS},
        "gate.quarantined_rows": warehouse.rows(
            "select dlt_id, rule, detail, outcome from gate.quarantined_rows order by 1, 2"
        ),
    }


def test_the_order_of_the_verdicts_does_not_matter(warehouse, models):
    load_ids = land(warehouse)
    check(warehouse, models, load_ids)
    expected = everything(warehouse)
    assert all(expected.values()), "each table should have rows"

    for order in [(2, 1, 0), (1, 2, 0), (2, 0, 1)]:
        warehouse.execute(
            "truncate staging._dlt_loads, gate.loads, gate.quarantined_rows, gate.publications, prep.builds"
        )
        for table in COLUMNS:
            warehouse.execute(f"truncate {table} cascade")
        check(warehouse, models, [load_ids[number] for number in order])
        assert everything(warehouse) == expected, order


def test_a_repeated_load_changes_only_the_load_id_of_rows(warehouse, models):
    check(warehouse, models, land(warehouse))
    expected = contents(warehouse.url)
    for _ in range(2):
        check(warehouse, models, [warehouse.land(LOADS[-1], removed=GONE[-1])])
        assert contents(warehouse.url) == expected
