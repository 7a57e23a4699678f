"""Test which rows land and which keys are missing against a model in plain Python."""

from collections import Counter
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import changes
from extract.changes import compare, count_delivered, missing_keys, tally, view_digests

# Few keys and contents, so that they collide, and half of a key never identifies it.
HALVES = st.sampled_from([0, 1, 2**63, 2**63 + 1])
KEYS = st.tuples(HALVES, HALVES)
CONTENTS = st.sampled_from([(1, 1), (1, 2), (2, 1), (0, 3)])
ROWS = st.lists(st.tuples(KEYS, CONTENTS, st.booleans()), max_size=24)
KNOWN = st.dictionaries(KEYS, st.sets(CONTENTS, min_size=1), max_size=12)
SLICE_ROWS = st.sampled_from([1, 5, changes._SLICE_ROWS])
THOROUGHLY = settings(max_examples=600, derandomize=True, deadline=None)


def table(rows: list[tuple]) -> np.ndarray:
    return np.array([[*key, *content] for key, content, *_ in rows], np.uint64).reshape(-1, 4)


def readable(rows: list[tuple]) -> np.ndarray:
    return np.array([is_readable for *_, is_readable in rows], bool)


def sliced(rows: int) -> patch:
    return patch.object(changes, "_SLICE_ROWS", rows)


@THOROUGHLY
@given(KNOWN, ROWS, SLICE_ROWS)
def test_all_contents_of_a_key_land_exactly_when_their_set_differs(known, rows, slice_rows):
    before = table([(key, content) for key, contents in known.items() for content in contents])
    with sliced(slice_rows):
        found = compare(before, table(rows), readable(rows))

    contents: dict[tuple, set] = {key: set() for key, _, _ in rows}
    for key, content, is_readable in rows:
        if is_readable:
            contents[key].add(content)
    expected = {
        (key, content) for key, texts in contents.items() if texts and texts != known.get(key) for content in texts
    }
    landed = [rows[row] for row in np.flatnonzero(found.landed)]
    assert sorted((key, content) for key, content, _ in landed) == sorted(expected)
    assert all(is_readable for _, _, is_readable in landed)
    assert found.keys_known == len(known)


DIFFERENT_LATER = (0, 0)


@THOROUGHLY
@given(KNOWN, st.sets(KEYS), ROWS, SLICE_ROWS)
def test_a_delivered_key_has_changed_when_its_content_differs_even_if_later_loads_were_blocked(
    delivered, contradicted, rows, slice_rows
):
    known = {key: set(contents) for key, contents in delivered.items()}
    for key in contradicted:
        known.setdefault(key, set()).add(DIFFERENT_LATER)
    before = table([(key, content) for key, contents in known.items() for content in contents])
    with sliced(slice_rows):
        found = compare(before, table(rows), readable(rows))
        gone = missing_keys(before, table(rows))
        lost = count_delivered(gone, before)

    texts: dict[tuple, set] = {}
    for key, content, is_readable in rows:
        if is_readable:
            texts.setdefault(key, set()).add(content)
    assert found.keys_known == len(known)
    assert found.keys_delivered == len(delivered)
    assert found.keys_changed == sum(texts.get(key, contents) != contents for key, contents in delivered.items())
    assert lost == len(delivered.keys() - {key for key, _, _ in rows})


def test_a_row_that_lands_again_unchanged_is_no_change_and_an_undelivered_row_is_new():
    answered, unseen, changed = (0, 1), (0, 2), (0, 3)
    before = table([(answered, (1, 1)), (answered, DIFFERENT_LATER), (unseen, DIFFERENT_LATER), (changed, (1, 1))])
    rows = [(answered, (1, 1), True), (unseen, (1, 1), True), (changed, (1, 2), True)]
    found = compare(before, table(rows), readable(rows))
    assert found.landed.all()
    assert (found.keys_known, found.keys_delivered, found.keys_changed) == (3, 2, 1)


@THOROUGHLY
@given(KNOWN, ROWS, SLICE_ROWS)
def test_known_keys_are_missing_when_no_readable_or_unreadable_row_has_them(known, rows, slice_rows):
    before = table([(key, content) for key, contents in known.items() for content in contents])
    with sliced(slice_rows):
        digests = missing_keys(before, table(rows))
    found = [(int(first), int(second)) for first, second in digests]
    assert sorted(found) == sorted(known.keys() - {key for key, _, _ in rows})


@THOROUGHLY
@given(ROWS, SLICE_ROWS)
def test_keys_and_duplicates_are_counted_independently_of_the_order_of_rows(rows, slice_rows):
    with sliced(slice_rows):
        there = tally(table(rows), readable(rows))
    back = tally(table(rows[::-1]), readable(rows[::-1]))
    counts = Counter(key for key, _, _ in rows)
    assert there.keys == back.keys == len(counts)
    assert len(there.doubled) == sum(count > 1 for count in counts.values())
    assert np.array_equal(there.doubled, back.doubled)


def test_digests_are_read_as_four_numbers_in_order():
    assert view_digests(bytes(range(32))).tobytes() == bytes(range(32))
