"""Serve pages from memory after a fixed latency, so that only the clients are measured."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import uvicorn

PAGE_ROWS = 100
SHARES = {"users": 0.2, "tracks": 0.2, "listen_history": 0.6}


def sizes(rows: int) -> dict[str, int]:
    """Return how many of `rows` each endpoint serves."""
    return {table: int(rows * share) for table, share in SHARES.items()}


def row(table: str, number: int) -> bytes:
    """Return one row with the shape and size of the real API's rows."""
    times = (
        f'"created_at":"2026-01-{number % 28 + 1:02d}T06:40:29.{number % 1000000:06d}",'
        f'"updated_at":"2026-02-{number % 28 + 1:02d}T12:05:41.{number % 999983:06d}"'
    )
    if table == "users":
        text = (
            f'{{"id":{number},"first_name":"Peter","last_name":"Brown","email":"brandon{number}@example.net",'
            f'"gender":"Gender questioning","favorite_genres":"Metal",{times}}}'
        )
    elif table == "tracks":
        text = (
            f'{{"id":{number},"name":"before","artist":"Ashley Moody","songwriters":"Clifford Elliott",'
            f'"duration":"16:12","genres":"rock","album":"give",{times}}}'
        )
    else:
        items = ",".join(str((number * 7919 + step * 104729) % 100000) for step in range(5))
        text = f'{{"user_id":{number},"items":[{items}],{times}}}'
    return text.encode()


def pages(table: str, rows: int) -> list[bytes]:
    """Return the bodies of all pages of a table with this many rows."""
    count = -(-rows // PAGE_ROWS)
    return [
        b'{"items":['
        + b",".join(row(table, number) for number in range(page * PAGE_ROWS, min(rows, (page + 1) * PAGE_ROWS)))
        + f'],"total":{rows},"page":{page + 1},"size":{PAGE_ROWS},"pages":{count}}}'.encode()
        # and an empty one past the last
        for page in range(count + 1)
    ]


@contextmanager
def serve_pages(rows: int, latency_seconds: float) -> Iterator[str]:
    """Start a server process, and yield its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.page_server", str(rows), str(latency_seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Print the address and serve until terminated: `python -m benchmarks.page_server ROWS LATENCY`."""
    rows, latency_seconds = int(sys.argv[1]), float(sys.argv[2])
    bodies = {table: pages(table, size) for table, size in sizes(rows).items()}
    head = {"type": "http.response.start", "status": 200}

    async def app(scope: dict, receive: object, send: object) -> None:
        if scope["type"] != "http":
            return
        if latency_seconds:
            await asyncio.sleep(latency_seconds)
        page = int(parse_qs(scope["query_string"])[b"page"][0])
        body = bodies[scope["path"].strip("/")][page - 1]
        length = (b"content-length", str(len(body)).encode())
        await send({**head, "headers": [(b"content-type", b"application/json"), length]})
        await send({"type": "http.response.body", "body": body})

    class Server(uvicorn.Server):
        async def startup(self, sockets: list | None = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            print(f"http://127.0.0.1:{port}", flush=True)

    Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False)).run()


if __name__ == "__main__":
    if not re.fullmatch(r"\d+", sys.argv[1]):
        sys.exit("usage: python -m benchmarks.page_server ROWS LATENCY_SECONDS")
    main()
