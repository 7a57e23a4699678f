"""Manage the key of the tombstones of erased users, and load the tombstones for the extraction.

Without the right key the extraction could not recognize erased users and would load them again. Therefore a run
without it ends before it reads anything.
"""

import hmac
import secrets

import psycopg

from expectations import ledger
from extract.erasures import NO_ERASURES, Erasures, key_check
from pipeline.run.message_parts import python
from pipeline.settings import Settings
from warehouse.embedded_postgres import write_secret
from warehouse.errors import CommandError, ExitCode

SHORTEST = 32
NEW_KEY_COMMAND = f'{python()} -c "import secrets; print(secrets.token_hex(32))"'


def load_erasures(settings: Settings, connection: psycopg.Connection) -> Erasures:
    """Return the erased users. Raises CommandError(WRONG_SETTINGS) if the key of their tombstones is missing."""
    known = ledger.erasures(connection)
    if not known:
        return NO_ERASURES
    key = _key(settings)
    if key is None:
        raise _refusal(settings, "ERASURE_KEY is not set, but users were erased from this warehouse")
    if not all(hmac.compare_digest(key_check(key, made), check) for made, (_, check) in known.items()):
        raise _refusal(settings, "ERASURE_KEY is not the key with which users were erased from this warehouse")
    return Erasures(key, frozenset(made for tombstone, (aliases, _) in known.items() for made in (tombstone, *aliases)))


def choose_key(settings: Settings, connection: psycopg.Connection) -> str:
    """Return the key for the next erasure. For the embedded Postgres, make one if there is none; `save` stores it.

    Raises CommandError(WRONG_SETTINGS) if the key is missing or not the one of earlier erasures.
    """
    if key := load_erasures(settings, connection).key or _key(settings):
        return key
    if settings.database_url:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "ERASURE_KEY is not set; generate a key, keep it as long as the warehouse, and set it for every run:"
            f" {NEW_KEY_COMMAND}",
        )
    return secrets.token_hex(32)


def save(settings: Settings, key: str) -> None:
    """Store the key of the embedded Postgres beside its data, unless ERASURE_KEY is set or the file exists."""
    file = settings.erasure_key_file
    if settings.database_url or settings.erasure_key or file.exists():
        return
    # Renamed when it is complete: half a key would be a different key.
    written = file.with_suffix(".new")
    write_secret(written, key)
    written.rename(file)


def _refusal(settings: Settings, message: str) -> CommandError:
    remedy = "" if settings.database_url else f", or restore it as {settings.erasure_key_file}"
    return CommandError(
        ExitCode.WRONG_SETTINGS,
        f"{message}. Without that key they would be loaded again, so nothing is loaded or erased:"
        f" set ERASURE_KEY to the original key{remedy}",
    )


def _key(settings: Settings) -> str | None:
    key = settings.erasure_key
    if key is None and not settings.database_url:
        key = _read_key_file(settings)
    if key is not None and len(key) < SHORTEST:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"ERASURE_KEY has fewer than {SHORTEST} characters, and ids are easy to guess;"
            f" generate one with: {NEW_KEY_COMMAND}",
        )
    return key


def _read_key_file(settings: Settings) -> str | None:
    file = settings.erasure_key_file
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"the key in {file} cannot be read ({error.strerror}): make it readable, or set ERASURE_KEY",
        ) from None
