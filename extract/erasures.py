"""People whose data was erased: their rows are counted, and never land. Known are only keyed hashes of them."""

import hmac
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal

from extract.rows import NUMBER_CAP
from extract.source_tables import SourceTable
from warehouse.text import normalize

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
# The source's escapes, and those with which the text of an unreadable row was made fit to be stored.
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-7][0-9a-f]))")
_decode = json.JSONDecoder(parse_float=Decimal).decode


def canonical(person: object) -> str | None:
    """The one spelling of a person's id: 7, 7.0, "7" and "07" are the same person. None for what names nobody."""
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


def tombstone(key: str, person: object) -> str:
    """HMAC-SHA256 of the person's canonical id, in hexadecimal: without the key nobody can tell whose it is.

    Raises ValueError for what names nobody.
    """
    name = canonical(person)
    if name is None:
        raise ValueError("this names nobody")
    return _keyed_hash(key, name)


def alias(key: str, address: str) -> str:
    """The keyed hash of an e-mail address, the same for all spellings that `normalize` makes equal."""
    return tombstone(key, normalize(address))


def key_check(key: str, made: str) -> str:
    """What is kept beside a tombstone, so that another key than the one that made it is noticed."""
    return _keyed_hash(key, made)


@dataclass(frozen=True)
class Erasures:
    """The tombstones of the erased, and the key that made them."""

    key: str = field(default="", repr=False)
    tombstones: frozenset[str] = frozenset()

    def cover(self, person: object) -> bool:
        """True when this person was erased, however the id is spelled."""
        name = canonical(person)
        return name is not None and _keyed_hash(self.key, name) in self.tombstones

    def cover_alias(self, address: object) -> bool:
        """True when an erased person had this e-mail address, in a spelling that `normalize` makes equal.

        Older hashes were made of the casefolded address, and before that of the address as it was spelled.
        """
        name = canonical(address)
        return name is not None and any(map(self.cover, {normalize(name), name.casefold(), name}))

    def withhold(self, table: SourceTable, key: str | None, text: str) -> bool:
        """True when a row of `table` tells that it is of an erased person. `key` and `text` are those of a `rows.Row`.

        The key tells whose row it is. When it holds no id, the alias does; when it is not told at all, whatever the
        text says of either.
        """
        if table.person is None or not self.tombstones:
            return False
        if key is not None:
            person = dict(zip(table.key, _decode(key), strict=False)).get(table.person)
            if canonical(person) is not None or table.alias is None:
                return self.cover(person)
        if key is None and any(self.cover(person) for person in _told(table.person, text)):
            return True
        return table.alias is not None and any(self.cover_alias(address) for address in _told(table.alias, text))


NO_ERASURES = Erasures()


def _told(name: str, text: str) -> list[str]:
    """The values that follow `name` anywhere in a text that need not be JSON."""
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
