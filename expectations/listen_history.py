"""Define the suite for landed history documents."""

import great_expectations as gx
import great_expectations.expectations as gxe

from expectations import common

# A document may come before its user or its tracks; its listens are then parked. Known means: landed at some time.
# Items are whole numbers, but 1 may be spelled 1.0.
# GX keeps the alias of {batch} only in queries with a join, and sets its own alias in others.
UNKNOWN_USERS = """
select documents._dlt_id
from {batch} as documents
left join staging.users on users.key = '[' || documents.user_id || ']'
where documents.user_id is not null and users.key is null
"""
UNKNOWN_TRACKS = """
select documents._dlt_id
from {batch} as documents
cross join lateral jsonb_array_elements(documents.items) as items (track_id)
where not exists (select 1 from staging.tracks where tracks.key = '[' || items.track_id::bigint || ']')
"""


def suite() -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name="listen_history",
        expectations=[
            *common.expect_key("user_id"),
            *common.expect_unique_keys(),
            *common.expect_contract_fields(mistyped_rule="items_are_track_ids", mistyped_shows="items_raw"),
            *common.expect_plausible_times(),
            *common.report_nulls_and_new_fields(["items"]),
            gxe.UnexpectedRowsExpectation(
                unexpected_rows_query=UNKNOWN_USERS,
                severity="info",
                meta={"rule": "user_is_known", "shows": "user_id_raw"},
            ),
            gxe.UnexpectedRowsExpectation(
                unexpected_rows_query=UNKNOWN_TRACKS,
                severity="info",
                meta={"rule": "tracks_are_known", "shows": "items_raw"},
            ),
        ],
    )
