"""`evaluate` compares models on files without a warehouse, and refuses wrong input with one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.command import Ended, command
from warehouse.errors import ExitCode

FAST = ("--budget", "0", "--models", "popularity,neighbours,again")
ROW = {"list", "model", "segment", "users", "ndcg@10", "recall@20", "map@10", "coverage", "low", "high"}


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    """Write the listens of 90 users of three tastes, over 60 days, with many returns."""
    draw = np.random.default_rng(11)
    path = tmp_path_factory.mktemp("logs") / "log.csv"
    lines = ["user_id,track_id,listened_at"]
    for user in range(90):
        favourites = draw.integers(0, 15, 4)
        for _ in range(40):
            track = draw.choice(favourites) if draw.random() < 0.6 else draw.integers(0, 15)
            date = f"2026-{draw.integers(1, 3):02}-{draw.integers(1, 28):02}"
            lines.append(f"{user},{track * 3 + user % 3},{date}T12:00:00")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def no_warehouse(monkeypatch, tmp_path):
    """Let any use of a warehouse fail, and keep the page in a folder of the test."""

    def fail(*_, **__):
        raise AssertionError("a warehouse was used")

    for name in ("warehouse.database.connect", "warehouse.embedded_postgres.start"):
        monkeypatch.setattr(name, fail)
    monkeypatch.setenv("MOOVITAMIX_HOME", str(tmp_path))


def evaluate(*arguments: object) -> Ended:
    return command("evaluate", *map(str, arguments), DATABASE_URL="postgresql://nowhere.invalid/none")


def figures(path: Path) -> dict[tuple[str, str, str], dict]:
    rows = json.loads(path.read_text())["rows"]
    assert all(row.keys() >= ROW for row in rows)
    return {(row["list"], row["model"], row["segment"]): row for row in rows}


def test_a_log_is_compared_in_both_lists_with_a_table_a_page_and_figures(log, no_warehouse, tmp_path):
    ended = evaluate("--interactions", log, *FAST, "--json", tmp_path / "out.json")
    assert (ended.code, ended.err) == (0, "")
    rows = figures(tmp_path / "out.json")
    assert {key[:2] for key in rows} == {
        *(("discover", name) for name in ("popularity", "neighbours")),
        *(("again", name) for name in ("popularity", "neighbours", "again")),
    }
    first = json.loads((tmp_path / "out.json").read_text())["rows"][0]
    assert (first["model"], first["segment"]) == ("popularity", "all")
    for row in rows.values():
        assert 0 <= row["low"] <= row["ndcg@10"] <= row["high"] <= 1
    best = max(row["ndcg@10"] for (name, model, _), row in rows.items() if name == "again" and model != "again")
    assert rows["again", "again", "all"]["ndcg@10"] > best
    for text in ("discover: tracks the user has not heard", "again: tracks the user knows", "95 % interval", "regular"):
        assert text in ended.out
    page = (tmp_path / "reports/evaluation.html").read_text()
    assert page.count("<svg") >= 2 and "<script" not in page and "http://" not in page.replace("http://www.w3.org", "")


def test_the_same_seed_gives_the_same_figures(log, no_warehouse, tmp_path):
    def run(name: str, *arguments: str) -> dict:
        assert evaluate("--interactions", log, *FAST, *arguments, "--json", tmp_path / name).code == 0
        rows = json.loads((tmp_path / name).read_text())["rows"]
        return [{key: value for key, value in row.items() if not key.startswith("fit_")} for row in rows]

    assert run("one.json", "--protocol", "random") == run("two.json", "--protocol", "random")
    assert run("one.json", "--protocol", "random") != run("three.json", "--protocol", "random", "--seed", "1")


def test_a_given_split_scores_every_model_on_the_test_file(log, no_warehouse, tmp_path):
    header, *lines = log.read_text().splitlines()
    early = [line for line in lines if "-02-2" not in line]
    late = [line for line in lines if "-02-2" in line]
    for name, part in (("train.csv", early), ("test.csv", late)):
        (tmp_path / name).write_text("\n".join([header, *part]) + "\n")
    ended = evaluate(
        "--train", tmp_path / "train.csv", "--test", tmp_path / "test.csv", "--budget", 0, "--json", tmp_path / "o.json"
    )
    assert (ended.code, ended.err) == (0, "")
    rows = figures(tmp_path / "o.json")
    assert {model for name, model, _ in rows if name == "discover"} == {"popularity", "neighbours", "als", "ease"}
    assert {row["window"] for row in rows.values()} == {"final"}
    # the expected users: with a track of the test that they have, or have not, in training
    known, wanted = ({tuple(line.split(",")[:2]) for line in part} for part in (early, late))
    assert rows["discover", "popularity", "all"]["users"] == len({user for user, _ in wanted - known})
    assert rows["again", "popularity", "all"]["users"] == len({user for user, _ in wanted & known})


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--train", "LOG"], "--train and --test belong together"),
        (["--interactions", "LOG", "--train", "LOG", "--test", "LOG"], "exclude each other"),
        (["--train", "LOG", "--test", "LOG"], "in the training file too"),
        (["--protocol", "random"], "--protocol random splits the log of --interactions"),
        (["--interactions", "LOG", "--models", "popularity,bpr"], "not 'bpr'"),
        (["--interactions", "LOG", "--window", "50"], "too few for training"),
        (["--interactions", "LOG", "--json", "/nowhere/at/all.json"], "does not exist"),
        (["--interactions", "nowhere.csv"], "nowhere.csv cannot be read (No such file or directory)"),
        (["--interactions", "LOG", "--budget", "-1"], "--budget"),
        (["--interactions", "LOG", "--protocol", "guess"], "--protocol"),
    ],
)
def test_wrong_input_ends_with_one_line(arguments, why, log, no_warehouse):
    ended = evaluate(*(log if argument == "LOG" else argument for argument in arguments))
    assert why in ended.only_line(ExitCode.WRONG_SETTINGS)


def test_a_world_where_popularity_wins_says_so(no_warehouse, tmp_path):
    """Everybody hears any track with the same odds: there is no taste to learn."""
    draw = np.random.default_rng(1)
    odds = 1 / np.arange(1, 41) ** 1.2
    lines = [
        f"{user},{track},2026-01-{draw.integers(1, 29):02}"
        for user in range(150)
        for track in draw.choice(40, 12, p=odds / odds.sum())
    ]
    (tmp_path / "log.csv").write_text("user_id,track_id,listened_at\n" + "\n".join(lines) + "\n")
    ended = evaluate("--interactions", tmp_path / "log.csv", "--models", "neighbours", "--budget", 0)
    assert ended.code == 0 and "discover: popularity won the tuning window" in ended.out


def test_no_other_command_imports_the_libraries_of_the_recommender():
    program = (
        "import sys; from pipeline.cli.lazy import load_command; from pipeline.cli.main import COMMANDS;"
        " [load_command(location) for location in COMMANDS.values()];"
        " print([name for name in ('scipy', 'implicit', 'optuna') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
