"""Make the answers: from a released list where there is one, else with the models in memory.

An answer is whole from one release. A released list that lost removed tracks is filled by the same release's models.
"""

import datetime as dt
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Any

import numpy as np

from recommender import list_rows
from recommender.interactions import Flags, find, number_of
from recommender.list_rows import StoredList
from recommender.releases import AGAIN, DISCOVER, Release
from recommender.scoring import Lists
from recommender.service.loaded_models import LoadedModels, UserHistory
from recommender.service.state import State

NAMES = {list_rows.MODEL: "model", list_rows.GENRES: "genres", list_rows.POPULAR: "popular"}
POPULAR = NAMES[list_rows.POPULAR]
DIGITS = 6
# The id of the track, its score, the source (MODEL, GENRES or POPULAR), and the reason as it is published.
RankedItem = tuple[int, float, int, dict[str, Any]]


class NoModelsError(Exception):
    """Report that no models are in memory to make a list on request."""


@dataclass(frozen=True)
class RankedList:
    """Hold a list, best first, and the release whose models made it."""

    release: Release
    items: list[RankedItem]
    model_version: int

    @property
    def track_ids(self) -> list[int]:
        return [item[0] for item in self.items]

    def make_page(self, offset: int, limit: int) -> dict[str, Any]:
        """Return the fields of contract.Answer."""
        items = self.items[offset : offset + limit]
        return {
            "items": [
                {"rank": rank, "track_id": track_id, "score": round(score, DIGITS), "reason": reason}
                for rank, (track_id, score, _, reason) in enumerate(items, offset + 1)
            ],
            "model_version": self.model_version,
            "released_at": self.release.released_at.isoformat(),
            "source": NAMES[items[0][2]] if items else POPULAR,
        }


def drop_removed(state: State, stored: StoredList, k: int) -> RankedList:
    """Return the first k items of a released list without the tracks that were removed since."""
    present = state.tracks.id_set
    sources = chain(
        repeat(list_rows.MODEL, stored.model_items),
        repeat(list_rows.GENRES, stored.genre_items),
        repeat(list_rows.POPULAR),
    )
    items = zip(stored.track_ids, stored.scores, sources, stored.reasons, strict=False)
    if not present.issuperset(stored.track_ids):
        items = (item for item in items if item[0] in present)
    kept = [
        (track_id, score, source, _parse_reason(reason, present))
        for track_id, score, source, reason in islice(items, k)
    ]
    return RankedList(state.release, kept, stored.model_version)


def make_list(
    state: State,
    history: UserHistory,
    list_name: str,
    k: int,
    *,
    recent: Sequence[int] = (),
    genre: str | None = None,
) -> RankedList:
    """Return the list of a user, made with the models in memory. One that would be empty is filled as `discover` is.

    Raises NoModelsError.
    """
    models, is_candidate = _get_models(state)
    if genre is not None:
        is_candidate = _keep_genre(models, is_candidate, genre)
    users = models.make_user(history, recent, _today())
    lists = models.make_lists(users, list_name, k, is_candidate)
    if list_name == AGAIN and lists.tracks[0, 0] < 0:
        lists = models.make_lists(users, DISCOVER, k, is_candidate, only_fill=True)
        return _rank(state, models, lists, list_name, models.sources[DISCOVER][1:] or models.sources[DISCOVER])
    return _rank(state, models, lists, list_name, models.sources[list_name])


def fill_list(state: State, ranked: RankedList, history: UserHistory, k: int) -> RankedList:
    """Return a list for `discover` with popular tracks of the user's genres, then popular ones, up to k tracks.

    Where the models in memory are those of another release, the whole list is made by them.
    """
    models, is_candidate = _get_models(state)
    if models.release != ranked.release:
        return make_list(state, history, DISCOVER, k)
    is_candidate = is_candidate.copy()
    positions, is_known = find(models.catalogue.track_ids, np.array(ranked.track_ids, np.int64))
    is_candidate[positions[is_known]] = False
    users = models.make_user(history, (), _today())
    lists = models.make_lists(users, DISCOVER, k - len(ranked.items), is_candidate, only_fill=True)
    more = _rank(state, models, lists, DISCOVER, models.sources[DISCOVER][1:] or models.sources[DISCOVER])
    return RankedList(ranked.release, [*ranked.items, *more.items], ranked.model_version)


def list_popular(state: State, list_name: str, genre: str | None, k: int) -> RankedList:
    """Return popular tracks, of one genre or of all. Raises NoModelsError."""
    if genre is not None:
        return make_list(state, UserHistory(), DISCOVER, k, genre=genre)
    models, _ = _get_models(state)
    return _rank(state, models, state.popular, list_name, models.sources[DISCOVER], k)


def list_similar(state: State, track_id: int, k: int) -> RankedList | None:
    """Return what the model recommends to somebody who heard only this track; None for an unknown track."""
    models, is_candidate = _get_models(state)
    positions, is_known = find(models.catalogue.track_ids, np.array([track_id], np.int64))
    if not (is_known[0] and is_candidate[positions[0]]):
        return None
    lists = models.make_lists(models.make_user(UserHistory(), [track_id], _today()), DISCOVER, k, is_candidate)
    return _rank(state, models, lists, DISCOVER, models.sources[DISCOVER])


def _get_models(state: State) -> tuple[LoadedModels, Flags]:
    if state.models is None:
        raise NoModelsError
    return state.models, state.is_candidate


def _keep_genre(models: LoadedModels, is_candidate: Flags, genre: str) -> Flags:
    has_genre = np.zeros(len(is_candidate), bool)
    has_genre[models.tracks_of_genre.get(genre, [])] = True
    return is_candidate & has_genre


def _rank(
    state: State, models: LoadedModels, lists: Lists, list_name: str, sources: Sequence[int], k: int | None = None
) -> RankedList:
    size = len(lists.tracks[0][lists.tracks[0] >= 0][:k])
    items = zip(
        models.catalogue.track_ids[lists.tracks[0, :size]].tolist(),
        lists.scores[0, :size].tolist(),
        [sources[source] for source in lists.sources[0, :size].tolist()],
        [_replace_removed(state, lists.reasons.of(0, rank, models.catalogue)) for rank in range(size)],
        strict=True,
    )
    return RankedList(models.release, list(items), models.release.model_versions[list_name])


def _parse_reason(reason: str, present: Container[int]) -> dict[str, Any]:
    """Return a reason as it is published; one that names a removed track becomes `popular`."""
    kind, _, value = reason.partition(" ")
    if kind == "track" and (track_id := int(value)) in present:
        return {"type": "track", "track_id": track_id}
    if kind == "genre":
        return {"type": "genre", "genre": value}
    return {"type": "popular"}


def _replace_removed(state: State, reason: dict[str, Any]) -> dict[str, Any]:
    """Replace a reason that names a removed track: the app could not show it."""
    if "track_id" in reason and not state.has_track(reason["track_id"]):
        return {"type": "popular"}
    return reason


def _today() -> int:
    return number_of(dt.datetime.now(dt.UTC).date())
