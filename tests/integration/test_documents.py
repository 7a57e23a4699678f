"""The commands of the documents exist with their options, and those that can be played on a test warehouse succeed."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest

from pipeline.settings import SETTINGS
from sample_api.__main__ import main as sample_api
from tests.command import command
from tests.documents import PROJECT, Command, commands_in, documents, parse, pipeline_arguments
from tests.runs import small_sample_world
from warehouse import embedded_postgres
from warehouse.errors import ExitCode

# Placeholders of numbers.
NUMBERS = re.compile(r"\b(USER_ID|SNAPSHOT|VERSION)\b")
# Settings of other programs.
FOREIGN_SETTING = re.compile(r"AIRFLOW__|GF_|ALL_PROXY$")


@pytest.fixture
def parsed_only(monkeypatch):
    """Parse each command line completely, and run nothing."""
    monkeypatch.setattr(click.Context, "invoke", lambda *arguments, **named: None)


def fault(documented: Command) -> str | None:
    """Return what is wrong with the command, or None."""
    words = documented.words
    unknown = [text.partition("=")[0] for text in documented.settings]
    unknown = [name for name in unknown if name not in SETTINGS and not FOREIGN_SETTING.match(name)]
    if unknown and (words[:1] == ("make",) or "-m" in words):
        return f"no setting is called {unknown[0]}"
    try:
        arguments = pipeline_arguments(documented)
        if "sample_api" in words:
            sample_api.main([*words[words.index("sample_api") + 1 :]], standalone_mode=False)
    except (ValueError, click.ClickException) as error:
        return str(error)
    # STEP stands for any command
    if arguments and not arguments[0].isupper():
        ended = command(*(NUMBERS.sub("7", argument) for argument in arguments))
        return None if ended.code == ExitCode.PUBLISHED else ended.err.strip()
    if words[:1] == ("make",) or "pytest" in words:
        paths = [path for word in words for path in word.removeprefix("ARGS=").split() if path.startswith("tests/")]
        return next((f"{path} does not exist" for path in paths if not (PROJECT / path).exists()), None)
    return None


def test_each_command_in_the_documents_exists_with_its_options(parsed_only):
    documented = [each for document in documents() for each in commands_in(document)]
    assert len({each.document for each in documented}) > 20 and len(documented) > 200
    faults = [f"{each.place}: {why}" for each in documented if (why := fault(each))]
    assert faults == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```sh\nmake statsu\n```", "make has no target statsu"),
        ('see `make\ngate ARGS="shwo LOAD"`', "No such command 'shwo'"),
        ('```sh\nmake gate ARGS="show LOAD --rows"\n```', "No such option '--rows'"),
        ("```sh\nmake gate ARGS=\"release LOAD --reason 'why'\"\n```", "Missing argument 'TABLE'"),
        ("| `make prune ARGS=\"--keep 90x --reason 'why'\"` |", "--keep"),
        ('```sh\nmake stop &&\\\n    make erase ARGS="7"\n```', "Missing option '--reason'"),
        ("```sh\nmake test-unit SCALE=small\n```", "make test-unit ignores SCALE"),
        ("```sh\nmake test-machine ARGS=tests/nowhere\n```", "tests/nowhere does not exist"),
        ("```sh\nBATCHSIZE=7 make run\n```", "no setting is called BATCHSIZE"),
        ("```ini\nExecStart=/srv/.venv/bin/python -m pipeline rnu\n```", "No such command 'rnu'"),
        ("```yaml\nargs: [python, -m, pipeline, run, --windows]\n```", "No such option '--windows'"),
        ("```\n0 0 * * *  make -C /srv/moovitamix rnu\n```", "make has no target rnu"),
        ("```\npython -m sample_api --prot 8000\n```", "No such option '--prot'"),
    ],
)
def test_a_typo_is_reported_with_its_line(text, why, parsed_only):
    faults = [(each.line, problem) for each in parse(f"first line\n\n{text}\n", "a.md") if (problem := fault(each))]
    assert len(faults) == 1 and why in faults[0][1]
    assert faults[0][0] in (3, 4, 5)


# What no test can play: it runs until Ctrl-C, needs another program, a network or files, or is a test itself.
NOT_PLAYED = {
    "evaluate", "schedule", "metrics", "airflow", "docs-serve", "serve",
    "setup", "test", "test-machine", "test-airflow", "bench", "lint",
}  # fmt: skip
# They take longest: .ci/run ends with the first, and test_builds.py does what the second does.
PLAYED_ELSEWHERE = {("make", "dbt", "ARGS=test"), ("make", "dbt", "ARGS=build --full-refresh")}
# The other commands that are played: they concern the folder of the warehouse, which is the current one.
IN_THE_SHELL = ("if [ -e ", "rm -rf .dlt", "df -h .")
# What happened before somebody reads this document.
BEFORE = {
    "docs/runbooks/blocked-load.md": ("bad_rows@users=0.5", ExitCode.BLOCKED),
    "docs/runbooks/growing-quarantine.md": ("bad_rows@users=0.15", ExitCode.PUBLISHED),
    "expectations/README.md": ("bad_rows@users=0.15", ExitCode.PUBLISHED),
    "docs/runbooks/failed-run.md": ("down", ExitCode.SOURCE_FAILED),
    "docs/runbooks/unusual-run.md": ("bulk_removal=0.1", ExitCode.PUBLISHED),
}
# No user has the id -x.
ENDS_OTHERWISE = {
    "make erase ARGS=--reason 'request 2026-114' -- -x": {ExitCode.WRONG_SETTINGS},
    # they need a second model, and the speed of the machine decides whether a training finds one
    "make model ARGS=rollback --reason 'why'": {ExitCode.PUBLISHED, ExitCode.WRONG_SETTINGS},
    "make model ARGS=promote VERSION --reason 'why'": {ExitCode.PUBLISHED, ExitCode.WRONG_SETTINGS},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    """Make a small embedded warehouse by two runs with two releases, in a folder that is the current one."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch, small_sample_world():
        patch.setenv("MOOVITAMIX_HOME", str(folder))
        patch.chdir(folder)
        # `clean` would remove what the developer has generated in the checkout
        patch.setattr("pipeline.operations.generated_files.OF_PROJECT", ())
        try:
            for _ in range(2):
                assert command("run").code == ExitCode.PUBLISHED
                assert command("recommend").code == ExitCode.PUBLISHED
            yield folder
        finally:
            embedded_postgres.stop(folder / ".postgres")


