"""Define `train`, which trains models and promotes only better ones."""

import datetime as dt
from typing import Any

import click

from pipeline.cli.options import database_url_option, recommend_options, retraining_options, seed_option
from pipeline.cli.warehouse_access import check_cache, find_warehouse
from pipeline.console import header
from pipeline.console.terminal import console
from pipeline.operations import training as operations
from pipeline.settings import Settings, secret
from recommender.registry import STAGES


@click.command("train")
@database_url_option
@recommend_options
@seed_option
@click.option("--if-due", "is_if_due", is_flag=True, help="Train only if a retraining is due, and say why or why not.")
@retraining_options
@click.option("--later", "is_later", is_flag=True, help="Leave the lists of a new champion to the next run.")
@click.option("--accept-data", "accepts_data", is_flag=True, help="Train even if the checks of the data fail.")
@click.argument("stage", metavar="[STAGE]", required=False, type=click.Choice(STAGES))
def train(database_url: str | None, stage: str | None, every: dt.timedelta, **options: Any) -> None:
    """Train models, and promote only better ones; an interrupted training continues.

    STAGE is one of prepare, tune, evaluate and promote, in this order; without it, all of them. Each stage may run on
    another machine that reaches the warehouse.
    """
    check_cache()
    settings = Settings(database_url=database_url)
    warehouse = find_warehouse(settings, operations.APPLICATION)
    output = console()
    if output.is_terminal:
        click.echo(header.describe(header.describe_warehouse(settings, warehouse)))
    request = operations.TrainingRequest(
        stages=(stage,) if stage else STAGES, every=every, artefact_folder=secret("ARTIFACT_FOLDER"), **options
    )
    operations.train(settings, warehouse, output, request)
