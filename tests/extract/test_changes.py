"""What lands, compared with a model in plain sets."""

from hashlib import sha256

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from extract.changes import compare, group, words

KEYS = st.integers(0, 4)
CONTENTS = st.sampled_from("ABC")
ROWS = st.lists(st.tuples(KEYS, CONTENTS, st.booleans()), max_size=12)
KNOWN = st.dictionaries(KEYS, st.sets(CONTENTS, min_size=1), max_size=5)


def digest(thing: object) -> bytes:
    return sha256(repr(thing).encode()).digest()[:16]


def table(rows: list[tuple[int, str]]) -> np.ndarray:
    return words(b"".join(digest(key) + digest(content) for key, content in rows))


@given(KNOWN, ROWS)
def test_a_key_lands_whole_exactly_when_its_set_of_contents_differs(known, rows):
    before = table([(key, content) for key, contents in known.items() for content in contents])
    tonight = table([(key, content) for key, content, _ in rows])
    readable = np.array([is_readable for _, _, is_readable in rows], bool)

    changes = compare(before, tonight, readable)

    contents: dict[int, set[str]] = {key: set() for key, _, _ in rows}
    for key, content, is_readable in rows:
        if is_readable:
            contents[key].add(content)
    expected = {
        (key, content) for key, found in contents.items() if found and found != known.get(key) for content in found
    }
    landed = [rows[row] for row in np.flatnonzero(changes.landed)]
    assert sorted((key, content) for key, content, _ in landed) == sorted(expected)
    assert all(is_readable for _, _, is_readable in landed)
    gone = {digest(key) for key in known.keys() - contents.keys()}
    assert {key.tobytes() for key in changes.removed} == gone
    assert changes.keys_known == len(known)


@given(ROWS)
def test_keys_are_counted_and_doubles_told_independently_of_the_order_of_rows(rows):
    def keys(rows):
        tonight = table([(key, content) for key, content, _ in rows])
        return group(tonight, np.array([is_readable for _, _, is_readable in rows], bool))

    there, back = keys(rows), keys(rows[::-1])
    counts = {key: sum(1 for other, _, _ in rows if other == key) for key, _, _ in rows}
    assert len(there) == len(counts)
    assert len(there.doubled()) == sum(count > 1 for count in counts.values())
    assert np.array_equal(there.doubled(), back.doubled())
