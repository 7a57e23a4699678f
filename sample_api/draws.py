"""Draw random numbers by address.

A draw is a hash of the seed, the name of a field and the numbers of an entity, so it depends on nothing else that is
drawn: one more field, user or day changes no other draw. Unlike the streams of `numpy.random`, which may change with
numpy's version, it is exact integer arithmetic. One call draws a field of many entities.
"""

from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Choice = TypeVar("Choice")

# SplitMix64 (Steele, Lea and Flood 2014): its increment, and the multipliers of its output function.
INCREMENT = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)


def uniform(seed: int, field: str, *numbers: npt.ArrayLike) -> Floats:
    """Return one draw from [0, 1) for each entity. The numbers, such as a user's and a day's, are broadcast."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        state = _mix(np.array([seed % 2**64], np.uint64) + INCREMENT * np.uint64(crc32(field.encode())))
        for number in numbers:
            state = _mix(state + INCREMENT * (np.asarray(number, np.int64).astype(np.uint64) + np.uint64(1)))
    return (state >> np.uint64(11)) * 2.0**-53


def normal(seed: int, field: str, *numbers: npt.ArrayLike) -> Floats:
    """Return a draw from the standard normal distribution for each entity."""
    radius = np.sqrt(-2 * np.log1p(-uniform(seed, f"{field} radius", *numbers)))
    return radius * np.cos(2 * np.pi * uniform(seed, f"{field} angle", *numbers))


def pick(choices: Sequence[Choice], draws: Floats) -> list[Choice]:
    """Return one of the choices, all equally likely, for each draw."""
    return [choices[number] for number in (draws * len(choices)).astype(int).tolist()]


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * FIRST
    state = (state ^ (state >> np.uint64(27))) * SECOND
    return state ^ (state >> np.uint64(31))
