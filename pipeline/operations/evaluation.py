"""Compare the models of the recommender, and show the result as a table, as JSON and as a page."""

import datetime as dt
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import psycopg
from rich.table import Table
from rich.text import Text

from monitoring import evaluation_page
from pipeline.console.terminal import console
from pipeline.operations import report
from pipeline.records import run_ledger
from pipeline.run.progress import Progress
from pipeline.settings import Settings
from recommender import fold_readers, log_files
from recommender.evaluation import Row, find_users_with_targets
from recommender.evaluation_protocol import Evaluation, evaluate
from recommender.fold_readers import Folds
from recommender.interactions import Floats, Integers, find
from recommender.models import popularity
from recommender.recipes import MODEL_NAMES
from recommender.releases import LISTS
from warehouse import database
from warehouse.counts import count
from warehouse.errors import CommandError, ExitCode

DEFAULT_FILE = report.DEFAULT_FILE.with_name(report.EVALUATION)
# The names of the metrics in the JSON, by the name in a row.
METRICS = {"ndcg": "ndcg@10", "recall": "recall@20", "map": "map@10"}
SECONDS_BETWEEN_LINES = 10


@dataclass(frozen=True)
class EvaluationRequest:
    """Hold the options of the command. `models`: names, separated by commas; None: all."""

    interactions: Path | None = None
    train: Path | None = None
    test: Path | None = None
    protocol: str = "time"
    models: str | None = None
    budget: float = 60
    window: int | None = None
    seed: int = 0
    json_file: Path | None = None
    output: Path | None = None

    @property
    def has_files(self) -> bool:
        return bool(self.interactions or self.train or self.test)

    @property
    def names(self) -> Sequence[str]:
        return MODEL_NAMES if self.models is None else [name.strip() for name in self.models.split(",") if name.strip()]


def check(request: EvaluationRequest) -> EvaluationRequest:
    """Return the request. Raises CommandError(WRONG_SETTINGS) for options that do not fit together."""
    if bool(request.train) != bool(request.test):
        raise _wrong("--train and --test belong together; give both")
    if request.interactions and request.train:
        raise _wrong("--interactions and --train exclude each other; give a log, or a split")
    if request.protocol == "random" and not request.interactions:
        raise _wrong("--protocol random splits the log of --interactions; give that file, or leave the protocol out")
    if request.window and (request.train or request.protocol == "random"):
        raise _wrong("--window is for a cut in time; leave it out")
    unknown = [name for name in request.names if name not in MODEL_NAMES]
    if unknown or not request.names:
        raise _wrong(f"--models knows {', '.join(MODEL_NAMES)}, not {unknown[0] if unknown else 'nothing'!r}")
    for file in (request.json_file, request.output):
        if file and not file.resolve().parent.is_dir():
            raise _wrong(f"the folder of {file} does not exist; create it, or name another file")
    return request


def read_files(request: EvaluationRequest) -> Folds:
    """Read the files of the request. Raises CommandError(WRONG_SETTINGS) for files that cannot be evaluated on."""
    try:
        if request.train:
            return fold_readers.take_split(*log_files.read_file(request.train, request.test), request.seed)
        (log,) = log_files.read_file(request.interactions)
        if request.protocol == "random":
            return fold_readers.split_at_random(log, request.seed)
        return fold_readers.cut_in_time(log, request.window)
    except (log_files.FileError, fold_readers.DataError) as error:
        raise _wrong(str(error)) from None


def read_warehouse(connection: psycopg.Connection, request: EvaluationRequest) -> Folds:
    """Read the folds from the warehouse. Raises CommandError(WRONG_SETTINGS) if it holds too little."""
    for relation in ("marts.listen_history", "features.user_history", "features.track_history", "features.known_range"):
        if not database.has(connection, relation):
            raise _wrong(f"the warehouse has no {relation} yet; first run: make run")
    try:
        return fold_readers.read_warehouse(connection, request.window, _sample_oracle(connection))
    except fold_readers.DataError as error:
        raise _wrong(str(error)) from None


