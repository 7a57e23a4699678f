"""Decide who listens to what, and return the odds behind every listen. Pure: no rows, no clock.

A listen is new with some chance, drawn from the user's taste; otherwise the user returns to one of the last listens.
Times are days since day 0 of the world. Users and tracks are positions in arrays.
"""

import itertools
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sample_api.draws import Flags, Floats, Numbers, normal, uniform
from sample_api.scenes import ANYWHERE, SCENES, Scenes

# A taste: shares of the new listens that fall on the user's own scenes, on related ones, and anywhere.
OWN_SHARE = 0.7
RELATED_SHARE = 0.1
# The cumulative shares of a user's own scenes; a user with fewer than three repeats the first.
OWN_SCENES = np.array([0.55, 0.83, 1.0])
DRIFTING_SHARE = 0.2
DRIFT_DAYS = 14
CONTRARIAN_SHARE = 0.05
SILENT_SHARE = 0.06

# PEAK_DAY days after its release, a track has (1 + RELEASE_PEAK) times its later appeal.
RELEASE_PEAK = 5.0
PEAK_DAY = 7.0

# Returning: a user with m listens in memory returns with the chance loyalty * m / (m + FAMILIARITY), to the listen r
# listens ago with a weight of exp(-r / RECENCY).
MEMORY = 128
RECENCY = 10.0
FAMILIARITY = 8.0


@dataclass
class Catalogue:
    """Hold what decides how often tracks are played, by position. `key`: the number that addresses a track's draws."""

    key: Numbers
    scene: Numbers
    popularity: Floats
    released: Floats
    is_present: Flags

    def appeal(self, day: float, is_contrarian: bool) -> Floats:
        """Return the relative chance of each track on a day. Before the first release, every track has the same."""
        weeks = np.maximum(day - self.released, 0) / PEAK_DAY
        boost = 1 + RELEASE_PEAK * weeks * np.exp(1 - weeks)
        liked = self.popularity**-0.5 if is_contrarian else self.popularity
        appeal = np.where(self.is_present & (self.released <= day), liked * boost, 0.0)
        return appeal if appeal.any() else self.is_present.astype(float)


@dataclass
class Listeners:
    """Hold the tastes and habits of users, by position. `key`: the number that addresses a user's draws.

    `scenes`: the three own scenes before and after the drift. `drifts_on`: its first day, infinite for those who stay.
    `rate`: expected sessions per day. `memory`: a ring of the tracks last heard. `heard`: the number of listens in all.
    """

    key: Numbers
    scenes: Numbers
    drifts_on: Floats
    is_contrarian: Flags
    loyalty: Floats
    rate: Floats
    rhythm: Numbers
    memory: Numbers
    heard: Numbers
    is_present: Flags

    def drift(self, users: Numbers, days: npt.ArrayLike) -> Floats:
        """Return how far the users have moved to their later scenes, from 0 to 1."""
        return np.clip((days - self.drifts_on[users]) / DRIFT_DAYS, 0, 1)


Arrays = TypeVar("Arrays", Catalogue, Listeners)


