"""Generate the dbt docs as one static page, and serve it on loopback."""

import functools
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from monitoring.listening import translate_listen_errors
from pipeline.run.dbt import Dbt, target_folder, to_command_error
from warehouse import database
from warehouse.database import Warehouse
from warehouse.errors import ExitCode

HOST = "127.0.0.1"


def page() -> Path:
    """Return the path of the page that `make` writes."""
    return target_folder() / "static_index.html"


def make(warehouse: Warehouse) -> Path:
    """Generate the docs of the current warehouse, and return the page. Raises CommandError."""
    warehouse = warehouse.at_work("build")
    database.export(warehouse)
    outcome = Dbt().invoke("docs", "generate", "--static")
    if not outcome.succeeded:
        raise to_command_error(outcome, warehouse, ExitCode.BUILD_FAILED, "the docs could not be generated")
    return page()


def server(port: int) -> ThreadingHTTPServer:
    """Return a listening server of the page; `port` 0 takes any free port. Raises CommandError(WRONG_SETTINGS)."""
    with translate_listen_errors(HOST, port, "--port or DOCS_PORT"):
        return ThreadingHTTPServer((HOST, port), functools.partial(_OnePage, page()))


class _OnePage(BaseHTTPRequestHandler):
    """Serve the current page, and no other file of its folder."""

    def __init__(self, page: Path, *arguments: Any) -> None:
        self._page = page
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/":
            # dbt's page requests images by unrendered names, `{{ getIcon(item.type, 'on') }}`: a 404 for each would
            # fill the console of the browser.
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
        """Log nothing."""
