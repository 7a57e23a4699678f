"""`make bench`: each ratio with its target. SCALE=small for a first look in about two minutes."""

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import extraction
from benchmarks.targets import add_row
from pipeline import embedded_postgres

SCALES = {"small": (20_000, 100_000), "full": (100_000, 1_000_000)}


def main() -> None:
    """`python -m benchmarks [small|full]`, on an embedded Postgres of its own."""
    scale = sys.argv[1] if len(sys.argv) > 1 else "full"
    if scale not in SCALES:
        sys.exit(f"SCALE must be one of {', '.join(SCALES)}, not {scale}")
    output = Console(highlight=False)
    table = Table(title=f"benchmarks, scale {scale}", title_justify="left")
    for name in ("what", "target", "measured"):
        table.add_column(name)
    with tempfile.TemporaryDirectory(prefix="moovitamix-bench-") as folder:
        Path(folder).chmod(0o711)  # under root the server runs as another user, who has to pass through
        postgres = Path(folder) / "postgres"
        server_url = embedded_postgres.start(postgres)
        try:
            for figure in extraction.figures(server_url, *SCALES[scale]):
                output.print(f"{figure.what}: {figure.measured:.3g}{figure.unit}")
                add_row(table, figure)
        finally:
            embedded_postgres.stop(postgres)
    output.print(table)


if __name__ == "__main__":
    main()
