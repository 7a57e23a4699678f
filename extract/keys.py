"""Make the key of a row. Values that are the same in every reading have the same key, however the API spells them."""

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec

# As the API spells times. The staging views read the same times, and no others.
_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?:(:\d\d)(\.\d{1,9})?)?(Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?", re.ASCII
)
_BIGINT = 2**63

_encode = msgspec.json.Encoder(order="deterministic").encode


def encode_key(values: Sequence[object]) -> bytes:
    """Return the key as a canonical JSON array. `values`: decoded JSON, with `msgspec.Raw` for numbers with a fraction.

    A whole number has no fraction or exponent. A time has seconds, and a fraction of six digits unless it is 0. A time
    with a zone is in UTC and ends with Z; one without a zone stays without: which zone is meant is not known here.
    """
    return _encode([_normalize(value) for value in values])


def _normalize(value: object) -> object:
    if isinstance(value, str):
        return _normalize_time(value)
    if isinstance(value, msgspec.Raw):
        number = Decimal(bytes(value).decode())
        if number == number.to_integral_value() and -_BIGINT <= number < _BIGINT:
            return int(number)
    return value


def _normalize_time(text: str) -> str:
    if _USUAL_TIME.fullmatch(text) and not text.endswith(".000000"):
        return text
    found = _TIME.fullmatch(text)
    if not found:
        return text
    date, time, seconds, fraction, zone = found.groups(default="")
    try:
        moment = dt.datetime.fromisoformat(f"{date}T{time}{seconds}")
        # as Postgres rounds to microseconds
        moment += dt.timedelta(microseconds=round(float(f"0{fraction}") * 1e6))
        if zone:
            offset = dt.datetime.fromisoformat(f"2000-01-01T00:00:00{zone}").utcoffset()
            moment -= offset
    except (ValueError, OverflowError):  # no such day
        return text
    return moment.isoformat() + ("Z" if zone else "")