def join(first: Arrays, second: Arrays) -> Arrays:
    """Return both with the second ones after the first."""
    names = [field.name for field in fields(first)]
    return type(first)(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


def draw_catalogue(seed: int, scenes: Scenes, keys: Numbers, released: Floats) -> Catalogue:
    """Draw what decides how often the tracks with these keys are played."""
    # A long tail (Pareto), with a cap that avoids a single dominant hit.
    popularity = np.minimum((1 - uniform(seed, "popularity", keys)) ** (-1 / 1.5), 60.0)
    scene = scenes.draw(uniform(seed, "scene of the track", keys))
    return Catalogue(keys, scene, popularity, released, np.ones(len(keys), bool))


def draw_listeners(seed: int, scenes: Scenes, keys: Numbers) -> Listeners:
    """Draw the tastes and habits of the users with these keys, who have not listened yet."""

    def draw(field: str) -> Floats:
        return uniform(seed, field, keys)

    # the later scenes of those who drift replace all earlier ones
    own = np.stack([_own_scenes(seed, scenes, keys, era) for era in ("at first", "later")], axis=1)
    drifts_on = np.where(draw("drifts") < DRIFTING_SHARE, draw("day of the drift") * 150 - 90, np.inf)
    activity = np.exp(0.7 * normal(seed, "activity", keys))
    return Listeners(
        key=keys,
        scenes=own,
        drifts_on=drifts_on,
        is_contrarian=draw("contrarian") < CONTRARIAN_SHARE,
        loyalty=0.64 + 0.28 * draw("loyalty"),
        rate=0.6 * np.where(draw("silent") < SILENT_SHARE, 0.02, activity),
        rhythm=np.searchsorted([0.5, 0.75], draw("rhythm"), side="right"),
        memory=np.zeros((len(keys), MEMORY), int),
        heard=np.zeros(len(keys), int),
        is_present=np.ones(len(keys), bool),
    )


def _own_scenes(seed: int, scenes: Scenes, keys: Numbers, era: str) -> Numbers:
    first = scenes.draw(uniform(seed, f"first scene {era}", keys))
    others = []
    for name in ("second", "third"):
        # half of the other scenes are related to the first one
        pick = uniform(seed, f"{name} scene {era}", keys)
        related = scenes.related[first, (pick * 4).astype(int) % 2]
        others.append(np.where(pick < 0.5, related, scenes.draw(uniform(seed, f"distant {name} scene {era}", keys))))
    size = uniform(seed, f"number of scenes {era}", keys)
    return np.stack([first, np.where(size < 0.4, first, others[0]), np.where(size < 0.75, first, others[1])], axis=1)


def draw_listens(
    seed: int,
    scenes: Scenes,
    catalogue: Catalogue,
    listeners: Listeners,
    users: Numbers,
    days: Numbers,
    occasions: Numbers,
) -> Numbers:
    """Draw the track of each listen, and let the users remember it. At least one track must be present.

    The arrays have one element per listen, by user and in order of time. A user's listens with the same number in
    `occasions` belong together: it addresses their draws.
    """
    rank = position_in_group(users)
    place = position_in_group(users, occasions)

    def draw(field: str) -> Floats:
        return uniform(seed, field, listeners.key[users], occasions, place)

    known = np.minimum(listeners.heard[users] + rank, MEMORY)
    is_return = draw("returns") < _chance_to_return(listeners.loyalty[users], known)
    back = (-RECENCY * np.log1p(-draw("returns to") * -np.expm1(-known / RECENCY))).astype(int)
    back = np.minimum(back, np.maximum(known - 1, 0))

    # A return to a listen of this batch is followed to where its track was drawn or remembered.
    here = np.arange(len(users))
    source = np.where(is_return & (back < rank), here - 1 - back, here)
    remembered = listeners.memory[users, (listeners.heard[users] - 1 - back + rank) % MEMORY]
    is_remembered = is_return & (back >= rank) & catalogue.is_present[remembered]
    tracks = np.where(is_remembered, remembered, 0)
    is_new = (source == here) & ~is_remembered
    scene = _draw_scene(scenes, listeners, users[is_new], days[is_new], *(draw(name)[is_new] for name in TASTE))
    is_contrarian = listeners.is_contrarian[users[is_new]]
    tracks[is_new] = _draw_track(catalogue, scene, days[is_new], is_contrarian, draw("track")[is_new])
    while not np.array_equal(source, further := source[source]):
        source = further
    tracks = tracks[source]

    _remember(listeners, users, rank, tracks)
    return tracks


TASTE = ("before or after the drift", "own scene", "own or other")


def _draw_scene(
    scenes: Scenes, listeners: Listeners, users: Numbers, days: Numbers, era: Floats, own: Floats, other: Floats
) -> Numbers:
    has_drifted = (era < listeners.drift(users, days)).astype(int)
    scene = listeners.scenes[users, has_drifted, np.searchsorted(OWN_SCENES, own, side="right")]
    related = scenes.related[scene, (other * 1000).astype(int) % 2]
    return np.select([other < OWN_SHARE, other < OWN_SHARE + RELATED_SHARE], [scene, related], ANYWHERE)


def _draw_track(catalogue: Catalogue, scene: Numbers, days: Numbers, is_contrarian: Flags, draws: Floats) -> Numbers:
    """Draw a track of each scene. A scene without a track stands for the whole catalogue."""
    order = np.argsort(catalogue.scene, kind="stable")
    bounds = np.searchsorted(catalogue.scene[order], np.arange(SCENES + 2))
    tracks = np.empty(len(scene), int)
    for day, is_unusual in itertools.product(np.unique(days), (False, True)):
        at = np.flatnonzero((days == day) & (is_contrarian == is_unusual))
        cumulative = np.concatenate([[0.0], np.cumsum(catalogue.appeal(day, is_unusual)[order])])
        low, high = cumulative[bounds[scene[at]]], cumulative[bounds[scene[at] + 1]]
        is_empty = low == high
        low, high = np.where(is_empty, 0, low), np.where(is_empty, cumulative[-1], high)
        found = np.searchsorted(cumulative, low + draws[at] * (high - low), side="right") - 1
        tracks[at] = order[np.minimum(found, len(order) - 1)]
    return tracks


def _chance_to_return(loyalty: Floats, known: Numbers) -> Floats:
    return loyalty * known / (known + FAMILIARITY)


def _remember(listeners: Listeners, users: Numbers, rank: Numbers, tracks: Numbers) -> None:
    listens = np.bincount(users, minlength=len(listeners.heard))
    is_kept = listens[users] - rank <= MEMORY
    users, slots = users[is_kept], ((listeners.heard[users] + rank) % MEMORY)[is_kept]
    listeners.memory[users, slots] = tracks[is_kept]
    listeners.heard += listens


def position_in_group(*groups: Numbers) -> Numbers:
    """Return the position of each element within its run of equal values."""
    size = len(groups[0])
    is_first = np.zeros(size, bool)
    is_first[:1] = True
    for values in groups:
        is_first[1:] |= values[1:] != values[:-1]
    return np.arange(size) - np.flatnonzero(is_first)[np.cumsum(is_first) - 1]


def odds(
    scenes: Scenes, catalogue: Catalogue, listeners: Listeners, users: Numbers, day: float
) -> tuple[Floats, Floats]:
    """Return two matrices, users by tracks: the probabilities of a new listen on that day, and of the next listen.

    They are those from which `draw_listens` draws a user's first listen of that day. A new listen may fall on a track
    that the user knows. The next listen is a new one or a return.
    """
    share = _scene_shares(scenes, listeners, users, day)
    new = np.zeros((len(users), len(catalogue.key)))
    for is_contrarian in (False, True):
        at = np.flatnonzero(listeners.is_contrarian[users] == is_contrarian)
        appeal = catalogue.appeal(day, is_contrarian)
        by_scene = np.bincount(catalogue.scene, weights=appeal, minlength=SCENES)
        is_empty = np.append(by_scene == 0, True)
        anywhere = share[at][:, is_empty].sum(axis=1)
        within = share[at][:, catalogue.scene] * (appeal / np.where(by_scene == 0, 1, by_scene)[catalogue.scene])
        new[at] = within + anywhere[:, None] * (appeal / appeal.sum())

    known = np.minimum(listeners.heard[users], MEMORY)
    back = np.arange(MEMORY)
    weight = np.where(back < known[:, None], np.exp(-back / RECENCY), 0.0)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    remembered = listeners.memory[users[:, None], (listeners.heard[users][:, None] - 1 - back) % MEMORY]
    weight *= catalogue.is_present[remembered] * _chance_to_return(listeners.loyalty[users], known)[:, None]
    following = new * (1 - weight.sum(axis=1, keepdims=True))
    np.add.at(following, (np.arange(len(users))[:, None], remembered), weight)
    return new, following


def _scene_shares(scenes: Scenes, listeners: Listeners, users: Numbers, day: float) -> Floats:
    """Return the shares of new listens per user and scene; the last column is ANYWHERE."""
    share = np.zeros((len(users), SCENES + 1))
    rows = np.arange(len(users))
    drift = listeners.drift(users, day)
    for era, weight_of_era in enumerate((1 - drift, drift)):
        for scene, weight_of_scene in zip(listeners.scenes[users, era].T, np.diff(OWN_SCENES, prepend=0), strict=True):
            weight = weight_of_era * weight_of_scene
            np.add.at(share, (rows, scene), OWN_SHARE * weight)
            for related in scenes.related[scene].T:
                np.add.at(share, (rows, related), RELATED_SHARE / 2 * weight)
    share[:, ANYWHERE] = 1 - OWN_SHARE - RELATED_SHARE
    return share
