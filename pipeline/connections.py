"""What a command works on, in words: said when it starts, so that a setting that got lost is seen at once."""

import re

from pipeline.settings import PROJECT, Settings, secret
from pipeline.terminal import inert
from pipeline.warehouse import Warehouse

NOT_SET = "not set"
# All there is to an address that a run takes. What is more, a login or a query, may hold a secret.
PLAIN_ADDRESS = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.%-]+)(:[0-9]+)?(/[^\s@?#]*)?")


def describe_warehouse(settings: Settings, warehouse: Warehouse) -> str:
    """Where the warehouse is, and which setting says so; without the password."""
    if settings.database_url:
        setting = "DATABASE_URL" if settings.database_url == secret("DATABASE_URL") else "--database-url"
        return inert(f"{warehouse.place} ({setting})")
    folder = settings.postgres_folder
    shown = folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder
    return inert(f"the embedded Postgres in {shown}")


def describe_api(settings: Settings) -> str:
    """Which API a run with these settings reads; nothing of an address that may hold a secret."""
    if settings.api_base_url:
        is_plain = PLAIN_ADDRESS.fullmatch(settings.api_base_url.strip())
        return inert(is_plain[0]) if is_plain else "API_BASE_URL, which is no plain http(s) address"
    return NOT_SET if settings.database_url and not settings.sample else "the sample API of this project"


def describe(warehouse: str, api: str | None = None) -> str:
    """Both on one line."""
    return f"warehouse: {warehouse}" + (f" · API: {api}" if api else "")
