"""Define the suite for landed tracks."""

import great_expectations as gx
import great_expectations.expectations as gxe

from expectations import common


def suite() -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name="tracks",
        expectations=[
            *common.key_is_present("id"),
            *common.key_comes_once(),
            *common.fields_are_as_in_the_contract(
                mistyped_rule="text_fields_hold_text", mistyped_shows="mistyped_fields"
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                column="duration",
                severity="warning",
                meta={"rule": "duration_is_mm_ss", "shows": "duration_raw"},
            ),
            *common.times_are_plausible(),
            *common.nulls_and_fields_are_noted(["name", "artist", "songwriters", "genres", "album"]),
        ],
    )
