"""Run Debian's Prometheus for a test, on a free port, with its data in a temporary folder."""

import contextlib
import datetime as dt
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.command import until
from tests.integration.monitoring import programs
from warehouse.embedded_postgres import free_port

SCRAPE_SECONDS = 1


@dataclass
class Prometheus:
    """`at`: the moment that queries ask about (Unix time), just after a scrape that went well. A busy machine may let
    the next one time out."""

    url: str
    at: float = 0.0

    def get(self, path: str, **parameters: str) -> Any:
        """Return `data` of an API response. Raises HTTPError, also for an invalid query."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return (labels, value) of each series of an instant query; a scalar has no labels."""
        data = self.get("query", query=query, time=str(self.at))
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def wait_for_next_scrape(self) -> None:
        """Wait for a scrape that begins now or later, and query its moment from now on."""
        now = time.time()
        seen: list[float] = []

        def scraped_twice() -> bool:
            for target in self.get("targets")["activeTargets"]:  # none in the first seconds
                began = _unix_time(target["lastScrape"])
                if target["health"] == "up" and began > max([now, *seen]):
                    seen.append(began)
            # the result of the first scrape is stored when the second begins
            return len(seen) == 2

        until(scraped_twice)
        self.at = seen[0] + 0.1


def _unix_time(text: str) -> float:
    # Go prints nanoseconds, without trailing zeros
    return dt.datetime.fromisoformat(re.sub(r"\.(\d+)", lambda digits: f".{digits[1][:6]:0<6}", text)).timestamp()


@contextlib.contextmanager
def running(folder: Path, target: str) -> Iterator[Prometheus]:
    """Yield a server that scrapes `target` (host:port), ready for queries."""
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: {SCRAPE_SECONDS}s}}\n"
        f"scrape_configs: [{{job_name: moovitamix, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    port = free_port()
    arguments = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}")
    with programs.running("prometheus", *arguments, port=port, folder=folder):
        yield Prometheus(f"http://127.0.0.1:{port}")
