"""The key that makes the tombstones of erased users, and the tombstones as the extraction gets them.

Without the key nobody could tell whom to withhold, and with another one the erased would come back: whatever needs it
ends before anything is pulled.
"""

import hmac
import secrets

import psycopg

from expectations import ledger
from extract import NO_ERASURES, Erasures, key_check
from pipeline.embedded_postgres import write_secret
from pipeline.exits import Exit, Stop
from pipeline.settings import Settings

SHORTEST = 32
HOW_TO_MAKE_ONE = 'python -c "import secrets; print(secrets.token_hex(32))"'


def erasures(settings: Settings, connection: psycopg.Connection) -> Erasures:
    """Who was erased. Raises Stop(WRONG_SETTINGS) when the key that the tombstones were made with is not there."""
    known = ledger.erasures(connection)
    if not known:
        return NO_ERASURES
    key = _key(settings)
    if key is None:
        raise _refusal(settings, "ERASURE_KEY is not set, but users were erased from this warehouse")
    if not all(hmac.compare_digest(key_check(key, made), check) for made, (_, check) in known.items()):
        raise _refusal(settings, "ERASURE_KEY is not the key with which users were erased from this warehouse")
    return Erasures(key, frozenset(made for tombstone, (aliases, _) in known.items() for made in (tombstone, *aliases)))


def key_to_erase_with(settings: Settings, connection: psycopg.Connection) -> str:
    """The key for the next erasure; for the embedded Postgres a new one if need be, which is not kept yet: see `keep`.

    Raises Stop(WRONG_SETTINGS) when there is none, or not the one that was used before.
    """
    if key := erasures(settings, connection).key or _key(settings):
        return key
    if settings.database_url:
        raise Stop(
            Exit.WRONG_SETTINGS,
            "ERASURE_KEY is not set; make a key, keep it as long as the warehouse, and set it for every run:"
            f" {HOW_TO_MAKE_ONE}",
        )
    return secrets.token_hex(32)


def keep(settings: Settings, key: str) -> None:
    """Store the key of the embedded Postgres beside its data, unless it is kept elsewhere or there already."""
    file = settings.erasure_key_file
    if settings.database_url or settings.erasure_key or file.exists():
        return
    # Renamed when it is whole: half a key would be another one.
    written = file.with_suffix(".new")
    write_secret(written, key)
    written.rename(file)


def _refusal(settings: Settings, message: str) -> Stop:
    place = "" if settings.database_url else f", or put that back as {settings.erasure_key_file}"
    return Stop(
        Exit.WRONG_SETTINGS,
        f"{message}, and without it they would come back: nothing is pulled and nobody erased"
        f" until you set it to the key of then{place}",
    )


def _key(settings: Settings) -> str | None:
    key = settings.erasure_key
    if key is None and not settings.database_url:
        key = _kept(settings)
    if key is not None and len(key) < SHORTEST:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"ERASURE_KEY has less than {SHORTEST} characters, and ids are easy to guess; make one: {HOW_TO_MAKE_ONE}",
        )
    return key


def _kept(settings: Settings) -> str | None:
    file = settings.erasure_key_file
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"the key in {file} cannot be read ({error.strerror}): make it readable, or set ERASURE_KEY",
        ) from None
