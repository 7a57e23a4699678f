"""Run an extraction against the sample API, and read the landing tables as a reader sees them."""

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from extract import extraction
from extract.extraction import Extraction
from extract.limits import Limits
from sample_api.server import serve
from tests.databases import database_copy

QUICK = Limits(attempts=3, attempt_seconds=5, first_wait_seconds=0.01, longest_wait_seconds=0.05)

Night = Callable[..., Extraction]


@pytest.fixture
def database_url(postgres_url, migrated_template) -> Iterator[str]:
    """Yield the URL of a database without rows for this test."""
    with database_copy(postgres_url, migrated_template, "test") as url:
        yield url


@pytest.fixture
def working_folder(tmp_path) -> Path:
    return tmp_path / "dlt"


@pytest.fixture
def api() -> Iterator[SimpleNamespace]:
    """Serve the sample API without rows; tests set their own."""
    with serve({}) as server:
        yield server


@pytest.fixture
def night(api, database_url, working_folder) -> Night:
    """Return a function that runs one extraction from `api` (or `api_base_url`) into the database.

    `through` names another address of the database. Other keyword arguments go to `extraction.run`.
    """

    def run(**arguments) -> Extraction:
        settings = {"working_folder": working_folder, "limits": QUICK, "batch_size": 3, **arguments}
        addresses = settings.pop("through", database_url), settings.pop("api_base_url", api.url)
        return extraction.run(*addresses, **settings)

    return run


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Return a function that starts a server whose GET requests the given function answers, and returns its address.

    With a certificate and a key (two files) the server uses https.
    """
    servers = []

    def start(
        answer: Callable[[BaseHTTPRequestHandler], None], certificate_and_key: tuple[Path, Path] | None = None
    ) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.block_on_close = False
        server.handle_error = lambda request, client_address: None  # tests cut connections on purpose
        if certificate_and_key:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate_and_key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"{'https' if certificate_and_key else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def self_signed(tmp_path) -> tuple[Path, Path]:
    """Create a self-signed certificate and key for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl binary to make a certificate with")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return certificate, key


def users(*numbers: int) -> list[dict]:
    """Return users with these ids."""
    return [{"id": number, "first_name": f"user {number}"} for number in numbers]


def page(items: list = (), total: int | None = None, number: int = 1, size: int = 3) -> bytes:
    """Return the body of a page."""
    total = len(items) if total is None else total
    return json.dumps({"items": list(items), "total": total, "page": number, "size": size}).encode()


def answer(handler, body: bytes, status: int = 200, **headers: str) -> None:
    """Send an answer from a function that was given to `answering`."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def live_rows(connection: psycopg.Connection, table: str) -> dict[str, list[str]]:
    """Return key -> payloads (as text, sorted) of the newest delivery of each live key.

    Written without the window function of extract, so that an error there shows.
    """
    versions = connection.execute(
        f"select key, payload::text, _dlt_load_id from staging.{table} join staging._dlt_loads"
        " on load_id = _dlt_load_id and status = 0 order by version_seq"
    ).fetchall()
    newest: dict[str, tuple[str, list[str]]] = {}
    for key, payload, load_id in versions:
        if newest.get(key, ("",))[0] != load_id:
            newest[key] = (load_id, [])
        newest[key][1].append(payload)
    return {key: sorted(rows) for key, (_, rows) in newest.items() if rows != [None]}


def version_log(connection: psycopg.Connection, table: str) -> list[tuple[str, str | None]]:
    """Return (key, payload as text) of all versions in complete loads, ordered by load, key and payload."""
    return connection.execute(
        f"select key, payload::text from staging.{table} join staging._dlt_loads"
        " on load_id = _dlt_load_id and status = 0 order by load_id, key, payload::text"
    ).fetchall()


def staged(connection: psycopg.Connection) -> dict[str, int]:
    """Count the rows per landing table and of `_dlt_loads`; a table that does not exist has none."""
    counts = {}
    for table in ("users", "tracks", "listen_history", "scans", "unreadable_rows", "_dlt_loads"):
        exists = connection.execute("select to_regclass(%s) is not null", [f"staging.{table}"]).fetchone()[0]
        counts[table] = connection.execute(f"select count(*) from staging.{table}").fetchone()[0] if exists else 0
    return counts
