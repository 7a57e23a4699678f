"""Translate the errors of commands that listen on a port."""

import contextlib
from collections.abc import Iterator

from warehouse.errors import CommandError, ExitCode


@contextlib.contextmanager
def translate_listen_errors(host: str, port: int, remedy: str) -> Iterator[None]:
    """Turn an address that cannot be used into CommandError(WRONG_SETTINGS); `remedy` names the options for another."""
    try:
        yield
    except OSError as error:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"cannot listen on {host}:{port} ({error.strerror}); name another with {remedy}",
        ) from None
