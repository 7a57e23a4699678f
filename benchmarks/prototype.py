"""Run the prototype as a baseline: read each endpoint page by page, then append with `to_sql`."""

import asyncio

import aiohttp
import pandas
import sqlalchemy

from benchmarks.page_server import PAGE_ROWS, SHARES


async def _read(session: aiohttp.ClientSession, base_url: str, table: str) -> list[dict]:
    rows, page = [], 1
    while True:
        async with session.get(f"{base_url}/{table}", params={"page": page, "size": PAGE_ROWS}) as response:
            body = await response.json()
        rows += body["items"]
        if page * PAGE_ROWS >= body["total"]:
            return rows
        page += 1


async def _read_all(base_url: str) -> dict[str, list[dict]]:
    async with aiohttp.ClientSession() as session:
        found = await asyncio.gather(*(_read(session, base_url, table) for table in SHARES))
    return dict(zip(SHARES, found, strict=True))


def run(base_url: str, database_url: str) -> None:
    """Read all endpoints, and append each to its own table."""
    tables = asyncio.run(_read_all(base_url))
    engine = sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
    for table, rows in tables.items():
        pandas.DataFrame(rows).to_sql(f"prototype_{table}", engine, if_exists="append", index=False)
    engine.dispose()
