"""Fetch one page of the API within limits, retry what can pass, and check the page before use."""

import codecs
import contextlib
import datetime as dt
import email.utils
import functools
import json
import random
import re
import socket
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec
import tenacity
import urllib3

from extract import json_text
from extract.addresses import FROM_ENVIRONMENT, PROXY_VARIABLE, Proxy, check_base_url, environment_variable
from extract.errors import SourceError, one_line
from extract.limits import DEFAULT_LIMITS, Limits
from extract.source_tables import SourceTable
from extract.window import Window
from warehouse.counts import be, count

# 501 and 505: the server does not support the request, so a retry cannot help.
_RETRIED_STATUSES = {408, 429, *range(500, 600)} - {501, 505}
_READ_BYTES = 256 * 1024
_CONNECT_SECONDS = 10.0
_REDIRECTS = {301, 302, 303, 307, 308}
# How some servers answer for a page after the last one.
_NO_SUCH_PAGE = {204, 404}
# Of a refusal that names the largest page: "Input should be less than or equal to 50".
_LARGEST_SIZE = re.compile(r"less than or equal to (\d{1,3})\b")
_OF_A_CONNECTION = re.compile(r"^\w+\(host=.*?\): ")
# http.client's error when a proxy refuses a tunnel; urllib3 puts it into the text of its own.
_TUNNEL_FAILED = re.compile(r"Tunnel connection failed: (\d+) ?([^'\"]*)")
# Failures before a connection exists, which a proxy may avoid.
_NOT_REACHED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
_CHECK_API = "check the API, then run again"


@dataclass(frozen=True)
class Page:
    """Hold one page as the API sent it: `total` rows in the table (None: the API does not say), the JSON text of each
    item, `size_bytes`, and the rows of a full page, if the API serves fewer than were asked for.

    `refusal` is set if the API says that it has no such page: the error to raise unless the table ends before it.
    """

    total: int | None
    items: list[bytes]
    size_bytes: int
    largest_size: int | None = None
    refusal: str | None = None


_Figure = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@dataclass
class Traffic:
    """Count the requests to one endpoint, the failed ones among them, and the bytes of all response bodies after
    decompression."""

    requests: int = 0
    requests_failed: int = 0
    bytes_received: int = 0


class _Envelope(msgspec.Struct):
    total: _Figure | msgspec.UnsetType | None = msgspec.UNSET
    page: _Figure | None = None
    size: _Figure | None = None


@functools.cache
def _decoder(size: int) -> msgspec.json.Decoder:
    """Return a decoder that takes at most `size` + 1 items of a page: a page may hold millions."""
    items = msgspec.defstruct("Items", [(f"item_{n}", msgspec.Raw, None) for n in range(size + 1)], array_like=True)
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", [("items", items)], bases=(_Envelope,), kw_only=True))


class _LimitExceededError(Exception):
    """Report a limit that the page exceeds; a retry cannot help."""

    def __init__(self, what: str, variable: str) -> None:
        super().__init__(what)
        self.variable = variable


class _RetryableError(Exception):
    """Report a failure that may pass; `wait_seconds` is the server's Retry-After (0: none), `advice` is for the case
    that it does not pass."""

    def __init__(
        self, message: str, wait_seconds: float = 0, is_one_too_many: bool = False, advice: str = _CHECK_API
    ) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds
        self.is_one_too_many = is_one_too_many
        self.advice = advice


