"""Define the routes that say how the service is, for load balancers and Prometheus."""

import asyncio
import time

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from recommender.service import service_metrics
from recommender.service.cached_lists import CachedLists
from recommender.service.contract import Live, Problem, Readiness
from recommender.service.state import Refresher

SECONDS_BETWEEN = 1
LOADING = "the models of the release are being loaded"

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def is_live() -> Live:
    """Return that the process answers."""
    return Live(status="live")


@router.get("/health/ready", responses={503: {"model": Readiness, "description": "It does not answer requests now."}})
async def is_ready(request: Request, response: Response) -> Readiness:
    """Return whether requests are answered, and what needs attention."""
    found = find_readiness(request.app)
    if found.status == "not ready":
        response.status_code, response.headers["Retry-After"] = 503, "1"
    return found


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        401: {"model": Problem, "description": "The key is missing or wrong."},
    },
)
async def show_metrics() -> Response:
    """Return the metrics of all workers for Prometheus."""
    return Response(service_metrics.render(), headers={"Content-Type": service_metrics.CONTENT_TYPE})


def find_readiness(app: FastAPI) -> Readiness:
    """Return how this worker is."""
    refresher: Refresher = app.state.refresher
    cached: CachedLists = app.state.cached_lists
    state = refresher.current()
    if state is None or (state.models is None and not refresher.model_problem):
        problem = LOADING if state else refresher.problem or "the state is too old"
        return Readiness(status="not ready", problems=[problem], release_id=None, released_at=None)
    problems = []
    if refresher.problem:
        problems.append(refresher.problem)
    if not refresher.has_models:
        problems.append(refresher.model_problem or LOADING)
    if cached.is_used and cached.problem:
        problems.append(f"the cache does not answer: {cached.problem}")
    release = state.release
    return Readiness(
        status="degraded" if problems else "ready",
        problems=problems,
        release_id=release.release_id,
        released_at=release.released_at,
    )


async def keep_gauges(app: FastAPI) -> None:
    """Set the gauges of this worker each second."""
    refresher: Refresher = app.state.refresher
    cached: CachedLists = app.state.cached_lists
    while True:
        state = refresher.current()
        service_metrics.READY.set(state is not None)
        service_metrics.REFRESHED.set(time.time() - refresher.age if refresher.has_refreshed else 0)
        service_metrics.RELEASE.set(state.release.release_id if state else 0)
        service_metrics.MODELS.set(refresher.has_models)
        if cached.is_used:
            service_metrics.CACHE.set(cached.problem is None)
        await asyncio.sleep(SECONDS_BETWEEN)
