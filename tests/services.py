"""Run the recommendation service in a process of its own, as the operator does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command import LIMIT_SECONDS, PROJECT, until


@dataclass(frozen=True)
class Reply:
    """Hold an answer: its status, headers and text."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def tracks(self) -> list[int]:
        return [item["track_id"] for item in self.json["items"]]


@dataclass(frozen=True)
class Service:
    """Hold a running service: its address, its process, and the file with its output."""

    url: str
    process: subprocess.Popen
    output: Path

    def get(self, path: str, **headers: str) -> Reply:
        return self._ask(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path: str, content: Any, **headers: str) -> Reply:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **headers}
        return self._ask(urllib.request.Request(self.url + path, body, headers))

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the logged events with this name."""
        lines = self.output.read_text().splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in parsed if event["event"] == name]

    def is_ready(self) -> bool:
        return self.get("/health/ready").status == 200

    def _ask(self, request: urllib.request.Request) -> Reply:
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as reply:
                return Reply(reply.status, reply.headers, reply.read().decode())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read().decode())


@contextlib.contextmanager
def serving(*arguments: str, is_ready: bool = True, **environment: str) -> Iterator[Service]:
    """Start the service on a free port, wait until it is ready or at least listens, and stop it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "serve", "--port", "0", *arguments],
                cwd=PROJECT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            until(lambda: "http://" in output.read_text() or process.poll() is not None)
            assert process.poll() is None, output.read_text()
            url = "http://" + output.read_text().split("http://")[1].split("/")[0]
            service = Service(url, process, output)
            if is_ready:
                until(service.is_ready)
            yield service
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_SECONDS)
