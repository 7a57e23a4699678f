"""Identifiers and texts use the field's terms: the worst words of another vocabulary are listed, and found whole."""

import ast
import re
import subprocess
from pathlib import Path

from pipeline.settings import PROJECT

IDENTIFIERS = Path(__file__).with_name("forbidden_identifiers.txt")
TEXTS = Path(__file__).with_name("forbidden_in_texts.txt")
TEXT_FILES = ("*.md", "*.sql", "*.j2", "monitoring/*.yml", "dbt_project/*.yml", ":!tests/data/*")


def forbidden_words(file: Path) -> dict[str, str]:
    """By word, what to write instead."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


def tracked_files(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=PROJECT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def words_of(identifier: str) -> str:
    """The identifier as lower-case words between underscores: `toldFields` and `TOLD_FIELDS` are `_told_fields_`."""
    return f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', identifier).lower()}_"


def identifiers(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return names


def test_no_identifier_holds_a_forbidden_word():
    forbidden = forbidden_words(IDENTIFIERS)
    found = [
        f"{file}: {name} (write {forbidden[word]})"
        for file in tracked_files("*.py")
        for name in sorted(identifiers((PROJECT / file).read_text("utf-8")))
        if not name.startswith("test_")  # a sentence, in which "looks equal" is right
        for word in forbidden
        if f"_{word}_" in words_of(name)
    ]
    assert found == []


def test_a_forbidden_word_is_found_in_any_spelling_and_only_as_a_whole_word():
    source = "def judged_rows(toldFields): self.TOLD = look_up = newest = 1"
    words = {
        word for name in identifiers(source) for word in forbidden_words(IDENTIFIERS) if f"_{word}_" in words_of(name)
    }
    assert words == {"judged", "told", "look"}


def forbidden_in_text(text: str) -> set[str]:
    words = set(re.findall(r"\w+", text.replace("git pull", "").lower()))
    return words & forbidden_words(TEXTS).keys()


def test_no_text_holds_a_forbidden_word():
    forbidden = forbidden_words(TEXTS)
    found = [
        f"{file}: {word} (write {forbidden[word]})"
        for file in tracked_files(*TEXT_FILES)
        for word in sorted(forbidden_in_text((PROJECT / file).read_text("utf-8")))
    ]
    assert found == []


def test_a_forbidden_word_in_a_text_is_found_only_as_a_whole_word():
    assert forbidden_in_text("Tonight judged_at is findings; git pull") == {"tonight", "findings"}
