"""The command line: `python -m pipeline`. Every setting has an environment variable."""

import contextlib
import datetime as dt
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import psycopg
from click.core import ParameterSource

from pipeline import alerts, connections, docs, embedded_postgres, env_file, gate_report, messages, status, warehouse
from pipeline.exits import Exit, Stop
from pipeline.output import protect_output, write_error
from pipeline.settings import PROJECT, SECRETS, Settings, secret
from pipeline.terminal import StepDisplay, console
from pipeline.warehouse import Warehouse, without_secrets

CONTEXT = {
    "token_normalize_func": lambda name: name.replace("_", "-"),
    "help_option_names": ["-h", "--help"],
    "show_default": True,
}

database_url_option = click.option(
    "--database-url",
    envvar="DATABASE_URL",
    default=lambda: secret("DATABASE_URL"),
    show_default=False,
    help="The warehouse, in any form libpq knows. Default: embedded Postgres.",
)


sample_option = click.option(
    "--sample",
    envvar="SAMPLE",
    is_flag=True,
    help="Read the sample API, also where DATABASE_URL names a real warehouse.",
)

api_base_url_option = click.option(
    "--api-base-url",
    envvar="API_BASE_URL",
    default=lambda: secret("API_BASE_URL"),
    show_default=False,
    help="The MooVitamix API. Default, while DATABASE_URL is unset too: the sample API.",
)


def source_options(command: Callable) -> Callable:
    for option in (
        sample_option,
        click.option(
            "--window",
            envvar="WINDOW",
            type=click.IntRange(1, 64),
            default=8,
            help="Requests in flight at a time, at most.",
        ),
        click.option(
            "--batch-size",
            envvar="BATCH_SIZE",
            type=click.IntRange(1, 100),
            default=100,
            help="Rows per page.",
        ),
        api_base_url_option,
        database_url_option,
    ):
        command = option(command)
    return command


def decision_options(command: Callable) -> Callable:
    for option in (
        click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing."),
        click.option("--reason", required=True, callback=_reason, help="Why; it is kept in gate.decisions for ever."),
        database_url_option,
    ):
        command = option(command)
    return command


def _reason(context: click.Context, parameter: click.Parameter, text: str) -> str:
    if not text.strip():
        raise click.BadParameter("it is empty; say why, for whoever reads gate.decisions later")
    return " ".join(text.split())


