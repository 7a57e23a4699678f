"""Test that a real Prometheus scrapes the command that serves the metrics."""

import subprocess
import urllib.request

import pytest

from monitoring import metrics
from tests.command import launched, until
from tests.databases import migrate
from tests.integration.monitoring.programs import program
from tests.integration.monitoring.prometheus import running
from tests.integration.monitoring.records import CRASHED, enter_run, enter_scan

pytestmark = pytest.mark.machine


def test_prometheus_scrapes_the_values_of_the_records(connection, database_url, tmp_path):
    migrate(connection)
    for days_ago in (6, 5, 4, 3, 2, 1):
        enter_scan(connection, enter_run(connection, days_ago), "users", f"load {days_ago}", rows_read=days_ago)
    with (
        launched("metrics", "--port", "0", DATABASE_URL=database_url) as process,
        running(tmp_path, (target := process.stdout.readline().split("http://")[1].split("/")[0])) as prometheus,
    ):

        def known(query):
            return {tuple(sorted(labels.items())): value for labels, value in prometheus.ask(query)}

        def in_sql(query):
            return [float(value) for (value,) in connection.execute(query)]

        prometheus.wait_for_next_scrape()
        assert list(known("up").values()) == list(known("moovitamix_records_readable").values()) == [1]
        families = metrics.families(connection)
        asked = known('{__name__=~"moovitamix_.+"}')
        assert len(asked) == sum(len(family.samples) for family in families) > 50
        assert {dict(labels)["__name__"] for labels in asked} == {f.name for f in families if f.samples}
        for query, sql in {
            "moovitamix_run_last_success_timestamp_seconds": (
                "select extract(epoch from max(finished_at)) from ops.runs where status = 'succeeded'"
            ),
            "sum(moovitamix_step_duration_seconds)": (
                "select extract(epoch from sum(finished_at - started_at)) from ops.steps"
                " where run_id = (select run_id from ops.runs order by run_seq desc limit 1)"
            ),
            'moovitamix_table_usual_rows_read{table="users"}': (
                "select percentile_cont(0.5) within group (order by rows_read) from ops.run_tables where rows_read > 1"
            ),
            "sum(moovitamix_relation_bytes)": (
                "select sum(bytes) from ops.run_relations"
                " where run_id = (select run_id from ops.runs order by run_seq desc limit 1)"
            ),
            "sum(moovitamix_runs_7d)": "select count(*) from ops.runs",
        }.items():
            assert list(known(query).values()) == pytest.approx(in_sql(sql)), query

        enter_run(connection, 0, {"extract": CRASHED})
        prometheus.wait_for_next_scrape()
        assert [labels["status"] for labels, _ in prometheus.ask("moovitamix_run_status == 1")] == ["crashed"]
        assert list(known("moovitamix_run_exit_code").values()) == [0]

        connection.execute("alter schema ops rename to gone")
        connection.execute("create schema ops")
        connection.execute("create table ops.runs ()")
        prometheus.wait_for_next_scrape()
        # and vanished series are not served for minutes more
        assert list(known('{__name__=~"moovitamix_.+"}').values()) == [0]

        with urllib.request.urlopen(f"http://{target}/metrics") as answer:
            body = answer.read()
        checked = subprocess.run([program("promtool"), "check", "metrics"], input=body, capture_output=True)
        assert checked.returncode == 0, checked.stderr
        connection.execute("drop schema ops cascade")
        connection.execute("alter schema gone rename to ops")
        with urllib.request.urlopen(f"http://{target}/metrics") as answer:
            body = answer.read()
        checked = subprocess.run([program("promtool"), "check", "metrics"], input=body, capture_output=True)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
        process.terminate()
        until(lambda: prometheus.get("targets")["activeTargets"][0]["health"] == "down")
