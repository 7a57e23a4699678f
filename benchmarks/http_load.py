"""Send many requests over some connections that stay open, with next to no work of the client's own."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answered:
    """Hold an answer: the path that was asked for, the status, the body, and the seconds it took."""

    path: str
    status: int
    body: bytes
    seconds: float


async def load(url: str, paths: Sequence[str], connections: int) -> list[Answered]:
    """Ask for all paths, `connections` at a time, and return the answers in the order in which they came."""
    waiting = list(reversed(paths))
    answered: list[Answered] = []
    await asyncio.gather(*(_ask_for(url, waiting, answered) for _ in range(connections)))
    return answered


async def _ask_for(url: str, waiting: list[str], answered: list[Answered]) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    while waiting:
        path = waiting.pop()
        started = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        answered.append(Answered(path, int(head[9:12]), body, time.perf_counter() - started))
    writer.close()
    await writer.wait_closed()
