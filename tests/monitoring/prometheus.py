"""A Prometheus of a test's own: Debian's, on a free port of this machine, with its data in a temporary folder."""

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

from pipeline.embedded_postgres import free_port
from tests.monitoring import programs
from tests.pipeline.command import until

SCRAPE_SECONDS = 1


@dataclass
class Prometheus:
    """`at`: the moment that queries ask about (Unix time), just after a scrape that went well. A busy machine may let
    the next one time out."""

    url: str
    at: float = 0.0

    def get(self, path: str, **parameters: str) -> Any:
        """`data` of the answer of its API. Raises HTTPError, also for what is no query."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of each series that an instant query has; a scalar has no labels."""
        data = self.get("query", query=query, time=str(self.at))
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def look_again(self) -> None:
        """Ask from now on about what a scrape found that has not begun yet."""
        now = time.time()
        seen: list[float] = []

        def scraped_twice() -> bool:
            for target in self.get("targets")["activeTargets"]:  # none, in its first seconds
                began = _unix_time(target["lastScrape"])
                if target["health"] == "up" and began > max([now, *seen]):
                    seen.append(began)
            # what the first of them found is stored when there is a second
            return len(seen) == 2

        until(scraped_twice)
        self.at = seen[0] + 0.1


def _unix_time(text: str) -> float:
    # Go has nanoseconds, and no digits where they are 0
    return dt.datetime.fromisoformat(re.sub(r"\.(\d+)", lambda digits: f".{digits[1][:6]:0<6}", text)).timestamp()


@contextlib.contextmanager
def running(folder: Path, target: str) -> Iterator[Prometheus]:
    """A server that scrapes `target` (host:port), ready to be asked."""
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: {SCRAPE_SECONDS}s}}\n"
        f"scrape_configs: [{{job_name: moovitamix, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    port = free_port()
    arguments = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}")
    with programs.running("prometheus", *arguments, port=port, folder=folder):
        yield Prometheus(f"http://127.0.0.1:{port}")
