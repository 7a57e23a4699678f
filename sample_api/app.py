"""Serve the API over HTTP: four routes, behind a middleware with the faults of requests and answers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sample_api.contract import ListenHistoryOut, PageCustomized, TracksOut, UsersOut, openapi_document
from sample_api.faults import Faults, Rule, faults_from
from sample_api.served_rows import RowsByTable, ServedRows
from sample_api.world import Snapshot

# The order in which faults are tried: the first that hits makes the answer.
ANSWERS = ("hang", "down", "redirect", "rate_limit", "server_error", "error_body", "html")

PageNumber = Annotated[int, Query(ge=1, description="Page number")]
PageSize = Annotated[int, Query(ge=1, le=100)]


@dataclass
class Requests:
    """Record the requests: count per path, every target in order of arrival, the last headers.

    `after_answer` is called with the path after each answer, before the next request is handled: a test can change
    the rows between two pages of a sequential reader.
    """

    paths: Counter[str] = field(default_factory=Counter)
    targets: list[str] = field(default_factory=list)
    last_headers: dict[str, str] = field(default_factory=dict)
    in_flight: int = 0
    max_in_flight: int = 0
    after_answer: Callable[[str], None] | None = None

    @property
    def total(self) -> int:
        return self.paths.total()

    def reset(self) -> None:
        """Reset everything except the requests in flight."""
        self.paths = Counter()
        self.targets = []
        self.last_headers = {}
        self.max_in_flight = self.in_flight


# Declared once: FastAPI takes 15 ms for these routes, and each test creates an app; `include_router` takes as long.
_router = APIRouter()


@_router.get("/")
async def docs_redirect() -> RedirectResponse:
    return RedirectResponse("/docs")


@_router.get("/tracks", tags=["HTTP methods"], response_model=PageCustomized[TracksOut])
async def get_tracks(request: Request, page: PageNumber = 1, size: PageSize = 100) -> Response:
    return _page(request, "tracks", page, size)


@_router.get("/users", tags=["HTTP methods"], response_model=PageCustomized[UsersOut])
async def get_users(request: Request, page: PageNumber = 1, size: PageSize = 100) -> Response:
    return _page(request, "users", page, size)


@_router.get("/listen_history", tags=["HTTP methods"], response_model=PageCustomized[ListenHistoryOut])
async def get_listen_history(request: Request, page: PageNumber = 1, size: PageSize = 100) -> Response:
    return _page(request, "listen_history", page, size)


def _page(request: Request, table: str, page: int, size: int) -> Response:
    return Response(request.app.state.rows.page(table, page, size), media_type="application/json")


def create_app(rows: RowsByTable | Snapshot, faults: Faults | Iterable[str] = ()) -> FastAPI:
    """Create the API over these rows: a snapshot of a world, or rows per table (dicts, or the JSON bytes of a row).

    `app.state` holds `rows` (ServedRows), `faults` (Faults) and `requests` (Requests). Raises ValueError for
    an unknown table or fault.
    """
    app = FastAPI(
        title="MooVitamix", description="A music recommendation system.", version="1.1", routes=_router.routes
    )
    app.state.faults = faults_from(faults)
    app.state.rows = ServedRows(rows, app.state.faults)
    app.state.requests = Requests()
    app.openapi = lambda: openapi_document(app)
    app.add_middleware(_Misbehaviour, faults=app.state.faults, requests=app.state.requests)
    return app


class _Misbehaviour:
    """Count requests, and let faults delay, replace or truncate the answer."""

    def __init__(self, app: ASGIApp, faults: Faults, requests: Requests) -> None:
        self.app = app
        self.faults = faults
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        requests = self.requests
        query = scope["query_string"].decode("latin-1")
        requests.paths[scope["path"]] += 1
        requests.targets.append(f"{scope['path']}?{query}" if query else scope["path"])
        requests.last_headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        requests.in_flight += 1
        requests.max_in_flight = max(requests.max_in_flight, requests.in_flight)
        try:
            await self._answer(scope, receive, send)
        finally:
            requests.in_flight -= 1
        if requests.after_answer:
            requests.after_answer(scope["path"])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if self.faults.rule(path.removesuffix("/"), "slash"):
            if not path.endswith("/"):
                await _with_slash(scope)(scope, receive, send)
                return
            path = path.removesuffix("/")
            scope = {**scope, "path": path}
        if slow := self.faults.strike(path, "latency"):
            await asyncio.sleep(slow.value)
        most = self.faults.rule(path, "refused_size")
        if most and _size(scope) > most.value and most.strikes(path):
            await _refusal_of_size(most.value)(scope, receive, send)
            return
        rule = self.faults.strike(path, *ANSWERS)
        if rule is None:
            cut = self.faults.strike(path, "truncated")
            await self.app(scope, receive, _cut_short(send) if cut else send)
        elif rule.name == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            await _wrong_answer(rule)(scope, receive, send)


def _with_slash(scope: Scope) -> Response:
    return RedirectResponse(f"{scope['path']}/?{scope['query_string'].decode('latin-1')}", status_code=307)


def _size(scope: Scope) -> int:
    """Return the rows per page that the request asks for; 0 for a size that is no number."""
    (size,) = parse_qs(scope["query_string"].decode("latin-1")).get("size", ["100"])[-1:]
    return int(size) if size.isdecimal() else 0


def _refusal_of_size(most: int) -> Response:
    problem = {
        "type": "less_than_equal",
        "loc": ["query", "size"],
        "msg": f"Input should be less than or equal to {most}",
        "ctx": {"le": most},
    }
    return JSONResponse({"detail": [problem]}, status_code=422)


def _wrong_answer(rule: Rule) -> Response:
    if rule.name == "down":
        return JSONResponse({"detail": "Service Unavailable"}, status_code=503)
    if rule.name == "redirect":
        return RedirectResponse(rule.value, status_code=302)
    if rule.name == "rate_limit":
        wait = {"Retry-After": str(rule.value.option)}
        return JSONResponse({"detail": "Too Many Requests"}, status_code=429, headers=wait)
    if rule.name == "server_error":
        return Response("Internal Server Error", status_code=500, media_type="text/plain")
    if rule.name == "error_body":
        return JSONResponse({"error": "the database is away"})
    return HTMLResponse("<!doctype html><title>Welcome</title><h1>It works!</h1>")


def _cut_short(send: Send) -> Send:
    """Send only half of the body, with the full Content-Length."""

    async def send_half(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            # "More to come" that never comes makes the server close the connection.
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return send_half
