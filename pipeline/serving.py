"""What the commands have in common that serve something on a port until Ctrl-C."""

import contextlib
from collections.abc import Iterator

from pipeline.exits import Exit, Stop


@contextlib.contextmanager
def listening_explained(host: str, port: int, port_variable: str) -> Iterator[None]:
    """Turn an address that cannot be listened on into Stop(WRONG_SETTINGS)."""
    try:
        yield
    except OSError as error:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"cannot listen on {host}:{port} ({error.strerror}); name another port with --port or {port_variable}",
        ) from None