def playable(document: Path) -> list[Command]:
    """Return the commands of the document that a test can play: the blocks, then the alternatives of its tables."""
    documented = [each for each in commands_in(document) if is_playable(each)]
    return sorted(documented, key=lambda each: not each.is_in_block)


def is_playable(documented: Command) -> bool:
    words = documented.words
    if documented.is_in_block and " ".join(words).startswith(IN_THE_SHELL):
        return True
    if not documented.is_in_block and not any(word.startswith("ARGS=") for word in words):
        return False
    if documented.settings and documented.settings[0].startswith("ALERT_URLS="):
        return False
    if words in PLAYED_ELSEWHERE:
        return False
    return words[0] == "make" and words[1] not in NOT_PLAYED and "ARGS=..." not in words


PLAYED = [
    document
    for document in documents()
    # test_tour.py plays the tour
    if document.name != "tour.md" and document.parent.name != "decisions" and playable(document)
]


@pytest.mark.slow
@pytest.mark.parametrize("document", PLAYED, ids=lambda document: str(document.relative_to(PROJECT)))
def test_the_commands_of_a_document_succeed(document, home):
    name = str(document.relative_to(PROJECT))
    if name in BEFORE:
        happened, code = BEFORE[name]
        assert command("run", "--fault", happened).code == code
    values = placeholders(home)
    for documented in playable(document):
        arguments = pipeline_arguments(documented)
        if arguments is None:
            subprocess.run(documented.typed, shell=True, cwd=home, check=True, capture_output=True)
            continue
        for placeholder, text in values.items():
            arguments = [re.sub(rf"\b{placeholder}\b", text, argument) for argument in arguments]
        ended = command(*arguments)
        wanted = ENDS_OTHERWISE.get(" ".join(documented.words), {ExitCode.PUBLISHED})
        assert ended.code in wanted, (documented.place, ended)
        if documented.comment.isdigit():
            assert ended.out.strip() == documented.comment, documented.place


def placeholders(home: Path) -> dict[str, str]:
    """Return values for names in the documents: the blocked load, else the newest; a user; a rule; the next
    snapshot.
    """
    with psycopg.connect(embedded_postgres.start(home / ".postgres")) as connection:
        load_id, user_id, rule, snapshot_id = connection.execute("""
            select
                (
                    select load_id from gate.loads where table_name = 'users'
                    order by state = 'blocked' desc, load_id desc limit 1
                ),
                (select min(id)::text from marts.users where known_at is null and deleted_at is null),
                (select min(rule) from gate.quarantined_rows where closed_at is null),
                (select (coalesce(max(snapshot_id), 0) + 1)::text from features.snapshots)
        """).fetchone()
    # the first model is there after any training
    values = {"LOAD": load_id, "TABLE": "users", "USER_ID": user_id, "SNAPSHOT": snapshot_id, "VERSION": "1"}
    return values | ({"RULE": rule, "email_is_an_address": rule} if rule else {})
