"""Print each ratio with its target: `make bench`. SCALE=small takes two to three minutes."""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import extraction, recommender, serving, unchanged_run, validation, warehouse
from benchmarks.measuring import machine_state
from benchmarks.targets import add_row
from warehouse import embedded_postgres


@dataclass(frozen=True)
class Scale:
    """Hold the sizes: rows of a small and a large extraction; rows per table for the gate; users and tracks; listens of
    two histories and of one night.
    """

    extractions: tuple[int, int]
    gate_rows: int
    profiles: int
    histories: tuple[int, int]
    night: int


SCALES = {
    "small": Scale((10_000, 40_000), 20_000, 2_000, (100_000, 400_000), 10_000),
    "full": Scale((100_000, 1_000_000), 1_000_000, 100_000, (5_000_000, 20_000_000), 200_000),
}
PARTS = ("extraction", "gate", "unchanged", "warehouse", "recommender", "serving")


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parse `scale` and the `part` to measure (None: all). Exits with a usage line for an unknown argument."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("scale", choices=SCALES, nargs="?", default="full")
    parser.add_argument("part", choices=PARTS, nargs="?")
    return parser.parse_args(arguments)


def main() -> None:
    """Run `python -m benchmarks [small|full] [PART]` on its own embedded Postgres."""
    arguments = parse_arguments(sys.argv[1:])
    scale = SCALES[arguments.scale]
    output = Console(highlight=False)
    title = f"benchmarks, scale {arguments.scale}" + ("" if arguments.scale == "full" else "; the targets are for full")
    table = Table(title=title, title_justify="left")
    for name in ("what", "target", "measured"):
        table.add_column(name)
    with tempfile.TemporaryDirectory(prefix="moovitamix-bench-") as folder:
        Path(folder).chmod(0o711)  # under root the server runs as another user, who needs access
        postgres = Path(folder) / "postgres"
        output.print(f"machine: {machine_state()}")
        server_url = embedded_postgres.start(postgres)
        try:
            parts = {
                "extraction": lambda: extraction.figures(server_url, *scale.extractions),
                "gate": lambda: validation.figures(server_url, scale.gate_rows),
                "unchanged": lambda: unchanged_run.figures(server_url),
                "warehouse": lambda: warehouse.figures(
                    server_url, scale.profiles, *scale.histories, scale.night, log=output.print
                ),
                "recommender": lambda: recommender.figures(
                    server_url, scale.profiles, scale.histories[1], log=output.print
                ),
                "serving": lambda: serving.figures(server_url, scale.profiles, log=output.print),
            }
            for part in [arguments.part] if arguments.part else PARTS:
                for figure in parts[part]():
                    output.print(f"{figure.what}: {figure.shown}")
                    add_row(table, figure)
        finally:
            embedded_postgres.stop(postgres)
    output.print(table)


if __name__ == "__main__":
    main()
