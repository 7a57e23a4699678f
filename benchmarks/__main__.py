"""`make bench`: each ratio with its target. SCALE=small for a first look in two to three minutes."""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import extraction, judging, warehouse
from benchmarks.targets import add_row
from pipeline import embedded_postgres


@dataclass(frozen=True)
class Scale:
    """Rows of two pulls, one with few and one with many; rows of each table that the gate judges; users and tracks,
    listens of two histories and of a night.
    """

    pulls: tuple[int, int]
    judged: int
    profiles: int
    histories: tuple[int, int]
    night: int


SCALES = {
    "small": Scale((10_000, 40_000), 20_000, 2_000, (100_000, 400_000), 10_000),
    "full": Scale((100_000, 1_000_000), 1_000_000, 100_000, (5_000_000, 20_000_000), 200_000),
}
PARTS = ("extraction", "gate", "warehouse")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """`scale`, and the `part` to measure; None means all. Leaves with a usage line when an argument is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("scale", choices=SCALES, nargs="?", default="full")
    parser.add_argument("part", choices=PARTS, nargs="?")
    return parser.parse_args(arguments)


def main() -> None:
    """`python -m benchmarks [small|full] [extraction|gate|warehouse]`, on an embedded Postgres of its own."""
    arguments = parsed(sys.argv[1:])
    scale = SCALES[arguments.scale]
    output = Console(highlight=False)
    title = f"benchmarks, scale {arguments.scale}" + ("" if arguments.scale == "full" else "; the targets are for full")
    table = Table(title=title, title_justify="left")
    for name in ("what", "target", "measured"):
        table.add_column(name)
    with tempfile.TemporaryDirectory(prefix="moovitamix-bench-") as folder:
        Path(folder).chmod(0o711)  # under root the server runs as another user, who has to pass through
        postgres = Path(folder) / "postgres"
        server_url = embedded_postgres.start(postgres)
        try:
            parts = {
                "extraction": lambda: extraction.figures(server_url, *scale.pulls),
                "gate": lambda: judging.figures(server_url, scale.judged),
                "warehouse": lambda: warehouse.figures(
                    server_url, scale.profiles, *scale.histories, scale.night, tell=output.print
                ),
            }
            for part in [arguments.part] if arguments.part else PARTS:
                for figure in parts[part]():
                    output.print(f"{figure.what}: {figure.measured:.3g}{figure.unit}")
                    add_row(table, figure)
        finally:
            embedded_postgres.stop(postgres)
    output.print(table)


if __name__ == "__main__":
    main()
