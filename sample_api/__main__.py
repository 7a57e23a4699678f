"""Run the sample API from the command line: print one line when it is ready, then serve until SIGTERM or SIGINT."""

import signal
import sys
import threading
from contextlib import ExitStack
from datetime import datetime

import click

from sample_api.faults import Faults
from sample_api.server import is_loopback, serve
from sample_api.world import World, snapshot

SIZE = click.IntRange(0, 5_000_000)


@click.command(
    context_settings={
        "token_normalize_func": lambda name: name.replace("_", "-"),
        "show_default": True,
        "help_option_names": ["-h", "--help"],
    }
)
@click.option("--host", default="127.0.0.1", help="A loopback address.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free port.")
@click.option("--day", type=click.IntRange(0, 100_000), default=0, help="How many days the world has evolved.")
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), default=World.start.isoformat(), help="The date of day 0.")
@click.option("--seed", type=int, default=World.seed, help="Which world.")
@click.option("--users", type=SIZE, default=World.users, help="Users on day 0.")
@click.option("--tracks", type=SIZE, default=World.tracks, help="Tracks on day 0.")
@click.option("--documents", type=SIZE, default=World.documents, help="History documents on day 0.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[@TABLE][:TIMES][=VALUE]",
    help="Misbehave, for instance latency=0.03 or server_error@tracks:2=1. Repeatable; README.md lists them.",
)
def main(
    host: str,
    port: int,
    day: int,
    start: datetime,
    seed: int,
    users: int,
    tracks: int,
    documents: int,
    faults: tuple[str, ...],
) -> None:
    """Serve a MooVitamix world on this machine until SIGTERM or SIGINT."""
    try:
        if not is_loopback(host):
            raise ValueError(f"--host: {host} is not a loopback address")
        misbehaviour = Faults(*faults)
        rows = snapshot(World(seed, users, tracks, documents, start.date()), day)
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        try:
            server = stack.enter_context(serve(rows, misbehaviour, host, port))
        except OSError as error:
            raise click.UsageError(f"--port: cannot listen on {host}:{port}: {error.strerror}") from None
        click.echo(f"sample API: day {day} of world {seed} on {server.url}")
        stop.wait()


def run() -> int:
    """Run the command; its errors are one line and exit code 2."""
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"sample API: {error.format_message()}", err=True)
        return 2
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
