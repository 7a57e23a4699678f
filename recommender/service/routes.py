"""Define the routes for the app."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response

from recommender.releases import AGAIN, DISCOVER
from recommender.service import answers
from recommender.service.answers import RankedList
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
    UserPath,
)
from recommender.service.parameters import RequestRoute, describe_parameters, parse_path, parse_query
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
# Those that are asked most, and read their own parameters.
fast_router = APIRouter(responses=PROBLEMS, route_class=RequestRoute)


@fast_router.get(
    "/users/{user_id}/recommendations",
    response_model=Recommendations,
    tags=["recommendations"],
    openapi_extra=describe_parameters(ListQuery, UserPath),
)
async def recommend(request: Request) -> Response:
    """Return a list of a user: `discover`, tracks the user has not heard, or `again`, tracks the user knows."""
    user_id = parse_path(request, UserPath).user_id
    asked = parse_query(request, ListQuery)
    state = get_state(request)
    ranked = await _find_list(request, state, user_id, asked.list, asked.offset + asked.limit, asked.genre, asked.fresh)
    return respond(
        request, ranked, {"user_id": user_id, "list": asked.list, **ranked.make_page(asked.offset, asked.limit)}
    )


@router.post("/users/{user_id}/recommendations", response_model=Recommendations, tags=["recommendations"])
async def recommend_in_session(request: Request, user_id: UserId, session: Session) -> Response:
    """Return a list that already counts the tracks the user has just heard."""
    state = get_state(request)
    history = answers.UserHistory()
    if state.has_user(user_id):
        history = await get_reads(request).read_history(user_id)
    ranked = answers.make_list(state, history, session.list, session.limit, recent=session.recent)
    return respond(request, ranked, {"user_id": user_id, "list": session.list, **ranked.make_page(0, session.limit)})


@router.get(
    "/tracks/{track_id}/similar",
    response_model=SimilarTracks,
    responses={404: {"model": Problem, "description": "There is no such track."}},
    tags=["tracks"],
)
async def find_similar(request: Request, track_id: TrackId, limit: Limit = 20) -> Response:
    """Return tracks for those who like this one."""
    ranked = answers.list_similar(get_state(request), track_id, limit)
    if ranked is None:
        raise HTTPException(404, f"there is no track {track_id} in the released catalogue")
    return respond(request, ranked, {"track_id": track_id, **ranked.make_page(0, limit)})


@fast_router.get(
    "/popular", response_model=PopularTracks, tags=["tracks"], openapi_extra=describe_parameters(PageQuery)
)
async def find_popular(request: Request) -> Response:
    """Return tracks that many users heard lately."""
    asked = parse_query(request, PageQuery)
    ranked = answers.list_popular(get_state(request), DISCOVER, asked.genre, asked.offset + asked.limit)
    return respond(request, ranked, ranked.make_page(asked.offset, asked.limit))


async def _find_list(
    request: Request, state: State, user_id: int, list_name: str, k: int, genre: str | None, fresh: bool
) -> RankedList:
    if not state.has_user(user_id):
        return answers.list_popular(state, list_name, genre, k)
    reads = get_reads(request)
    if genre is None and not fresh:
        cached: CachedLists = request.app.state.cached_lists
        stored = await cached.read_list(state, user_id, list_name)
        request.scope["read_from"] = "cache"
        if stored is None:
            request.scope["read_from"] = "warehouse"
            stored = await reads.read_list(state.release.release_id, user_id, list_name)
        if stored is not None:
            ranked = answers.drop_removed(state, stored, k)
            is_enough = len(ranked.track_ids) >= k or list_name == AGAIN or state.models is None
            if is_enough and ranked.track_ids:
                return ranked
            return answers.fill_list(state, ranked, await reads.read_history(user_id), k)
    request.scope["read_from"] = "models"
    return answers.make_list(state, await reads.read_history(user_id), list_name, k, genre=genre)


def get_state(request: Request) -> State:
    """Return the state that answers this request. Raises HTTPException(503)."""
    refresher: Refresher = request.app.state.refresher
    state = refresher.current()
    if state is None:
        raise make_unavailable(refresher.problem or "the state is too old")
    return state


def get_reads(request: Request) -> WarehouseReads:
    return request.app.state.reads


def make_unavailable(detail: str) -> HTTPException:
    return HTTPException(503, detail, {"Retry-After": "1"})


def respond(request: Request, ranked: RankedList, content: dict[str, Any]) -> Response:
    """Return the content as JSON, and note for the log where it is from. Validating it again would double the time."""
    request.scope["answer"] = (content["source"], ranked.release.release_id, request.scope.get("read_from", "models"))
    return Response(msgspec.json.encode(content), media_type="application/json")
