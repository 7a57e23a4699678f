"""Describe the warehouse and the API of a command. Printing them at the start makes a missing setting visible."""

import re

from pipeline.settings import PROJECT, Settings, secret
from warehouse.database import Warehouse
from warehouse.redaction import sanitize

NOT_SET = "not set"
# The only form of address that may be shown: a login or a query may contain a secret.
PLAIN_ADDRESS = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.%-]+)(:[0-9]+)?(/[^\s@?#]*)?")


def describe_warehouse(settings: Settings, warehouse: Warehouse) -> str:
    """Return the address of the warehouse without its password, and the setting that names it."""
    if settings.database_url:
        setting = "DATABASE_URL" if settings.database_url == secret("DATABASE_URL") else "--database-url"
        return sanitize(f"{warehouse.display_name} ({setting})")
    folder = settings.postgres_folder
    shown = folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder
    return sanitize(f"the embedded Postgres in {shown}")


def describe_api(settings: Settings) -> str:
    """Return the API that a run with these settings reads. An address that may contain a secret is not shown."""
    if settings.api_base_url:
        is_plain = PLAIN_ADDRESS.fullmatch(settings.api_base_url.strip())
        return sanitize(is_plain[0]) if is_plain else "API_BASE_URL, which is not a plain http(s) address"
    return NOT_SET if settings.database_url and not settings.sample else "the sample API of this project"


def describe(warehouse: str, api: str | None = None) -> str:
    """Return both on one line."""
    return f"warehouse: {warehouse}" + (f" · API: {api}" if api else "")
