"""Test how the text of a row yields its key, its content hash, and whether Postgres can hold it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.limits import Limits
from extract.rows import NUMBER_CAP, read_row

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc\u00e9", max_size=3), inner, max_size=4),
    max_leaves=12,
)


def content(text: str | bytes) -> bytes:
    row = read_row(text.encode() if isinstance(text, str) else text, ("id",))
    assert row.reason is None
    return row.content_digest


def shuffled(value):
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    return [shuffled(each) for each in value] if isinstance(value, list) else value


@given(VALUES)
def test_order_of_fields_white_space_and_escapes_do_not_change_the_content(value):
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert content(compact) == content(json.dumps(shuffled(value), indent=2, ensure_ascii=True))


@given(VALUES, VALUES)
def test_different_values_are_different_content(one, other):
    texts = [json.dumps(value, sort_keys=True) for value in (one, other)]
    assert (content(texts[0]) == content(texts[1])) == (texts[0] == texts[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1}', '{"a":"1"}'),
        ('{"a":1.5}', '{"a":"1.5"}'),
        ('{"a":null}', "{}"),
        ('{"a":""}', '{"a":null}'),
        ('{"a":12345678901234567890123}', '{"a":12345678901234567890124}'),
        ('{"a":1e400}', '{"a":1e401}'),
        ('{"a":0.1}', '{"a":0.10000000000000001}'),
        ('{"a":[1,2]}', '{"a":[2,1]}'),
        ('{"a":true}', '{"a":1}'),
    ],
)
def test_a_change_that_a_lossy_reader_would_miss_is_a_change(one, other):
    assert content(one) != content(other)


@pytest.mark.parametrize(
    ("text", "fields", "key"),
    [
        ('{"id":7,"name":"x"}', ("id",), "[7]"),
        ('{"created_at":"2025-02-09T06:40:29.724706","user_id":65344}', ("user_id", "created_at"),
         '[65344,"2025-02-09T06:40:29.724706"]'),
        ('{"name":"x"}', ("id",), "[null]"),
        ('{"id":null}', ("id",), "[null]"),
        ('{"id":12345678901234567890123}', ("id",), "[12345678901234567890123]"),
        ('{"id":"a\\"b"}', ("id",), '["a\\"b"]'),
        ("5", ("id",), "[null]"),
        ("[1]", ("id", "x"), "[null]"),
    ],
)  # fmt: skip
def test_the_key_is_the_canonical_array_of_the_key_fields(text, fields, key):
    row = read_row(text.encode(), fields)
    assert (row.key, row.text, row.reason) == (key, text, None)


@pytest.mark.parametrize(
    ("text", "reason", "key"),
    [
        (b'{"id":1,"a":"\\u0000"}', "a NUL character", "[1]"),
        (b'{"id":1,"\\u0000":2}', "a NUL character", "[1]"),
        (b'{"id":1,"a":"\\ud800"}', "a lone surrogate", "[1]"),
        (b'{"id":1,"a":"\\ud800\\ud800"}', "a lone surrogate", "[1]"),
        (b'{"id":1,"a":"\\ude00\\ud83d"}', "a lone surrogate", "[1]"),
        (b'{"id":"\\ud800"}', "a lone surrogate", None),
        (b'{"id":1,"a":NaN}', "NaN is not JSON", "[1]"),
        (b'{"id":1,"a":-Infinity}', "-Infinity is not JSON", "[1]"),
        (b'{"id":NaN}', "NaN is not JSON", None),
        (b'{"id":1,"a":1,"a":1}', "the same field twice in one object", "[1]"),
        (b'{"id":1,"a":{"b":1,"b":2}}', "the same field twice in one object", "[1]"),
        (b'{"id":1,"id":2}', "the same field twice in one object", None),
        (b'{"id":1,"a":"\xff"}', "not UTF-8", "[1]"),
        (b'{"id":1,"a":1e131000}', f"a number of more than {NUMBER_CAP} digits", "[1]"),
        (b'{"id":1,"a":' + b"9" * 5000 + b"}", f"a number of more than {NUMBER_CAP} digits", "[1]"),
        (b'{"id":1,"a":' + b"9" * 1001 + b"}", f"a number of more than {NUMBER_CAP} digits", "[1]"),
        (b'{"id":1, "a":-' + b"9" * 1001 + b"}", f"a number of more than {NUMBER_CAP} digits", "[1]"),
        (b'{"id":1,"a":' + b"[" * 101 + b"]" * 101 + b"}", "nested deeper than 100", "[1]"),
        (b'{"id":1,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 100", "[1]"),
        (b'{"id":1,"a":\'x\'}', "not JSON", "[1]"),
        (b'{"id":"' + b"x" * 2000 + b'"}', "a key longer than 1000 bytes", None),
    ],
)  # fmt: skip
def test_a_row_that_jsonb_or_its_readers_cannot_hold_is_set_aside_with_its_key_if_it_has_one(text, reason, key):
    row = read_row(text, ("id",))
    assert (row.reason, row.key) == (reason, key)


@pytest.mark.parametrize(
    "text",
    [
        '{"id":1,"a":"\\\\u0000"}',
        '{"id":1,"a":"\\ud83d\\ude00"}',
        '{"id":1,"a":1.10}',
        '{"id":1,"a":1e400}',
        '{"id":1,"a":-0}',
        '{"id":1,"a":' + "[" * 99 + "]" * 99 + "}",
        '{"id":1,"a":"' + "[" * 500 + '"}',
        '{"id":1,"a":' + "9" * 1000 + "}",
        '{"id":1,"a":"' + "9" * 1001 + '"}',
        '{"id":1,"a":[' + ",".join(["1e999"] * 1000) + "]}",
    ],
)
def test_a_row_that_only_seems_unreadable_is_stored_unchanged(text):
    row = read_row(text.encode(), ("id",))
    assert (row.reason, row.text) == (None, text)


def test_a_row_larger_than_the_limit_is_set_aside_with_its_key_and_its_beginning():
    limits = Limits(row_bytes=1000)
    text = b'{"a":"' + b"x" * 5000 + b'","id":[7]}'
    row = read_row(text, ("id",), limits)
    assert row.reason == "larger than 1,000 bytes (limit MAX_ROW_BYTES), the first of which are kept"
    assert (row.key, row.text) == ("[[7]]", text[:1000].decode())
    assert read_row(text[:900] + b'"}', ("id",), limits).reason is None
    # Two large rows with the same beginning still differ.
    assert row.content_digest != read_row(text.replace(b"7", b"8"), ("id",), limits).content_digest


@pytest.mark.parametrize("number", ["1e999", "-1E999", "1e-999", "1.5e+500", "0.0e777"])
def test_the_limit_of_a_row_counts_its_numbers_as_they_are_written_out(number):
    limits = Limits(row_bytes=100_000)
    size = abs(int(number.lower().split("e")[1]))
    reasons = {
        count: read_row(b'{"id":1,"a":[' + b",".join([number.encode()] * count) + b"]}", ("id",), limits).reason
        for count in (90_000 // size, 100_000 // size + 1)
    }
    assert list(reasons.values()) == [None, "numbers of more than 100,000 digits together (limit MAX_ROW_BYTES)"]


def test_the_letter_e_in_texts_does_not_count_as_a_number():
    assert read_row(b'{"id":1,"a":"' + b"1e999," * 1000 + b'"}', ("id",), Limits(row_bytes=7000)).reason is None


@pytest.mark.parametrize("depth", [5, 300])
def test_the_maximum_depth_of_a_row_is_a_setting(depth):
    for levels, reason in ((depth, None), (depth + 1, f"nested deeper than {depth}")):
        text = b'{"id":1,"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
        assert read_row(text, ("id",), Limits(depth=depth)).reason == reason


def test_the_text_of_an_unreadable_row_fits_a_text_column_and_one_line():
    text = read_row(b'{"id":1,"a":"\x00\n\\.\n\xff"}', ("id",)).text
    assert text == '{"id":1,"a":"\\x00\\x0a\\.\\x0a\\xff"}'
