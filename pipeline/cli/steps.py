"""Define `run`, `extract`, `gate`, `build` and `recommend`: the whole run, or one step of it."""

import contextlib
from collections.abc import Callable
from functools import partial

import click

from pipeline.alerts import messages, run_notifier
from pipeline.cli.options import (
    database_url_option,
    recommend_options,
    run_options,
    seed_option,
    shard_option,
    source_options,
)
from pipeline.cli.warehouse_access import check_cache, find_warehouse
from pipeline.console import event_log, header, summary
from pipeline.console.terminal import StepDisplay, console
from pipeline.operations import shards
from pipeline.run import pipeline_run
from pipeline.settings import Settings
from recommender.drafts import Shard
from warehouse import locks, names
from warehouse.errors import CommandError


@click.command()
@run_options
@click.pass_obj
def run(notifier: run_notifier.RunNotifier, **options: object) -> None:
    """Run the whole pipeline: extract, gate, build, recommend."""
    messages.check_addresses()
    settings = Settings(**options)
    steps = names.STEPS if settings.recommend else names.STEPS[:-1]
    run_steps(settings, steps, on_start=notifier.note_start)


@click.command()
@source_options
def extract(**options: object) -> None:
    """Only load changed rows from the API."""
    run_steps(Settings(**options), ("extract",))


@click.command()
@database_url_option
def build(database_url: str | None) -> None:
    """Only build the marts and features from published rows."""
    run_steps(Settings(database_url=database_url), ("build",))


@click.command()
@database_url_option
@recommend_options
@seed_option
@shard_option
def recommend(shard: Shard | None, **options: object) -> None:
    """Only make lists of recommendations for all users, and publish them whole."""
    settings = Settings(**options)
    if shard is None:
        run_steps(settings, ("recommend",))
    else:
        warehouse = find_warehouse(settings, shards.APPLICATION)
        output = console()
        if output.is_terminal:
            click.echo(header.describe(header.describe_warehouse(settings, warehouse)))
        shards.make(settings, warehouse, output, shard)


@click.command("gate")
@database_url_option
def check_pending(database_url: str | None) -> None:
    """Check pending loads."""
    run_steps(Settings(database_url=database_url), ("gate",))


def run_steps(
    settings: Settings, steps: tuple[str, ...], on_start: Callable[..., None] = lambda pipeline_run: None
) -> None:
    """Run the steps with a display for a terminal or with log events. Raises CommandError."""
    if "extract" in steps:
        settings.check_source()
    settings.check_shares()
    if "recommend" in steps:
        check_cache()
    warehouse = find_warehouse(settings, locks.RUN_APPLICATION)
    output = console()
    works_on = {"warehouse": header.describe_warehouse(settings, warehouse)}
    if "extract" in steps:
        works_on["api"] = header.describe_api(settings)
    if output.is_terminal:
        click.echo(header.describe(**works_on))
    display = partial(StepDisplay, output) if output.is_terminal else event_log.step
    with contextlib.ExitStack() as stack:

        def begin(this_run: pipeline_run.PipelineRun) -> None:
            on_start(this_run)
            if not output.is_terminal:
                stack.enter_context(event_log.run(this_run.run_id, **works_on))

        say = click.echo if output.is_terminal else event_log.notice
        finished = pipeline_run.run(settings, warehouse, display, steps, begin, say)
    if output.is_terminal:
        summary.show(finished, output)
    else:
        summary.log_summary(finished)
    if finished.problems:
        raise CommandError(finished.exit_code, finished.message)
    if output.is_terminal:
        click.echo(summary.closing_line(finished))
