"""Spellings of one value make one key; different values never do."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.keys import encode_key

NAIVE = '[7,"2026-01-05T10:00:00"]'
IN_UTC = '[7,"2026-01-05T10:00:00Z"]'


def key(number: str, time: str) -> str:
    decoded = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode())).decode(number.encode())
    return encode_key([decoded, time]).decode()


@pytest.mark.parametrize("number", ["7", "7.0", "7e0", "70e-1", "0.7e1"])
@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        ("2026-01-05T10:00:00", NAIVE),
        ("2026-01-05 10:00", NAIVE),
        ("2026-01-05T10:00:00.000000", NAIVE),
        ("2026-01-05T09:59:59.9999999", NAIVE),
        ("2026-01-05T10:00:00Z", IN_UTC),
        ("2026-01-05T12:00:00+02:00", IN_UTC),
        ("2026-01-05T12:00+0200", IN_UTC),
        ("2026-01-05 08:30:00.0-01:30", IN_UTC),
    ],
)
def test_all_spellings_of_a_document_have_one_key(number, time, wanted):
    assert key(number, time) == wanted


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-05T10:00:00.100000",
        "2026-02-30T10:00:00",
        "0001-01-01T00:00:00+10:00",
        "2026-01-05T10:00.5",
        "2026-01-05T24:00:00",
        "0000-01-01T00:00:00",
        "yesterday",
        "",
        "２０２６-01-05T10:00:00.0",
    ],
)
def test_what_is_no_other_spelling_of_a_time_stays_as_it_is(time):
    assert key("7", time) == msgspec.json.encode([7, time]).decode()


@pytest.mark.parametrize("number", ["7.5", "1e30", "9223372036854775808.0", "-9223372036854775809.0"])
def test_other_numbers_stay_as_they_are(number):
    assert key(number, "x") == f'[{number},"x"]'


@given(st.datetimes(), st.sampled_from(["T", " "]), st.integers(0, 3))
def test_every_time_has_the_key_of_its_usual_spelling(moment, separator, zeros):
    usual = moment.isoformat()
    spelled = moment.isoformat(sep=separator, timespec="microseconds") + "0" * zeros
    assert key("7", spelled) == f'[7,"{usual}"]'
