"""Define the expectations that several suites share.

Every expectation has in `meta` the name of its rule and the column that `gate show` prints for a failing row.
Its severity decides the consequence: a warning quarantines the row, critical blocks the table's load, info is recorded.
"""

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from expectations.verdicts import FIELDS_ARE_KNOWN


def expect_key(column: str) -> list[Expectation]:
    return [
        gxe.ExpectColumnValuesToNotBeNull(
            column=column, severity="warning", meta={"rule": f"{column}_is_a_whole_number", "shows": f"{column}_raw"}
        )
    ]


def expect_unique_keys() -> list[Expectation]:
    """Require unique keys. Identical copies of a row land once, so a duplicate key has two different contents."""
    return [
        gxe.ExpectColumnValuesToBeUnique(
            column="key", severity="warning", meta={"rule": "key_comes_once", "shows": "key"}
        )
    ]


def expect_contract_fields(*, mistyped_rule: str, mistyped_shows: str) -> list[Expectation]:
    return [
        gxe.ExpectColumnValuesToBeNull(
            column="absent_fields",
            severity="warning",
            meta={"rule": "required_fields_are_present", "shows": "absent_fields"},
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="mistyped_fields",
            severity="warning",
            meta={"rule": mistyped_rule, "shows": mistyped_shows},
        ),
    ]


def expect_plausible_times() -> list[Expectation]:
    """Require that both times parse, and that neither is more than a day after the scan that read them."""
    expectations: list[Expectation] = []
    for column in ("created_at", "updated_at"):
        expectations += [
            gxe.ExpectColumnValuesToNotBeNull(
                column=column,
                severity="warning",
                meta={"rule": f"{column}_is_a_time", "shows": f"{column}_raw"},
            ),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="latest_plausible_at",
                column_B=column,
                or_equal=True,
                severity="warning",
                meta={"rule": f"{column}_is_not_in_the_future", "shows": f"{column}_raw"},
            ),
        ]
    return expectations


def report_nulls_and_new_fields(nullable_columns: list[str]) -> list[Expectation]:
    """Record allowed facts that may matter to an operator: nulls, `updated_at` before `created_at`, new fields."""
    return [
        *(
            gxe.ExpectColumnValuesToNotBeNull(
                column=column, severity="info", meta={"rule": f"{column}_is_not_null", "shows": column}
            )
            for column in nullable_columns
        ),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="updated_at",
            column_B="created_at",
            or_equal=True,
            severity="info",
            meta={"rule": "updated_at_is_not_before_created_at", "shows": "updated_at_raw"},
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="new_fields",
            severity="info",
            meta={"rule": FIELDS_ARE_KNOWN, "shows": "new_fields"},
        ),
    ]
