"""Test the way from a failed night to messages in Slack and e-mail, with the real programs and the shipped files."""

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import launched, until
from tests.inboxes import HttpInbox, MailInbox, http_inbox, mail_inbox
from tests.integration.monitoring.programs import program, running
from tests.runs import run_pipeline
from warehouse.embedded_postgres import free_port
from warehouse.errors import ExitCode

pytestmark = pytest.mark.machine

MONITORING = Path(__file__).parents[3] / "monitoring"
PASSWORD = "of the mail account"
WEBHOOK = "/services/T000/B000/secret"
WORLD = World(seed=15, users=20, tracks=20, documents=20)


@dataclass(frozen=True)
class Alertmanager:
    port: int
    slack: HttpInbox
    mail: MailInbox

    def ask(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    def messages(self) -> tuple[str, str]:
        """Return the messages so far: to Slack, and by e-mail."""
        return (
            "\n".join(
                f"{attachment['title']}\n{attachment['text']}"
                for message in self.slack.messages.get(WEBHOOK, [])
                for attachment in message["attachments"]
            ),
            "\n".join(
                f"{message['subject']}\n{message.get_body().get_content()}" for _, message in self.mail.messages
            ).replace("\r\n", "\n"),
        )


def shipped(name: str, folder: Path, **changes: str) -> Path:
    """Return the shipped file with changed addresses and shorter waits."""
    text = (MONITORING / name).read_text("utf-8")
    for line, changed in changes.items():
        text, times = re.subn(rf"(?m)^(\s*(?:- )?){line}: .*$", rf"\g<1>{line}: {changed}", text)
        assert times, f"{name} has no {line}"
    (folder / name).write_text(text, "utf-8")
    return folder / name


@pytest.fixture
def alertmanager(tmp_path) -> Iterator[Alertmanager]:
    program("prometheus-alertmanager")
    with http_inbox() as slack, mail_inbox() as mail:
        folder = tmp_path / "monitoring"
        (folder / "secrets").mkdir(parents=True)
        (folder / "secrets" / "slack-webhook").write_text(f"http://127.0.0.1:{slack.port}{WEBHOOK}\n")
        (folder / "secrets" / "smtp-password").write_text(PASSWORD)
        shutil.copy(MONITORING / "alertmanager.tmpl", folder)
        shipped(
            "alertmanager.yml",
            folder,
            smtp_smarthost=rf"127.0.0.1:{mail.port}\n  smtp_require_tls: false",
            group_wait="0s",
            group_interval="1s",
        )
        port = free_port()
        with running(
            "prometheus-alertmanager",
            "--config.file=monitoring/alertmanager.yml",
            f"--storage.path={tmp_path / 'alertmanager'}",
            "--cluster.listen-address=",
            port=port,
            folder=tmp_path,
        ):
            yield Alertmanager(port, slack, mail)


def test_a_failed_night_and_its_resolution_are_sent_to_slack_and_by_e_mail(alertmanager, database_url, tmp_path):
    program("prometheus")
    rows = snapshot(WORLD, 0)
    with launched("metrics", "--port=0", DATABASE_URL=database_url, PYTHONUNBUFFERED="1") as exporter:
        metrics_port = re.search(r":(\d+)/metrics", exporter.stdout.readline())[1]
        folder = tmp_path / "monitoring"
        rules = (MONITORING / "alert_rules.yml").read_text("utf-8")
        assert "for: 6m\n" in rules
        (folder / "alert_rules.yml").write_text(rules.replace("for: 6m\n", "for: 1s\n"), "utf-8")
        shipped("prometheus.yml", folder, scrape_interval="1s", scrape_timeout="1s", evaluation_interval="1s")
        text = (folder / "prometheus.yml").read_text()
        for port, instead in {"9464": metrics_port, "9093": str(alertmanager.port)}.items():
            assert text.count(f"127.0.0.1:{port}") == 1
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{instead}")
        (folder / "prometheus.yml").write_text(text)
        with (
            serve(rows, ["redirect=http://127.0.0.1:1/"]) as api,
            running(
                "prometheus",
                "--config.file=monitoring/prometheus.yml",
                f"--storage.tsdb.path={tmp_path / 'prometheus'}",
                port=free_port(),
                folder=tmp_path,
            ),
        ):
            assert run_pipeline(database_url, api.url).exit_code == ExitCode.SOURCE_FAILED
            until(lambda: all("MoovitamixRunFailed" in message for message in alertmanager.messages()))
            for message in alertmanager.messages():
                assert re.search(r"What: the night that ended \d{4}-\d\d-\d\d .* failed with exit code 3\n", message), (
                    message
                )
                assert re.search(r"Since: \d{4}-\d\d-\d\d \d\d:\d\d UTC\n", message)
                assert "Rule: MoovitamixRunFailed, critical." in message and "the source failed" in message
                assert "Next: make status\n" in message and "Runbook: docs/runbooks/failed-source.md" in message
                assert "resolved" not in message.lower().replace("it resolves", "")
            recipients, message = alertmanager.mail.messages[0]
            assert recipients == ["data-operators@example.com"]
            assert message["subject"].startswith("MooVitamix: ") and "RunFailed" in message["subject"]
            assert alertmanager.mail.logins[0] == ("moovitamix@example.com", PASSWORD)

            api.faults.clear()
            assert run_pipeline(database_url, api.url).exit_code == ExitCode.PUBLISHED
            until(lambda: all("Resolved: MoovitamixRunFailed" in message for message in alertmanager.messages()))
    assert PASSWORD not in str(alertmanager.messages())


CRITICAL, WARNING = {"severity": "critical"}, {"severity": "warning"}


@pytest.mark.parametrize(
    ("fire", "held_back"),
    [
        ([("ExporterGone", CRITICAL), ("RunFailed", CRITICAL), ("StepSlow", WARNING)], {"RunFailed", "StepSlow"}),
        (
            [
                ("RecordsNotReadable", CRITICAL),
                ("LoadBlocked", CRITICAL),
                ("ExporterGone", {**CRITICAL, "instance": "b"}),
            ],
            {"LoadBlocked"},
        ),
        ([("RunFailed", CRITICAL), ("NoSuccess", CRITICAL), ("TableStale", WARNING)], {"NoSuccess", "TableStale"}),
        ([("RunCrashed", CRITICAL), ("NoSuccessYet", CRITICAL), ("StepSlow", WARNING)], {"NoSuccessYet"}),
        ([("RunFailed", CRITICAL), ("TableStale", CRITICAL), ("LoadBlocked", CRITICAL)], set()),
        ([("NoSuccess", CRITICAL), ("TableStale", WARNING), ("VolumeUnusual", WARNING)], {"TableStale"}),
        (
            [("LoadBlocked", {**CRITICAL, "table": "users"}), ("TableStale", {**WARNING, "table": "users"})],
            {"TableStale"},
        ),
        ([("LoadBlocked", {**CRITICAL, "table": "users"}), ("TableStale", {**WARNING, "table": "tracks"})], set()),
        ([("DiskNearlyFull", CRITICAL), ("DiskNearlyFull", WARNING)], {"DiskNearlyFull"}),
        ([("DiskNearlyFull", CRITICAL), ("QuarantineHigh", WARNING)], set()),
        ([("RunFailed", {**CRITICAL, "instance": "b"}), ("NoSuccess", CRITICAL)], set()),
    ],
    ids=lambda value: "-".join(name for name, _ in value) if isinstance(value, list) else "",
)
def test_an_alert_inhibits_the_alerts_it_explains(alertmanager, fire, held_back):
    send(alertmanager, "a", fire)
    # alerts are read in order: after these two, all have been read
    send(alertmanager, "last", [("ExporterGone", CRITICAL), ("StepSlow", WARNING)])
    until(lambda: "StepSlow" in inhibited(alertmanager, "last"))
    assert inhibited(alertmanager, "a", "b") == held_back


def send(alertmanager: Alertmanager, instance: str, alerts: list[tuple[str, dict[str, str]]]) -> None:
    content = [
        {
            "labels": {"alertname": f"Moovitamix{name}", "job": "moovitamix", "instance": instance, **labels},
            "annotations": {"summary": "", "description": "", "command": "", "runbook": ""},
        }
        for name, labels in alerts
    ]
    alertmanager.ask("/api/v2/alerts", content)


def inhibited(alertmanager: Alertmanager, *instances: str) -> set[str]:
    return {
        alert["labels"]["alertname"].removeprefix("Moovitamix")
        for alert in alertmanager.ask("/api/v2/alerts")
        if alert["status"]["inhibitedBy"] and alert["labels"]["instance"] in instances
    }
