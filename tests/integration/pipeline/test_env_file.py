"""`.env`: its settings, their precedence, and errors reported by line number."""

import os
import re
import stat
from datetime import UTC, datetime, timedelta
from unittest import mock

import psycopg
import pytest

from extract.limits import LIMIT_VARIABLES
from pipeline import env_file
from pipeline.settings import ENV_FILE, PATHS, SETTINGS
from sample_api.server import serve
from tests.command import PROJECT, command, finish, launched, until
from warehouse.errors import CommandError, ExitCode

SECRET = "pl4nted"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The file that the settings come from."""
    monkeypatch.setenv(ENV_FILE, str(tmp_path / "settings"))
    return tmp_path / "settings"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("DATABASE_URL=postgresql://u:p@h/d?sslmode=require&channel_binding=require",) * 2,
        ("DATABASE_URL=postgresql://u:p$w`ls`{x}${HOME}#;(1)*@h/d",) * 2,
        ("DATABASE_URL='a b # c \"d\" \\'e\\' ${HOME}'", "DATABASE_URL=a b # c \"d\" 'e' ${HOME}"),
        ('DATABASE_URL="a #b"', "DATABASE_URL=a #b"),
        ("DATABASE_URL=a b  # a remark", "DATABASE_URL=a b"),
        ("  export DATABASE_URL = a", "DATABASE_URL=a"),
        ("DATABASE_URL=", "DATABASE_URL="),
        ("ALERT_URLS='json://a\njson://b?X=1'", "ALERT_URLS=json://a\njson://b?X=1"),
        ("PGSSLROOTCERT=~/root.crt",) * 2,
        ("POSTGRES_HOST=other",) * 2,
        ("# DATABASE_URL=a\n\n  # b\nWINDOW=1", "WINDOW=1"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", ""], ids=["Unix", "Windows", "no end"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "with a mark"])
def test_a_value_is_taken_literally(line, value, ending, mark, file):
    name, _, expected = value.partition("=")
    file.write_bytes(f"{mark}{line}{ending}".replace("\r\n", "\n").replace("\n", ending or "\n").encode())
    with mock.patch.dict(os.environ):
        env_file.load()
        assert os.environ[name] == expected
        assert os.environ[ENV_FILE] == "", "what this process starts reads no file again"


REFUSED = {
    f"A=1\nAPI_BASE_URL='{SECRET}\nWINDOW=1": (2, "write NAME='value'"),
    f"\n\n# a\n\nAPI_BASE_URL='a'{SECRET}": (5, "write NAME='value'"),
    f"API_BASE_URL: {SECRET}": (1, "write NAME='value'"),
    f"={SECRET}": (1, "write NAME='value'"),
    f"WINDOW=1\n{SECRET}": (2, "has no =; write NAME='value'"),
    "export WINDOW": (1, "has no =; write NAME='value'"),
    f"{SECRET}-%=1": (1, "a name has letters, digits and _ only"),
    f"WINDOW=1\n\nSAMPLE=1\n\nWINDOW={SECRET}": (5, "sets the same name as line 1"),
    f"{SECRET}=1\n{SECRET}=1": (2, "sets the same name as line 1"),
    f"\nDATABSE_URL={SECRET}": (2, "did you mean DATABASE_URL?"),
    f"DATABASE-URL={SECRET}": (1, "did you mean DATABASE_URL?"),
    f"\u200bDATABASE_URL={SECRET}": (1, "did you mean DATABASE_URL?"),
    f"api_base_url={SECRET}": (1, "did you mean API_BASE_URL?"),
    "ALERT_URL=a": (1, "did you mean ALERT_URLS?"),
    f"WINDOW=1\nALERT_URLS={SECRET}\0": (2, "contains a NUL"),
    f'API_BASE_URL="{SECRET}\n\nDATABASE_URL={SECRET}\nERASURE_KEY="': (
        1,
        "opens a quote that is closed only after another setting",
    ),
    f"MOOVITAMIX_HOME=$HOME/{SECRET}": (1, "a path that only a shell would expand"),
    f"DATABASE_URL_FILE='~/{SECRET}'": (1, "a path that only a shell would expand"),
    f"MOOVITAMIX_ENV_FILE={SECRET}": (1, "which works only in the environment"),
}


@pytest.mark.parametrize(("content", "line", "message"), [(text, *known) for text, known in REFUSED.items()])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["Unix", "Windows"])
def test_an_invalid_line_is_reported_by_number_and_never_quoted(content, line, message, ending, file):
    file.write_bytes(content.replace("\n", ending).encode())
    ended = command("status")
    line_shown = ended.only_line(ExitCode.WRONG_SETTINGS)
    assert line_shown.startswith(f"moovitamix: line {line} of {file} ") and message in line_shown
    assert SECRET not in ended.out + ended.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("folder", "cannot be read (Is a directory)"),
        (f"A={SECRET}\xff".encode("latin-1"), "is not UTF-8; save it as UTF-8"),
        (f"A={SECRET}".encode("utf-16"), "is not UTF-8; save it as UTF-8"),
        (f"A={SECRET}".encode("utf-16-le"), "contains a NUL"),
    ],
    ids=str,
)
def test_an_unreadable_env_file_is_a_one_line_error(content, message, file):
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    ended = command("run")
    line_shown = ended.only_line(ExitCode.WRONG_SETTINGS)
    assert str(file) in line_shown and message in line_shown
    assert SECRET not in ended.out + ended.err


def test_a_secret_file_of_another_user_is_a_one_line_error(file, monkeypatch):
    file.write_text("A=1\n")
    file.chmod(0)
    if os.access(file, os.R_OK):  # root reads everything
        monkeypatch.setattr(env_file.Path, "read_text", refuse)
    line = command("status").only_line(ExitCode.WRONG_SETTINGS)
    assert f"{file} cannot be read (Permission denied)" in line
    assert stat.S_IMODE(file.stat().st_mode) == 0


def refuse(*_):
    raise PermissionError(13, os.strerror(13))


@pytest.mark.parametrize("is_there", [True, False])
def test_the_default_env_file_may_be_missing(is_there, tmp_path, monkeypatch):
    monkeypatch.setattr(env_file, "PROJECT", tmp_path)
    monkeypatch.delenv(ENV_FILE)
    if is_there:
        (tmp_path / ".env").write_text("DATABASE_URL=postgresql://127.0.0.1:1/of-the-file\n")
        assert "line 1 of .env " not in command("status").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
        (tmp_path / ".env").write_text("DATABASE_URL\n")
        assert "line 1 of .env has no =" in command("status").only_line(ExitCode.WRONG_SETTINGS)
    (tmp_path / ".env").unlink(missing_ok=True)
    assert "was not running" in command("stop", MOOVITAMIX_HOME=str(tmp_path)).out
    (tmp_path / ".env").symlink_to(tmp_path / "gone")
    assert ".env cannot be read (No such file" in command("status").only_line(ExitCode.WRONG_SETTINGS)


NOWHERE = "postgresql://127.0.0.1:1/nowhere"


@pytest.mark.parametrize("of_the_file", ["variable", "file"])
@pytest.mark.parametrize("of_the_environment", ["variable", "file", "option"])
def test_the_environment_overrides_the_file(of_the_file, of_the_environment, file, built_database_url, tmp_path):
    (tmp_path / "wrong").write_text(NOWHERE)
    (tmp_path / "right").write_text(built_database_url)
    file.write_text(f"DATABASE_URL={NOWHERE}" if of_the_file == "variable" else f"DATABASE_URL_FILE={tmp_path}/wrong")
    option = [f"--database-url={built_database_url}"] if of_the_environment == "option" else []
    given = {
        "variable": {"DATABASE_URL": built_database_url},
        "file": {"DATABASE_URL_FILE": str(tmp_path / "right")},
    }.get(of_the_environment, {})
    ended = command("status", *option, **given)
    assert ended.code == ExitCode.PUBLISHED, ended
    assert command("status").code == ExitCode.WAREHOUSE_UNAVAILABLE


def test_a_secret_and_its_file_exclude_each_other_in_the_env_file_too(file, tmp_path):
    file.write_text(f"DATABASE_URL={SECRET}\nDATABASE_URL_FILE={tmp_path}/any\n")
    line = command("status").only_line(ExitCode.WRONG_SETTINGS)
    assert "DATABASE_URL and DATABASE_URL_FILE are both set" in line and SECRET not in line


def test_a_scheduled_run_has_the_settings_of_the_schedule(file, built_database_url):
    """Those of the file, and before them those of the command line."""
    file.write_text(f"DATABASE_URL={built_database_url}\nAPI_BASE_URL=http://127.0.0.1:1\nBATCH_SIZE=20\n")
    with psycopg.connect(built_database_url) as connection:
        connection.execute("update ops.runs set started_at = started_at - interval '2 days'")
    missed = datetime.now(UTC) - timedelta(minutes=1)
    # all has arrived with the first request, which has no answer
    with serve({}, ["hang@users=1"]) as api:
        arguments = ("schedule", f"--pipeline-runtime={missed:%H:%M}", f"--api-base-url={api.url}")
        with launched(*arguments) as process:
            until(lambda: api.requests.in_flight or process.poll() is not None)
            process.terminate()
            ended = finish(process)
    assert ended.code == ExitCode.PUBLISHED and f'"api": "{api.url}"' in ended.out, ended
    assert api.requests.targets and all("size=20" in target for target in api.requests.targets)


def test_every_setting_is_known_and_explained():
    """One that is missing in the list is refused or taken for another one's misspelling."""
    documented = re.findall(r"^# ?([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    files = [name for name in SETTINGS if name.endswith("_FILE")]
    assert sorted({*documented, *files, ENV_FILE}) == sorted(SETTINGS)
    read = "".join(file.read_text() for file in (PROJECT / "pipeline").glob("*.py"))
    options = set(re.findall(r'envvar="([A-Z_]+)"', read))
    asked_for = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', read))
    # what the pipeline sets for dbt and for libpq
    assert options | set(LIMIT_VARIABLES) | {name for name in asked_for if "DBT_" not in name} <= set(SETTINGS)
    assert set(PATHS) < set(SETTINGS)


def test_the_example_can_be_copied(monkeypatch):
    text = (PROJECT / ".env.example").read_text()
    assert env_file.parse(text, "the example") == {}
    uncommented = re.sub(r"^# ?([A-Z_]+=)", r"\1", text, flags=re.MULTILINE)
    assert len(env_file.parse(uncommented, "the example")) > 20


def test_a_refused_value_is_never_quoted():
    with pytest.raises(CommandError) as refusal:
        env_file.parse(f"A=1\nA={SECRET}", ".env")
    assert str(refusal.value) == "line 2 of .env sets the same name as line 1; remove one of the two"


@pytest.mark.parametrize("name", ["DATABASE_URL", "API_BASE_URL"])
def test_an_empty_variable_does_not_hide_where_the_run_works(name, file, monkeypatch):
    """As `DATABASE_URL: ${DATABASE_URL}` of a compose file gives it."""
    file.write_text(f"{name}='{SECRET}'\n")
    monkeypatch.setenv(name, "")
    ended = command("status")
    assert f"{name} is empty in the environment" in ended.only_line(ExitCode.WRONG_SETTINGS)
    assert SECRET not in ended.out + ended.err
