"""Make lists on request with the models of a release, which a worker holds in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import psycopg

from recommender import artefact_store, artefacts, dataset, interactions, registry
from recommender.artefacts import Artefact, ArtefactError
from recommender.dataset import Catalogue, Users
from recommender.interactions import Flags, Integers
from recommender.list_making import Lists, Recommender, recommend
from recommender.list_rows import find_sources
from recommender.registry import RefittedModel
from recommender.releases import LISTS, Release


@dataclass(frozen=True)
class UserHistory:
    """Hold the history of a user: ids of heard tracks with their days from 1970-01-01, and favourite genres."""

    track_ids: Sequence[int] = ()
    days: Sequence[int] = ()
    genres: Sequence[str] = ()


@dataclass(frozen=True)
class LoadedModels:
    """Hold the models of a release with its catalogue. `sources`: by list, of the model and its fallback models."""

    release: Release
    catalogue: Catalogue
    recommenders: Mapping[str, Recommender]
    sources: Mapping[str, Sequence[int]]

    @cached_property
    def tracks_of_genre(self) -> Mapping[str, Integers]:
        by_genre = self.catalogue.genres.tocsc()
        return {
            name: by_genre.indices[by_genre.indptr[number] : by_genre.indptr[number + 1]]
            for number, name in enumerate(self.catalogue.genre_names)
        }

    def make_user(self, history: UserHistory, recent: Sequence[int], today: int) -> Users:
        """Return one user who also heard the tracks of `recent` today."""
        ids = np.array([*history.track_ids, *recent], np.int64)
        days = np.array([*history.days, *(today for _ in recent)], np.int64)
        listens = interactions.make_for_one_user(self.catalogue.track_ids, ids, days, today)
        return Users(listens, dataset.make_indicators([history.genres], self.catalogue.genre_names))

    def make_lists(
        self, users: Users, list_name: str, k: int, is_candidate: Flags, *, is_fallback_only: bool = False
    ) -> Lists:
        """Return the list of each user. `is_fallback_only`: by the fallback models only."""
        recommender = self.recommenders[list_name]
        if is_fallback_only and recommender.fallbacks:
            recommender = Recommender(recommender.fallbacks[0], recommender.fallbacks[1:])
        catalogue = Catalogue(
            self.catalogue.track_ids,
            is_candidate,
            self.catalogue.artists,
            self.catalogue.genres,
            self.catalogue.genre_names,
        )
        return recommend(recommender, users, catalogue, list_name, k, per_artist=self.release.artist_cap)


def load(connection: psycopg.Connection, release: Release, artefact_folder: str | None) -> LoadedModels:
    """Load the models of a release. Raises ArtefactError if one cannot be used."""
    catalogue = dataset.read_catalogue(connection, release.as_of)
    refitted: dict[str, list[RefittedModel]] = {name: [] for name in LISTS}
    for model in registry.read_refitted(connection, release.release_id):
        refitted[model.list].append(model)
    recommenders, sources = {}, {}
    for name in LISTS:
        if not refitted[name]:
            raise ArtefactError(
                f"release {release.release_id} has no models for requests: it was made by an earlier version"
            )
        models, names = [], []
        if refitted[name][0].place:
            version = registry.read_version(connection, release.model_versions[name])
            models.append(_prepare(lambda: artefact_store.load(version, artefact_folder), catalogue, version.model))  # noqa: B023 (called at once)
            names.append(version.model)
        for model in refitted[name]:
            models.append(
                _prepare(
                    lambda: artefacts.load(model.artefact, model.checksum, model.format_version),  # noqa: B023
                    catalogue,
                    model.model,
                )
            )
            names.append(model.model)
        recommenders[name], sources[name] = Recommender(models[0], models[1:]), find_sources(names)
    return LoadedModels(release, catalogue, recommenders, sources)


def _prepare(load_artefact: Callable[[], Artefact], catalogue: Catalogue, name: str) -> artefacts.FittedModel:
    try:
        return artefacts.renumber(load_artefact(), catalogue)
    except ArtefactError as error:
        raise ArtefactError(f"the model {name}: {error}") from None
