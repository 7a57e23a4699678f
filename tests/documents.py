"""Find the commands in the project's documents, and what `make` calls for each."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
FENCE = re.compile(r"^ *```(\w*)$")
# a code span, which may continue on the next line
SPAN = re.compile(r"`([^`]+)`")
IS_COMMAND = re.compile(r"(?:^|\s)make [a-z]|(?:^|\s|/)python -m ")
OPERATORS = {"&", "&&", "|", "||", ";", ">", ">>", "<"}
SETTING = re.compile(r"([A-Z_]+)=")


@dataclass(frozen=True)
class Command:
    """Hold one command of a document: its file and line, its words, and the settings before it.

    `typed` is the whole line, `comment` the text after `#`, `is_in_block` whether it is in a block of shell commands.
    """

    document: str
    line: int
    words: tuple[str, ...]
    settings: tuple[str, ...] = ()
    typed: str = ""
    comment: str = ""
    is_in_block: bool = False

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}: {' '.join(self.words)}"


def documents() -> list[Path]:
    """Return the documents for people who run or change the project."""
    return sorted(
        path
        for pattern in ("*.md", "*/README.md", "docs/*.md", "docs/*/*.md", ".env.example")
        for path in PROJECT.glob(pattern)
    )


def commands_in(document: Path) -> list[Command]:
    """Return the commands of a document in their order."""
    return list(parse(document.read_text(), str(document.relative_to(PROJECT))))


def parse(text: str, document: str) -> Iterator[Command]:
    """Yield the commands in this text: lines of code blocks, and code spans that look like a command.

    Raises ValueError with file and line for a command that no shell could read.
    """
    language: str | None = None
    prose: list[str] = []
    pending = ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if fence := FENCE.match(line):
            language = None if language is not None else fence[1]
        is_prose = language is None and not fence
        prose.append(line if is_prose and line else "")
        if not prose[-1]:
            # a span does not continue over an empty line
            yield from _spans(prose, number, document)
            prose = []
        if language == "sh" and not fence:
            pending += line
            if pending.endswith("\\"):
                pending = pending[:-1]
                continue
            yield from _shell(pending, number, document, is_in_block=True)
            pending = ""
        elif language is not None and not fence:
            yield from _other_block(line, number, document)


def _spans(lines: list[str], end: int, document: str) -> Iterator[Command]:
    text = "\n".join(lines)
    for span in SPAN.finditer(text):
        code = " ".join(span[1].split())
        if IS_COMMAND.search(code):
            yield from _shell(code, end - len(lines) + 1 + text.count("\n", 0, span.start()), document)


def _other_block(line: str, number: int, document: str) -> Iterator[Command]:
    """Find a command within a unit, a crontab, a manifest or the output of a command."""
    words = [word.strip("[],:;.") for word in line.split()]
    words = [word.removeprefix("ExecStart=") for word in words if word]
    for position, word in enumerate(words):
        if word == "make":
            target = next(_without_options(words[position + 1 :]), "")
            yield Command(document, number, ("make", target))
        if word == "-m" and position:
            yield Command(document, number, tuple(words[position - 1 :]))


def _shell(line: str, number: int, document: str, is_in_block: bool = False) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError as error:
        raise ValueError(f"{document}:{number}: {line}: {error}") from None
    comment = re.search(r"\s#\s*(.*)", line)
    command: list[str] = []
    for word in [*words, ";"]:
        if word not in OPERATORS:
            command.append(word)
        elif command:
            first = next((place for place, text in enumerate(command) if not SETTING.match(text)), len(command))
            yield Command(
                document,
                number,
                tuple(command[first:]),
                tuple(command[:first]),
                line,
                comment[1] if comment else "",
                is_in_block,
            )
            command = []


def recipes() -> dict[str, list[str]]:
    """Return the lines of each target's recipe in the Makefile."""
    lines: dict[str, list[str]] = {}
    target = None
    for line in (PROJECT / "Makefile").read_text().replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            if target:
                lines[target].append(line.strip().removeprefix("@"))
            continue
        named = re.match(r"([a-z][a-z-]*):(?!=)", line)
        target = named[1] if named else None
        if target:
            lines[target] = []
    return lines


def pipeline_arguments(command: Command) -> list[str] | None:
    """Return the arguments with which the command calls `python -m pipeline`; None if it does not.

    Raises ValueError for a target that does not exist, and for a variable that its recipe ignores.
    """
    words = list(command.words)
    if words[:1] != ["make"]:
        position = words.index("-m") if "-m" in words else len(words)
        return words[position + 2 :] if words[position + 1 : position + 2] == ["pipeline"] else None
    variables = dict(word.split("=", 1) for word in words[1:] if SETTING.match(word))
    targets = [word for word in _without_options(words[1:]) if not SETTING.match(word)]
    known = recipes()
    for target in targets:
        if target not in known:
            raise ValueError(f"make has no target {target}")
    recipe = known[targets[0]] if targets else []
    for name in variables:
        if not any(f"$({name})" in line for line in recipe):
            raise ValueError(f"make {' '.join(targets)} ignores {name}")
    for line in recipe:
        if called := re.search(r"\$\(PIPELINE\) ?(.*)", line):
            return shlex.split(called[1].replace("$(ARGS)", variables.get("ARGS", "")))
    return None


def _without_options(words: list[str]) -> Iterator[str]:
    """Drop the options of make; -C has a value."""
    is_value = False
    for word in words:
        if not is_value and not word.startswith("-"):
            yield word
        is_value = word == "-C"
