"""Test which figures of a night are far from usual."""

import pytest

from monitoring import unusual
from monitoring.unusual import ENOUGH_NIGHTS, Figure, compare
from tests.unit.monitoring.nights import night


@pytest.mark.parametrize(
    ("value", "earlier", "figure"),
    [
        (3208, [9, 8, 10], Figure(3208, 9, "▲")),
        (3, [1, 1, 1], Figure(3, 1)),
        (20, [0, 0, 0], Figure(20, 0, "▲")),
        (19, [0, 0, 0], Figure(19, 0)),
        (60, [20, 20, 20], Figure(60, 20, "▲")),
        (59, [20, 20, 20], Figure(59, 20)),
        (0, [202, 190, 210], Figure(0, 202, "▼")),
        (70, [210, 210, 210], Figure(70, 210, "▼")),
        (71, [210, 210, 210], Figure(71, 210)),
        (1, [20, 20, 20], Figure(1, 20)),
        (0, [0, 0, 0], Figure(0, 0)),
        (None, [9, 9, 9], Figure(None, 9)),
    ],
)
def test_a_figure_is_far_from_usual_by_a_factor_and_by_a_number_of_rows(value, earlier, figure):
    assert compare(value, earlier) == figure


def test_a_usual_value_needs_enough_nights_with_a_known_value():
    known = [9] * (ENOUGH_NIGHTS - 1)
    assert compare(3208, [*known, None, None]) == Figure(3208)
    assert compare(3208, [*known, None, 9]).sign == "▲"


def test_the_usual_value_is_an_observed_one_and_not_moved_by_one_mass_removal():
    assert compare(10, [3208, 9, 10]).usual == 10
    assert compare(10, [3208, 8, 9, 11]).usual == 9, "not 10, which no night had"


def test_other_units_have_their_own_least_difference():
    assert compare(31, [1, 1, 1], least_difference=30).sign == "▲"
    assert compare(30, [1, 1, 1], least_difference=30).sign == ""


def test_each_table_is_compared_with_the_earlier_nights_that_published_it():
    mass_removal = {"rows_removed": 900, "state": "blocked"}
    nights = [
        night(1, users={"rows_landed": 1000}, tracks={"rows_landed": 1000}),
        night(2, users={"rows_removed": 3}, tracks={"rows_removed": 3}),
        night(3, users={"rows_removed": 4}, tracks={"rows_removed": 3}),
        *(night(number, "blocked", users=mass_removal, tracks={"rows_removed": 5}) for number in (4, 5, 6, 7)),
    ]
    counts = unusual.counts(nights)
    assert [of_night.tables["users"]["rows_removed"].sign for of_night in counts] == ["", "", "", "▲", "▲", "▲", "▲"]
    newest = counts[-1]
    assert newest.tables["users"]["rows_removed"] == Figure(900, 3, "▲"), "blocked loads do not become usual"
    assert newest.tables["tracks"]["rows_removed"] == Figure(5, 3), "tracks were published in each of these nights"
    assert newest.totals["rows_removed"] == Figure(905, 6, "▲")
    assert newest.unusual == [("users", [("removed", Figure(900, 3, "▲"))])]
    assert counts[0].unusual == [] and counts[1].unusual == [], "the first load is new as a whole"


def test_quarantined_and_unreadable_rows_are_compared_too():
    calm = [night(number, users={"rows_read": 100}) for number in (1, 2, 3)]
    bad = night(4, users={"rows_read": 100, "rows_quarantined": 30, "rows_unreadable": 40})
    ((table, figures),) = unusual.counts([*calm, bad])[-1].unusual
    assert (table, figures) == ("users", [("unreadable", Figure(40, 0, "▲")), ("quarantined", Figure(30, 0, "▲"))])


def test_a_night_whose_extraction_failed_has_no_figures():
    calm = [night(number, users={"rows_read": 100}) for number in (1, 2, 3)]
    failed = night(4, "failed")
    failed_scan = night(5, "failed", users={"rows_read": None, "rows_landed": None, "rows_removed": None})
    assert [of_night.unusual for of_night in unusual.counts([*calm, failed, failed_scan])[-2:]] == [[], []]