class Client:
    """Fetch pages from one origin only; safe to use from several threads.

    Up to `window` connections are used. After a 429 all of them pause for as long as the server asks, and fewer are
    used for a while. `close` cuts the open requests, so a server that hangs does not delay the exit.
    """

    def __init__(
        self,
        base_url: str,
        *,
        window: int,
        deadline_seconds: float,
        batch_size: int,
        proxy: Proxy | None = None,
        limits: Limits = DEFAULT_LIMITS,
        traffic: dict[str, Traffic] | None = None,
    ) -> None:
        """Count the requests of each table in `traffic`, by table name."""
        self.base_url = check_base_url(base_url)
        self._proxy = proxy
        self.batch_size = batch_size
        self.limits = limits
        self.deadline_seconds = deadline_seconds
        self._deadline = time.monotonic() + deadline_seconds
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._traffic = {} if traffic is None else traffic
        self._busy: dict[int, tuple[float, socket.socket | None]] = {}
        self._quiet_until = 0.0
        self._paths: dict[str, str] = {}
        self._window = Window(window)
        self._pool = self._connections(window)

    def fetch(self, table: SourceTable, page: int, size: int) -> Page:
        """Fetch page number `page` (from 1) of `table`, with `size` rows per page.

        A page after the first one may be missing; it is returned with a `refusal`. Raises `SourceError` when the server
        refuses or redirects, or when every attempt failed.
        """
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_RetryableError),
            stop=self._is_hopeless,
            wait=self._pause_after,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._attempt, table, page, size)
        except _LimitExceededError as error:
            raise SourceError(
                f"{self._at(table, page)} {error} (limit {error.variable})."
                " Nothing was landed; check what the API sends."
            ) from error
        except _RetryableError as error:
            self.check_deadline(table)
            tries = attempts.statistics["attempt_number"]
            out_of_time = "" if tries >= self.limits.attempts else f" {self._no_time_after(error)}"
            raise SourceError(
                f"{self._at(table, page)} failed {count(tries, 'time')} in a row: {error}."
                f"{out_of_time} Nothing was landed; {error.advice}."
            ) from error

    def seconds_left(self) -> float:
        """Return the seconds until the deadline of the whole extraction; negative after it."""
        return self._deadline - time.monotonic()

    def check_deadline(self, table: SourceTable) -> None:
        """Raise `SourceError` after the deadline."""
        if self.seconds_left() <= 0:
            raise self._too_late(table)

    def cut_overdue(self) -> None:
        """Cut each connection whose attempt has used up its time: a read timeout does not notice a slow trickle."""
        now = time.monotonic()
        with self._lock:
            for ends_at, sock in self._busy.values():
                if sock is not None and now > ends_at:
                    _cut(sock)

    def close(self) -> None:
        """Cut all connections and end all pauses; open requests fail."""
        self._closed.set()
        self._window.open_to_all()
        with self._lock:
            for _, sock in self._busy.values():
                if sock is not None:
                    _cut(sock)
        self._pool.clear()

    def _connections(self, window: int) -> urllib3.PoolManager:
        options = {
            "num_pools": 1,
            "maxsize": window,
            "block": True,
            "retries": False,
            "headers": {"User-Agent": f"moovitamix-elt/{version()}", "Accept": "application/json"},
        }
        if self._proxy:
            pool = urllib3.ProxyManager(self._proxy.address, proxy_headers=self._proxy.headers, **options)
        else:
            pool = urllib3.PoolManager(**options)
        pool.pool_classes_by_scheme = {
            scheme: type("_Pool", (kind,), {"ConnectionCls": self._watch_sockets(kind.ConnectionCls)})
            for scheme, kind in (
                ("http", urllib3.HTTPConnectionPool),
                ("https", urllib3.HTTPSConnectionPool),
            )
        }
        return pool

    def _watch_sockets(self, kind: type) -> type:
        """Return a subclass of `kind` that registers its socket before it waits for the first byte of a response, or of
        a proxy's answer to CONNECT."""
        note_socket = self._note_socket

        class WatchedConnection(kind):
            def _new_conn(self) -> socket.socket:
                sock = super()._new_conn()
                note_socket(sock)
                return sock

            def getresponse(self) -> urllib3.HTTPResponse:
                note_socket(self.sock)
                return super().getresponse()

        return WatchedConnection

    def _attempt(self, table: SourceTable, page: int, size: int) -> Page:
        try:
            with self._window.slot(self.seconds_left()) as slot:
                try:
                    answer = self._answer(table, page, size)
                except _RetryableError as error:
                    if error.is_one_too_many:
                        self._window.narrow(slot)
                    raise
        except TimeoutError:
            raise self._too_late(table) from None
        self._window.widen()
        return answer

    def _answer(self, table: SourceTable, page: int, size: int) -> Page:
        self._sleep(self._quiet_until - time.monotonic())
        seconds = min(self.limits.attempt_seconds, self.seconds_left())
        if self._closed.is_set() or seconds <= 0:
            raise self._too_late(table)
        me = threading.get_ident()
        ends_at = time.monotonic() + seconds
        with self._lock:
            self._busy[me] = (ends_at, None)
        with self._count_attempt(table) as traffic:
            try:
                body, refusal = self._body(table, page, size, ends_at, traffic)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise self._connection_error(table, page, error, ends_at) from error
            finally:
                with self._lock:
                    del self._busy[me]
            if refusal:
                return Page(None, [], len(body), refusal=refusal)
            return read_page(body, page=page, size=size, limits=self.limits)

    @contextlib.contextmanager
    def _count_attempt(self, table: SourceTable) -> Iterator[Traffic]:
        """Count an attempt, and its failure; one that `close` cuts has not failed."""
        with self._lock:
            traffic = self._traffic.setdefault(table.name, Traffic())
            traffic.requests += 1
        try:
            yield traffic
        except BaseException:
            if not self._closed.is_set():
                with self._lock:
                    traffic.requests_failed += 1
            raise

    def _body(
        self, table: SourceTable, page: int, size: int, ends_at: float, traffic: Traffic
    ) -> tuple[bytearray, str | None]:
        """Return the body of the page, and the refusal if the server says that there is no such page."""
        path = self._paths.get(table.name, table.path)
        response, body = self._get(path, page, size, ends_at, traffic)
        if response.status in _REDIRECTS and (other := self._other_spelling(path, page, size, response)):
            with self._lock:
                traffic.requests += 1
            response, body = self._get(other, page, size, ends_at, traffic)
            if response.status == 200:
                # the other pages need no detour
                self._paths[table.name] = other
        return body, self._check_status(table, page, size, response, body)

    def _other_spelling(self, path: str, page: int, size: int, response: urllib3.BaseHTTPResponse) -> str | None:
        """Return `path` with or without its last slash, if the redirect asks for this and nothing else."""
        other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
        asked = f"{self.base_url}{path}?page={page}&size={size}"
        try:
            target = urlsplit(urljoin(asked, response.headers.get("Location", "")))
            wanted = urlsplit(f"{self.base_url}{other}?page={page}&size={size}")
            is_only_slash = (_origin(target), target.path, target.query, target.fragment) == (
                _origin(wanted), wanted.path, wanted.query, "",
            )  # fmt: skip
        except ValueError:
            return None
        return other if is_only_slash else None

    def _get(
        self, path: str, page: int, size: int, ends_at: float, traffic: Traffic
    ) -> tuple[urllib3.BaseHTTPResponse, bytearray]:
        # A redirect may have used up the time.
        seconds = max(0.01, ends_at - time.monotonic())
        response = self._pool.request(
            "GET",
            f"{self.base_url}{path}",
            fields={"page": str(page), "size": str(size)},
            preload_content=False,
            redirect=False,
            pool_timeout=seconds,
            timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds),
        )
        is_whole = False
        body = bytearray()
        try:
            while chunk := response.read1(_READ_BYTES):
                body += chunk
                if len(body) > self.limits.page_bytes:
                    raise _LimitExceededError(
                        f"is larger than {count(self.limits.page_bytes, 'byte')}", "MAX_PAGE_BYTES"
                    )
                if time.monotonic() > ends_at:
                    break
            # Checked after the body has ended, too: a cut connection looks like a closed one.
            if time.monotonic() > ends_at:
                raise _RetryableError(self._too_slow())
            is_whole = True
        finally:
            with self._lock:
                traffic.bytes_received += len(body)
            if not is_whole:
                response.close()
            # Also after a close: otherwise the pool would lose this connection's slot.
            response.release_conn()
        return response, body

    def _check_status(
        self, table: SourceTable, page: int, size: int, response: urllib3.BaseHTTPResponse, body: bytearray
    ) -> str | None:
        """Return the refusal if the server says that there is no such page. Raises an error for all others."""
        status = response.status
        if status == 200:
            return None
        if status == 407 and self._proxy:
            raise self._proxy_error(table, page, "407 Proxy Authentication Required", self._proxy)
        answer = f"status {status} ({one_line(body[:1000].decode(errors='replace'), 120) or 'empty body'})"
        if status in _RETRIED_STATUSES:
            wait_seconds = _retry_after_seconds(response.headers.get("Retry-After")) if status in (429, 503) else 0
            if wait_seconds:
                self._quiet_until = max(self._quiet_until, time.monotonic() + wait_seconds)
            raise _RetryableError(answer, wait_seconds, is_one_too_many=status == 429)
        if 300 <= status < 400:
            target = one_line(response.headers.get("Location", "nowhere"), 120)
            raise SourceError(
                f"{self._at(table, page)} redirects to {target}: only the configured address is read."
                " Nothing was landed; set API_BASE_URL to the correct address."
            )
        refusal = f"{self._at(table, page)} answered {answer}. Nothing was landed; {_advice(status, body, size)}."
        if page > 1 and status in _NO_SUCH_PAGE:
            return refusal
        raise SourceError(refusal)

    def _is_hopeless(self, state: tenacity.RetryCallState) -> bool:
        return (
            self._closed.is_set()
            or state.attempt_number >= self.limits.attempts
            or state.upcoming_sleep > self.seconds_left()
        )

    def _pause_after(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_seconds if isinstance(error, _RetryableError) else 0
        grown = self.limits.first_wait_seconds * 2 ** (state.attempt_number - 1)
        return max(asked, min(self.limits.longest_wait_seconds, grown) * random.uniform(0.5, 1))

    def _sleep(self, seconds: float) -> None:
        seconds = min(seconds, self.seconds_left())
        if seconds > 0:
            self._closed.wait(seconds)

    def _note_socket(self, sock: socket.socket) -> None:
        me = threading.get_ident()
        with self._lock:
            self._busy[me] = (self._busy[me][0], sock)
        if self._closed.is_set():
            _cut(sock)

    def _connection_error(
        self, table: SourceTable, page: int, error: Exception, ends_at: float
    ) -> _RetryableError | SourceError:
        """Return what a failed connection means, which may be the proxy's fault."""
        if self._proxy:
            advice = f"check {self._proxy.variable}, then run again"
            if refusal := _TUNNEL_FAILED.search(str(error)):
                answer = one_line(f"{refusal[1]} {refusal[2]}".strip(), 120)
                if int(refusal[1]) not in _RETRIED_STATUSES:
                    return self._proxy_error(table, page, answer, self._proxy)
                return _RetryableError(f"the proxy {self._proxy.address} answered {answer}", advice=advice)
            if isinstance(error, urllib3.exceptions.ProxyError):
                cause = self._describe(error.original_error, ends_at)
                return _RetryableError(f"the proxy {self._proxy.address} cannot be reached: {cause}", advice=advice)
            # Reading an answer may take until `ends_at`.
            if isinstance(error, urllib3.exceptions.ReadTimeoutError) and time.monotonic() < ends_at:
                what = f"opened no connection within {_CONNECT_SECONDS:g} seconds"
                return _RetryableError(f"the proxy {self._proxy.address} {what}", advice=advice)
        elif isinstance(error, _NOT_REACHED) and (variable := environment_variable(self.base_url)):
            advice = f"{variable} is set and not used; set {PROXY_VARIABLE}={FROM_ENVIRONMENT} to use it"
            return _RetryableError(self._describe(error, ends_at), advice=advice)
        return _RetryableError(self._describe(error, ends_at))

    def _proxy_error(self, table: SourceTable, page: int, answer: str, proxy: Proxy) -> SourceError:
        advice = f"check {proxy.variable}, or ask the owner of the proxy"
        if answer.startswith("407") and proxy.headers:
            advice = f"correct the user and the password in {proxy.variable}"
        elif answer.startswith("407"):
            advice = f"put a user and a password into {proxy.variable}: http://user:password@proxy:3128"
        return SourceError(
            f"{self._at(table, page)} was refused by the proxy {proxy.address} ({answer})."
            f" Nothing was landed; {advice}."
        )

    def _describe(self, error: Exception, ends_at: float) -> str:
        if time.monotonic() >= ends_at or isinstance(error, urllib3.exceptions.ReadTimeoutError):
            return self._too_slow()
        for part in error.args:
            if isinstance(part, urllib3.exceptions.IncompleteRead):
                return one_line(f"the answer ended after {count(part.partial, 'byte')}, {part.expected} too early", 160)
        # urllib3 begins with the name of its class, or of ours
        return one_line(_OF_A_CONNECTION.sub("", str(getattr(error, "reason", None) or error)), 160)

    def _too_late(self, table: SourceTable) -> SourceError:
        are = be(self.deadline_seconds)
        return SourceError(
            f"{self.base_url}{table.path}: the {count(self.deadline_seconds, 'second')} for the whole extraction {are}"
            " over (limit MAX_SECONDS). Nothing was landed; raise the limit or check the API."
        )

    def _no_time_after(self, error: _RetryableError) -> str:
        wait, whole = count(error.wait_seconds, "second"), count(self.deadline_seconds, "second")
        wanted = f"The server asks to wait {wait}, and there" if error.wait_seconds else "There"
        return (
            f"{wanted} is no time for another try: {self.seconds_left():.0f} of the {whole}"
            " for the whole extraction are left (limit MAX_SECONDS)."
        )

    def _too_slow(self) -> str:
        return f"no whole answer within {count(self.limits.attempt_seconds, 'second')}"

    def _at(self, table: SourceTable, page: int) -> str:
        return f"{self.base_url}{table.path} page {page}"


def read_page(body: bytes | bytearray, *, page: int, size: int, limits: Limits = DEFAULT_LIMITS) -> Page:
    """Parse and check the body of a page.

    Raises an error that makes the client retry when it is not the requested page, and one that ends the extraction when
    it exceeds a limit.
    """
    size_bytes = len(body)
    encoding = json.detect_encoding(body)
    if not encoding.startswith("utf-8"):
        raise _RetryableError(f"the page seems to be encoded as {encoding.upper()}, and only UTF-8 is read")
    if encoding == "utf-8-sig":
        body = body[len(codecs.BOM_UTF8) :]
    if len(body) > limits.string_bytes and json_text.longest_string(body) > limits.string_bytes:
        raise _LimitExceededError(
            f"holds a string of more than {count(limits.string_bytes, 'byte')}", "MAX_STRING_BYTES"
        )
    envelope, items = _content(body, size, limits)
    # Without a total, only the page's own number shows that this is a page, and not an error or a greeting.
    if envelope.total is msgspec.UNSET and envelope.page is None:
        raise _RetryableError(f"neither `total` nor `page`: {_excerpt(body)}")
    is_smaller = page == 1 and envelope.size is not None and 0 < envelope.size < size
    if envelope.page not in (None, page) or (envelope.size not in (None, size) and not is_smaller):
        raise _RetryableError(
            f"page {envelope.page} of size {envelope.size} came where page {page} of size {size} was asked"
        )
    size = envelope.size if is_smaller else size
    if len(items) > size:
        raise _RetryableError(f"more than {count(size, 'row')} on a page of {size}")
    total = None if envelope.total is msgspec.UNSET else envelope.total
    return Page(total, items, size_bytes, envelope.size if is_smaller else None)


def version() -> str:
    """Return this project's version from pyproject.toml."""
    project = Path(__file__).resolve().parent.parent / "pyproject.toml"
    return tomllib.loads(project.read_text())["project"]["version"]


def _content(body: bytes | bytearray, size: int, limits: Limits) -> tuple[_Envelope, list[bytes]]:
    """Return the envelope and the items, at most `size` + 1 of them."""
    try:
        envelope = _decoder(size).decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return _parse_leniently(body, size, limits, str(error))
    items = [bytes(item) for item in msgspec.structs.astuple(envelope.items) if item is not None]
    if _brackets(body) - sum(map(_brackets, items)) > limits.depth:
        return _parse_leniently(body, size, limits, "nested deep")
    return envelope, items


def _brackets(text: bytes | bytearray) -> int:
    return text.count(b"[") + text.count(b"{")


def _parse_leniently(
    body: bytes | bytearray, size: int, limits: Limits, complaint: str
) -> tuple[_Envelope, list[bytes]]:
    """Parse a page with a row that no decoder accepts; only that row is set aside later."""
    fields = json_text.members(bytes(body))
    names = [name for name, _ in fields or []]
    items = json_text.elements(dict(fields or []).get(b'"items"', b""), size + 1)
    if items is None or len(set(names)) != len(names):
        raise _RetryableError(f"not a page of JSON ({one_line(complaint, 100)}): {_excerpt(body)}")
    rest = b",".join(name + b":" + value for name, value in fields if name != b'"items"')
    if json_text.depth(rest) > limits.depth:
        raise _LimitExceededError(f"is nested deeper than {limits.depth} outside its items", "MAX_DEPTH")
    try:
        return msgspec.json.decode(b"{" + rest + b"}", type=_Envelope), items
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise _RetryableError(f"not a page of JSON ({one_line(error, 100)}): {_excerpt(body)}") from error


def _origin(address: SplitResult) -> tuple[object, ...]:
    port = address.port or {"http": 80, "https": 443}.get(address.scheme)
    return address.scheme, address.hostname, port, address.username, address.password


def _advice(status: int, body: bytes | bytearray, size: int) -> str:
    """Return what to do about a refusal; one of the page's size often names the largest one."""
    if status not in (400, 413, 422):
        return "check API_BASE_URL and BATCH_SIZE"
    largest = _LARGEST_SIZE.search(body[:_READ_BYTES].decode(errors="replace"))
    if largest and 0 < int(largest[1]) < size:
        return f"set BATCH_SIZE={int(largest[1])}"
    return "check API_BASE_URL, or set a smaller BATCH_SIZE, such as BATCH_SIZE=50"


def _excerpt(body: bytes | bytearray) -> str:
    """Quote the beginning of the body, unless it may hold rows: messages are stored, sent and reported."""
    if b"{" in body or b"[" in body:
        return f"{count(len(body), 'byte')}, not quoted because they may contain rows"
    return json.dumps(one_line(body[:80].decode(errors="replace"), 60), ensure_ascii=False)


def _retry_after_seconds(header: str | None) -> float:
    """Return the seconds of a Retry-After header (seconds or a date); 0 when it is unusable."""
    if not header:
        return 0
    try:
        return max(0.0, float(header)) if float(header) < float("inf") else 0
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())


def _cut(sock: socket.socket) -> None:
    # The socket may be closed already.
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
