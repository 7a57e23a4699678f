"""Load or fit the models of a release, and make the lists of users with them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from recommender import artefact_store, artefacts, list_rows, recipes, registry
from recommender.dataset import Dataset, Users
from recommender.first_models import Choice
from recommender.interactions import Integers
from recommender.list_making import Lists, Recommender, recommend
from recommender.models import MODELS
from recommender.progress import Progress
from recommender.releases import AGAIN, DISCOVER, LISTS
from recommender.tuning import FALLBACKS, choose_fallbacks, fit_fallbacks
from warehouse import binary_copy

LENGTHS = {DISCOVER: 50, AGAIN: 20}
USERS_AT_ONCE = 2000

Parts = Sequence[tuple[Integers, Lists]]


@dataclass(frozen=True)
class ReleaseModel:
    """Hold what makes a list of a release: the model with its fallback models, and where it is from.

    `version`: of the champion, or None for `choice`, which is not registered yet. `artefact` None: a refitted model.
    """

    recommender: Recommender
    name: str
    sources: Sequence[int]
    version: int | None = None
    choice: Choice | None = None
    artefact: bytes | None = None


def fit_choice(choice: Choice, known: Dataset, seed: int) -> ReleaseModel:
    """Fit to all data the recipe that a first training chose."""
    recipe = choice.recipe
    model = recipes.fit(recipe.model, recipe.params, known, seed)
    content = None if recipe.model in FALLBACKS else artefacts.dump(model, known.catalogue)
    recommender, sources = _add_fallbacks(model, recipe.model, recipe.fallback_params, known, seed)
    return ReleaseModel(recommender, recipe.model, sources, choice=choice, artefact=content)


def load_champions(
    connection: psycopg.Connection,
    versions: Mapping[str, int],
    artefact_folder: str | None,
    known: Dataset,
    seed: int,
) -> dict[str, ReleaseModel]:
    """Return by list its champion with these versions. Raises ArtefactError if one cannot be used."""
    return {name: _load_champion(connection, number, artefact_folder, known, seed) for name, number in versions.items()}


def _load_champion(
    connection: psycopg.Connection, number: int, artefact_folder: str | None, known: Dataset, seed: int
) -> ReleaseModel:
    """Return the champion for the tracks of now; a refitted model is fitted again."""
    version = registry.read_version(connection, number)
    try:
        if version.model in FALLBACKS:
            if not MODELS[version.model].is_possible(known):
                raise artefacts.ArtefactError("no track has a genre")
            model = recipes.fit(version.model, version.params, known, seed)
        else:
            model = artefacts.renumber(artefact_store.load(version, artefact_folder), known.catalogue)
    except artefacts.ArtefactError as error:
        raise artefacts.ArtefactError(f"model version {number} ({version.list}, {version.model}): {error}") from None
    recommender, sources = _add_fallbacks(model, version.model, version.fallback_params, known, seed)
    return ReleaseModel(recommender, version.model, sources, version=number)


def _add_fallbacks(
    model: Any, name: str, params: Mapping[str, Any], known: Dataset, seed: int
) -> tuple[Recommender, list[int]]:
    """Return the model with its fallback models, which are fitted to all data, and their sources."""
    fallbacks = choose_fallbacks(name, fit_fallbacks(known, params, seed))
    # the last one is popularity, and there are no genres before it if no track has any
    names = FALLBACKS[len(FALLBACKS) - len(fallbacks) :]
    return Recommender(model, fallbacks), list_rows.find_sources((name, *names))


def dump_refitted(release_model: ReleaseModel, known: Dataset, list_name: str) -> Iterator[registry.RefittedModel]:
    """Yield the models that no model version holds: those that were fitted for this release."""
    for place, model in enumerate((release_model.recommender.model, *release_model.recommender.fallbacks)):
        if place or release_model.name in FALLBACKS:
            content = artefacts.dump(model, known.catalogue)
            name = type(model).__name__.lower()
            yield registry.RefittedModel(list_name, place, name, content, artefacts.checksum(content), artefacts.FORMAT)


def make_lists(
    models: Mapping[str, ReleaseModel], known: Dataset, users: Integers, artist_cap: int, show: Progress
) -> dict[str, Parts]:
    """Return by list the lists of the users at these positions, some at a time, with the ids of their users."""
    return {name: list(_make_parts(models[name], known, users, name, artist_cap, show)) for name in LISTS}


def _make_parts(
    model: ReleaseModel, known: Dataset, users: Integers, list_name: str, artist_cap: int, show: Progress
) -> Iterator[tuple[Integers, Lists]]:
    if not known.catalogue.is_candidate.any():
        return
    for start in range(0, len(users), USERS_AT_ONCE):
        show(list_name, start, len(users))
        some = users[start : start + USERS_AT_ONCE]
        people: Users = known.users.take(some)
        lists = recommend(
            model.recommender, people, known.catalogue, list_name, LENGTHS[list_name], per_artist=artist_cap
        )
        yield known.user_ids[some], lists
    show(list_name, len(users), len(users))


def encode_lists(
    number: int,
    models: Mapping[str, ReleaseModel],
    versions: Mapping[str, int],
    parts: Mapping[str, Parts],
    known: Dataset,
) -> Iterator[bytes]:
    """Yield the lists as a binary COPY. `number`: of the release or the draft."""
    yield binary_copy.HEADER
    elements = list_rows.encode_reasons(known.catalogue)
    for name in LISTS:
        for user_ids, lists in parts[name]:
            yield b"".join(
                list_rows.encode(
                    number, name, versions[name], models[name].sources, user_ids, lists, known.catalogue, elements
                )
            )
    yield binary_copy.END
