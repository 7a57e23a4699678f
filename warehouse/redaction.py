"""Make text safe to show: without secrets, and without control characters that a terminal or a log would obey."""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import quote, quote_plus, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

# Besides whole secrets, parts of addresses from this length on are masked.
SHORTEST_TOKEN = 8


def sanitize(text: str, longest: int | None = None) -> str:
    """Return the text on one line, cut to `longest` characters, with control characters escaped.

    An API may send terminal escape codes, line ends, and marks that change the direction of writing.
    """
    seen = text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in seen)


def redact(message: object, conninfo: str) -> str:
    """Return the first line of the message, without any part of the address that is or could be a password.

    An unescaped @ or / in a password makes libpq mistake a part of it for the host or the database, and quote it.
    Further lines (DETAIL, CONTEXT) quote rows.
    """
    secrets = set()
    with suppress(psycopg.ProgrammingError):
        secrets.add(conninfo_to_dict(conninfo).get("password"))
    after_user = re.search(r"//[^:/@]*:(.*)", conninfo, re.DOTALL)
    if after_user:
        userinfo, at, _ = after_user[1].rpartition("@")
        if at:
            secrets |= {userinfo, *(part for part in re.split(r"[@/:?#]", userinfo) if len(part) > 2)}
            # the end of a password after an @ in it, which libpq takes for the beginning of the host
            secrets |= {f"{part}@" for part in userinfo.split("@")[1:]}
    primary = message.diag.message_primary if isinstance(message, psycopg.Error) else None
    line = " ".join((primary or str(message)).strip().partition("\n")[0].split())
    return mask(line, {spelling for known in secrets if known for spelling in _spellings(str(known))})


def redact_secrets(text: str, secrets: Iterable[str | None], addresses: str) -> str:
    """Return the text without the secrets, in each of their spellings, and without long parts of the addresses.

    `addresses`: those of ALERT_URLS and of proxies. A part that is long enough to be a token is masked.
    """
    known = {*secrets, *_parts(addresses)}
    return mask(text, {spelling for secret in known if secret for spelling in _spellings(secret)})


def _parts(addresses: str) -> set[str]:
    """Return each address and its parts that could be a token or a password: an error may quote a part alone."""
    each = re.split(r"[\s,;]+", addresses)
    parts = {part for address in each for part in re.split(r"[/:@?&=#]+", address) if len(part) >= SHORTEST_TOKEN}
    return {*each, *parts, *map(unquote, parts)}


def _spellings(text: str) -> set[str]:
    return {text, quote(text), quote(text, safe=""), quote_plus(text), repr(text)[1:-1], json.dumps(text)[1:-1]}


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return the text with `***` in place of each secret."""
    # the longest first: one secret may be a part of another
    for known in sorted(secrets, key=len, reverse=True):
        text = text.replace(known, "***")
    return text
