"""ALERT_URLS: who is told something, and the telling. The addresses are secrets, and are named by their number."""

import contextlib
import logging
import re
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import click

from pipeline.exits import Exit, Stop
from pipeline.settings import secret

if TYPE_CHECKING:
    from apprise import NotifyBase

# For all addresses together, each of which is tried twice. A service manager that ends a night gives it as long.
LIMIT_SECONDS = 20

Kind = Literal["success", "warning", "failure"]


def addresses() -> list["NotifyBase | None"]:
    """What ALERT_URLS holds, in its order; None for what is no address that a message can be sent to.

    Raises Stop(WRONG_SETTINGS) for a file that cannot be read.
    """
    text = secret("ALERT_URLS")
    if not text:
        return []
    import apprise  # with the first address it takes half a second
    from apprise.utils.parse import parse_urls

    logging.getLogger("apprise").propagate = False  # its warnings quote addresses
    asset = apprise.AppriseAsset(
        app_id="MooVitamix",
        app_desc="MooVitamix",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        # a thread of ours waits for each, and lets go of it in time
        async_mode=False,
        service_timeout=0,
        default_service_retry=1,
    )
    found = parse_urls(text)
    # apprise leaves out what stands between addresses and is none
    is_all = [re.sub(r"[\s,;]", "", part) for part in (text, "".join(found))]
    return [apprise.Apprise.instantiate(url, asset=asset) for url in found] + [None] * (is_all[0] != is_all[1])


def check_addresses() -> None:
    """Raises Stop(WRONG_SETTINGS) where ALERT_URLS holds what is no address."""
    known = addresses()
    if None in known:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"ALERT_URLS: number {known.index(None) + 1} of its {len(known)} addresses is none that a message can be"
            " sent to; they look like slack://... or mailtos://..., see https://appriseit.com/services/",
        )


def send(title: str, text: str, *, kind: Kind) -> None:
    """Send to all addresses of ALERT_URLS, for LIMIT_SECONDS at most. Raises nothing: what was not sent is told in one
    line on standard error."""
    try:
        known = addresses()
        unsent = _undelivered(title, text, kind, known)
    except Stop as stop:
        _warn(str(stop))
    except Exception as error:
        _warn(f"an unforeseen {type(error).__name__}")
    else:
        if unsent:
            told = ", ".join(f"number {number} ({_kind(known[number - 1])})" for number in unsent)
            _warn(f"{told} of the {len(known)} in ALERT_URLS did not take it; try the address, and the way to it")


def _undelivered(title: str, text: str, kind: Kind, to: Sequence["NotifyBase | None"]) -> list[int]:
    """Send, and return the numbers of those that did not take it in time."""
    import apprise

    taken: set[int] = set()

    def deliver(number: int, address: "NotifyBase") -> None:
        with contextlib.suppress(Exception):
            sender = apprise.Apprise(asset=address.asset)
            sender.add(address)
            if sender.notify(text, title, notify_type=apprise.NotifyType(kind), body_format=apprise.NotifyFormat.TEXT):
                taken.add(number)

    # none of them may keep the process from ending
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
    return [number for number in range(1, len(to) + 1) if number not in taken]


def _kind(address: "NotifyBase | None") -> str:
    return str(address.service_name) if address is not None else "no address"


def _warn(why: str) -> None:
    click.echo(f"moovitamix: warning: an alert could not be sent: {why}", err=True)
