"""Run the API on a port of this machine, in a thread of this process."""

import ipaddress
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from sample_api.app import Requests, create_app
from sample_api.bad_rows import SpoiledRow
from sample_api.faults import Faults
from sample_api.served_rows import RowsByTable, ServedRows
from sample_api.tables import TABLES
from sample_api.world import Snapshot

START_SECONDS = 30


class SampleServer:
    """Control a running server: its `url`, the active `faults`, the recorded `requests`, and its rows."""

    def __init__(self, url: str, app: FastAPI) -> None:
        self.url = url
        self.faults: Faults = app.state.faults
        self.requests: Requests = app.state.requests
        self._rows: ServedRows = app.state.rows

    @property
    def rows(self) -> Mapping[str, list[bytes]]:
        """Return the currently served rows, per table and in order, each as JSON."""
        return {table: list(self._rows.of(table)) for table in TABLES}

    def set_rows(self, rows: RowsByTable | Snapshot) -> None:
        """Serve these rows from the next request on; tables that are not named are empty."""
        self._rows.replace(rows)

    def spoiled_rows(self, table: str) -> list[SpoiledRow]:
        """Return the rows of the table that the fault `bad_rows` spoiled, and how."""
        return self._rows.spoiled_rows(table)


@contextmanager
def serve(
    rows: RowsByTable | Snapshot,
    faults: Faults | Iterable[str] = (),
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[SampleServer]:
    """Serve the rows (as for `create_app`) while the block runs; ready when it is entered. Port 0: any free port.

    Raises ValueError for a host that is not loopback, and OSError if the port is taken.
    """
    app = create_app(rows, faults)
    with _listen(host, port) as listener:
        address = f"[{host}]" if ":" in host else host
        server = _ReadyServer(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="critical",
                access_log=False,
                lifespan="off",
                ws="none",
                # Closing an idle connection while a client re-uses it would be an unrequested fault.
                timeout_keep_alive=60,
                # Only hanging requests are still open then.
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, args=([listener],), name="sample API", daemon=True)
        thread.start()
        try:
            if not server.ready.wait(START_SECONDS):
                raise RuntimeError(f"the sample API did not start within {START_SECONDS} s")
            yield SampleServer(f"http://{address}:{listener.getsockname()[1]}", app)
        finally:
            server.should_exit = True
            thread.join()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _ReadyServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _listen(host: str, port: int) -> socket.socket:
    if not is_loopback(host):
        raise ValueError(f"the sample API listens on loopback only, not on {host}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay (40 ms per answer) off only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
