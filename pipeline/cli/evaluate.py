"""Define `evaluate`, which compares the models of the recommender."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import database_url_option
from pipeline.cli.warehouse_access import connect_for_reading, find_warehouse
from pipeline.settings import Settings

PATH = click.Path(path_type=Path, dir_okay=False)


@click.command("evaluate")
@database_url_option
@click.option("--interactions", type=PATH, metavar="FILE", help="Evaluate on this log instead of the warehouse.")
@click.option("--train", type=PATH, metavar="FILE", help="Training part of a given split; needs --test.")
@click.option("--test", type=PATH, metavar="FILE", help="Test part of a given split; needs --train.")
@click.option(
    "--protocol",
    type=click.Choice(["time", "random"]),
    default="time",
    help="Cut the log of --interactions in time, or keep a random fifth of each user's tracks as the test.",
)
@click.option("--models", metavar="NAMES", help="Models to compare, separated by commas. Default: all.")
@click.option("--budget", type=click.FloatRange(0, 86_400), default=60, help="Seconds for tuning.")
@click.option("--window", type=click.IntRange(1, 365), help="Days of a time window. Default: an eighth, at most 14.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Seed of all random draws.")
@click.option("--json", "json_file", type=PATH, metavar="PATH", help="Write the figures to this file too.")
@click.option("--output", type=PATH, metavar="PATH", show_default="reports/evaluation.html", help="Page to write.")
def evaluate(database_url: str | None, **options: Any) -> None:
    """Compare the recommendation models, on the warehouse or on a log in files.

    A file is CSV or Parquet, with the columns user_id, track_id and listened_at, and optionally count.
    """
    # the libraries of the recommender take a second to import
    from pipeline.operations import evaluation

    settings = Settings(database_url=database_url)
    request = evaluation.check(evaluation.EvaluationRequest(**options))
    if request.has_files:
        evaluation.run(settings, request, evaluation.read_files(request))
        return
    with connect_for_reading(find_warehouse(settings)) as connection:
        folds = evaluation.read_warehouse(connection, request)
    evaluation.run(settings, request, folds)
