"""Write the page about what people listen to."""

from pathlib import Path

import psycopg

from monitoring import insights
from pipeline.operations.report import write_page
from pipeline.settings import Settings
from warehouse.errors import CommandError, ExitCode

DEFAULT_FILE = Path("reports") / "listening.html"


def make(settings: Settings, connection: psycopg.Connection, file: Path | None) -> Path:
    """Write the current page, and return its path. `file` None: DEFAULT_FILE in the project's home.

    Raises CommandError(WRONG_SETTINGS) if there are no listens yet, or if the file cannot be written.
    """
    listening = insights.read(connection)
    if listening is None:
        raise CommandError(ExitCode.WRONG_SETTINGS, "the warehouse has no listens yet; first: make run")
    file = file or settings.home / DEFAULT_FILE
    write_page(file, insights.page(listening))
    return file
