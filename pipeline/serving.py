"""What the commands have in common that serve something on a port until Ctrl-C."""

import contextlib
from collections.abc import Iterator

from pipeline.exits import Exit, Stop


@contextlib.contextmanager
def listening_explained(host: str, port: int, remedy: str) -> Iterator[None]:
    """Turn an address that cannot be listened on into Stop(WRONG_SETTINGS); `remedy`: the options that name another."""
    try:
        yield
    except OSError as error:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"cannot listen on {host}:{port} ({error.strerror}); name another with {remedy}",
        ) from None
