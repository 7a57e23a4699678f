"""Stand in for Airflow's program when only its processes matter: log start and end to a file."""

import http.server
import os
import signal
import sys
import threading
import urllib.request
from pathlib import Path

PART = sys.argv[1]
STARTED_BY = os.getppid()
LOG_FILE = Path(os.environ["LOG_FILE"])


def log(what: str) -> None:
    with LOG_FILE.open("a") as file:
        file.write(f"{PART} {what}\n")


def serve() -> None:
    address = (os.environ["AIRFLOW__API__HOST"], int(os.environ["AIRFLOW__API__PORT"]))

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    threading.Thread(target=http.server.HTTPServer(address, Answer).serve_forever, daemon=True).start()


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    if PART == "db":
        log(" ".join(sys.argv[2:]))
        return
    if PART == "api-server":
        serve()
    else:
        with urllib.request.urlopen(os.environ["AIRFLOW__API__BASE_URL"]):
            pass
    log("started")
    if os.environ.get("ENDS") == PART:
        sys.exit(3)
    while signal.sigtimedwait({signal.SIGTERM, signal.SIGINT}, 1) is None:
        if os.getppid() != STARTED_BY:
            return  # the process that should stop it has ended
    log("stopped")


main()
