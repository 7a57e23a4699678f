"""Define the routes for the app."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response

from recommender.releases import AGAIN, DISCOVER
from recommender.service import answers
from recommender.service.answers import Made
from recommender.service.cached_lists import CachedLists
from recommender.service.contract import (
    LARGEST_ID,
    MOST_ITEMS,
    ListQuery,
    PageQuery,
    PopularTracks,
    Problem,
    Recommendations,
    Session,
    SimilarTracks,
)
from recommender.service.parameters import described, parse_query
from recommender.service.state import Refresher, State
from recommender.service.warehouse_reads import WarehouseReads

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "The key is missing or wrong."},
    422: {"model": Problem, "description": "A parameter is wrong."},
    503: {"model": Problem, "description": "There is no answer now; Retry-After says when to repeat the request."},
}
UserId = Annotated[int, Path(ge=-LARGEST_ID, le=LARGEST_ID)]
TrackId = Annotated[int, Path(ge=-LARGEST_ID, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS)]

router = APIRouter(responses=PROBLEMS)


@router.get(
    "/users/{user_id}/recommendations",
    response_model=Recommendations,
    tags=["recommendations"],
    openapi_extra=described(ListQuery),
)
async def recommend(request: Request, user_id: UserId) -> Response:
    """Return a list of a user: `discover`, tracks the user has not heard, or `again`, tracks the user knows."""
    asked = parse_query(request, ListQuery)
    state = state_of(request)
    made = await _made(request, state, user_id, asked.list, asked.offset + asked.limit, asked.genre, asked.fresh)
    return answer(request, made, {"user_id": user_id, "list": asked.list, **made.page(asked.offset, asked.limit)})


@router.post("/users/{user_id}/recommendations", response_model=Recommendations, tags=["recommendations"])
async def recommend_in_session(request: Request, user_id: UserId, session: Session) -> Response:
    """Return a list that already counts the tracks the user has just heard."""
    state = state_of(request)
    heard = answers.Heard()
    if state.has_user(user_id):
        heard = await reads_of(request).heard(user_id)
    made = answers.made_now(state, heard, session.list, session.limit, recent=session.recent)
    return answer(request, made, {"user_id": user_id, "list": session.list, **made.page(0, session.limit)})


@router.get(
    "/tracks/{track_id}/similar",
    response_model=SimilarTracks,
    responses={404: {"model": Problem, "description": "There is no such track."}},
    tags=["tracks"],
)
async def find_similar(request: Request, track_id: TrackId, limit: Limit = 20) -> Response:
    """Return tracks for those who like this one."""
    made = answers.similar(state_of(request), track_id, limit)
    if made is None:
        raise HTTPException(404, f"there is no track {track_id} in the released catalogue")
    return answer(request, made, {"track_id": track_id, **made.page(0, limit)})


@router.get("/popular", response_model=PopularTracks, tags=["tracks"], openapi_extra=described(PageQuery))
async def find_popular(request: Request) -> Response:
    """Return tracks that many users heard lately."""
    asked = parse_query(request, PageQuery)
    made = answers.popular(state_of(request), DISCOVER, asked.genre, asked.offset + asked.limit)
    return answer(request, made, made.page(asked.offset, asked.limit))


async def _made(
    request: Request, state: State, user_id: int, list_name: str, k: int, genre: str | None, fresh: bool
) -> Made:
    if not state.has_user(user_id):
        return answers.popular(state, list_name, genre, k)
    reads = reads_of(request)
    if genre is None and not fresh:
        cached: CachedLists = request.app.state.cached_lists
        stored = await cached.stored_list(state, user_id, list_name)
        request.scope["read_from"] = "cache"
        if stored is None:
            request.scope["read_from"] = "warehouse"
            stored = await reads.stored_list(state.release.release_id, user_id, list_name)
        if stored is not None:
            made = answers.from_stored(state, stored, k)
            is_enough = len(made.track_ids) >= k or list_name == AGAIN or state.scorer is None
            if is_enough and made.track_ids:
                return made
            return answers.filled(state, made, await reads.heard(user_id), k)
    request.scope["read_from"] = "models"
    return answers.made_now(state, await reads.heard(user_id), list_name, k, genre=genre)


def state_of(request: Request) -> State:
    """Return the state that answers this request. Raises HTTPException(503)."""
    refresher: Refresher = request.app.state.refresher
    state = refresher.current()
    if state is None:
        raise unavailable(refresher.problem or "the state is too old")
    return state


def reads_of(request: Request) -> WarehouseReads:
    return request.app.state.reads


def unavailable(detail: str) -> HTTPException:
    return HTTPException(503, detail, {"Retry-After": "1"})


def answer(request: Request, made: Made, content: dict[str, Any]) -> Response:
    """Return the content as JSON, and note for the log where it is from. Validating it again would double the time."""
    request.scope["answer"] = (content["source"], made.release.release_id, request.scope.get("read_from", "models"))
    return Response(msgspec.json.encode(content), media_type="application/json")
