"""Identifiers use the field's terms: the worst words of another vocabulary are listed, and found as whole words."""

import ast
import re
import subprocess
from pathlib import Path

from pipeline.settings import PROJECT

LIST = Path(__file__).with_name("forbidden_identifiers.txt")


def forbidden_words() -> dict[str, str]:
    """By word, what to write instead."""
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


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
    forbidden = forbidden_words()
    files = subprocess.run(["git", "ls-files", "*.py"], cwd=PROJECT, capture_output=True, text=True, check=True)
    found = [
        f"{file}: {name} (write {forbidden[word]})"
        for file in files.stdout.split()
        for name in sorted(identifiers((PROJECT / file).read_text("utf-8")))
        if not name.startswith("test_")  # a sentence, in which "looks equal" is right
        for word in forbidden
        if f"_{word}_" in words_of(name)
    ]
    assert found == []


def test_a_forbidden_word_is_found_in_any_spelling_and_only_as_a_whole_word():
    source = "def judged_rows(toldFields): self.TOLD = look_up = newest = 1"
    words = {word for name in identifiers(source) for word in forbidden_words() if f"_{word}_" in words_of(name)}
    assert words == {"judged", "told", "look"}
