"""Check the address of the API, and find the proxy through which it is read."""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

from extract.errors import SettingError

PROXY_VARIABLE = "API_PROXY"
FROM_ENVIRONMENT = "environment"
"""The value of API_PROXY with which the usual variables decide: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""


@dataclass(frozen=True)
class Proxy:
    """Hold an HTTP proxy: `address` without user and password, and `headers` that carry these.

    `variable` is the environment variable that names the proxy.
    """

    variable: str
    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def check_base_url(base_url: str) -> str:
    """Return `base_url` without its last slash. Raises `SettingError` unless it is a plain http(s) address."""
    parts = _split(base_url.strip(), ("http", "https"))
    if parts is None:
        raise SettingError("API_BASE_URL is not an address such as http://host:8000")
    # Also an empty query or fragment: it would swallow the path of a table.
    if parts.username is not None or "?" in base_url or "#" in base_url:
        raise SettingError("API_BASE_URL must not hold a user, a password, a query or a fragment")
    return base_url.strip().rstrip("/")


def find_proxy(api_proxy: str | None, base_url: str) -> Proxy | None:
    """Return the proxy that API_PROXY names for the API at `base_url`; None: the API is read directly.

    Raises `SettingError`, which never quotes the address: it may contain a password.
    """
    if not api_proxy or not api_proxy.strip():
        return None
    if api_proxy.strip() != FROM_ENVIRONMENT:
        return _proxy(PROXY_VARIABLE, api_proxy)
    variable = environment_variable(base_url)
    return _proxy(variable, os.environ[variable]) if variable else None


def environment_variable(base_url: str) -> str | None:
    """Return the usual variable that names a proxy for `base_url`, such as HTTPS_PROXY; None if none does."""
    parts = urlsplit(base_url)
    proxies = getproxies_environment()
    if proxy_bypass_environment(parts.netloc, proxies):
        return None
    names = [f"{kind}_proxy" for kind in (parts.scheme, "all") if kind in proxies]
    return next((spelling for name in names for spelling in (name, name.upper()) if os.environ.get(spelling)), None)


def _proxy(variable: str, text: str) -> Proxy:
    text = text.strip()
    # Other programs accept `proxy:3128` in the usual variables.
    parts = _split(text if "://" in text else f"http://{text}", ("http",))
    if parts is None or parts.path not in ("", "/") or "?" in text or "#" in text:
        raise SettingError(
            f"{variable} is not the address of an HTTP proxy such as http://user:password@proxy:3128;"
            " percent-encode special characters in the password"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"http://{host}:{parts.port or 80}"
    if parts.username is None:
        return Proxy(variable, address)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode(errors="surrogateescape")
    return Proxy(variable, address, {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"})


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult | None:
    """Return the parts of the address, or None unless it has one of the schemes, a host and a possible port."""
    try:
        parts = urlsplit(text)
        is_plain = (
            parts.scheme in schemes
            and parts.port != 0
            and re.fullmatch(r"[\w.:%-]+", parts.hostname or "")
            and not re.search(r"\s", text)
        )
    except ValueError:
        return None
    return parts if is_plain else None
