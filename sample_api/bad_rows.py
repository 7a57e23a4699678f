"""Spoil rows on purpose and record which and how, so that tests can check the gate.

Rows are chosen by a checksum of their key, so a row is spoiled in the same way every day.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sample_api.tables import KEYS

Row = dict[str, Any]


@dataclass(frozen=True)
class SpoiledRow:
    """Describe a spoiled row. `how`: damage; `was`: original key fields; `key`: served ones (None: absent)."""

    how: str
    was: tuple[Any, ...]
    key: tuple[Any, ...]


def spoil(table: str, rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[SpoiledRow]]:
    """Return the rows with `share` of them (rounded up) spoiled, and the damages; the given rows are not changed.

    A row with the damage `same_key_twice` is followed by a second one with its key: the result may be longer.
    """
    chosen = set(draw(table, rows, share, seed))
    damages = list(DAMAGES[table].items())
    result: list[Row] = []
    spoiled: list[SpoiledRow] = []
    for position, row in enumerate(rows):
        if position not in chosen:
            result.append(row)
            continue
        how, damage = damages[_checksum(table, row, f"how {seed}") % len(damages)]
        served = damage(row)
        result.extend(served)
        spoiled.append(SpoiledRow(how, _key(table, row), _key(table, served[0])))
    return result, spoiled


def draw(table: str, rows: Sequence[Row], share: float, seed: int) -> list[int]:
    """Return the positions of `share` of the rows, rounded up."""
    order = sorted(range(len(rows)), key=lambda position: _checksum(table, rows[position], str(seed)))
    return order[: math.ceil(share * len(rows))]


def _key(table: str, row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in KEYS[table])


def _checksum(table: str, row: Row, salt: str) -> int:
    return crc32(json.dumps([salt, *_key(table, row)]).encode())


def _with(field: str, value: object) -> Callable[[Row], list[Row]]:
    return lambda row: [{**row, field: value}]


def _without(field: str) -> Callable[[Row], list[Row]]:
    return lambda row: [{name: value for name, value in row.items() if name != field}]


def _twice(field: str, value: object) -> Callable[[Row], list[Row]]:
    return lambda row: [row, {**row, field: value}]


COMMON: dict[str, Callable[[Row], list[Row]]] = {
    "created_at_yesterday": _with("created_at", "yesterday"),
    "updated_at_null": _with("updated_at", None),
    "updated_at_far_ahead": _with("updated_at", "2999-01-01T00:00:00.000000"),
}
DAMAGES: dict[str, dict[str, Callable[[Row], list[Row]]]] = {
    "users": {
        **COMMON,
        "email_without_at": lambda row: [{**row, "email": str(row.get("email")).replace("@", " at ")}],
        "id_missing": _without("id"),
        "field_missing": _without("last_name"),
        "same_key_twice": _twice("first_name", "Somebody Else"),
    },
    "tracks": {
        **COMMON,
        "duration_abc": _with("duration", "abc"),
        "id_missing": _without("id"),
        "field_missing": _without("name"),
        "same_key_twice": _twice("name", "another track"),
    },
    "listen_history": {
        **COMMON,
        "items_hold_text": lambda row: [{**row, "items": [*(row.get("items") or []), "a track"]}],
        "user_id_null": _with("user_id", None),
        "field_missing": _without("items"),
        "same_key_twice": _twice("items", [1, 2, 3]),
    },
}
