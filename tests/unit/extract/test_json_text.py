"""Test the splitting of JSON text that a decoder refuses."""

import json
import resource
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import json_text

VALUES = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 2]), st.booleans())
def test_elements_are_the_texts_of_an_arrays_values(values, indent, ascii_only):
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert [json.loads(part) for part in json_text.elements(text, 5)] == json.loads(text)
    assert len(json_text.elements(text, 2)) == min(2, len(values))


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.sampled_from([None, 2]))
def test_members_are_the_texts_of_an_objects_names_and_values(value, indent):
    parts = json_text.members(json.dumps(value, indent=indent).encode())
    assert {json.loads(name): json.loads(text) for name, text in parts} == value


def test_a_duplicate_name_is_returned_twice():
    assert json_text.members(b'{"a":1, "a":[2,{}]}') == [(b'"a"', b"1"), (b'"a"', b"[2,{}]")]


@pytest.mark.parametrize("text", [b"", b"[1", b"[1,]", b"[,1]", b"[1]x", b"[1}", b'["a]', b"{}", b"5", b"[]]"])
def test_an_unbalanced_array_has_no_elements(text):
    assert json_text.elements(text, 5) is None


@pytest.mark.parametrize("text", [b"", b"{1}", b'{"a":}', b'{"a":1', b'{"a":[}]}', b"[]", b'{"a":1}}'])
def test_an_unbalanced_object_has_no_members(text):
    assert json_text.members(text) is None


def test_brackets_in_strings_do_not_count_as_depth():
    assert json_text.depth(b'{"a":"[[[\\"[[","b":[[1],{}]}') == 3


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        (b"", 0),
        (b"[1, 2]", 0),
        (b'{"name":"longer text"}', 11),
        (b'["a\\"b", "abc"]', 4),
        (b'["never ends', 10),
        (b'["ends in an escape\\', 18),
        (b'"' + b'\\"' * 3_000_000, 6_000_000),
    ],
)
def test_the_longest_string_is_measured_even_when_it_does_not_end(text, longest):
    assert json_text.longest_string(text) == longest


def test_endless_escapes_need_no_extra_memory():
    """Fail when the pattern backtracks: with a plain `*` it takes 900 MB."""
    text = b'["' + b'\\"' * 8_000_000 + b'"]'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(json_text.elements(text, 5)) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


MEGABYTES = 8
LARGE = {
    "brackets": (b"[" * 500_000 + b"]" * 500_000) * MEGABYTES,
    "numbers": b",".join([b"0"] * 500_000 * MEGABYTES),
    "strings": b",".join([b'""'] * 333_333 * MEGABYTES),
    "lists": b",".join([b"[]"] * 333_333 * MEGABYTES),
    "members": b",".join([b'"":0'] * 200_000 * MEGABYTES),
}


@pytest.mark.parametrize("kind", LARGE)
def test_the_most_expensive_texts_take_little_time(kind):
    """Fail for a walk from bracket to bracket, which takes 4 to 7 CPU seconds per text."""
    text = (b"{%b}" if kind == "members" else b"[%b]") % LARGE[kind]
    before = time.process_time()
    if kind == "members":
        assert json_text.members(text) is None
    else:
        assert len(json_text.elements(text, 100)) in (1, 100)
    json_text.depth(text)
    json_text.longest_string(text)
    assert time.process_time() - before < 2
