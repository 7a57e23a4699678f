"""Name the runbook of an exit code, by default failed-run.md, and of warnings: for `make status` and the alerts."""

from warehouse.errors import ExitCode

FAILED_RUN = "docs/runbooks/failed-run.md"
FAILED_SOURCE = "docs/runbooks/failed-source.md"
BLOCKED_LOAD = "docs/runbooks/blocked-load.md"
CRASHED_RUN = "docs/runbooks/crashed-run.md"
NO_RUN = "docs/runbooks/no-run.md"
UNUSUAL_RUN = "docs/runbooks/unusual-run.md"
GROWING_QUARANTINE = "docs/runbooks/growing-quarantine.md"
ERASURE_REQUEST = "docs/runbooks/erasure-request.md"

BY_EXIT_CODE: dict[int, str] = {ExitCode.SOURCE_FAILED: FAILED_SOURCE, ExitCode.BLOCKED: BLOCKED_LOAD}


def find_runbook(code: int | None) -> str:
    """Return the runbook for a run that failed with this exit code."""
    return FAILED_RUN if code is None else BY_EXIT_CODE.get(code, FAILED_RUN)
