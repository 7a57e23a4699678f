"""Model a table whose rows are inserted, deleted, edited and moved during a scan."""

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
"""The mutations after each page: those of the first list come first."""


@dataclass
class MovingRows:
    """Hold rows as (id, version); ids are never reused, so a deleted key does not come back.

    `stood` are the ids that were never deleted, `versions` all versions of each id.
    """

    size: int
    steps: list[list[tuple[str, float, float]]]
    rows: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [(number, 0) for number in range(self.size)]
        self.next_id = self.size
        self.stood = set(range(self.size))
        self.versions = {number: {0} for number in range(self.size)}

    def step(self) -> bool:
        """Apply the next step's mutations; return False when no step is left."""
        if not self.steps:
            return False
        for kind, position, target_position in self.steps.pop(0):
            self._mutate(kind, position, target_position)
        return True

    def served(self) -> list[dict[str, int]]:
        return [{"id": number, "version": version} for number, version in self.rows]

    def served_bytes(self) -> list[bytes]:
        return [json.dumps(row).encode() for row in self.served()]

    def _mutate(self, kind: str, position: float, target_position: float) -> None:
        if kind == "insert":
            self._insert(position)
            return
        if not self.rows:
            return
        if kind == "insert and drop the last":
            self._delete(1)
            self._insert(position)
        elif kind == "edit":
            number, _ = self.rows[self._at(position)]
            version = max(self.versions[number]) + 1
            self.rows[self._at(position)] = (number, version)
            self.versions[number].add(version)
        elif kind == "move":
            row = self.rows.pop(self._at(position))
            self.rows.insert(round(target_position * len(self.rows)), row)
        else:
            self._delete(position)
            if kind == "delete and append":
                self._insert(1)

    def _at(self, position: float) -> int:
        return min(int(position * len(self.rows)), len(self.rows) - 1)

    def _insert(self, position: float) -> None:
        self.rows.insert(round(position * len(self.rows)), (self.next_id, 0))
        self.versions[self.next_id] = {0}
        self.next_id += 1

    def _delete(self, position: float) -> None:
        number, _ = self.rows.pop(self._at(position))
        self.stood.discard(number)


def keys(numbers: Iterable[int]) -> set[str]:
    """Return the keys of the rows with these ids."""
    return {f"[{number}]" for number in numbers}
