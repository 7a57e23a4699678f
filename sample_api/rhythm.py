"""Give listening a weekly rhythm: some people listen on working days, others at the weekend."""

import numpy as np
import numpy.typing as npt

from sample_api.draws import Floats, Numbers

# Relative listening per weekday, Monday first. Each row sums to 7.
RHYTHMS = np.array(
    [
        [0.95, 0.95, 0.95, 1.0, 1.1, 1.1, 0.95],
        [1.25, 1.25, 1.25, 1.25, 1.25, 0.35, 0.4],
        [0.65, 0.65, 0.7, 0.85, 1.3, 1.6, 1.25],
    ]
)
CUMULATIVE = np.concatenate([np.zeros((len(RHYTHMS), 1)), np.cumsum(RHYTHMS, axis=1)], axis=1)
WEEK = np.arange(8.0)


def active_days(rhythm: Numbers, times: Floats, first_weekday: int) -> Floats:
    """Convert times to the amount of listening until then: a week counts as 7. `first_weekday`: that of day 0."""
    return _interpolate(rhythm, times + first_weekday, [WEEK] * len(RHYTHMS), CUMULATIVE)


def from_active_days(rhythm: Numbers, amounts: Floats, first_weekday: int) -> Floats:
    """Convert amounts of listening to times: the inverse of `active_days`."""
    return _interpolate(rhythm, amounts, CUMULATIVE, [WEEK] * len(RHYTHMS)) - first_weekday


def _interpolate(rhythm: Numbers, values: Floats, known: npt.ArrayLike, wanted: npt.ArrayLike) -> Floats:
    weeks, rest = np.divmod(values, 7)
    found = np.empty(len(values))
    for number, (at, to) in enumerate(zip(known, wanted, strict=True)):
        found[rhythm == number] = np.interp(rest[rhythm == number], at, to)
    return 7 * weeks + found
