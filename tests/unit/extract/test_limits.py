"""Test the environment variables that limit the cost of the source."""

import pytest

from extract.errors import SettingError
from extract.limits import LIMIT_VARIABLES, Limits, limits_from_environment


def test_an_unset_or_empty_variable_has_its_default():
    assert limits_from_environment({"MAX_PAGES": "", "PATH": "/bin"}) == Limits()


def test_each_variable_sets_its_limit():
    numbers = {variable: str(number) for number, variable in enumerate(LIMIT_VARIABLES, start=7)}
    limits = limits_from_environment(numbers)
    assert limits == Limits(
        page_bytes=7, row_bytes=8, string_bytes=9, depth=10, pages_per_table=11, total_bytes=12, seconds=13
    )


@pytest.mark.parametrize("variable", LIMIT_VARIABLES)
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "1e3", "٣", " 5", "9" * 5000, "5\n"])
def test_a_value_that_is_no_number_above_0_is_refused_and_the_message_names_its_variable(variable, text):
    with pytest.raises(SettingError, match=f"{variable} must be a whole number") as refused:
        limits_from_environment({variable: text})
    assert str(refused.value).isprintable() and len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("variable", "largest"),
    [("MAX_ROW_BYTES", 16 * 1024 * 1024), ("MAX_DEPTH", 500), ("MAX_SECONDS", 31_536_000)],
)
def test_no_limit_exceeds_what_postgres_the_decoders_and_the_clocks_support(variable, largest):
    limits_from_environment({variable: str(largest)})
    with pytest.raises(SettingError, match=f"{variable} must be a whole number from 1 to {largest}, not"):
        limits_from_environment({variable: str(largest + 1)})
