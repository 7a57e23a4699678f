"""Send messages to the addresses in ALERT_URLS. The addresses are secrets: output names them only by number."""

import contextlib
import logging
import re
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import click

from pipeline.settings import secret
from warehouse.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from apprise import NotifyBase

# For all addresses together; each is tried twice. A service manager that stops a run must wait at least this long.
LIMIT_SECONDS = 20

Kind = Literal["success", "warning", "failure"]


def addresses() -> list["NotifyBase | None"]:
    """Return the addresses in ALERT_URLS, in order, with None for each invalid address.

    Raises CommandError(WRONG_SETTINGS) for a file that cannot be read.
    """
    text = secret("ALERT_URLS")
    if not text:
        return []
    import apprise  # imported here, because it takes half a second
    from apprise.utils.parse import parse_urls

    logging.getLogger("apprise").propagate = False  # its warnings quote addresses
    asset = apprise.AppriseAsset(
        app_id="MooVitamix",
        app_desc="MooVitamix",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        # `_deliver` uses a thread per address, with a time limit
        async_mode=False,
        service_timeout=0,
        default_service_retry=1,
    )
    found = parse_urls(text)
    # apprise skips invalid text between addresses
    is_all = [re.sub(r"[\s,;]", "", part) for part in (text, "".join(found))]
    return [apprise.Apprise.instantiate(url, asset=asset) for url in found] + [None] * (is_all[0] != is_all[1])


def check_addresses() -> None:
    """Raise CommandError(WRONG_SETTINGS) if ALERT_URLS contains an invalid address."""
    known = addresses()
    if None in known:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"ALERT_URLS: address {known.index(None) + 1} of {len(known)} is invalid; addresses look like"
            " slack://... or mailtos://..., see https://appriseit.com/services/",
        )


def send(title: str, text: str, *, kind: Kind) -> None:
    """Send to all addresses in ALERT_URLS within LIMIT_SECONDS. Raises nothing: failures are one line on stderr."""
    try:
        known = addresses()
        failed = _deliver(title, text, kind, known)
    except CommandError as error:
        _warn(str(error))
    except Exception as error:
        _warn(f"unexpected error {type(error).__name__}")
    else:
        if failed:
            numbers = ", ".join(f"number {number} ({_kind(known[number - 1])})" for number in failed)
            _warn(f"{numbers} of the {len(known)} in ALERT_URLS failed; check the address and the network")


def _deliver(title: str, text: str, kind: Kind, to: Sequence["NotifyBase | None"]) -> list[int]:
    """Send to each address, and return the numbers of those that failed or timed out."""
    import apprise

    delivered: set[int] = set()

    def deliver(number: int, address: "NotifyBase") -> None:
        with contextlib.suppress(Exception):
            sender = apprise.Apprise(asset=address.asset)
            sender.add(address)
            if sender.notify(text, title, notify_type=apprise.NotifyType(kind), body_format=apprise.NotifyFormat.TEXT):
                delivered.add(number)

    # daemon threads: none of them may keep the process alive
    threads = [
        threading.Thread(target=deliver, args=(number, address), daemon=True)
        for number, address in enumerate(to, 1)
        if address is not None
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + LIMIT_SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return [number for number in range(1, len(to) + 1) if number not in delivered]


def _kind(address: "NotifyBase | None") -> str:
    return str(address.service_name) if address is not None else "invalid"


def _warn(why: str) -> None:
    click.echo(f"moovitamix: warning: an alert could not be sent: {why}", err=True)