def run(settings: Settings, request: EvaluationRequest, folds: Folds) -> None:
    """Evaluate, print the result, and write it to the files of the request."""
    output = console()
    started = time.monotonic()
    for note in (*folds.notes, *_describe_folds(folds)):
        click.echo(note)
    if not any(len(find_users_with_targets(folds.final, name)[0]) for name in LISTS):
        raise _wrong("no user has a target in the final window, so there is nothing to compare")
    result = evaluate(
        folds.tuning,
        folds.final,
        request.names,
        request.budget,
        request.seed,
        # files are a benchmark; the final window of the warehouse stays unseen but for what is chosen
        are_all_final=request.has_files,
        show=_progress(),
    )
    if not result.rows:
        raise _wrong("no user has a target in the tuning window, so no model can be chosen; try another --window")
    for text in _tables(result):
        output.print(text)
    for warning in _warnings(result):
        output.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
    if request.json_file:
        _write_json(request.json_file, result, folds, request)
        click.echo(f"the figures are written to {request.json_file}")
    page = request.output or settings.home / DEFAULT_FILE
    report.write_page(page, _page(result, folds))
    click.echo(f"compared in {time.monotonic() - started:.0f} s; charts are in {page}")


def _describe_folds(folds: Folds) -> list[str]:
    final = folds.final
    heard = final.dataset.listens
    parts = [
        f"training: {count(len(heard.tracks), 'listen')} of {count(int((np.diff(heard.starts) > 0).sum()), 'user')}"
        f" to {count(len(np.unique(heard.tracks)), 'track')}"
    ]
    for name in LISTS:
        users = len(find_users_with_targets(final, name)[0])
        parts.append(f"{name}: {count(users, 'user')} with targets")
    if final.dropped:
        parts.append(f"{count(final.dropped, 'target')} left out: unknown or removed tracks")
    return ["; ".join(parts)]


def _progress() -> Progress:
    """Return what prints the progress, every ten seconds."""
    last = time.monotonic()

    def show(what: str, done: int | None = None, total: int | None = None) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            click.echo(f"  {what}")

    return show


def _tables(result: Evaluation) -> list[Table | Text]:
    shown: list[Table | Text] = []
    for name in LISTS:
        if name in result.chosen:
            shown += [_comparison(name, result), _segments(name, result)]
        else:
            shown.append(Text(f"\n{name}: no user has a target"))
    return shown


