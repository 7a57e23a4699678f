"""Log one JSON line per request and per change of state, without anything about a person."""

import datetime as dt
import sys
from typing import Any

import msgspec


def log_event(event: str, **fields: Any) -> None:
    """Write an event to standard output, as one line that other workers do not interrupt."""
    known = {name: value for name, value in fields.items() if value is not None}
    at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    line = msgspec.json.encode({"at": at, "event": event, **known}) + b"\n"
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
