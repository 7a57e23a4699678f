"""The API, page by page, into Postgres schema `staging`, as raw JSON: `run` is one night of it."""

from extract.erasures import NO_ERASURES, Erasures, alias, canonical, key_check, tombstone
from extract.errors import IncompleteScan, LandingFailed, SourceFailed, WrongSetting
from extract.limits import LIMIT_VARIABLES, Limits, limits_from_environment
from extract.night import Extraction, FieldCount, Scan, run
from extract.pages import Traffic
from extract.recovery import Recovery, recover
from extract.source_tables import SOURCE_TABLES, SourceTable

__all__ = [
    "LIMIT_VARIABLES",
    "NO_ERASURES",
    "SOURCE_TABLES",
    "Erasures",
    "Extraction",
    "FieldCount",
    "IncompleteScan",
    "LandingFailed",
    "Limits",
    "Recovery",
    "Scan",
    "SourceFailed",
    "SourceTable",
    "Traffic",
    "WrongSetting",
    "alias",
    "canonical",
    "key_check",
    "limits_from_environment",
    "recover",
    "run",
    "tombstone",
]
