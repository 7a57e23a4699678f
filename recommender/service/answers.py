"""Make the answers: from a released list where there is one, else with the models in memory.

An answer is whole from one release. A released list that lost removed tracks is filled by the same release's models.
"""

import datetime as dt
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, compress, islice, repeat
from types import NoneType
from typing import Any

import msgspec
import numpy as np

from recommender import list_rows
from recommender.interactions import Flags, find, number_of
from recommender.list_making import Lists
from recommender.releases import AGAIN, DISCOVER, Release
from recommender.service.loaded_models import LoadedModels, UserHistory
from recommender.service.state import State
from recommender.stored_lists import Reason, StoredList, encode_genre

NAMES = {list_rows.MODEL: "model", list_rows.GENRES: "genres", list_rows.POPULAR: "popular"}
POPULAR = NAMES[list_rows.POPULAR]
# By the type of a stored reason.
REASONS = {
    int: '{"type":"track","track_id":%d}',
    str: '{"type":"genre","genre":%s}',
    # nothing of it is shown
    NoneType: '{"type":"popular"}%.0s',
}


class NoModelsError(Exception):
    """Report that no models are in memory to make a list on request."""


@dataclass(frozen=True)
class RankedList:
    """Hold a list, best first, and where each item is from; and the release whose models made it."""

    release: Release
    track_ids: list[int]
    scores: list[float]
    sources: list[int]
    reasons: list[Reason]
    model_version: int

    def make_page(self, offset: int, limit: int) -> dict[str, Any]:
        """Return the fields of contract.Answer; the items are JSON already."""
        part = slice(offset, offset + limit)
        reasons = self.reasons[part]
        items = zip(self.track_ids[part], self.scores[part], reasons, strict=True)
        text = _template(offset + 1, tuple(map(type, reasons))) % tuple(chain.from_iterable(items))
        return {
            "items": msgspec.Raw(text.encode()),
            "model_version": self.model_version,
            "released_at": _format_time(self.release.released_at),
            "source": NAMES[self.sources[offset]] if offset < len(self.sources) else POPULAR,
        }


def drop_removed(state: State, stored: StoredList, k: int) -> RankedList:
    """Return the first k items of a released list without the tracks that were removed since."""
    present = state.tracks.id_set
    counts = stored.model_items, stored.genre_items, len(stored.track_ids)
    sources = chain.from_iterable(map(repeat, (list_rows.MODEL, list_rows.GENRES, list_rows.POPULAR), counts))
    columns = stored.track_ids, stored.scores, sources, stored.reasons
    if not present.issuperset(stored.track_ids[:k]):
        columns = tuple(compress(column, map(present.__contains__, stored.track_ids)) for column in columns)
    track_ids, scores, sources, reasons = (list(islice(column, k)) for column in columns)
    reasons = _replace_removed(reasons, present)
    return RankedList(state.release, track_ids, scores, sources, reasons, stored.model_version)


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
        lists = models.make_lists(users, DISCOVER, k, is_candidate, is_fallback_only=True)
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
    lists = models.make_lists(users, DISCOVER, k - len(ranked.track_ids), is_candidate, is_fallback_only=True)
    more = _rank(state, models, lists, DISCOVER, models.sources[DISCOVER][1:] or models.sources[DISCOVER])
    return RankedList(
        ranked.release,
        [*ranked.track_ids, *more.track_ids],
        [*ranked.scores, *more.scores],
        [*ranked.sources, *more.sources],
        [*ranked.reasons, *more.reasons],
        ranked.model_version,
    )


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
    reasons = [_shorten(lists.reasons.of(0, rank, models.catalogue)) for rank in range(size)]
    return RankedList(
        models.release,
        models.catalogue.track_ids[lists.tracks[0, :size]].tolist(),
        lists.scores[0, :size].tolist(),
        [sources[source] for source in lists.sources[0, :size].tolist()],
        _replace_removed(reasons, state.tracks.id_set),
        models.release.model_versions[list_name],
    )


def _shorten(reason: dict[str, Any]) -> Reason:
    """Return a published reason in the form in which it is stored."""
    return encode_genre(reason["genre"]) if "genre" in reason else reason.get("track_id")


def _replace_removed(reasons: Iterable[Reason], present: Container[int]) -> list[Reason]:
    """Replace reasons that name a removed track: the app could not show it."""
    return [None if type(reason) is int and reason not in present else reason for reason in reasons]


@lru_cache(8)
def _format_time(time: dt.datetime) -> str:
    return time.isoformat()


@lru_cache(1024)
def _template(first_rank: int, kinds: tuple[type, ...]) -> str:
    """Return the JSON of items with such reasons, without their track, score and reason. Serves many lists."""
    items = (
        f'{{"rank":{rank},"track_id":%d,"score":%.6f,"reason":{REASONS[kind]}}}'
        for rank, kind in enumerate(kinds, first_rank)
    )
    return f"[{','.join(items)}]"


def _today() -> int:
    return number_of(dt.datetime.now(dt.UTC).date())
