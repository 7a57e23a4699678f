"""The dbt docs: one static page, and a server of it on loopback."""

import functools
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipeline import warehouse
from pipeline.dbt import PROJECT_FOLDER, Dbt, explained
from pipeline.exits import Exit
from pipeline.serving import listening_explained
from pipeline.warehouse import Warehouse

HOST = "127.0.0.1"


def page() -> Path:
    """Where `make` leaves the page."""
    return Path(os.environ.get("DBT_TARGET_PATH") or PROJECT_FOLDER / "target") / "static_index.html"


def make(place: Warehouse) -> Path:
    """Describe the warehouse as it is now; returns the page. Raises Stop."""
    place = place.at_work("build")
    warehouse.export(place)
    outcome = Dbt().invoke("docs", "generate", "--static")
    if not outcome.succeeded:
        raise explained(outcome, place, Exit.BUILD_FAILED, "the docs could not be made")
    return page()


def server(port: int) -> ThreadingHTTPServer:
    """A server of the page that listens already, on any free port when `port` is 0. Raises Stop(WRONG_SETTINGS)."""
    with listening_explained(HOST, port, "--port or DOCS_PORT"):
        return ThreadingHTTPServer((HOST, port), functools.partial(_OnePage, page()))


class _OnePage(BaseHTTPRequestHandler):
    """Answers with the page as it is on disk now, and with nothing else of that folder."""

    def __init__(self, page: Path, *arguments: Any) -> None:
        self._page = page
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/":
            # The page of dbt asks for images by names that were never filled in, `{{ getIcon(item.type, 'on') }}`:
            # a 404 for each would fill the console of the browser.
            self.send_response(204)
            self.end_headers()
            return
        content = self._page.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: who looked at what is nobody's business."""
