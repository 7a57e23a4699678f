"""The API, page by page, into Postgres schema `staging`, as raw JSON: `run` is one night of it."""

from extract.errors import IncompleteScan, LandingFailed, SourceFailed, WrongSetting
from extract.night import Extraction, Scan, run
from extract.pages import Limits
from extract.recovery import Recovery, recover
from extract.source_tables import SOURCE_TABLES, SourceTable

__all__ = [
    "SOURCE_TABLES",
    "Extraction",
    "IncompleteScan",
    "LandingFailed",
    "Limits",
    "Recovery",
    "Scan",
    "SourceFailed",
    "SourceTable",
    "WrongSetting",
    "recover",
    "run",
]
