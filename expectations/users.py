"""Define the suite for landed users."""

import great_expectations as gx
import great_expectations.expectations as gxe

from expectations import common


def suite() -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name="users",
        expectations=[
            *common.expect_key("id"),
            *common.expect_unique_keys(),
            *common.expect_contract_fields(mistyped_rule="text_fields_hold_text", mistyped_shows="mistyped_fields"),
            gxe.ExpectColumnValuesToMatchRegex(
                column="email_raw",
                # matches the JSON text, in which a quote or a control character appears as a backslash
                regex=r'^"[^@[:space:]"\\]+@([^@[:space:]"\\.]+\.)+[^@[:space:]"\\.]+"$',
                severity="warning",
                meta={"rule": "email_is_an_address", "shows": "email_raw"},
            ),
            *common.expect_plausible_times(),
            *common.report_nulls_and_new_fields(["first_name", "last_name", "gender", "favorite_genres"]),
        ],
    )
