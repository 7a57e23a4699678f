"""Define `dashboard`, which writes the Grafana dashboard."""

from pathlib import Path

import click

from monitoring import dashboard
from warehouse.errors import CommandError, ExitCode


@click.command("dashboard")
@click.option(
    "--prometheus-url",
    envvar="PROMETHEUS_URL",
    show_envvar=True,
    default="http://127.0.0.1:9090",
    help="Address of the Prometheus server, as Grafana reaches it.",
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="grafana")
def make_dashboard(folder: Path, prometheus_url: str) -> None:
    """Write a Grafana dashboard and its provisioning files."""
    try:
        dashboard.write(folder, prometheus_url)
    except OSError as error:
        raise CommandError(
            ExitCode.WRONG_SETTINGS, f"cannot write into {folder} ({error.strerror}); name another folder"
        ) from None
    click.echo(f"next: start Grafana with GF_PATHS_PROVISIONING={(folder / 'provisioning').resolve()}")
