"""Read the settings in the file `.env`. No shell is involved, so values are neither split nor expanded."""

import difflib
import io
import os
import re
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from pipeline.settings import ENV_FILE, PATHS, PROJECT, SECRETS, SETTINGS
from warehouse.errors import CommandError, ExitCode

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A value of several lines that contains another setting: its quote was never closed.
NEXT_SETTING = re.compile(rf"\n\s*(?:export\s+)?(?:{'|'.join(SETTINGS)})\s*=")
# The settings that decide which warehouse and which API a run works on.
WORKED_ON = ("DATABASE_URL", "API_BASE_URL")
# Similarity (0 to 1) from which a name counts as a misspelled setting. POSTGRES_HOST must not: its similarity to
# POSTGRES_PORT is .846.
LIKENESS = 0.85


def load() -> None:
    """Put the settings of the file into this process' environment. Variables that are already set take precedence.

    The file is the one that MOOVITAMIX_ENV_FILE names, else `.env` in the project's folder. An empty
    MOOVITAMIX_ENV_FILE means no file. Child processes inherit the settings by environment, and read no file.

    Raises CommandError(WRONG_SETTINGS) with the number of the line. The message never quotes the line, which may
    contain a secret.
    """
    given = set(os.environ)
    settings = _read()
    for name in WORKED_ON:
        if settings.get(name) and os.environ.get(name) == "":
            raise CommandError(
                ExitCode.WRONG_SETTINGS,
                f"{name} is empty in the environment, which would hide its value in the settings file; unset it",
            )
    for name, value in settings.items():
        # a secret in the environment replaces that in the file, also if either comes from a `<NAME>_FILE`
        secret = name.removesuffix("_FILE")
        if given.isdisjoint((secret, f"{secret}_FILE") if secret in SECRETS else (name,)):
            os.environ[name] = value
    os.environ[ENV_FILE] = ""


def _read() -> dict[str, str]:
    named = os.environ.get(ENV_FILE)
    file = PROJECT / ".env" if named is None else Path(named)
    # a dangling link is an error, not a missing file
    if named == "" or (named is None and not os.path.lexists(file)):
        return {}
    shown = named or file.name
    advice = f"correct the file or {ENV_FILE}" if named else "correct or remove it"
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise CommandError(ExitCode.WRONG_SETTINGS, f"{shown} cannot be read ({error.strerror}); {advice}") from None
    except UnicodeError:
        raise CommandError(ExitCode.WRONG_SETTINGS, f"{shown} is not UTF-8; save it as UTF-8") from None
    return parse(text, shown)


def parse(text: str, shown: str) -> dict[str, str]:
    """Parse the text of a file that messages call `shown`. Raises CommandError(WRONG_SETTINGS)."""
    if "\0" in text:
        raise _refusal(text.count("\n", 0, text.index("\0")) + 1, shown, "contains a NUL; save the file as UTF-8 text")
    settings: dict[str, str] = {}
    lines: dict[str, int] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.key is None and not binding.error:
            continue  # a comment, or the end of the file
        line = _line(binding)
        if why := _why_unusable(binding):
            raise _refusal(line, shown, why)
        name, value = binding.key, binding.value
        if name in lines:
            raise _refusal(line, shown, f"sets the same name as line {lines[name]}; remove one of the two")
        settings[name], lines[name] = value, line
    return settings


def _why_unusable(binding: Binding) -> str | None:
    """Return what is wrong with the line and how to correct it, without quoting it. Return None if it is valid."""
    name, value = binding.key, binding.value
    if name is None:
        return "cannot be read; write NAME='value', with \\' for a ' in it"
    if name not in SETTINGS and (near := difflib.get_close_matches(name.upper(), SETTINGS, 1, LIKENESS)):
        return f"sets an unknown name; did you mean {near[0]}?"
    if not NAME.fullmatch(name):
        return "cannot be read; a name has letters, digits and _ only: NAME='value'"
    if value is None:
        return "has no =; write NAME='value'"
    if name == ENV_FILE:
        return f"sets {ENV_FILE}, which works only in the environment; remove it"
    if NEXT_SETTING.search(value):
        return "opens a quote that is closed only after another setting; close it in its own line"
    if name in PATHS and value[:1] in ("~", "$"):
        return f"sets {name} to a path that only a shell would expand; write the whole path"
    return None


def _line(binding: Binding) -> int:
    """Return the number of the line in which the setting begins. dotenv also counts the empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _refusal(line: int, shown: str, why: str) -> CommandError:
    return CommandError(ExitCode.WRONG_SETTINGS, f"line {line} of {shown} {why}")
