"""Read and check the settings of a command, from its options and from environment variables."""

import datetime as dt
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from expectations.verdicts import MAX_CHANGED_SHARE, MAX_REMOVED_SHARE, Shares
from warehouse import redaction
from warehouse.errors import CommandError, ExitCode

PROJECT = Path(__file__).resolve().parent.parent
# Settings that are a password or may contain one. Each may also come from the file that `<NAME>_FILE` names.
SECRETS = (
    "API_BASE_URL",
    "API_PROXY",
    "DATABASE_URL",
    "ERASURE_KEY",
    "ALERT_URLS",
    "ARTIFACT_FOLDER",
    "API_KEY",
    "REDIS_URL",
)
# The variable that names a settings file other than `.env`.
ENV_FILE = "MOOVITAMIX_ENV_FILE"
# Every setting by its environment variable. `.env.example` explains each.
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
    "INSIGHTS_OUTPUT",
    "SAMPLE",
    "SAMPLE_FAULTS",
    "SAMPLE_START",
    "SNAPSHOTS_KEPT",
    "RECOMMEND",
    "RECOMMEND_SHARDS",
    "ARTIST_CAP",
    "TRAIN_BUDGET",
    "RETRAIN_EVERY",
    "RETRAIN_VOLUME",
    "POSTGRES_PORT",
    "DOCS_PORT",
    "METRICS_HOST",
    "METRICS_PORT",
    "SERVICE_HOST",
    "SERVICE_PORT",
    "SERVICE_WORKERS",
    "PROMETHEUS_URL",
    "DBT_TARGET",
    "MOOVITAMIX_HOME",
    "MOOVITAMIX_TRACEBACK",
    ENV_FILE,
)
# The settings that name a file or a folder.
PATHS = (*(f"{name}_FILE" for name in SECRETS), "REPORT_OUTPUT", "INSIGHTS_OUTPUT", "MOOVITAMIX_HOME")


def secret(name: str) -> str | None:
    """Return the setting from its variable, or from its file without the line end. Return None if neither is set.

    Raises CommandError(WRONG_SETTINGS) if both are set, and for a file that is unreadable, empty or not text.
    """
    text, file = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if not file:
        return text or None
    if text:
        raise CommandError(ExitCode.WRONG_SETTINGS, f"{name} and {name}_FILE are both set; unset one of them")
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


def redact_secrets(text: str) -> str:
    """Return the text of an unexpected error without the secrets among the settings."""
    values: dict[str, str | None] = {}
    for name in SECRETS:
        with suppress(CommandError):  # its file may be gone by now
            values[name] = secret(name)
    password = os.environ.get("DBT_ENV_SECRET_PGPASSWORD")
    # a proxy without a login is no secret, and neither is the word "environment"
    proxies = [address for name, address in os.environ.items() if name.lower().endswith("_proxy")]
    proxies = [address for address in (values.pop("API_PROXY", None), *proxies) if address and "@" in address]
    addresses = " ".join([values.get("ALERT_URLS") or "", *proxies])
    return redaction.redact_secrets(text, [password, *values.values()], addresses)


def _unusable(name: str, file: str, why: str) -> CommandError:
    return CommandError(
        ExitCode.WRONG_SETTINGS, f"the file {file}, which {name}_FILE names, {why}; fix it or unset {name}_FILE"
    )


