"""Define the command line `python -m pipeline`. Every setting has an environment variable."""

import contextlib
import os
import signal
import sys
import traceback

import click

from pipeline import env_file
from pipeline.alerts import run_notifier
from pipeline.cli.lazy import LazyGroup
from pipeline.console.output import protect_output, write_error
from pipeline.run.message_parts import WRONG_USAGE, error_line, python
from pipeline.settings import SECRETS, redact_secrets, secret
from warehouse import embedded_postgres
from warehouse.errors import CommandError, ExitCode

CONTEXT = {
    "token_normalize_func": lambda name: name.replace("_", "-"),
    "help_option_names": ["-h", "--help"],
    "show_default": True,
}

# By command: "module:function" in this package.
COMMANDS = {
    "run": "steps:run",
    "schedule": "schedule:run_on_schedule",
    "extract": "steps:extract",
    "gate": "gate:gate",
    "build": "steps:build",
    "recommend": "steps:recommend",
    "status": "status:show_status",
    "report": "report:make_report",
    "insights": "insights:make_insights",
    "connect": "connect:connect",
    "evaluate": "evaluate:evaluate",
    "recommendations": "recommendations:recommendations",
    "train": "train:train",
    "model": "models:models",
    "serve": "serve:serve",
    "migrate": "migrate:migrate",
    "grant": "grant:grant",
    "erase": "deletion:erase",
    "prune": "deletion:prune",
    "features": "features:features",
    "dbt": "programs:dbt_command",
    "docs": "docs:make_docs",
    "docs-serve": "docs:serve_docs",
    "metrics": "metrics:serve_metrics",
    "notify": "notify:notify",
    "dashboard": "dashboard:make_dashboard",
    "psql": "programs:psql",
    "pg-dump": "programs:pg_dump",
    "pg-restore": "programs:pg_restore",
    "airflow": "programs:serve_airflow",
    "stop": "stop:stop",
    "clean": "clean:clean",
}


@click.group(cls=LazyGroup, locations=COMMANDS, context_settings=CONTEXT, no_args_is_help=False)
def cli() -> None:
    """Load the MooVitamix API into Postgres, check it, build the marts, and make recommendations."""


def main() -> None:
    """Run the command line. Every failure ends with an ExitCode and one line on standard error."""
    protect_output()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP on purpose
            signal.signal(number, _interrupt)
    code, message = ExitCode.PUBLISHED, ""
    notifier, alert_message = run_notifier.RunNotifier(), None
    try:
        env_file.load()
        _check_text()
        for name in SECRETS:
            secret(name)
        with cli.make_context(_program(), sys.argv[1:], obj=notifier) as context:
            cli.invoke(context)
    except click.exceptions.Exit:
        pass  # --help
    except CommandError as error:
        code, message = error.code, str(error)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        usage = f"{context.command_path if context else _program()} --help"
        code, message = ExitCode.WRONG_SETTINGS, f"{error.format_message().rstrip('.')}; see: {usage}"
        # the message quotes the arguments, which may contain a misplaced secret
        alert_message = WRONG_USAGE
    except embedded_postgres.PostgresUnavailableError as error:
        code, message = ExitCode.WAREHOUSE_UNAVAILABLE, str(error)
    except KeyboardInterrupt:
        code, message = ExitCode.UNEXPECTED_ERROR, "interrupted; nothing is half-published, and you can run it again"
    except Exception as error:
        origin = "to see the traceback, set MOOVITAMIX_TRACEBACK=1 and run again"
        if os.environ.get("MOOVITAMIX_TRACEBACK"):
            click.echo(redact_secrets(traceback.format_exc()), err=True, nl=False)
            origin = "the traceback is above"
        code, what = ExitCode.UNEXPECTED_ERROR, type(error).__name__
        if isinstance(error, OSError) and error.filename:
            what += redact_secrets(f" ({error.strerror}: {error.filename})")
        message = f"unexpected error {what}; nothing is half-published; {origin}"
    if sys.argv[1:2] == ["run"]:
        with contextlib.suppress(KeyboardInterrupt):
            notifier.report_end(code, alert_message or message)
    if error := write_error():
        click.echo(f"moovitamix: warning: a part of the output could not be written ({error})", err=True)
    if message:
        click.echo(error_line(message, code), err=True)
    sys.exit(int(code))


def _program() -> str:
    return f"{python()} -m pipeline"


def _check_text() -> None:
    """Raise CommandError(WRONG_SETTINGS) for arguments and secrets that are not UTF-8: no ledger can hold them."""
    given = {f"argument {number}": argument for number, argument in enumerate(sys.argv[1:], 1)}
    given |= {name: os.environ.get(name, "") for name in SECRETS}
    for what, text in given.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            # without the text, which may be a secret
            raise CommandError(
                ExitCode.WRONG_SETTINGS, f"{what} is not UTF-8; write it in UTF-8, and run again"
            ) from None


def _interrupt(*_: object) -> None:
    """Treat SIGTERM like Ctrl-C, so that the run records its end and stops the sample API."""
    raise KeyboardInterrupt
