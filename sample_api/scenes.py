"""Group tracks and tastes into scenes: two within each genre, and one across two genres."""

from dataclasses import dataclass

import numpy as np

from sample_api.draws import Floats, Numbers, normal, uniform

GENRES = (
    "Rock", "Pop", "Jazz", "Hip Hop", "R&B", "Metal", "Classical", "Electronic",
    "Country", "Folk", "Blues", "Reggae", "Punk", "Funk", "Techno", "Indie",
)  # fmt: skip
SCENES = 3 * len(GENRES)
# A pseudo-scene without tracks, which stands for the whole catalogue.
ANYWHERE = SCENES


@dataclass(frozen=True)
class Scenes:
    """Hold the scenes of a world: the genres of each, its two related scenes, and the cumulative weights of all."""

    genres: list[tuple[str, ...]]
    related: Numbers
    cumulative: Floats

    def draw(self, draws: Floats) -> Numbers:
        """Return a scene for each draw from [0, 1), large scenes more often."""
        return np.searchsorted(self.cumulative, draws, side="right")


def scenes_of(seed: int) -> Scenes:
    """Return the scenes of the world with this seed."""
    genres = np.arange(len(GENRES))
    other_genres = (genres + 1 + (uniform(seed, "second genre", genres) * (len(GENRES) - 1)).astype(int)) % len(GENRES)
    neighbours = (uniform(seed, "related scenes", genres, [[0], [1]]) * 2).astype(int)
    names: list[tuple[str, ...]] = []
    related: list[tuple[int, int]] = []
    for genre, other in enumerate(other_genres):
        first, second, across = range(3 * genre, 3 * genre + 3)
        names += [(GENRES[genre],), (GENRES[genre],), (GENRES[genre], GENRES[other])]
        related += [
            (second, across),
            (first, across),
            (first + neighbours[0, genre], 3 * other + neighbours[1, genre]),
        ]
    weights = np.exp(0.5 * normal(seed, "size of the scene", np.arange(SCENES)))
    cumulative = np.cumsum(weights) / weights.sum()
    cumulative[-1] = 1.0  # rounding must not leave a gap below 1
    return Scenes(names, np.array(related), cumulative)