@dataclass(frozen=True)
class Settings:
    """Hold the settings of a command.

    `api_base_url` None: the sample API. `database_url` None: the embedded Postgres. Both may contain secrets.
    """

    api_base_url: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    batch_size: int = 100
    window: int = 8
    sample: bool = False
    fault: tuple[str, ...] = ()
    """Faults of the sample API for this run: bad nights on purpose."""
    sample_start: dt.date | None = None
    """Day 0 of the sample world in a new warehouse; None: a few days before the first run."""
    recommend: bool = True
    """Whether a whole run makes the recommendations."""
    artist_cap: int = 3
    """Most tracks of one artist in a list of recommendations."""
    budget: float = 60
    """Seconds for tuning, where a list of recommendations has no model yet."""
    seed: int = 0
    """Seed of all random draws of the recommender."""

    def check_source(self) -> None:
        """Check which API to read.

        Raises CommandError(WRONG_SETTINGS) for an invalid address of it or of its proxy or an invalid limit, if sample
        data would enter a real warehouse without an explicit --sample, and if dlt cannot work in its folder.
        """
        if "%" in str(self.dlt_folder.resolve()):
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                f"{self.home} contains a %, with which dlt cannot name files; set MOOVITAMIX_HOME to another folder",
            )
        from extract.errors import SettingError
        from extract.limits import limits_from_environment

        try:
            limits_from_environment(os.environ)
        except SettingError as error:
            raise CommandError(ExitCode.WRONG_SETTINGS, str(error)) from None
        if self.api_base_url and self.sample:
            raise CommandError(
                ExitCode.WRONG_SETTINGS, "--sample and API_BASE_URL exclude each other; give one of them"
            )
        if self.fault and self.api_base_url:
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                "--fault (SAMPLE_FAULTS) is for the sample API, and API_BASE_URL is set; leave one of them out",
            )
        if self.sample_start and self.api_base_url:
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                "SAMPLE_START is for the sample API, and API_BASE_URL is set; leave one of them out",
            )
        if self.database_url and not self.api_base_url and not self.sample:
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                "DATABASE_URL is set and API_BASE_URL is not: set API_BASE_URL,"
                " or pass --sample to fill this warehouse from the sample API",
            )
        if self.api_base_url:
            from extract.addresses import check_base_url, find_proxy

            try:
                find_proxy(self.api_proxy, check_base_url(self.api_base_url))
            except SettingError as error:
                raise CommandError(ExitCode.WRONG_SETTINGS, str(error)) from None

    def check_shares(self) -> None:
        """Raise CommandError(WRONG_SETTINGS) if MAX_REMOVED_SHARE or MAX_CHANGED_SHARE is not a share."""
        _ = self.shares

    @property
    def shares(self) -> Shares:
        """Return MAX_REMOVED_SHARE and MAX_CHANGED_SHARE: the shares of known rows that one load may remove or change.

        Raises CommandError(WRONG_SETTINGS).
        """
        return Shares(_share("MAX_REMOVED_SHARE", MAX_REMOVED_SHARE), _share("MAX_CHANGED_SHARE", MAX_CHANGED_SHARE))

    @property
    def api_proxy(self) -> str | None:
        """Return API_PROXY, the address of the proxy in front of the API, or the word "environment".

        There is no option for it, because it may contain a password, and every user of the machine can read a command
        line. The sample API is read without a proxy.
        """
        return secret("API_PROXY") if self.api_base_url else None

    @property
    def home(self) -> Path:
        """Return the folder that holds the embedded Postgres and dlt's working folders between runs."""
        return Path(os.environ.get("MOOVITAMIX_HOME") or PROJECT)

    @property
    def dlt_folder(self) -> Path:
        return self.home / ".dlt"

    @property
    def postgres_folder(self) -> Path:
        return self.home / ".postgres"

    @property
    def incident_file(self) -> Path:
        """Return the file that exists from the first alert of an incident until the next successful run."""
        return self.home / ".incident"

    @property
    def erasure_key(self) -> str | None:
        """Return ERASURE_KEY, the secret with which the tombstones of erased users are made.

        There is no option for it, because every user of the machine can read a command line.
        """
        return (secret("ERASURE_KEY") or "").strip() or None

    @property
    def erasure_key_file(self) -> Path:
        """Return the file that holds the erasure key of the embedded Postgres."""
        return self.postgres_folder / "erasure_key"

    @property
    def postgres_port(self) -> int | None:
        """Return POSTGRES_PORT, a fixed port for the embedded Postgres, or None for any free one."""
        text = os.environ.get("POSTGRES_PORT")
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 65535:
            raise CommandError(
                ExitCode.WRONG_SETTINGS, f"POSTGRES_PORT must be a port number from 1 to 65535, not {text!r}"
            )
        return int(text)


def _share(name: str, default: float) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        share = float(text)
    except ValueError:
        share = 0
    if not 0 < share <= 1:  # also true for "nan"
        raise CommandError(ExitCode.WRONG_SETTINGS, f"{name} must be a number above 0 and at most 1, not {text!r}")
    return share
