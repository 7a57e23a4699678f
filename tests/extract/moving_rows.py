"""A table whose rows are inserted, deleted, edited and moved while somebody reads it, and what it went through."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st

FRACTIONS = st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.7, 0.9, 1.0])
MUTATIONS = st.one_of(
    st.tuples(st.just("insert"), FRACTIONS, FRACTIONS),
    st.tuples(st.just("delete"), FRACTIONS, FRACTIONS),
    st.tuples(st.just("delete and append"), FRACTIONS, FRACTIONS),
    st.tuples(st.just("insert and drop the last"), FRACTIONS, FRACTIONS),
    st.tuples(st.just("edit"), FRACTIONS, FRACTIONS),
    st.tuples(st.just("move"), FRACTIONS, FRACTIONS),
)
STEPS = st.lists(st.lists(MUTATIONS, max_size=2), max_size=14)
"""What happens after each page: first the mutations of the first list, and so on."""


@dataclass
class MovingRows:
    """Rows as (id, version); ids are never given out twice, so a deleted key does not come back.

    `stood` are the ids that were there all the time, `told` the versions that each id ever had.
    """

    size: int
    steps: list[list[tuple[str, float, float]]]
    rows: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [(number, 0) for number in range(self.size)]
        self.next_id = self.size
        self.stood = set(range(self.size))
        self.told = {number: {0} for number in range(self.size)}

    def step(self) -> bool:
        """The next step's mutations; False when nothing is left to happen."""
        if not self.steps:
            return False
        for kind, place, other_place in self.steps.pop(0):
            self._mutate(kind, place, other_place)
        return True

    def served(self) -> list[dict[str, int]]:
        return [{"id": number, "version": version} for number, version in self.rows]

    def served_bytes(self) -> list[bytes]:
        return [json.dumps(row).encode() for row in self.served()]

    def _mutate(self, kind: str, place: float, other_place: float) -> None:
        if kind == "insert":
            self._insert(place)
            return
        if not self.rows:
            return
        if kind == "insert and drop the last":
            self._delete(1)
            self._insert(place)
        elif kind == "edit":
            number, _ = self.rows[self._at(place)]
            version = max(self.told[number]) + 1
            self.rows[self._at(place)] = (number, version)
            self.told[number].add(version)
        elif kind == "move":
            row = self.rows.pop(self._at(place))
            self.rows.insert(round(other_place * len(self.rows)), row)
        else:
            self._delete(place)
            if kind == "delete and append":
                self._insert(1)

    def _at(self, place: float) -> int:
        return min(int(place * len(self.rows)), len(self.rows) - 1)

    def _insert(self, place: float) -> None:
        self.rows.insert(round(place * len(self.rows)), (self.next_id, 0))
        self.told[self.next_id] = {0}
        self.next_id += 1

    def _delete(self, place: float) -> None:
        number, _ = self.rows.pop(self._at(place))
        self.stood.discard(number)


def keys(numbers: Iterable[int]) -> set[str]:
    """The keys of the rows with these ids."""
    return {f"[{number}]" for number in numbers}
