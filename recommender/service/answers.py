"""Make the answers: from a released list where there is one, else with the models in memory.

An answer is whole from one release. A released list that lost removed tracks is filled by the same release's models.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender import list_rows
from recommender.interactions import Flags, find, number_of
from recommender.list_making import Lists
from recommender.list_rows import StoredList
from recommender.releases import AGAIN, DISCOVER, Release
from recommender.service.scorer import Heard, Scorer
from recommender.service.state import State

NAMES = {list_rows.MODEL: "model", list_rows.GENRES: "genres", list_rows.POPULAR: "popular"}
POPULAR = NAMES[list_rows.POPULAR]
DIGITS = 6


class NoModelsError(Exception):
    """Report that no models are in memory to make a list on request."""


@dataclass(frozen=True)
class Made:
    """Hold a list, best first, and where each item is from; and the release whose models made it."""

    release: Release
    track_ids: list[int]
    scores: list[float]
    sources: list[int]
    reasons: list[dict[str, Any]]
    model_version: int

    def page(self, offset: int, limit: int) -> dict[str, Any]:
        """Return the fields of contract.Answer."""
        part = slice(offset, offset + limit)
        items = [
            {"rank": rank, "track_id": track_id, "score": round(score, DIGITS), "reason": reason}
            for rank, (track_id, score, reason) in enumerate(
                zip(self.track_ids[part], self.scores[part], self.reasons[part], strict=True), offset + 1
            )
        ]
        return {
            "items": items,
            "model_version": self.model_version,
            "released_at": self.release.released_at.isoformat(),
            "source": NAMES[self.sources[offset]] if offset < len(self.sources) else POPULAR,
        }


def from_stored(state: State, stored: StoredList, k: int) -> Made:
    """Return the first k items of a released list without the tracks that were removed since."""
    of_model, of_genres = stored.model_items, stored.model_items + stored.genre_items
    made = Made(state.release, [], [], [], [], stored.model_version)
    items = zip(stored.track_ids, stored.scores, stored.reasons, strict=True)
    for place, (track_id, score, reason) in enumerate(items):
        if len(made.track_ids) == k:
            break
        if state.has_track(track_id):
            made.track_ids.append(track_id)
            made.scores.append(score)
            made.sources.append(
                list_rows.MODEL if place < of_model else list_rows.GENRES if place < of_genres else list_rows.POPULAR
            )
            made.reasons.append(_present_reason(state, _parsed(reason)))
    return made


def made_now(
    state: State,
    heard: Heard,
    list_name: str,
    k: int,
    *,
    recent: Sequence[int] = (),
    genre: str | None = None,
) -> Made:
    """Return the list of a user, made with the models in memory. One that would be empty is filled as `discover` is.

    Raises NoModelsError.
    """
    scorer, is_candidate = _models(state)
    if genre is not None:
        is_candidate = _of_genre(scorer, is_candidate, genre)
    users = scorer.users(heard, recent, _today())
    lists = scorer.lists(users, list_name, k, is_candidate)
    if list_name == AGAIN and lists.tracks[0, 0] < 0:
        lists = scorer.lists(users, DISCOVER, k, is_candidate, only_fill=True)
        return _made(state, scorer, lists, list_name, scorer.sources[DISCOVER][1:] or scorer.sources[DISCOVER])
    return _made(state, scorer, lists, list_name, scorer.sources[list_name])


def filled(state: State, made: Made, heard: Heard, k: int) -> Made:
    """Return a list for `discover` with popular tracks of the user's genres, then popular ones, up to k tracks.

    Where the models in memory are those of another release, the whole list is made by them.
    """
    scorer, is_candidate = _models(state)
    if scorer.release != made.release:
        return made_now(state, heard, DISCOVER, k)
    is_candidate = is_candidate.copy()
    positions, is_known = find(scorer.catalogue.track_ids, np.array(made.track_ids, np.int64))
    is_candidate[positions[is_known]] = False
    users = scorer.users(heard, (), _today())
    lists = scorer.lists(users, DISCOVER, k - len(made.track_ids), is_candidate, only_fill=True)
    more = _made(state, scorer, lists, DISCOVER, scorer.sources[DISCOVER][1:] or scorer.sources[DISCOVER])
    return Made(
        made.release,
        [*made.track_ids, *more.track_ids],
        [*made.scores, *more.scores],
        [*made.sources, *more.sources],
        [*made.reasons, *more.reasons],
        made.model_version,
    )


def popular(state: State, list_name: str, genre: str | None, k: int) -> Made:
    """Return popular tracks, of one genre or of all. Raises NoModelsError."""
    if genre is not None:
        return made_now(state, Heard(), DISCOVER, k, genre=genre)
    scorer, _ = _models(state)
    return _made(state, scorer, state.popular, list_name, scorer.sources[DISCOVER], k)


def similar(state: State, track_id: int, k: int) -> Made | None:
    """Return what the model recommends to somebody who heard only this track; None for an unknown track."""
    scorer, is_candidate = _models(state)
    positions, is_known = find(scorer.catalogue.track_ids, np.array([track_id], np.int64))
    if not (is_known[0] and is_candidate[positions[0]]):
        return None
    lists = scorer.lists(scorer.users(Heard(), [track_id], _today()), DISCOVER, k, is_candidate)
    return _made(state, scorer, lists, DISCOVER, scorer.sources[DISCOVER])


def _models(state: State) -> tuple[Scorer, Flags]:
    if state.scorer is None:
        raise NoModelsError
    return state.scorer, state.is_candidate


def _of_genre(scorer: Scorer, is_candidate: Flags, genre: str) -> Flags:
    has_genre = np.zeros(len(is_candidate), bool)
    has_genre[scorer.tracks_of_genre.get(genre, [])] = True
    return is_candidate & has_genre


def _made(
    state: State, scorer: Scorer, lists: Lists, list_name: str, sources: Sequence[int], k: int | None = None
) -> Made:
    size = len(lists.tracks[0][lists.tracks[0] >= 0][:k])
    reasons = [_present_reason(state, lists.reasons.of(0, rank, scorer.catalogue)) for rank in range(size)]
    return Made(
        scorer.release,
        scorer.catalogue.track_ids[lists.tracks[0, :size]].tolist(),
        lists.scores[0, :size].tolist(),
        [sources[source] for source in lists.sources[0, :size].tolist()],
        reasons,
        scorer.release.model_versions[list_name],
    )


def _parsed(reason: str) -> dict[str, Any]:
    kind, _, value = reason.partition(" ")
    if kind == "track":
        return {"type": kind, "track_id": int(value)}
    if kind == "genre":
        return {"type": kind, "genre": value}
    return {"type": "popular"}


def _present_reason(state: State, reason: dict[str, Any]) -> dict[str, Any]:
    """Replace a reason that names a removed track: the app could not show it."""
    if "track_id" in reason and not state.has_track(reason["track_id"]):
        return {"type": "popular"}
    return reason


def _today() -> int:
    return number_of(dt.datetime.now(dt.UTC).date())