def _comparison(list_name: str, result: Evaluation) -> Table:
    """Return a table of the models for all users, popularity first. A star marks the choice of the tuning window."""
    title = f"\n{list_name}: {_question(list_name)}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), pad_edge=False)
    for column in ("model", "tuned", "NDCG@10", "95 % interval", "vs popularity", "recall@20", "MAP@10", "coverage"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    tuning = {row.model: row.ndcg for row in _of_all(result.tuning_rows, list_name)}
    finals = {row.model: row for row in _of_all(result.rows, list_name)}

    def order(model: str) -> tuple[bool, bool, float]:
        value = finals[model].ndcg if model in finals else tuning[model]
        return model != popularity.NAME, model not in finals, -value

    for model in sorted({*finals, *tuning}, key=order):
        label = f"{model} *" if result.chosen[list_name] == model else model
        tuned = f"{tuning[model]:.3f}" if model in tuning else ""
        table.add_row(label, tuned, *(_cells(finals[model]) if model in finals else ["", "not compared"]))
    return table


def _of_all(rows: Sequence[Row], list_name: str) -> list[Row]:
    return [row for row in rows if row.list == list_name and row.segment == "all"]


def _cells(row: Row) -> list[str]:
    difference = f"{row.difference:+.3f} ({row.difference_low:+.3f} to {row.difference_high:+.3f})"
    return [
        f"{row.ndcg:.3f}",
        f"{row.low:.3f} to {row.high:.3f}",
        "" if row.model == popularity.NAME else difference,
        f"{row.recall:.3f}",
        f"{row.map:.3f}",
        f"{row.coverage:.1%}",
    ]


def _segments(list_name: str, result: Evaluation) -> Table:
    """Return a table of NDCG@10 by segment, and of what fitting took."""
    mine = [row for row in result.rows if row.list == list_name]
    segments = {row.segment: row.users for row in mine}
    values = {(row.model, row.segment): row.ndcg for row in mine}
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("NDCG@10 by users", no_wrap=True)
    for column in (*(f"{segment} ({users:,})" for segment, users in segments.items()), "fit", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    for model in dict.fromkeys(row.model for row in mine):
        fit = result.fits.get((list_name, model))
        took = [f"{fit.seconds:.1f} s", f"{fit.megabytes:,.0f} MB"] if fit else []
        table.add_row(model, *(f"{values[model, segment]:.3f}" for segment in segments), *took)
    return table


def _question(list_name: str) -> str:
    return {"discover": "tracks the user has not heard", "again": "tracks the user knows"}[list_name]


def _warnings(result: Evaluation) -> list[str]:
    found = [
        f"{list_name}: {one} and {other} make the same lists, so one of them is superfluous or wrongly tuned"
        for list_name, one, other in result.coinciding
    ]
    found += [
        f"discover: {share:.0%} of the first ten of {model} are those of popularity; it may be regularised too much"
        for model, share in result.near_popularity.items()
    ]
    found += [
        f"{list_name}: popularity won the tuning window, so popularity would be served"
        for list_name, model in result.chosen.items()
        if model == popularity.NAME and len([row for row in result.tuning_rows if row.list == list_name]) > 1
    ]
    return found


def rows_of(result: Evaluation) -> list[dict[str, Any]]:
    """Return the figures as they are published: of the final window, and of the tuning window for the other models."""
    finals = {(row.list, row.model) for row in result.rows}
    rows = [(row, "final") for row in result.rows]
    rows += [(row, "tuning") for row in result.tuning_rows if (row.list, row.model) not in finals]
    published = []
    for row, window in sorted(rows, key=lambda each: (LISTS.index(each[0].list), each[0].model != popularity.NAME)):
        fit = result.fits.get((row.list, row.model))
        published.append(
            {METRICS.get(name, name): value for name, value in asdict(row).items()}
            | {"window": window, "is_chosen": result.chosen[row.list] == row.model}
            | {"fit_seconds": fit and fit.seconds, "fit_megabytes": fit and fit.megabytes}
        )
    return published


def _write_json(file: Path, result: Evaluation, folds: Folds, request: EvaluationRequest) -> None:
    document = {
        "rows": rows_of(result),
        "chosen": result.chosen,
        "parameters": [
            {"list": list_name, "model": model, "params": dict(params)}
            for (list_name, model), params in result.params.items()
        ],
        "trials": dict(result.trials),
        "coinciding": result.coinciding,
        "near_popularity": result.near_popularity,
        "notes": [*folds.notes, *_describe_folds(folds)],
        "dropped_targets": folds.final.dropped,
        "seed": request.seed,
        "budget": request.budget,
    }
    try:
        file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise _wrong(f"{file} cannot be written ({error.strerror}); name another file with --json") from None


def _page(result: Evaluation, folds: Folds) -> str:
    return evaluation_page.page(
        rows_of(result),
        chosen=result.chosen,
        notes=[*folds.notes, *_describe_folds(folds)],
        warnings=_warnings(result),
        written_at=dt.datetime.now(dt.UTC),
    )


def _sample_oracle(connection: psycopg.Connection) -> fold_readers.Oracle | None:
    """Return the oracle of the sample world, if this warehouse was filled from it."""
    newest = None
    with suppress(psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        newest = run_ledger.newest_sample_day(connection)
    if not newest or newest[0] is None:
        return None
    start = newest[0]

    def oracle(user_ids: Integers, track_ids: Integers, day: dt.date) -> tuple[Floats, Floats] | None:
        from sample_api.world import World, odds

        if day < start:
            return None  # the tastes are known from day 0 on
        known = odds(World(start=start), (day - start).days)
        return tuple(
            _align(matrix, known.user_ids, known.track_ids, user_ids, track_ids) for matrix in (known.new, known.next)
        )

    return oracle


def _align(
    matrix: Floats, users: Sequence[int], tracks: Sequence[int], user_ids: Integers, track_ids: Integers
) -> Floats:
    """Return the matrix with a row and a column for each id; 0 for ids that it does not have."""
    aligned = np.zeros((len(user_ids), len(track_ids)), np.float32)
    (rows, is_user), (columns, is_track) = find(user_ids, np.array(users)), find(track_ids, np.array(tracks))
    aligned[np.ix_(rows[is_user], columns[is_track])] = matrix[np.ix_(is_user, is_track)]
    return aligned


def _wrong(message: str) -> CommandError:
    return CommandError(ExitCode.WRONG_SETTINGS, message)
