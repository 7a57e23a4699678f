"""Show the registered models, compare two, promote one, and take a promotion back."""

from typing import Any

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipeline.console.terminal import StepDisplay, minute
from pipeline.operations.recommendations import QUESTIONS
from pipeline.run import recommending
from pipeline.run.preparation import lock_for_writing
from recommender import known_range, registry, releases
from warehouse import database, schema
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

DECISIONS_SHOWN = 10


def list_models(connection: psycopg.Connection, output: Console, limit: int) -> None:
    """Print the newest models, and which ones are champions."""
    rows = _history(connection, limit=limit)
    if not rows:
        output.print("there is no model yet; train the first ones with: make train")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("version", justify="right", no_wrap=True)
    for name in ("list", "model", "trained at (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("NDCG@10", "vs popularity", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("outcome", "is now"):
        table.add_column(name)
    for row in rows:
        figures = row["metrics"]
        table.add_row(
            str(row["model_version"]),
            row["list"],
            row["model"],
            minute(row["trained_at"]),
            *([f"{figures['ndcg@10']:.4f}", f"{figures['difference']:+.4f}"] if "ndcg@10" in figures else ["", ""]),
            "file" if row["artefact_file"] else f"{row['bytes'] / 1e6:.1f}",
            row["outcome"] or "",
            row["aliases"] or "",
        )
    output.print(table)
    output.print("see one with: make model ARGS='show VERSION'")


def show(connection: psycopg.Connection, output: Console, number: int) -> None:
    """Print the recipe of a model, its training, and the decisions about it."""
    row = _version(connection, number)
    output.print(f"version {number} of {row['list']}: tracks that {QUESTIONS[row['list']]}")
    output.print(f"is now: {row['aliases'] or 'neither champion nor anchor'}")
    output.print(f"recipe: {escape(_recipe(row))}", soft_wrap=True)
    output.print(f"fitted on {minute(row['trained_at'])} UTC to the data as of {minute(row['as_of'])} UTC")
    for training in registry.read_trainings(connection, "training_id = %s", [row["training_id"]]):
        output.print(f"trigger: {training.trigger}", soft_wrap=True)
        output.print(f"{training.outcome}: {escape(training.reason)}", soft_wrap=True)
        if training.final_from:
            output.print(f"compared on what users heard from {training.final_from} to {training.final_until}")
        output.print(_evaluations(registry.read_evaluations(connection, training.training_id)))
    mine = [
        each for each in registry.read_alias_history(connection, row["list"], 1000) if each["model_version"] == number
    ]
    for each in mine[:DECISIONS_SHOWN]:
        by = f"{minute(each['decided_at'])} UTC, {each['decided_by']}"
        output.print(f"{each['alias']} since {escape(by)}: {escape(each['reason'])}", soft_wrap=True)


def compare(connection: psycopg.Connection, output: Console, one: int, other: int, artefact_folder: str | None) -> None:
    """Compare two models of a list on what users heard after both were trained; print recipes and figures."""
    from recommender import model_comparison
    from recommender.artefacts import ArtefactError
    from recommender.fold_readers import DataError

    rows = [_version(connection, number) for number in (one, other)]
    if rows[0]["list"] != rows[1]["list"]:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"version {one} makes {rows[0]['list']}, and version {other} {rows[1]['list']}; give two of the same list",
        )
    for row in rows:
        output.print(f"version {row['model_version']}: {escape(_recipe(row))}", soft_wrap=True)
    try:
        found = model_comparison.compare(connection, one, other, artefact_folder)
    except (DataError, ArtefactError) as error:
        output.print(f"they cannot be compared on listens: {escape(str(error))}", soft_wrap=True)
        return
    output.print(found.note, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("model")
    for name in ("NDCG@10", "95 % interval", "recall@20", "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        interval = f"{row.low:.4f} to {row.high:.4f}"
        table.add_row(row.model, f"{row.ndcg:.4f}", interval, f"{row.recall:.4f}", f"{row.coverage:.1%}")
    output.print(table)
    output.print(
        f"{count(found.rows[0].users, 'user')}; version {one} differs from version {other} by {found.difference}"
    )


def promote(
    warehouse: Warehouse,
    output: Console,
    number: int,
    reason: str,
    *,
    is_dry_run: bool,
    is_later: bool,
    artist_cap: int,
) -> None:
    """Make a model the champion of its list, and publish its lists in the same transaction, or leave them to the next
    run.

    Raises CommandError: WRONG_SETTINGS for an unknown version, one that is the champion, and a reason that reads like
    that of a rollback; RECOMMENDATIONS_FAILED if its lists cannot be made.
    """
    if reason.startswith(registry.ROLLBACK):
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"--reason begins with '{registry.ROLLBACK}', which marks a rollback; use other words, or: make model"
            " ARGS=\"rollback --reason '...'\"",
        )
    with database.translate_database_errors(warehouse), warehouse.at_work("recommend").connect() as connection:
        row = _version(connection, number)
        before = releases.read_champions(connection).get(row["list"])
        if before == number:
            raise CommandError(ExitCode.WRONG_SETTINGS, f"version {number} is the champion of {row['list']} already")
        change = _describe_change(row["list"], before, number)
        if is_dry_run:
            output.print(f"would change {change}; nothing was changed")
            return
        if is_later:
            with connection.transaction():
                releases.lock(connection)
                registry.promote(connection, row["list"], number, reason)
            output.print(f"changed {change}; its lists follow with the next run: make run", soft_wrap=True)
            return
    from recommender import publishing
    from recommender.artefacts import ArtefactError
    from recommender.publishing import ChampionChangedError

    with (
        lock_for_writing(warehouse, prepares=False),
        database.translate_database_errors(warehouse),
        warehouse.at_work("recommend").connect() as work,
    ):
        known = known_range.read(work)
        promotions = [publishing.Promotion(row["list"], number, reason)]
        try:
            with StepDisplay(output, "", "promote") as show:
                outcome = recommending.publish(
                    work, known, show, artist_cap=artist_cap, budget=0, promotions=promotions
                )
        except (ArtefactError, ChampionChangedError, MemoryError) as error:
            raise recommending.to_command_error(work, error) from None
    release = outcome.release
    output.print(f"changed {change}; release {release.release_id} with its lists is published", soft_wrap=True)


def roll_back(warehouse: Warehouse, output: Console, reason: str, *, is_dry_run: bool, list_name: str | None) -> None:
    """Make the previous champions the champions again, and publish their last lists if these are kept.

    Needs no run lock: readers of bad lists must not wait for the end of a run. Raises CommandError(WRONG_SETTINGS) if
    there is no previous champion.
    """
    release = None
    with database.translate_database_errors(warehouse), warehouse.at_work("recommend").connect() as connection:
        _history(connection, limit=1)
        with connection.transaction():
            releases.lock(connection)
            changes = registry.find_previous_champions(connection, list_name)
            if not changes:
                raise CommandError(
                    ExitCode.WRONG_SETTINGS, "there is no previous champion to go back to; see: make model ARGS=list"
                )
            target = releases.read_champions(connection) | {name: former for name, (_, former) in changes.items()}
            stated = "; ".join(_describe_change(name, now, former) for name, (now, former) in changes.items())
            if not is_dry_run:
                anchors = releases.read_versions_by_alias(connection, registry.ANCHOR)
                for name, (now, former) in changes.items():
                    for alias in (releases.CHAMPION, *((registry.ANCHOR,) if anchors.get(name) == now else ())):
                        registry.promote(connection, name, former, f"{registry.ROLLBACK}{now}: {reason}", alias)
                release = releases.restore(connection, target, f"rollback of {stated}: {reason}")
    if is_dry_run:
        output.print(f"would change {stated}; nothing was changed", soft_wrap=True)
    elif release is None:
        output.print(f"changed {stated}; its lists are no longer kept, make them with: make recommend", soft_wrap=True)
    else:
        output.print(f"changed {stated}; readers see its lists again, as release {release}", soft_wrap=True)


def _describe_change(list_name: str, before: int | None, after: int) -> str:
    was = "none" if before is None else f"version {before}"
    return f"the champion of {list_name} from {was} to version {after}"


def _history(connection: psycopg.Connection, number: int | None = None, limit: int = 1) -> list[dict[str, Any]]:
    """Return model versions. Raises CommandError if the warehouse is not prepared."""
    if not schema.is_current(connection):
        if database.has(connection, "ops.runs"):
            raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, schema.NOT_PREPARED)
        raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)
    return registry.read_history(connection, number, limit)


def _version(connection: psycopg.Connection, number: int) -> dict[str, Any]:
    rows = _history(connection, number)
    if not rows:
        raise CommandError(ExitCode.WRONG_SETTINGS, f"there is no model version {number}; see: make model ARGS=list")
    return rows[0]


def _recipe(row: dict[str, Any]) -> str:
    from recommender.recipes import Recipe

    return str(Recipe(row["model"], row["params"], {}))


def _evaluations(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("contender", "segment", "model"):
        table.add_column(name, no_wrap=True)
    for name in ("users", "NDCG@10", "95 % interval", "recall@20", "coverage"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["contender"],
            row["segment"],
            Text(row["model"]),
            f"{row['users']:,}",
            f"{row['ndcg']:.4f}",
            f"{row['ndcg_low']:.4f} to {row['ndcg_high']:.4f}",
            f"{row['recall']:.4f}",
            f"{row['coverage']:.1%}",
        )
    return table
