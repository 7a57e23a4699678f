"""Normalize text so that spellings which look equal compare equal, in Python and in a SQL function.

The SQL is generated from the Python, so that both agree in every database: Postgres 15 and newer, any locale.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psycopg

FUNCTION = "normalized_text"
SCHEMA = "prep"
SOURCE_FILE = Path(__file__)

# Unicode's Default_Ignorable_Code_Point, which Python does not know, and the marks of interlinear annotations.
INVISIBLE = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # bidirectional marks: here, and in the ranges from 0x200E and 0x202A on
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),  # zero-width space and joiners
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),  # tags, and more variation selectors
)
# Unicode's White_Space, control characters, and the empty Braille pattern. Postgres' text has no U+0000.
BLANK = (
    (0x0001, 0x0020),
    (0x007F, 0x00A0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x2800, 0x2800),
    (0x3000, 0x3000),
)
# No letter above has an upper and a lower case.
CASED = range(0x20000)

SOURCE = """
declare
    -- regular expressions and lower() of this collation know no locale
    folded text collate "C" := value;
begin
    if folded ~ '^[ -~]*$' then
        folded := lower(folded);
    else
        folded := normalize(folded, nfkc);
        select string_agg(coalesce($folds${folds}$folds$::jsonb ->> letters.letter, letters.letter), '' order by place)
        into folded
        from string_to_table(folded, null) with ordinality as letters (letter, place);
        folded := normalize(regexp_replace(folded, E'{invisible}', '', 'g'), nfkc);
        folded := regexp_replace(folded, E'{blank}', ' ', 'g');
    end if;
    if position('  ' in folded) > 0 then
        folded := regexp_replace(folded, ' +', ' ', 'g');
    end if;
    return btrim(folded, ' ');
end
"""


def normalize(text: str) -> str:
    """Return the form that all spellings of a text share: NFKC, case folded, without invisible characters, and with
    single spaces between words only.
    """
    folded = unicodedata.normalize("NFKC", text).translate(_folds())
    visible = unicodedata.normalize("NFKC", _INVISIBLE.sub("", folded))
    return re.sub(" +", " ", _BLANK.sub(" ", visible)).strip(" ")


def create_function(connection: psycopg.Connection) -> None:
    """Create `prep.normalized_text(text)`, or replace the function of another version."""
    connection.execute(
        f"create or replace function {SCHEMA}.{FUNCTION}(value text) returns text"
        f" language plpgsql immutable strict parallel safe as $body${function_source()}$body$"
    )


@cache
def function_source() -> str:
    """Return the body of the function: `normalize` in PL/pgSQL, in ASCII."""
    # PL/pgSQL, because a plain SQL function takes ten times as long: Postgres prepares its body on each call
    folds = {chr(letter): folded for letter, folded in _folds().items()}
    parts = {"folds": json.dumps(folds), "invisible": _character_class(INVISIBLE), "blank": _character_class(BLANK)}
    return SOURCE.format(**parts)


@cache
def _folds() -> dict[int, str]:
    """Return the case folding of each letter, in NFKC."""
    folds = {}
    for letter in map(chr, CASED):
        if letter.casefold() != letter and unicodedata.is_normalized("NFKC", letter):
            folded = unicodedata.normalize("NFKC", letter.casefold())
            # some compose to the same letter again, such as U+0390
            if folded != letter:
                folds[ord(letter)] = folded
    return folds


def _character_class(ranges: Iterable[tuple[int, int]]) -> str:
    """Return a bracket expression that Python, and Postgres in an E'' string, read alike."""
    return "[" + "".join(f"{_escape(first)}-{_escape(last)}" for first, last in ranges) + "]"


def _escape(code_point: int) -> str:
    return f"\\u{code_point:04X}" if code_point < 0x10000 else f"\\U{code_point:08X}"


_INVISIBLE = re.compile(_character_class(INVISIBLE))
_BLANK = re.compile(_character_class(((0, 0), *BLANK)))
