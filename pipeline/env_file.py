"""The settings in the file `.env`: read by the program itself, so that no shell cuts or expands a value."""

import difflib
import io
import os
import re
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from pipeline.exits import Exit, Stop
from pipeline.settings import ENV_FILE, PATHS, PROJECT, SECRETS, SETTINGS

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A value of several lines in which another setting begins: its quote was never closed.
NEXT_SETTING = re.compile(rf"\n\s*(?:export\s+)?(?:{'|'.join(SETTINGS)})\s*=")
# How like a setting another name is, of 1, from which on it is taken for a slip of the pen. POSTGRES_HOST is none, and
# .846 like POSTGRES_PORT.
LIKENESS = 0.85


def load() -> None:
    """Put the settings of the file into this process' environment, which goes before the file.

    The file is `.env` in the project's folder, if there is one, or the one that MOOVITAMIX_ENV_FILE names; none where
    that is empty. Commands that this process starts find its settings in their environment, and read no file.

    Raises Stop(WRONG_SETTINGS), for a line by its number: a value may be a secret, and so may what was meant to be one.
    """
    given = set(os.environ)
    for name, value in _read().items():
        # a secret of the environment replaces that of the file, also where one of them comes from a file of its own
        secret = name.removesuffix("_FILE")
        if given.isdisjoint((secret, f"{secret}_FILE") if secret in SECRETS else (name,)):
            os.environ[name] = value
    os.environ[ENV_FILE] = ""


def _read() -> dict[str, str]:
    named = os.environ.get(ENV_FILE)
    file = PROJECT / ".env" if named is None else Path(named)
    # a link to a file that is gone is no missing file
    if named == "" or (named is None and not os.path.lexists(file)):
        return {}
    shown = named or file.name
    advice = f"correct it, or what {ENV_FILE} names" if named else "correct or remove it"
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise Stop(Exit.WRONG_SETTINGS, f"{shown} cannot be read ({error.strerror}); {advice}") from None
    except UnicodeError:
        raise Stop(Exit.WRONG_SETTINGS, f"{shown} is not UTF-8; save it as UTF-8") from None
    return parse(text, shown)


def parse(text: str, shown: str) -> dict[str, str]:
    """The settings in the text of a file that messages call `shown`. Raises Stop(WRONG_SETTINGS)."""
    if "\0" in text:
        raise _refusal(text.count("\n", 0, text.index("\0")) + 1, shown, "holds a NUL; save the file as UTF-8 text")
    settings: dict[str, str] = {}
    lines: dict[str, int] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.key is None and not binding.error:
            continue  # a comment, or the end
        line = _line(binding)
        if why := _why_unusable(binding):
            raise _refusal(line, shown, why)
        name, value = binding.key, binding.value
        if name in lines:
            raise _refusal(line, shown, f"sets the same name as line {lines[name]}; remove one of the two")
        settings[name], lines[name] = value, line
    return settings


def _why_unusable(binding: Binding) -> str | None:
    """What is wrong with the line, without quoting it, and how to correct it; None if nothing is."""
    name, value = binding.key, binding.value
    if name is None:
        return "cannot be read; write NAME='value', with \\' for a ' in it"
    if name not in SETTINGS and (near := difflib.get_close_matches(name.upper(), SETTINGS, 1, LIKENESS)):
        return f"names no setting of this project; did you mean {near[0]}?"
    if not NAME.fullmatch(name):
        return "cannot be read; a name has letters, digits and _ only: NAME='value'"
    if value is None:
        return "has no =; write NAME='value'"
    if name == ENV_FILE:
        return f"sets {ENV_FILE}, which counts in the environment only; remove it"
    if NEXT_SETTING.search(value):
        return "opens a quote that a later line closes, with another setting between; close it in its own line"
    if name in PATHS and value[:1] in ("~", "$"):
        return f"sets {name} to what only a shell would expand; write the whole path"
    return None


def _line(binding: Binding) -> int:
    """The number of the line in which it begins; dotenv counts the empty lines before it as its own."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _refusal(line: int, shown: str, why: str) -> Stop:
    return Stop(Exit.WRONG_SETTINGS, f"line {line} of {shown} {why}")
