"""A pull in a process of its own that tells, in kilobytes, how much memory it took beyond what it began with.

On the command line: the source's address, a folder, and the database's address when what was read is to land too.
One look at a table, one try for a page.
"""

import re
import sys
from pathlib import Path

import extract
from extract.landing import warm_up
from extract.pages import Client
from extract.scan import scan

LIMITS = extract.Limits(passes=1, attempts=1)
WINDOW = 8


def peak_kilobytes() -> int:
    """Of this process alone: `getrusage` begins with the peak of the one that started it."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    api_base_url, folder, *database_url = sys.argv[1:]
    warm_up()
    before = peak_kilobytes()
    try:
        if database_url:
            extract.run(*database_url, api_base_url, working_folder=Path(folder), batch_size=4, limits=LIMITS)
        else:
            client = Client(api_base_url, window=WINDOW, deadline_seconds=600, batch_size=100, limits=LIMITS)
            scan(client, extract.SOURCE_TABLES[:1], window=WINDOW, folder=Path(folder))
    except extract.SourceFailed as failed:
        print(failed)
    print(peak_kilobytes() - before)
