"""Make Postgres fail on purpose: by a crash, or by a lost answer."""

import contextlib
import os
import re
import signal
import socket
import threading
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from warehouse import embedded_postgres

# What a landing waits for the server to have made durable: each table's rows, and the record of the load.
COMMITS = (rb"Q....COMMIT\0", rb"INSERT INTO [^ ]+_dlt_loads")


def crash(folder: Path) -> None:
    """Crash a server like `pg_ctl stop -m immediate`: no checkpoint, recovery at the next start."""
    pid = int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, signal.SIGQUIT)
    while embedded_postgres.is_running(folder):
        os.sched_yield()


class CuttingProxy:
    """A way to the database that is cut once: when the server has answered the `at`-th commit, which nobody hears.

    `url` leads through it; `commits` is how many were asked for, of COMMITS, and only after something that matches `of`
    was sent in the same transaction. `at` 0 cuts nothing.
    """

    def __init__(self, database_url: str, at: int, of: bytes = b"") -> None:
        target = conninfo_to_dict(database_url)
        self.commits = 0
        self._server = (target["host"], int(target["port"]))
        self._at = at
        self._of = of
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = make_conninfo(database_url, host="127.0.0.1", port=port, sslmode="disable")
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                is_cut = threading.Event()
                for carry in (self._carry_there, self._carry_back):
                    threading.Thread(target=carry, args=(client, server, is_cut), daemon=True).start()

    def _carry_there(self, client: socket.socket, server: socket.socket, is_cut: threading.Event) -> None:
        is_counted = False
        with contextlib.suppress(OSError):
            while sent := client.recv(65536):
                is_counted = is_counted or bool(re.search(self._of, sent))
                commits = sum(len(re.findall(pattern, sent, re.DOTALL)) for pattern in COMMITS)
                if commits and is_counted:
                    with self._lock:
                        if self.commits < self._at <= self.commits + commits:
                            is_cut.set()
                        self.commits += commits
                    is_counted = False
                server.sendall(sent)
        server.close()

    def _carry_back(self, client: socket.socket, server: socket.socket, is_cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (answered := server.recv(65536)) and not is_cut.is_set():
                client.sendall(answered)
            client.shutdown(socket.SHUT_RDWR)


class Switch:
    """A way to a server that can be switched off, which cuts its connections and refuses new ones, and on again.

    It listens on 127.0.0.1 at `port`, also while it is off.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._is_on = True
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> "Switch":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.off()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def off(self) -> None:
        self._is_on = False
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def on(self) -> None:
        self._is_on = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self._is_on:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
