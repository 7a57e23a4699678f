"""List hostile texts that an API may send."""

import unicodedata

HOSTILE = {
    "a quote": "o'brien",
    "quotes": "\"'`",
    "SQL": "'; drop table gate.loads; --",
    "percent": "%s %(key)s %%",
    "braces": "{} {0} {batch} {{",
    "backslashes": "\\ \\n \\u0041 \\x1b[31m",
    "line ends": "one\ntwo\r\nthree\u2028four\x85five",
    "markup": "[red]alarm[/red] [link=http://example.org]x[/link] [/]",
    "html": "<script>alert(1)</script>",
    "escape codes": "\x1b[31mred\x1b[2J\x1b]0;title\x07",
    "one-byte escape codes": "\x9b31mred\x9d0;title\x9c",
    "other controls": "\x01\x07\x08\x0b\x0c\x7f",
    "marks of direction": "\u202egnp.exe\u202c \u2066x\u2069 \u200b",
    "very long": "long " * 30_000,
    "$ and :": "$HOME ${HOME} :name ::text",
}


def obeyed(text: str) -> set[str]:
    """Return the characters of the text that a terminal would execute or hide, except line feeds."""
    return {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp", "Cs")} - {"\n"}
