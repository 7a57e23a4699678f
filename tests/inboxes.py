"""Receive messages in tests: an HTTP endpoint like Slack's, and a mail server, on free ports."""

import base64
import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class HttpInbox:
    """Collect posted JSON bodies in `messages`, by path, in order. It answers like Slack's webhooks."""

    port: int = 0
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass
class MailInbox:
    """Accept every login into `logins`, and collect `messages` in order with their envelope recipients."""

    port: int = 0
    logins: list[tuple[str, str]] = field(default_factory=list)
    messages: list[tuple[list[str], EmailMessage]] = field(default_factory=list)


@contextmanager
def http_inbox() -> Iterator[HttpInbox]:
    inbox = HttpInbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            inbox.messages.setdefault(self.path, []).append(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler), inbox):
        yield inbox


@contextmanager
def mail_inbox() -> Iterator[MailInbox]:
    """Serve the part of SMTP (without TLS) that senders use."""
    inbox = MailInbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            recipients: list[str] = []
            self._say("220 inbox")
            while line := self.rfile.readline().decode().strip():
                verb, _, rest = line.partition(" ")
                match verb.upper():
                    case "EHLO" | "HELO":
                        self.wfile.write(b"250-inbox\r\n250 AUTH PLAIN\r\n")
                    case "AUTH":
                        _, user, password = _decoded(rest.removeprefix("PLAIN ")).split("\0")
                        inbox.logins.append((user, password))
                        self._say("235 come in")
                    case "RCPT":
                        recipients.append(rest.partition("<")[2].partition(">")[0])
                        self._say("250 ok")
                    case "DATA":
                        self._say("354 go on")
                        lines = iter(self.rfile.readline, b".\r\n")
                        text = b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)
                        message = email.message_from_bytes(text, policy=email.policy.default)
                        inbox.messages.append((recipients, message))
                        recipients = []
                        self._say("250 ok")
                    case "QUIT":
                        self._say("221 bye")
                        return
                    case _:
                        self._say("250 ok")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _serving(server, inbox):
        yield inbox


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


@contextmanager
def _serving(server: socketserver.BaseServer, inbox: HttpInbox | MailInbox) -> Iterator[None]:
    inbox.port = server.server_address[1]
    server.handle_error = lambda *_: None  # a sender that is ended in the middle of a message is no news
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
