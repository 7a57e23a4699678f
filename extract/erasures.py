"""Withhold the rows of erased users: they are counted and never land. Only keyed hashes identify these users."""

import hmac
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal

from extract.rows import NUMBER_CAP
from extract.source_tables import SourceTable
from warehouse.normalization import normalize

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
# The source's escapes, and those that make the text of an unreadable row storable.
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-7][0-9a-f]))")
_decode = json.JSONDecoder(parse_float=Decimal).decode


def normalize_user_id(person: object) -> str | None:
    """Return the one spelling of a person's id: 7, 7.0, "7" and "07" are the same person. None if it is no id."""
    if isinstance(person, bool) or not isinstance(person, int | float | Decimal | str):
        return None
    if isinstance(person, int):
        return str(person)
    text = str(person).strip()
    # in full-width digits too; other ids that look alike may be different people
    plain = normalize(text)
    if not _NUMBER.fullmatch(plain):
        return text if plain else None
    number = Decimal(plain)
    if not number:
        return "0"
    if abs(number.adjusted()) > NUMBER_CAP:
        return text
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def hash_user_id(key: str, person: object) -> str:
    """Return the HMAC-SHA256 of the person's canonical id, in hexadecimal: without the key it identifies no one.

    Raises ValueError when `person` is no id.
    """
    name = normalize_user_id(person)
    if name is None:
        raise ValueError("this is not the id of a person")
    return _keyed_hash(key, name)


def alias(key: str, address: str) -> str:
    """Return the keyed hash of an e-mail address, the same for all spellings that `normalize` makes equal."""
    return hash_user_id(key, normalize(address))


def key_check(key: str, made: str) -> str:
    """Return the check value that is stored beside a tombstone. It reveals a key other than the one that made it."""
    return _keyed_hash(key, made)


@dataclass(frozen=True)
class Erasures:
    """Hold the tombstones of erased users, and the key that made them."""

    key: str = field(default="", repr=False)
    tombstones: frozenset[str] = frozenset()

    def covers(self, person: object) -> bool:
        """Return True when this person was erased, however the id is spelled."""
        name = normalize_user_id(person)
        return name is not None and _keyed_hash(self.key, name) in self.tombstones

    def covers_alias(self, address: object) -> bool:
        """Return True when an erased person had this e-mail address, in a spelling that `normalize` makes equal.

        Older hashes used the casefolded address; the oldest used the address as it was spelled.
        """
        name = normalize_user_id(address)
        return name is not None and any(map(self.covers, {normalize(name), name.casefold(), name}))

    def withholds(self, table: SourceTable, key: str | None, text: str) -> bool:
        """Return True when a row of `table` belongs to an erased person. `key` and `text` are those of a `rows.Row`.

        The key identifies the person. If it holds no id, the alias does. If the row has no key, any id or alias in the
        text does.
        """
        if table.person is None or not self.tombstones:
            return False
        if key is not None:
            person = dict(zip(table.key, _decode(key), strict=False)).get(table.person)
            if normalize_user_id(person) is not None or table.alias is None:
                return self.covers(person)
        if key is None and any(self.covers(person) for person in _values_after(table.person, text)):
            return True
        return table.alias is not None and any(
            self.covers_alias(address) for address in _values_after(table.alias, text)
        )


NO_ERASURES = Erasures()


def _values_after(name: str, text: str) -> list[str]:
    """Return the values that follow `name` anywhere in a text that need not be JSON."""
    plain = _ESCAPE.sub(lambda escape: chr(int(escape[1] or escape[2], 16)), text)
    # two escapes can be one letter
    plain = plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    value = r"""[\s']*+(?:"((?:[^"\\]|\\.)*+)"|([^\s"',\[\]{}]+))"""
    return [
        quoted or bare
        for quoted, bare in re.findall(rf"(?<!\w){re.escape(name)}(?!\w)[\s\"']*+[:=]{value}", plain, re.DOTALL)
    ]


def _keyed_hash(key: str, text: str) -> str:
    # An id may hold a lone surrogate, and so may an environment variable that is not UTF-8.
    return hmac.digest(key.encode(errors="surrogatepass"), text.encode(errors="surrogatepass"), "sha256").hex()
