"""Fetch every page and discard it: the lower bound for a client with a given window."""

import asyncio
import json

import aiohttp

from benchmarks.page_server import PAGE_ROWS, SHARES


async def _fetch(session: aiohttp.ClientSession, window: asyncio.Semaphore, url: str, page: int) -> bytes:
    async with window, session.get(url, params={"page": page, "size": PAGE_ROWS}) as response:
        return await response.read()


async def _fetch_all(base_url: str, window_size: int) -> None:
    window = asyncio.Semaphore(window_size)
    connector = aiohttp.TCPConnector(limit=window_size)
    async with aiohttp.ClientSession(connector=connector) as session:
        firsts = await asyncio.gather(*(_fetch(session, window, f"{base_url}/{table}", 1) for table in SHARES))
        await asyncio.gather(
            *(
                _fetch(session, window, f"{base_url}/{table}", page)
                for table, first in zip(SHARES, firsts, strict=True)
                for page in range(2, -(-json.loads(first)["total"] // PAGE_ROWS) + 1)
            )
        )


def run(base_url: str, window: int = 8) -> None:
    """Read all pages of all endpoints, `window` at a time."""
    asyncio.run(_fetch_all(base_url, window))
