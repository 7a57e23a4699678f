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


async def load(url: str, paths: Sequence[str], connections: int, body: bytes | None = None) -> list[Answered]:
    """Ask for all paths, `connections` at a time, and return the answers in the order in which they came.

    With a `body`, which is JSON, it is posted to each path.
    """
    head = "GET {} HTTP/1.1\r\nHost: {}\r\n"
    if body is not None:
        head = f"POST {{}} HTTP/1.1\r\nHost: {{}}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    waiting = list(reversed(paths))
    answered: list[Answered] = []
    await asyncio.gather(*(_ask_for(url, waiting, answered, head, body or b"") for _ in range(connections)))
    return answered


async def _ask_for(url: str, waiting: list[str], answered: list[Answered], head: str, body: bytes) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    while waiting:
        path = waiting.pop()
        started = time.perf_counter()
        writer.write(f"{head.format(path, address.netloc)}\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        content = await reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n", 1)[0]))
        answered.append(Answered(path, int(answer[9:12]), content, time.perf_counter() - started))
    writer.close()
    await writer.wait_closed()
