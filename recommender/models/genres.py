"""Recommend popular tracks of the genres that a user declared or heard."""

from dataclasses import dataclass

import numpy as np
import optuna
from scipy.sparse import csr_matrix, diags

from recommender import reasons
from recommender.axes import GENRES, TRACKS
from recommender.dataset import Dataset, Users
from recommender.interactions import Floats, Integers
from recommender.models.popularity import popularities, suggest_half_life
from recommender.scores import FactorScores

NAME = "genres"
FIRST_TRIALS = ({"half_life": 14.0, "declared": 0.5, "power": 1.0},)


@dataclass(frozen=True)
class Genres:
    """Hold the genres of each track, and the same weighted by popularity, both tracks x genres.

    `declared`: the share of the declared favourites in a user's taste; the rest is what the user heard.
    """

    genres: csr_matrix
    items: Floats
    declared: float

    def score(self, users: Users) -> FactorScores:
        return FactorScores(self._tastes(users), self.items)

    def explain(self, users: Users, tracks: Integers) -> reasons.Reasons:
        products = self._tastes(users)[:, None, :] * self.items[tracks]
        best = products.argmax(axis=2)
        return reasons.make_reasons(reasons.GENRE, np.where(products.max(axis=2) > 0, best, -1))

    def _tastes(self, users: Users) -> Floats:
        heard = _shares((users.listens.tastes() @ self.genres).toarray())
        declared = _shares(users.favorites.toarray())
        return ((1 - self.declared) * heard + self.declared * declared).astype(np.float32)


AXES = {Genres: {"genres": (TRACKS, GENRES), "items": (TRACKS, GENRES)}}


def suggest(trial: optuna.Trial) -> dict[str, float | None]:
    return {
        "half_life": suggest_half_life(trial),
        # never 0: a cold user has nothing else
        "declared": trial.suggest_float("declared", 0.05, 0.95),
        "power": trial.suggest_float("power", 0.25, 1.5),
    }


def is_possible(dataset: Dataset) -> bool:
    return dataset.catalogue.genres.nnz > 0


def fit(dataset: Dataset, params: dict[str, float], seed: int) -> Genres:
    genres = dataset.catalogue.genres
    per_track = np.maximum(np.diff(genres.indptr), 1) ** -0.5
    shares = (diags(per_track.astype(np.float32)) @ genres).tocsr()
    popularity = popularities(dataset, params["half_life"]) ** np.float32(params["power"])
    return Genres(shares, shares.toarray() * popularity[:, None], params["declared"])


def _shares(values: Floats) -> Floats:
    return values / np.maximum(values.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
