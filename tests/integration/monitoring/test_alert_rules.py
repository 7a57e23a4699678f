"""Test the alert rules: they fire only when they should, and their tests fail when a rule is mutated."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from monitoring import metrics
from pipeline.run import runbooks
from recommender.service import service_metrics
from tests.integration.monitoring.programs import program

pytestmark = pytest.mark.machine

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
MONITORING = PROJECT / "monitoring"
RULES = (MONITORING / "alert_rules.yml", MONITORING / "service_alert_rules.yml")
RULE_TESTS = ("alert_rules_test.yml", "alert_rules_of_hours_test.yml", "service_alert_rules_test.yml")
# `make serve` counts them itself
METRICS_OF_THE_SERVICE = {
    name
    for family in (each for each in vars(service_metrics).values() if isinstance(each, MetricWrapperBase))
    for metric in family.describe()
    for name in (metric.name, f"{metric.name}_total", f"{metric.name}_bucket")
}


def run(name: str, *arguments: object, folder: Path = MONITORING) -> subprocess.CompletedProcess:
    return subprocess.run(
        [program(name), *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def loaded(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf-8"))


def rules() -> list[dict]:
    return [rule for path in RULES for rule in loaded(path)["groups"][0]["rules"]]


def test_the_configuration_files_are_valid():
    for checked in (
        run("promtool", "check", "rules", "--lint-fatal", *RULES),
        run("promtool", "check", "config", "prometheus.yml"),
        run("amtool", "check-config", "alertmanager.yml"),
    ):
        assert checked.returncode == 0, checked.stdout


def test_each_alert_fires_exactly_when_it_should():
    tested = run("promtool", "test", "rules", *(HERE / name for name in RULE_TESTS))
    assert tested.returncode == 0, tested.stdout


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=critical", "slack-and-email"),
        ("severity=warning", "slack"),
        ("severity=other", "slack-and-email"),
        ("alertname=AnythingElse", "slack-and-email"),
    ],
)
def test_alerts_are_routed_by_severity(labels, receiver):
    asked = ("config", "routes", "test", "--config.file=alertmanager.yml", f"--verify.receivers={receiver}", labels)
    routed = run("amtool", *asked)
    assert routed.returncode == 0, routed.stdout


def test_each_alert_has_a_next_command_and_a_runbook():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for rule in rules():
        shown = rule["annotations"]
        assert set(shown) == {"summary", "description", "command", "runbook"}
        named = re.findall(r"[a-z-]+(?=\.md$|{{ e)", shown["runbook"].replace("{{ end }}", ""))
        assert named
        for runbook in named:
            assert (PROJECT / "docs" / "runbooks" / f"{runbook}.md").is_file(), runbook
        make = re.match(r"make ([a-z-]+)", shown["command"])
        assert make is None or make[1] in targets, shown["command"]
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_the_alert_of_a_failed_night_names_the_runbook_of_its_exit_code():
    (shown,) = [rule["annotations"]["runbook"] for rule in rules() if rule["alert"] == "MoovitamixRunFailed"]
    by_code = {int(code): name for code, name in re.findall(r"eq \$value (\d)\.0 }}([a-z-]+){{", shown)}
    assert {code: f"docs/runbooks/{name}.md" for code, name in by_code.items()} == runbooks.BY_EXIT_CODE


def test_rules_and_routes_use_only_existing_metrics_labels_and_alerts():
    served = {metrics.PREFIX + metrics.RECORDS_READABLE} | {
        metrics.PREFIX + name for group in metrics.GROUPS for name in group.metrics
    }
    text = "".join(path.read_text("utf-8") for path in RULES)
    used = set(re.findall(r"\bmoovitamix_\w+", text)) - {"moovitamix_service"}
    assert used and used <= served | METRICS_OF_THE_SERVICE, used - served
    labels = {metrics.PREFIX + name: set(group.labels) for group in metrics.GROUPS for name in group.metrics}
    of_nights = RULES[0].read_text("utf-8")
    for metric, matchers in re.findall(r"\b(moovitamix_\w+)\{([^}]*)\}", of_nights):
        assert set(re.findall(r"(\w+)=", matchers)) <= labels[metric] | {"instance"}, metric
    alerts = {rule["alert"] for rule in rules()}
    inhibiting = set(re.findall(r"\bMoovitamix\w+", (MONITORING / "alertmanager.yml").read_text("utf-8")))
    assert inhibiting <= alerts, inhibiting - alerts
    job = re.search(r'up\{job="(\w+)"\}', text)[1]
    assert [scraped["job_name"] for scraped in loaded(MONITORING / "prometheus.yml")["scrape_configs"]] == [job]


# Mutations of an expression: pattern -> replacements.
BROKEN = {
    r"==": ["!=", ">", "<"],
    r"!=(?!\")": ["==", "<"],
    r"(?<![<>!=-])>(?!=)": ["<", ">="],
    r"<(?!=)": [">", "<="],
    r"<=": ["<", ">"],
    r">=": [">", "<="],
    r"\band\b": ["or", "unless"],
    r"\bor\b": ["and", "unless"],
    r"\bunless\b": ["and", "or"],
    r" - ": [" + "],
    r" / ": [" * "],
    r" \* ": [" / "],
    r"\babs\(": ["("],
    r"\babsent\(": ["("],
    r"\bclamp_min\(": ["clamp_max("],
    r"\bsum by\b": ["min by"],
    r"\(job, instance\)": ["(job)"],
    r"last_over_time\(([^\[]*)\[15m\]\)": [r"\1"],
    r"(?<==)\"(\w+)\"": ['"other"'],
    r"=(?=\")": ["!="],
    r"\{\w+=\"\w+\"\}": [""],
}
NUMBER = re.compile(r"(?<![\w.\"])\d+(?:\.\d+)?(?![\w.\"])")


def broken_expressions(expression: str) -> Iterator[str]:
    for pattern, replacements in BROKEN.items():
        for found in re.finditer(pattern, expression):
            for replacement in replacements:
                yield expression[: found.start()] + found.expand(replacement) + expression[found.end() :]
    for metric in set(re.findall(r"(\w+)(?:\{.*?\})?\[15m\]", expression)):
        for other in ("7m", "30m"):
            yield re.sub(rf"(\b{metric}(?:\{{.*?\}})?)\[15m\]", rf"\1[{other}]", expression)
    for found in NUMBER.finditer(expression):
        number = float(found[0])
        for other in (number / 2, number * 2) if number else (-1, 1):
            yield f"{expression[: found.start()]}{other:g}{expression[found.end() :]}"


def broken_rules(rule: dict) -> Iterator[tuple[str, dict | None]]:
    """Yield each mutation, and the mutated rule."""
    for expression in broken_expressions(rule["expr"]):
        yield expression, {**rule, "expr": expression}
    other = {"critical": "warning", "warning": "critical"}[rule["labels"]["severity"]]
    yield f"severity {other}", {**rule, "labels": {"severity": other}}
    waits = {None: ["5m"], "5m": ["2m", "10m"], "6m": ["3m", "12m"], "10m": ["5m", "20m"], "26h": ["13h", "52h"]}
    for wait in waits[rule.get("for")]:
        yield f"for {wait}", {**rule, "for": wait}
    if "for" in rule:
        yield "without its for", {name: value for name, value in rule.items() if name != "for"}
    for name in rule["annotations"]:
        yield f"another {name}", {**rule, "annotations": {**rule["annotations"], name: "another"}}
    yield "no rule at all", None


def test_each_mutation_of_a_rule_fails_a_rule_test(tmp_path):
    mutants = {}
    all_rules, all_tests = rules(), [loaded(HERE / name) for name in RULE_TESTS]
    for at, rule in enumerate(all_rules):
        # only the tests of this alert: all tests together take a second
        kin = [other for other in all_rules if other["alert"] == rule["alert"] and other != rule]
        looking = []
        for tests in all_tests:
            of_this = [test for test in tests["tests"] if f"'{rule['alert']}'" in repr(test).replace('"', "'")]
            if of_this:
                looking.append({**tests, "tests": of_this})
        assert looking, rule["alert"]
        for done, broken in [("nothing", rule), *broken_rules(rule)]:
            number = len(mutants)
            left = [*kin, broken] if broken else kin
            file = tmp_path / f"{number}.yml"
            file.write_text(json.dumps({"groups": [{"name": "mutant", "rules": left}]}))
            tests_of_it = []
            for tests in looking:
                test_file = tmp_path / f"{number}-{len(tests_of_it)}_test.yml"
                test_file.write_text(json.dumps({**tests, "rule_files": [str(file)]}))
                tests_of_it.append(test_file)
            mutants[f"{at} {rule['alert']}: {done}"] = tests_of_it
    tested = run("promtool", "test", "rules", *(file for files in mutants.values() for file in files))
    verdicts = dict(re.findall(r"^Unit Testing:\s+(\S+)\n\s+(SUCCESS|FAILED)", tested.stdout, re.MULTILINE))
    passed = {what for what, files in mutants.items() if all(verdicts[str(file)] == "SUCCESS" for file in files)}
    untouched = {what for what in mutants if what.endswith(": nothing")}
    assert untouched <= passed, "rules as they are pass"
    assert len(mutants) > 15 * len(untouched)
    assert passed == untouched, "\n".join(sorted(passed - untouched))
