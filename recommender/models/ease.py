"""Recommend by a linear model between tracks, fitted in closed form: EASE (Steck 2019).

A discount divides the weights of a recommended track by a power of its number of users: popular tracks come later.
A trend multiplies them: tracks that are heard more lately come earlier. A declared favourite genre is an input like a
heard track: it says much about users who have heard little.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna
from scipy import linalg
from scipy.sparse import csr_matrix, hstack

from recommender import reasons
from recommender.axes import CATALOGUE_GENRES, GENRES, TRACKS
from recommender.dataset import Dataset, Users
from recommender.interactions import Floats, Integers
from recommender.models.neighbours import FEWEST_USERS
from recommender.models.popularity import suggest_half_life, suggest_trend, trends
from recommender.scores import DenseScores

NAME = "ease"
FIRST_TRIALS = tuple(
    {
        "regularization": regularization,
        "discount": discount,
        "favorites": favorites,
        "trend": trend,
        "trend_half_life": half_life,
        "taste_half_life": None,
    }
    for regularization, discount, favorites, trend, half_life in (
        (500.0, 0.1, 0.0, 0.0, 14.0),
        (100.0, 0.1, 2.0, 0.5, 14.0),
        (100.0, 0.2, 2.0, 1.0, 7.0),
    )
)
# Tracks and genres. The cost is cubic: 23 s and 2 GB for so many.
MOST_INPUTS = 10_000


@dataclass(frozen=True)
class Ease:
    """Hold the weights, heard tracks x recommended tracks and declared genres x recommended tracks, the genres of each
    track, tracks x genres, and after how many days a listen counts half in a user's taste."""

    weights: Floats
    genre_weights: Floats
    genres: csr_matrix
    taste_half_life: float | None

    def score(self, users: Users) -> DenseScores:
        heard = users.listens.tastes(self.taste_half_life)
        return DenseScores(heard, self.weights, users.favorites, self.genre_weights)

    def explain(self, users: Users, tracks: Integers) -> reasons.Reasons:
        heard = _largest(users.listens.tastes(self.taste_half_life), self.weights, tracks)
        declared = _largest(users.favorites, self._weights_of_own_genres, tracks)
        # a heard track says more than a genre
        return reasons.prefer(reasons.make_reasons(reasons.TRACK, heard), reasons.make_reasons(reasons.GENRE, declared))

    @cached_property
    def _weights_of_own_genres(self) -> Floats:
        """Return the genre weights, 0 for genres that the track does not have: they would be no plausible reason."""
        return self.genres.T.multiply(self.genre_weights).toarray()


AXES = {Ease: {"weights": (TRACKS, TRACKS), "genre_weights": (GENRES, TRACKS), "genres": CATALOGUE_GENRES}}


def suggest(trial: optuna.Trial) -> dict[str, float | None]:
    return {
        "regularization": trial.suggest_float("regularization", 1.0, 10_000.0, log=True),
        "discount": trial.suggest_float("discount", 0.0, 0.3),
        "favorites": trial.suggest_float("favorites", 0.0, 4.0),
        **suggest_trend(trial),
        "taste_half_life": suggest_half_life(trial, "taste_half_life"),
    }


def is_possible(dataset: Dataset) -> bool:
    tracks = len(dataset.catalogue.track_ids)
    return tracks > 0 and tracks + len(dataset.catalogue.genre_names) <= MOST_INPUTS


def fit(dataset: Dataset, params: dict[str, float | None], seed: int) -> Ease:
    heard = dataset.listens.tastes()
    heard.data[:] = 1
    size = heard.shape[1]
    inputs = hstack([heard, dataset.users.favorites], "csr")
    common = (inputs.T @ inputs).toarray().astype(np.float64)
    is_rare = common[:, :size] < FEWEST_USERS
    of_track = np.maximum(common.diagonal()[:size], 1)
    strength = np.where(np.arange(len(common)) < size, 1.0, params["favorites"])
    common *= strength
    common *= strength[:, None]
    np.fill_diagonal(common, common.diagonal() + params["regularization"])
    inverse = linalg.inv(common, overwrite_a=True)
    per_track = of_track ** -params["discount"] * trends(dataset, params)
    weights = (inverse[:, :size] / -np.diag(inverse)[:size] * per_track).astype(np.float32)
    weights *= strength[:, None].astype(np.float32)
    np.fill_diagonal(weights, 0)
    # privacy, as for neighbours
    weights[is_rare] = 0
    return Ease(weights[:size], weights[size:], dataset.catalogue.genres, params["taste_half_life"])


def _largest(tastes: csr_matrix, weights: Floats, tracks: Integers) -> Integers:
    """Return for each user and track which entry of the taste adds most to its score, or -1."""
    positions = np.full(tracks.shape, -1, np.int32)
    for user in np.flatnonzero(np.diff(tastes.indptr)):
        mine = slice(tastes.indptr[user], tastes.indptr[user + 1])
        own = tastes.indices[mine]
        values = weights[own[:, None], tracks[user]] * tastes.data[mine][:, None]
        positions[user] = np.where(values.max(axis=0) > 0, own[values.argmax(axis=0)], -1)
    return positions
