"""A count of one has a singular noun."""

import pytest

from warehouse.counts import count


@pytest.mark.parametrize(
    ("number", "noun", "shown"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2, "row", "2 rows"),
        (1_234_567, "known key", "1,234,567 known keys"),
        (1.0, "second", "1 second"),
        (0.5, "second", "0.5 seconds"),
        (3600.0, "second", "3,600 seconds"),
        (1e11, "second", "100,000,000,000 seconds"),
    ],
)
def test_a_count_shows_the_number_with_its_noun(number, noun, shown):
    assert count(number, noun) == shown
