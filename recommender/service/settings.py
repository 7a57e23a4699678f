"""Hold the settings of the service, and hand them to its workers, which are processes of their own."""

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from warehouse import embedded_postgres


@dataclass(frozen=True)
class ServiceSettings:
    """Hold the settings of the service. `database_url` None: the embedded Postgres in `postgres_folder`."""

    host: str
    port: int
    workers: int
    postgres_folder: Path
    database_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    artefact_folder: str | None = field(default=None, repr=False)

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def find_address(self) -> str | None:
        """Return the address of the warehouse now; None while the embedded Postgres does not run."""
        return self.database_url or embedded_postgres.url(self.postgres_folder)

    def export(self) -> None:
        """Put the settings into the environment, for `from_environment` in the workers."""
        secrets = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "API_KEY": self.api_key,
            "ARTIFACT_FOLDER": self.artefact_folder,
        }
        for name, value in secrets.items():
            os.environ.pop(f"{name}_FILE", None)
            os.environ.pop(name, None)
            if value:
                os.environ[name] = value
        os.environ["SERVICE_HOST"], os.environ["SERVICE_PORT"] = self.host, str(self.port)
        os.environ["SERVICE_WORKERS"], os.environ[FOLDER] = str(self.workers), str(self.postgres_folder)

    @classmethod
    def from_environment(cls) -> "ServiceSettings":
        """Return what `export` has stored."""
        values = os.environ
        return cls(
            values["SERVICE_HOST"],
            int(values["SERVICE_PORT"]),
            int(values["SERVICE_WORKERS"]),
            Path(values[FOLDER]),
            values.get("DATABASE_URL"),
            values.get("REDIS_URL"),
            values.get("API_KEY"),
            values.get("ARTIFACT_FOLDER"),
        )


FOLDER = "MOOVITAMIX_SERVICE_POSTGRES"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
