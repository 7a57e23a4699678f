"""Run an extraction in its own process and print its peak memory above the starting value, in kilobytes.

Arguments: the source's address, a folder, the largest size of a page in bytes, and the database's address if the rows
should land too. One scan pass per table, one attempt per page.
"""

import re
import sys
from pathlib import Path

from extract import extraction
from extract.errors import SourceError
from extract.landing import warm_up
from extract.limits import Limits
from extract.pages import Client
from extract.scan import scan
from extract.source_tables import SOURCE_TABLES

WINDOW = 8


def peak_kilobytes() -> int:
    """Return the peak of this process; the peak of `getrusage` includes that of the parent process."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    api_base_url, folder, page_bytes, *database_url = sys.argv[1:]
    limits = Limits(passes=1, attempts=1, page_bytes=int(page_bytes))
    warm_up()
    before = peak_kilobytes()
    try:
        if database_url:
            extraction.run(*database_url, api_base_url, working_folder=Path(folder), batch_size=4, limits=limits)
        else:
            client = Client(api_base_url, window=WINDOW, deadline_seconds=600, batch_size=100, limits=limits)
            scan(client, SOURCE_TABLES[:1], window=WINDOW, folder=Path(folder))
    except SourceError as failed:
        print(failed)
    print(peak_kilobytes() - before)
