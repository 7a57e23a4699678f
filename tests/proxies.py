"""Run a forwarding HTTP proxy: it opens tunnels and forwards plain requests, with or without a login."""

import base64
import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = ("connection", "proxy-authorization", "proxy-connection", "keep-alive", "transfer-encoding")


class ForwardingProxy(ThreadingHTTPServer):
    """Forward what is asked for; `asked` lists the request lines without version, also of refused requests.

    `login` ("user:password") is required if given. `tunnel_status` answers the next requests for a tunnel, in order.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, login: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.login = login
        self.asked: list[str] = []
        self.tunnel_status: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        """Say nothing: clients cut connections on purpose."""


@contextlib.contextmanager
def forwarding_proxy(login: str | None = None) -> Iterator[ForwardingProxy]:
    """Run a proxy, and stop it when the block is left."""
    with ForwardingProxy(login) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ForwardingProxy

    def do_CONNECT(self) -> None:
        self.close_connection = True
        if not self._is_allowed():
            return
        if self.server.tunnel_status:
            return self._refuse(self.server.tunnel_status.pop(0))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.send_response(200)
            self.end_headers()
            threading.Thread(target=_pour, args=(upstream, self.connection), daemon=True).start()
            _pour(self.connection, upstream)

    def do_GET(self) -> None:
        if not self._is_allowed():
            return
        address = urlsplit(self.path)
        api = http.client.HTTPConnection(address.netloc)
        headers = {name: text for name, text in self.headers.items() if name.lower() not in HOP_BY_HOP}
        api.request("GET", f"{address.path}?{address.query}", headers=headers)
        answer = api.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if name.lower() not in (*HOP_BY_HOP, "content-length"):
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        api.close()

    def _is_allowed(self) -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        login = self.server.login
        wanted = login and f"Basic {base64.b64encode(login.encode()).decode()}"
        if wanted and self.headers.get("Proxy-Authorization") != wanted:
            self._refuse(407)
            return False
        return True

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args) -> None:
        pass


def _pour(source: socket.socket, target: socket.socket) -> None:
    """Copy all bytes, then tell the target that no more come."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
