"""What a command was asked to do, from options and environment variables, checked. Options are declared in cli.py."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from expectations.judgement import MAX_CHANGED_SHARE, MAX_REMOVED_SHARE, Shares
from pipeline.exits import Exit, Stop

PROJECT = Path(__file__).resolve().parent.parent
# What may hold a password, or is one: each may also come from the file that `<NAME>_FILE` names.
SECRETS = ("API_BASE_URL", "DATABASE_URL", "ERASURE_KEY", "ALERT_URLS")
# The variable that names another file of settings than `.env`.
ENV_FILE = "MOOVITAMIX_ENV_FILE"
# Every setting, by its environment variable; `.env.example` explains each.
SETTINGS = (
    *SECRETS,
    *(f"{name}_FILE" for name in SECRETS),
    "BATCH_SIZE",
    "WINDOW",
    "MAX_PAGE_BYTES",
    "MAX_STRING_BYTES",
    "MAX_PAGES",
    "MAX_TOTAL_BYTES",
    "MAX_SECONDS",
    "MAX_ROW_BYTES",
    "MAX_DEPTH",
    "MAX_REMOVED_SHARE",
    "MAX_CHANGED_SHARE",
    "PIPELINE_RUNTIME",
    "TIMEZONE",
    "REPORT_OUTPUT",
    "SAMPLE",
    "POSTGRES_PORT",
    "DOCS_PORT",
    "METRICS_HOST",
    "METRICS_PORT",
    "PROMETHEUS_URL",
    "DBT_TARGET",
    "MOOVITAMIX_HOME",
    "MOOVITAMIX_TRACEBACK",
    ENV_FILE,
)
# Those that name a file or a folder.
PATHS = (*(f"{name}_FILE" for name in SECRETS), "REPORT_OUTPUT", "MOOVITAMIX_HOME")


def secret(name: str) -> str | None:
    """The setting from its variable, or from its file without the line end; None when neither is set.

    Raises Stop(WRONG_SETTINGS) when both are, and for a file that cannot be read, is empty, or holds no text.
    """
    text, file = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if not file:
        return text or None
    if text:
        raise Stop(Exit.WRONG_SETTINGS, f"{name} and {name}_FILE are both set; unset one of them")
    try:
        content = Path(file).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise _unusable(name, file, f"cannot be read ({error.strerror})") from None
    except ValueError:
        raise _unusable(name, file, "is not UTF-8") from None
    if not content.strip():
        raise _unusable(name, file, "is empty")
    if "\0" in content:
        raise _unusable(name, file, "is not text")
    return content


def _unusable(name: str, file: str, why: str) -> Stop:
    return Stop(Exit.WRONG_SETTINGS, f"the file {file}, which {name}_FILE names, {why}; mend it or unset {name}_FILE")


@dataclass(frozen=True)
class Settings:
    """`api_base_url` None: the sample API. `database_url` None: the embedded Postgres. Both may hold secrets."""

    api_base_url: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    batch_size: int = 100
    window: int = 8
    sample: bool = False

    def check_source(self) -> None:
        """Raises Stop(WRONG_SETTINGS) for a source that is no address, and where the sample world would enter a real
        warehouse by oversight."""
        if self.api_base_url and self.sample:
            raise Stop(Exit.WRONG_SETTINGS, "--sample and API_BASE_URL exclude each other; give one of them")
        if self.database_url and not self.api_base_url and not self.sample:
            raise Stop(
                Exit.WRONG_SETTINGS,
                "DATABASE_URL is set and API_BASE_URL is not: set API_BASE_URL,"
                " or say --sample to fill this warehouse from the sample API",
            )
        if self.api_base_url:
            from extract.errors import WrongSetting  # brings dlt along, which costs seconds
            from extract.pages import checked_base_url

            try:
                checked_base_url(self.api_base_url)
            except WrongSetting as error:
                raise Stop(Exit.WRONG_SETTINGS, str(error)) from None

    def check_shares(self) -> None:
        """Raises Stop(WRONG_SETTINGS) for shares that are none."""
        _ = self.shares

    @property
    def shares(self) -> Shares:
        """MAX_REMOVED_SHARE and MAX_CHANGED_SHARE: what one load may do to the known rows of a table. Raises
        Stop(WRONG_SETTINGS)."""
        return Shares(_share("MAX_REMOVED_SHARE", MAX_REMOVED_SHARE), _share("MAX_CHANGED_SHARE", MAX_CHANGED_SHARE))

    @property
    def home(self) -> Path:
        """The folder for what the project keeps between runs: embedded Postgres and dlt's working folders."""
        return Path(os.environ.get("MOOVITAMIX_HOME") or PROJECT)

    @property
    def dlt_folder(self) -> Path:
        return self.home / ".dlt"

    @property
    def postgres_folder(self) -> Path:
        return self.home / ".postgres"

    @property
    def trouble_file(self) -> Path:
        """What there is between a message of bad news and that of the next good night."""
        return self.home / ".trouble"

    @property
    def erasure_key(self) -> str | None:
        """ERASURE_KEY, a secret: what the tombstones of erased users are made with. No option: a command line is there
        for everybody to read."""
        return (secret("ERASURE_KEY") or "").strip() or None

    @property
    def erasure_key_file(self) -> Path:
        """Where the embedded Postgres' own key is kept."""
        return self.postgres_folder / "erasure_key"

    @property
    def postgres_port(self) -> int | None:
        """POSTGRES_PORT: a fixed port for the embedded Postgres; None picks a free one."""
        text = os.environ.get("POSTGRES_PORT")
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 65535:
            raise Stop(Exit.WRONG_SETTINGS, f"POSTGRES_PORT must be a port number from 1 to 65535, not {text!r}")
        return int(text)


def _share(name: str, default: float) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        share = float(text)
    except ValueError:
        share = 0
    if not 0 < share <= 1:  # which is also said of "nan"
        raise Stop(Exit.WRONG_SETTINGS, f"{name} must be a number over 0 and at most 1, not {text!r}")
    return share