def _age(context: click.Context, option: click.Parameter, text: str) -> dt.timedelta:
    from pipeline.pruning import age

    try:
        return age(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, not {text!r}") from None


def _runtime(context: click.Context, option: click.Parameter, text: str) -> dt.time:
    from pipeline.timetable import time_of_day

    try:
        return time_of_day(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _zone(context: click.Context, option: click.Parameter, name: str) -> ZoneInfo:
    from pipeline import timetable

    try:
        return timetable.zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


timezone_option = click.option(
    "--timezone", envvar="TIMEZONE", default="UTC", callback=_zone, help="IANA name of the place whose clocks count."
)


@click.group(context_settings=CONTEXT, no_args_is_help=False)
def cli() -> None:
    """The nightly MooVitamix ELT."""


@cli.command()
@source_options
@click.pass_obj
def run(watch: alerts.Watch, **options: object) -> None:
    """The whole night: extract, gate, build."""
    messages.check_addresses()
    _run_steps(Settings(**options), began=watch.began)


@cli.command("schedule")
@source_options
@timezone_option
@click.option(
    "--pipeline-runtime", envvar="PIPELINE_RUNTIME", default="00:00", callback=_runtime, help="Local time, HH:MM."
)
@click.pass_context
def run_on_schedule(context: click.Context, pipeline_runtime: dt.time, timezone: ZoneInfo, **options: object) -> None:
    """Stay up, and run the night at the same local time each day."""
    from pipeline import schedule, timetable

    settings = Settings(**options)
    settings.check_source()
    settings.check_shares()
    messages.check_addresses()
    if settings.database_url:
        warehouse.parameters_in(settings.database_url)
    if warning := timetable.warning_about(timezone, dt.datetime.now(dt.UTC)):
        click.echo(f"moovitamix: warning: {warning}", err=True)
    _put_into_environment(context, run.params)
    schedule.run(
        timetable.Timetable(pipeline_runtime, timezone),
        lambda: _found(Settings(database_url=secret("DATABASE_URL")), "moovitamix"),
    )


def _put_into_environment(context: click.Context, options: list[click.Parameter]) -> None:
    """Those of the options that stood on the command line."""
    for option in options:
        if context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            os.environ[option.envvar] = str(context.params[option.name])
            os.environ.pop(f"{option.envvar}_FILE", None)


@cli.command()
@source_options
def extract(**options: object) -> None:
    """Only land what changed in the API."""
    _run_steps(Settings(**options), ("extract",))


@cli.group(invoke_without_command=True)
@database_url_option
@click.pass_context
def gate(context: click.Context, database_url: str | None) -> None:
    """Judge what is pending; or see what the gate found."""
    context.obj = Settings(database_url=database_url)
    if context.invoked_subcommand is None:
        _run_steps(context.obj, ("gate",))


@gate.command("show")
@database_url_option
@click.argument("load", required=False)
@click.pass_obj
def gate_show(settings: Settings, database_url: str | None, load: str | None) -> None:
    """What was found in LOAD, by default in the load that most needs a look."""
    with _read(_warehouse(_closest(settings, database_url))) as connection:
        gate_report.show(connection, load, console())


@gate.command("release")
@click.argument("load")
@click.argument("table")
@decision_options
@click.pass_obj
def gate_release(settings: Settings, load: str, table: str, **options: Any) -> None:
    """Lift the verdict on TABLE of LOAD, and build; rows that a row rule holds stay held."""
    _decide_about_a_load("release", settings, load, table, **options)


@gate.command("reject")
@click.argument("load")
@click.argument("table")
@decision_options
@click.pass_obj
def gate_reject(settings: Settings, load: str, table: str, **options: Any) -> None:
    """Forget TABLE of LOAD, and build; the next night lands its keys again."""
    _decide_about_a_load("reject", settings, load, table, **options)


@gate.command("replay")
@click.option("--table", help="Only rows of this table.")
@click.option("--rule", help="Only rows that this rule holds.")
@decision_options
@click.pass_obj
def gate_replay(
    settings: Settings, database_url: str | None, table: str | None, rule: str | None, reason: str, dry_run: bool
) -> None:
    """Run the rules again on held rows, free those that pass, and build."""
    from pipeline import decisions

    verb = decisions.Verb("replay", reason, dry_run)
    place = _warehouse_to_change(_closest(settings, database_url))
    click.echo(decisions.about_held_rows(verb, place, console(), table, rule))


def _decide_about_a_load(
    name: str, settings: Settings, load: str, table: str, database_url: str | None, reason: str, dry_run: bool
) -> None:
    from pipeline import decisions

    place = _warehouse_to_change(_closest(settings, database_url))
    click.echo(decisions.about_a_load(decisions.Verb(name, reason, dry_run), place, console(), load, table))


def _closest(settings: Settings, database_url: str | None) -> Settings:
    """An option of the inner command goes before that of the outer one."""
    return Settings(database_url=database_url) if database_url else settings


@cli.command()
@database_url_option
def build(database_url: str | None) -> None:
    """Only build marts and features from what is published."""
    _run_steps(Settings(database_url=database_url), ("build",))


@cli.command("status")
@database_url_option
@api_base_url_option
@sample_option
def show_status(**options: Any) -> None:
    """Last runs, open loads, quarantine, freshness, and the next thing to do."""
    settings = Settings(**options)
    place = _warehouse(settings)
    with _read(place) as connection:
        api = status.next_api(settings, connection)
        click.echo(connections.describe(connections.describe_warehouse(settings, place), api))
        status.show(settings, connection, console())


@cli.command()
@database_url_option
@click.option("--dry-run", is_flag=True, help="Print the statements and change nothing.")
def grant(database_url: str | None, dry_run: bool) -> None:
    """Make roles that hold no more rights than each step and each reader needs."""
    from pipeline import roles, runs

    place = _warehouse(Settings(database_url=database_url))
    if dry_run:
        with _read(place) as connection:
            click.echo(roles.script(connection))
    else:
        with runs.run_lock(place) as connection, warehouse.failures_explained(place):
            roles.grant(connection)
            roles.show(connection, console())


@cli.command("report")
@database_url_option
@timezone_option
@click.option(
    "--output",
    envvar="REPORT_OUTPUT",
    type=click.Path(path_type=Path),
    show_default="reports/nights.html",
    help="The file to write.",
)
def make_report(database_url: str | None, timezone: ZoneInfo, output: Path | None) -> None:
    """Write the newest nights as one page, and say where it is."""
    # the charting library costs a moment
    from pipeline import report

    settings = Settings(database_url=database_url)
    with _read(_warehouse(settings)) as connection:
        page = report.make(settings, connection, timezone, output)
    click.echo(f"the report is one page, open it in a browser: {page}")


@cli.command("dbt", context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt_command(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Run dbt with ARGUMENTS on the warehouse: `dbt test`, `dbt docs generate` ...

    What may write is refused while a run is at work, and keeps runs out while it works.
    """
    from pipeline import runs
    from pipeline.dbt import may_write, run_aloud

    settings = Settings(database_url=database_url)
    with contextlib.ExitStack() as stack:
        if may_write(arguments):
            place = _warehouse(settings, warehouse.RUN_APPLICATION)
            connection = stack.enter_context(runs.run_lock(place))
            with warehouse.failures_explained(place):
                runs.prepare(connection)
        else:
            place = _warehouse(settings)
        warehouse.export(place.at_work("build"))
        run_aloud(arguments)


@cli.command("docs")
@database_url_option
def make_docs(database_url: str | None) -> None:
    """Make the dbt docs as one static page, and say where it is."""
    page = docs.make(_warehouse(Settings(database_url=database_url)))
    click.echo(f"the docs are one page, open it in a browser: {page}")


@cli.command("docs-serve")
@database_url_option
@click.option(
    "--port",
    envvar="DOCS_PORT",
    type=click.IntRange(0, 65535),
    default=8080,
    help="Of this machine alone; 0 takes any free one.",
)
def serve_docs(database_url: str | None, port: int) -> None:
    """Make the dbt docs, and serve them to the browsers of this machine until Ctrl-C."""
    with docs.server(port) as server:
        docs.make(_warehouse(Settings(database_url=database_url)))
        with contextlib.suppress(KeyboardInterrupt):
            click.echo(f"the docs are at http://{docs.HOST}:{server.server_port}/ until Ctrl-C")
            server.serve_forever()


@cli.command("metrics")
@database_url_option
@click.option("--host", envvar="METRICS_HOST", default="127.0.0.1", help="Where to listen: this machine alone.")
@click.option(
    "--port", envvar="METRICS_PORT", type=click.IntRange(0, 65535), default=9464, help="0 takes any free one."
)
@click.pass_context
def serve_metrics(context: click.Context, database_url: str | None, host: str, port: int) -> None:
    """Serve what the runs left in `ops` and `gate` to a Prometheus, at /metrics, until Ctrl-C."""
    from pipeline import exporter

    if database_url:
        warehouse.parameters_in(database_url)
    _put_into_environment(context, context.command.params)
    exporter.serve(host, port, lambda: Settings(database_url=secret("DATABASE_URL")))


@cli.command("dashboard")
@click.option(
    "--prometheus-url",
    envvar="PROMETHEUS_URL",
    default="http://127.0.0.1:9090",
    help="Where the Grafana finds the Prometheus.",
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="grafana")
def make_dashboard(folder: Path, prometheus_url: str) -> None:
    """Write a Grafana dashboard of the metrics into FOLDER, and the files that provision it."""
    from monitoring import dashboard

    try:
        dashboard.write(folder, prometheus_url)
    except OSError as error:
        raise Stop(Exit.WRONG_SETTINGS, f"cannot write into {folder} ({error.strerror}); name another folder") from None
    click.echo(f"next: start Grafana with GF_PATHS_PROVISIONING={(folder / 'provisioning').resolve()}")


@cli.command(context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Open psql on the warehouse. It takes this command's place, Ctrl-C and exit code included."""
    _become("psql", database_url, arguments)


@cli.command("pg-dump", context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pg_dump(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Run pg_dump on the warehouse, in this command's place."""
    _become("pg_dump", database_url, arguments)


@cli.command("pg-restore", context_settings={"ignore_unknown_options": True})
@database_url_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pg_restore(database_url: str | None, arguments: tuple[str, ...]) -> None:
    """Run pg_restore into the warehouse, in this command's place. What it makes belongs to the user who runs it."""
    # Of Postgres' tools this one alone does not look for the database in the environment. Roles are the server's, and
    # a dump that names them fits no other server.
    _become("pg_restore", database_url, ("--dbname=", "--no-owner", "--no-privileges", *arguments))


def _become(tool: str, database_url: str | None, arguments: tuple[str, ...]) -> None:
    place = _warehouse(Settings(database_url=database_url))
    # the password goes by environment: a command line is there for everybody to read
    environment = {**os.environ, "PGPASSWORD": place.parameters["password"]}
    os.execve(embedded_postgres.binary(tool), [tool, *arguments], environment)


@cli.command()
@decision_options
@click.argument("user_id")
def erase(database_url: str | None, reason: str, dry_run: bool, user_id: str) -> None:
    """Erase a user: all that is held of USER_ID goes, and no night brings it back. Needs ERASURE_KEY."""
    from pipeline import erasure

    settings = Settings(database_url=database_url)
    place = _warehouse_to_change(settings)
    click.echo(f"next: {erasure.erase(settings, place, user_id, reason, console(), is_dry_run=dry_run)}")


@cli.command()
@decision_options
@click.option("--keep", required=True, callback=_age, help="How long superseded versions stay: 90d, 12w ...")
def prune(database_url: str | None, reason: str, dry_run: bool, keep: dt.timedelta) -> None:
    """Delete versions of users and tracks that have long been superseded; the marts stay as they are."""
    from pipeline import pruning

    place = _warehouse_to_change(Settings(database_url=database_url))
    click.echo(f"next: {pruning.prune(place, keep, reason, console(), is_dry_run=dry_run)}")


@cli.command()
def stop() -> None:
    """Stop the embedded Postgres; its data stays."""
    stopped = embedded_postgres.stop(Settings().postgres_folder)
    click.echo("the embedded Postgres is stopped" if stopped else "the embedded Postgres was not running")


@cli.command()
@click.pass_context
def clean(context: click.Context) -> None:
    """Remove the embedded warehouse and all that was generated; the erasure key and the environments stay."""
    from pipeline import generated_files

    context.invoke(stop)
    generated_files.remove(Settings())


@cli.command("airflow")
def serve_airflow() -> None:
    """Serve an Airflow of this machine alone until Ctrl-C. It takes this command's place."""
    python = PROJECT / ".airflow" / "venv" / "bin" / "python"
    if not python.exists():
        raise Stop(Exit.WRONG_SETTINGS, "Airflow's environment is missing; make it, and start it, with: make airflow")
    os.execve(python, [str(python), str(PROJECT / "orchestration" / "serve.py")], os.environ)


def _run_steps(
    settings: Settings, steps: tuple[str, ...] | None = None, began: Callable[..., None] = lambda night: None
) -> None:
    if steps is None or "extract" in steps:
        settings.check_source()
    settings.check_shares()
    # dlt costs seconds: only the commands that need it wait for it
    from pipeline import event_log, night, summary

    place = _warehouse(settings, warehouse.RUN_APPLICATION)
    output = console()
    works_on = {"warehouse": connections.describe_warehouse(settings, place)}
    if steps is None or "extract" in steps:
        works_on["api"] = connections.describe_api(settings)
    if output.is_terminal:
        click.echo(connections.describe(**works_on))
    display = partial(StepDisplay, output) if output.is_terminal else event_log.step
    with contextlib.ExitStack() as stack:

        def begin(begun: night.Night) -> None:
            began(begun)
            if not output.is_terminal:
                stack.enter_context(event_log.run(begun.run_id, **works_on))

        finished = night.run(settings, place, display, steps or night.STEPS, begin)
    if output.is_terminal:
        summary.show(finished, output)
    else:
        summary.tell(finished)
    if finished.problems:
        raise Stop(finished.exit_code, finished.message)
    if output.is_terminal:
        click.echo(summary.closing_line(finished))


def _warehouse(settings: Settings, application_name: str = "moovitamix") -> Warehouse:
    """The warehouse of the settings, started if it is the embedded one, and exported for dbt."""
    place = _found(settings, application_name)
    warehouse.export(place)
    if settings.database_url:
        return place
    return replace(place, server=embedded_postgres.process_id(settings.postgres_folder))


def _warehouse_to_change(settings: Settings) -> Warehouse:
    """The warehouse of the settings, for a command that changes it; says which one that is."""
    place = _warehouse(settings, warehouse.RUN_APPLICATION)
    click.echo(connections.describe(connections.describe_warehouse(settings, place)))
    return place


def _found(settings: Settings, application_name: str) -> Warehouse:
    url = settings.database_url or embedded_postgres.start(settings.postgres_folder, settings.postgres_port)
    return warehouse.find(url, application_name)


@contextlib.contextmanager
def _read(place: Warehouse) -> Iterator[psycopg.Connection]:
    with place.connect() as connection, warehouse.failures_explained(place):
        yield connection


def main() -> None:
    """Run the command line; every way to end is an exit code of `Exit`, and one line on standard error."""
    protect_output()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup has its reasons to ignore SIGHUP
            signal.signal(number, _interrupt)
    code, message = Exit.PUBLISHED, ""
    watch, told = alerts.Watch(), None
    try:
        env_file.load()
        _check_text()
        for name in SECRETS:
            secret(name)
        with cli.make_context("python -m pipeline", sys.argv[1:], obj=watch) as context:
            cli.invoke(context)
    except click.exceptions.Exit:
        pass  # --help
    except Stop as stop_:
        code, message = stop_.code, str(stop_)
    except click.ClickException as error:
        code, message = Exit.WRONG_SETTINGS, f"{error.format_message().rstrip('.')}; see: python -m pipeline --help"
        # it quotes what was given, and that may be a secret in a wrong place
        told = "wrong usage or settings; the night's own log says which"
    except embedded_postgres.PostgresUnavailable as error:
        code, message = Exit.WAREHOUSE_UNAVAILABLE, str(error)
    except KeyboardInterrupt:
        code, message = Exit.UNFORESEEN, "interrupted; nothing is half-published, run it again when you like"
    except Exception as error:
        origin = "set MOOVITAMIX_TRACEBACK=1 and run again to see where it comes from"
        if os.environ.get("MOOVITAMIX_TRACEBACK"):
            click.echo(without_secrets(traceback.format_exc()), err=True, nl=False)
            origin = "where it comes from is above"
        code = Exit.UNFORESEEN
        message = f"unforeseen {type(error).__name__}; nothing is half-published; {origin}"
    if sys.argv[1:2] == ["run"]:
        with contextlib.suppress(KeyboardInterrupt):
            watch.ended(code, told or message)
    if error := write_error():
        click.echo(f"moovitamix: warning: standard output did not take all that was written ({error})", err=True)
    if message:
        click.echo(f"moovitamix: {' '.join(message.split())} (exit {int(code)})", err=True)
    sys.exit(int(code))


def _check_text() -> None:
    """Raises Stop(WRONG_SETTINGS) for what is not UTF-8: no ledger, address or message can hold it."""
    given = {f"argument {number}": argument for number, argument in enumerate(sys.argv[1:], 1)}
    given |= {name: os.environ.get(name, "") for name in SECRETS}
    for what, text in given.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            # which may be a secret, and is not told
            raise Stop(Exit.WRONG_SETTINGS, f"{what} is not UTF-8; write it in UTF-8, and run again") from None


def _interrupt(*_: object) -> None:
    """A service manager's SIGTERM ends a run as Ctrl-C does: recorded, and with the sample API stopped."""
    raise KeyboardInterrupt
