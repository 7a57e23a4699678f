"""Expectations that more than one suite holds.

Every expectation carries in `meta` its rule's name and the column that `gate show` shows of an offending row.
Its severity is its consequence: a warning quarantines the row, critical blocks the table's load, info is recorded.
"""

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from expectations.judgement import FIELDS_ARE_KNOWN


def key_is_present(column: str) -> list[Expectation]:
    return [
        gxe.ExpectColumnValuesToNotBeNull(
            column=column, severity="warning", meta={"rule": f"{column}_is_a_whole_number", "shows": f"{column}_raw"}
        )
    ]


def key_comes_once() -> list[Expectation]:
    """Identical copies of a row land once: a key that is here twice has two different contents."""
    return [
        gxe.ExpectColumnValuesToBeUnique(
            column="key", severity="warning", meta={"rule": "key_comes_once", "shows": "key"}
        )
    ]


def fields_are_as_in_the_contract(*, mistyped_rule: str, mistyped_shows: str) -> list[Expectation]:
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


def times_are_plausible() -> list[Expectation]:
    """Both times parse, and neither lies more than a day after the scan that read them."""
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


def worth_knowing(nullable_columns: list[str]) -> list[Expectation]:
    """Legal, but an operator wants to see when it changes: nulls, times the wrong way round, fields nobody knows."""
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
