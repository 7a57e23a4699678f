"""Define the suite for the scan of a load: one row about the whole delivery."""

import great_expectations as gx
import great_expectations.expectations as gxe

from expectations.verdicts import FEW_CHANGES, FEW_REMOVALS, NO_MASS_REMOVAL

# Above this share of the known keys, removals are reported: the source may have been replaced.
MANY_REMOVALS_SHARE = 0.2


def suite() -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name="scans",
        expectations=[
            gxe.ExpectColumnValuesToBeInSet(
                column="read_nothing_though_keys_are_known",
                value_set=[False],
                severity="critical",
                meta={"rule": "source_is_not_empty", "shows": "keys_known"},
            ),
            *(
                gxe.ExpectColumnValuesToBeInSet(
                    column=column,
                    value_set=[0],
                    severity="critical",
                    meta={"rule": rule, "shows": column},
                )
                for column, rule in {
                    "rows_missing_of_total": "all_of_the_total_was_read",
                    "rows_unaccounted_for": "scan_figures_add_up",
                    "landed_rows_missing": "landed_rows_are_all_there",
                    "removals_missing": "removals_are_all_there",
                }.items()
            ),
            gxe.ExpectColumnValuesToBeNull(
                column="mass_removal",
                severity="critical",
                meta={"rule": NO_MASS_REMOVAL, "shows": "mass_removal"},
            ),
            gxe.ExpectColumnValuesToBeInSet(
                column="rows_unreadable",
                value_set=[0],
                severity="info",
                meta={"rule": "rows_are_readable", "shows": "rows_unreadable"},
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="removed_share",
                max_value=MANY_REMOVALS_SHARE,
                severity="info",
                meta={"rule": FEW_REMOVALS, "shows": "removed_share"},
            ),
            gxe.ExpectColumnValuesToBeNull(
                column="mass_change",
                severity="info",
                meta={"rule": FEW_CHANGES, "shows": "mass_change"},
            ),
        ],
    )
