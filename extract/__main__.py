"""`python -m extract`: the pull alone, without gate and warehouse."""

import os
import sys
from pathlib import Path

import click

from extract.errors import LandingFailed, SourceFailed, WrongSetting
from extract.limits import limits_from_environment
from extract.night import LARGEST_BATCH, LARGEST_WINDOW, run
from extract.recovery import Recovery

PROJECT = Path(__file__).resolve().parent.parent


@click.command(context_settings={"token_normalize_func": lambda name: name.replace("_", "-")})
@click.option("--api-base-url", envvar="API_BASE_URL", required=True, help="Address of the API.")
@click.option("--database-url", envvar="DATABASE_URL", required=True, help="The Postgres to land in.")
@click.option(
    "--batch-size",
    envvar="BATCH_SIZE",
    type=click.IntRange(1, LARGEST_BATCH),
    default=LARGEST_BATCH,
    show_default=True,
    help="Rows per page.",
)
@click.option(
    "--window",
    envvar="WINDOW",
    type=click.IntRange(1, LARGEST_WINDOW),
    default=8,
    show_default=True,
    help="Requests in flight at a time, at most.",
)
def main(api_base_url: str, database_url: str, batch_size: int, window: int) -> None:
    """Land what changed at the API since the last time in schema staging, as raw JSON.

    MAX_PAGE_BYTES, MAX_STRING_BYTES, MAX_PAGES (of a table), MAX_TOTAL_BYTES and MAX_SECONDS (of the whole pull) limit
    what the API may cost, MAX_ROW_BYTES and MAX_DEPTH what a row may be. MOOVITAMIX_HOME is the folder of its working
    files, by default the project's.

    Exit codes: 0 landed, 2 wrong settings, 3 the source failed, 7 the database or the disk failed, 1 anything
    unforeseen.
    """
    try:
        extraction = run(
            database_url,
            api_base_url,
            working_folder=Path(os.environ.get("MOOVITAMIX_HOME") or PROJECT) / ".dlt",
            batch_size=batch_size,
            window=window,
            on_recovery=_tell,
            limits=limits_from_environment(os.environ),
        )
    except WrongSetting as error:
        _end(2, error)
    except SourceFailed as error:
        _end(3, error)
    except LandingFailed as error:
        _end(7, error)
    for scan in extraction.scans.values():
        click.echo(
            f"{scan.table_name}: {scan.rows_read} rows read, {scan.rows_landed} landed,"
            f" {scan.rows_removed} removed, {scan.rows_unreadable} unreadable, {scan.keys_unsettled} unsettled"
        )
    click.echo(f"load {extraction.load_id}")


def _tell(recovery: Recovery) -> None:
    if recovery.sentence:
        click.echo(recovery.sentence)


def _end(exit_code: int, error: Exception) -> None:
    click.echo(str(error), err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
