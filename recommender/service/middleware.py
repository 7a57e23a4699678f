"""Check the key, limit the body, and log and count each request. Written for ASGI: a layer less per request."""

import base64
import binascii
import hashlib
import hmac
import json
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from recommender.service import service_metrics
from recommender.service.request_log import log_event

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/health/live", "/health/ready")
MOST_BYTES = 64 << 10
UNKNOWN_ROUTE, NO_SOURCE = "unknown", "none"
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Middleware:
    """Wrap the application. `api_key` None: no request needs one."""

    def __init__(self, app: Callable, api_key: str | None) -> None:
        self._app = app
        self._key = _digest(api_key.encode()) if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_and_note(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            if self._key and scope["path"] not in OPEN_PATHS and not self._has_key(scope):
                await _refuse(send_and_note)
            else:
                await self._app(scope, _limit_body(scope, receive), send_and_note)
        except Exception as error:
            # it is answered already; without its text, which may quote a person's data
            place = traceback.extract_tb(error.__traceback__)[-1]
            log_event("error", error=type(error).__name__, file=place.filename.rpartition("/")[2], line=place.lineno)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            method = scope["method"] if scope["method"] in METHODS else UNKNOWN_ROUTE
            source, release_id, read_from = scope.get("answer", (NO_SOURCE, None, None))
            if read_from:
                service_metrics.LISTS.labels(read_from).inc()
            service_metrics.observe(method, route, status, source, seconds)
            log_event(
                "request",
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                source=source,
                release=release_id,
                read_from=read_from,
            )

    def _has_key(self, scope: Scope) -> bool:
        return any(hmac.compare_digest(_digest(key), self._key) for key in _keys(scope))


def _keys(scope: Scope) -> list[bytes]:
    """Return the keys in a request: `Authorization: Bearer KEY`, Basic with the key as password, or `X-API-Key`."""
    found = []
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            found.append(value)
        elif name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer":
                found.append(rest.strip())
            elif scheme.lower() == b"basic":
                try:
                    found.append(base64.b64decode(rest, validate=True).partition(b":")[2])
                except binascii.Error:
                    continue
    return found


def _digest(key: bytes) -> bytes:
    """Return a hash, so that comparing takes the same time for every length."""
    return hashlib.sha256(key).digest()


def _limit_body(scope: Scope, receive: Receive) -> Receive:
    if scope["method"] in ("GET", "HEAD"):
        return receive
    size = 0

    async def receive_within_limit() -> MutableMapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MOST_BYTES:
            raise HTTPException(413, f"the body has more than {MOST_BYTES >> 10} KB")
        return message

    return receive_within_limit


async def _refuse(send: Send) -> None:
    body = json.dumps({"detail": "the key is missing or wrong"}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b'Bearer, Basic realm="moovitamix"'),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
