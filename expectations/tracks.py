"""Define the suite for landed tracks."""

import great_expectations as gx
import great_expectations.expectations as gxe

from expectations import common


def suite() -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name="tracks",
        expectations=[
            *common.expect_key("id"),
            *common.expect_unique_keys(),
            *common.expect_contract_fields(mistyped_rule="text_fields_hold_text", mistyped_shows="mistyped_fields"),
            gxe.ExpectColumnValuesToNotBeNull(
                column="duration",
                severity="warning",
                meta={"rule": "duration_is_mm_ss", "shows": "duration_raw"},
            ),
            *common.expect_plausible_times(),
            *common.report_nulls_and_new_fields(["name", "artist", "songwriters", "genres", "album"]),
        ],
    )
