"""Define the options that several commands share, and their checks."""

import datetime as dt
import os
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from pipeline.operations.pruning import parse_age
from pipeline.run import sample_source
from pipeline.schedule import timetable
from pipeline.settings import secret
from recommender.drafts import Shard

MOST_SHARDS = 1000
EARLIEST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)

database_url_option = click.option(
    "--database-url",
    envvar="DATABASE_URL",
    show_envvar=True,
    default=lambda: secret("DATABASE_URL"),
    show_default=False,
    help="Address of the warehouse, in any form that libpq accepts. Default: the embedded Postgres.",
)


sample_option = click.option(
    "--sample",
    envvar="SAMPLE",
    show_envvar=True,
    is_flag=True,
    help="Read the sample API even if DATABASE_URL is set.",
)


api_base_url_option = click.option(
    "--api-base-url",
    envvar="API_BASE_URL",
    show_envvar=True,
    default=lambda: secret("API_BASE_URL"),
    show_default=False,
    help="Address of the MooVitamix API. Default, if DATABASE_URL is not set either: the sample API.",
)


def source_options(command: Callable) -> Callable:
    """Add the options of a command that reads the API."""
    for option in (
        click.option(
            "--fault",
            envvar="SAMPLE_FAULTS",
            show_envvar=True,
            multiple=True,
            callback=_check_faults,
            metavar="FAULT",
            help="Let the sample API misbehave, such as bulk_removal=0.9; sample_api/README.md lists the faults.",
        ),
        click.option(
            "--sample-start",
            envvar="SAMPLE_START",
            show_envvar=True,
            callback=_check_sample_start,
            metavar="DATE",
            help="Day 0 of the sample API in a new warehouse. Default: 6 days before the first run.",
        ),
        sample_option,
        click.option(
            "--window",
            envvar="WINDOW",
            show_envvar=True,
            type=click.IntRange(1, 64),
            default=8,
            help="Maximum number of concurrent requests.",
        ),
        click.option(
            "--batch-size",
            envvar="BATCH_SIZE",
            show_envvar=True,
            type=click.IntRange(1, 100),
            default=100,
            help="Rows per page.",
        ),
        api_base_url_option,
        database_url_option,
    ):
        command = option(command)
    return command


artist_cap_option = click.option(
    "--artist-cap",
    envvar="ARTIST_CAP",
    show_envvar=True,
    type=click.IntRange(1, 50),
    default=3,
    help="Maximum number of tracks of one artist in a list of recommendations.",
)


def recommend_options(command: Callable) -> Callable:
    """Add the options of a command that makes lists, and trains models for them."""
    for option in (
        click.option(
            "--budget",
            envvar="TRAIN_BUDGET",
            show_envvar=True,
            type=click.FloatRange(0, 86_400),
            default=60,
            help="Seconds for tuning, whenever models are trained.",
        ),
        artist_cap_option,
    ):
        command = option(command)
    return command


seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Seed of all random draws of the recommender."
)


def _check_shard(context: click.Context, option: click.Parameter, text: str | None) -> Shard | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text)
    if not found or not int(found[1]) <= int(found[2]) <= MOST_SHARDS:
        raise click.BadParameter(f"it must be a number and how many there are (at most {MOST_SHARDS}), such as 1/8")
    return Shard(int(found[1]), int(found[2]))


shard_option = click.option(
    "--shard",
    callback=_check_shard,
    metavar="I/N",
    help="Only make the lists of the I-th of N parts of the users. `recommend` then publishes all parts.",
)


def run_options(command: Callable) -> Callable:
    """Add the options of a command that runs the whole pipeline."""
    leave_out = click.option(
        "--recommend/--no-recommend",
        envvar="RECOMMEND",
        show_envvar=True,
        default=True,
        help="Make the recommendations after the build.",
    )
    return source_options(leave_out(recommend_options(command)))


def decision_options(command: Callable) -> Callable:
    """Add the options of a command that records a decision."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
        reason_option("gate.decisions"),
        database_url_option,
    ):
        command = option(command)
    return command


def reason_option(table: str) -> Callable:
    """Return the option for a reason that the table keeps."""

    def check(context: click.Context, parameter: click.Parameter, text: str) -> str:
        if not text.strip():
            raise click.BadParameter(f"it is empty; give a reason, which is stored in {table}")
        return " ".join(text.split())

    return click.option("--reason", required=True, callback=check, help=f"Reason, stored in {table} permanently.")


def check_age(context: click.Context, option: click.Parameter, text: str) -> dt.timedelta:
    """Parse an age such as 90d. Raises click.BadParameter."""
    try:
        return parse_age(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, not {text!r}") from None


def retraining_options(command: Callable) -> Callable:
    """Add the options that say when a retraining is due."""
    for option in (
        click.option(
            "--volume",
            envvar="RETRAIN_VOLUME",
            show_envvar=True,
            type=click.FloatRange(0, 100, min_open=True),
            default=0.2,
            help="A retraining is due when there are this share more listens.",
        ),
        click.option(
            "--every",
            envvar="RETRAIN_EVERY",
            show_envvar=True,
            default="7d",
            callback=check_age,
            help="A retraining is due so long after the last one, such as 7d.",
        ),
    ):
        command = option(command)
    return command


def _parse_moment(text: str, now: dt.datetime) -> dt.datetime:
    """Parse an ISO date or time (UTC unless it has a zone), or a time ago such as 7d. Raises ValueError."""
    try:
        if text[-1:] in ("d", "w") and text[:-1].isdecimal():
            found = now - int(text[:-1]) * dt.timedelta(days=7 if text.endswith("w") else 1)
        else:
            found = dt.datetime.fromisoformat(text)
    except OverflowError:
        raise ValueError(f"{text} ago is before {EARLIEST.year}") from None
    except ValueError:
        raise ValueError(
            "give a date or time such as 2026-01-31 or 2026-01-31T12:00Z, or a time ago such as 7d"
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    if found < EARLIEST:
        raise ValueError(f"{text} is before {EARLIEST.year}")
    return found


def _check_moment(context: click.Context, option: click.Parameter, text: str | None) -> dt.datetime | None:
    try:
        return None if text is None else _parse_moment(text, dt.datetime.now(dt.UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


as_of_option = click.option(
    "--as-of",
    callback=_check_moment,
    metavar="TIME",
    help="A date or time (UTC unless it has a zone), or a time ago such as 7d. Default: now.",
)


def _check_zone(context: click.Context, option: click.Parameter, name: str) -> ZoneInfo:
    try:
        return timetable.zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _check_faults(context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    from sample_api import faults

    for text in texts:
        try:
            faults.parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return texts


def _check_sample_start(context: click.Context, option: click.Parameter, text: str | None) -> dt.date | None:
    if not text:
        return None
    try:
        start = dt.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise click.BadParameter(f"it must be a day of the calendar, such as 2026-01-31, not {text!r}") from None
    if start.year < 1970:
        raise click.BadParameter("the sample world cannot begin before 1970")
    if start > sample_source.today():
        raise click.BadParameter(f"{start} lies in the future; give a past date")
    return start


timezone_option = click.option(
    "--timezone",
    envvar="TIMEZONE",
    show_envvar=True,
    default="UTC",
    callback=_check_zone,
    help="IANA time zone.",
)


def export_options(context: click.Context, options: list[click.Parameter]) -> None:
    """Export the options that were given on the command line to the environment of child processes."""
    for option in options:
        if context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            value = context.params[option.name]
            os.environ[option.envvar] = " ".join(value) if isinstance(value, tuple) else str(value)
            os.environ.pop(f"{option.envvar}_FILE", None)
