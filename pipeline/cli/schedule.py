"""Define `schedule`, which starts the run at the same local time each day."""

import datetime as dt
from zoneinfo import ZoneInfo

import click

from pipeline.alerts import messages
from pipeline.cli.options import export_options, run_options, timezone_option
from pipeline.cli.warehouse_access import check_cache, connect_by_settings
from pipeline.run.dbt import check_target
from pipeline.schedule import scheduler, timetable
from pipeline.schedule.timetable import time_of_day
from pipeline.settings import Settings, secret
from warehouse import database


def _check_runtime(context: click.Context, option: click.Parameter, text: str) -> dt.time:
    try:
        return time_of_day(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("schedule")
@run_options
@timezone_option
@click.option(
    "--pipeline-runtime",
    envvar="PIPELINE_RUNTIME",
    show_envvar=True,
    default="00:00",
    callback=_check_runtime,
    help="Local time of the run, HH:MM.",
)
@click.pass_context
def run_on_schedule(context: click.Context, pipeline_runtime: dt.time, timezone: ZoneInfo, **options: object) -> None:
    """Start the run at the same local time each day, until Ctrl-C."""
    settings = Settings(**options)
    settings.check_source()
    settings.check_shares()
    if settings.recommend:
        check_cache()
    check_target()
    messages.check_addresses()
    if settings.database_url:
        database.parameters_in(settings.database_url)
    if warning := timetable.zone_warning(timezone, dt.datetime.now(dt.UTC)):
        click.echo(f"moovitamix: warning: {warning}", err=True)
    own = ("pipeline_runtime", "timezone")
    export_options(context, [option for option in context.command.params if option.name not in own])
    scheduler.run(
        timetable.Timetable(pipeline_runtime, timezone),
        lambda: connect_by_settings(Settings(database_url=secret("DATABASE_URL")), "moovitamix"),
        trains=settings.recommend,
    )
