"""Test that the README lists the rules of the suites."""

import importlib
import re
from pathlib import Path

import expectations

README = Path(expectations.__file__).with_name("README.md")


def test_the_readme_lists_the_rules_of_every_suite_with_their_severities():
    sections = re.split(r"^### (\w+)$", README.read_text().split("## How to add")[0], flags=re.MULTILINE)[1:]
    listed = {
        name: re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE)
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }
    quarantined = {
        name: [
            (expectation.meta["rule"], expectation.severity.value)
            for expectation in importlib.import_module(f"expectations.{name}").suite().expectations
        ]
        for name in ("users", "tracks", "listen_history", "scans")
    }
    assert {name: sorted(rules) for name, rules in listed.items()} == {
        name: sorted(rules) for name, rules in quarantined.items()
    }
