"""The dashboard: its form; and each of its queries, asked of a Prometheus that saw a good, a blocked, a failed and a
killed night.

No Grafana is among what these tests can install: what a panel looks like, none of them has seen.
"""

import datetime as dt
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg
import pytest
import yaml

from extract.source_tables import SOURCE_TABLES
from monitoring import dashboard, metrics
from pipeline.settings import Settings
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command, launched, step_is_running, until, until_unlocked
from tests.databases import migrate, new_database
from tests.forks import forked
from tests.integration.monitoring.prometheus import Prometheus, running
from tests.integration.monitoring.records import enter_quality, enter_release, enter_run, enter_scan
from tests.integration.monitoring.test_alert_rules import METRICS_OF_THE_SERVICE
from tests.runs import run_pipeline
from warehouse import database, embedded_postgres
from warehouse.errors import ExitCode
from warehouse.names import SOURCE_TABLE_NAMES, STEPS

USERS = next(table for table in SOURCE_TABLES if table.name == "users")
WORLD = World(seed=15, users=40, tracks=40, documents=40)
NAMES = {metrics.PREFIX + name for group in metrics.GROUPS for name in group.metrics} | {
    metrics.PREFIX + metrics.RECORDS_READABLE
}
OF_THE_SERVICE = "moovitamix_service_"


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Return the folder that the command writes."""
    folder = tmp_path_factory.mktemp("grafana")
    ended = command("dashboard", str(folder), "--prometheus-url", "http://prometheus.example:9090")
    assert ended.code == ExitCode.PUBLISHED and str(folder / "provisioning") in ended.out
    return folder


@pytest.fixture(scope="module")
def dashboard_file(generated):
    return json.loads((generated / "dashboards" / "moovitamix.json").read_text())


@pytest.fixture(scope="module")
def panels(dashboard_file):
    return [panel for panel in dashboard_file["panels"] if panel["type"] != "row"]


def queries(panels):
    return [(panel, target) for panel in panels for target in panel["targets"]]


def test_the_provisioning_files_name_the_prometheus_and_the_dashboard(generated, dashboard_file):
    datasource = yaml.safe_load((generated / "provisioning" / "datasources" / "moovitamix.yaml").read_text())
    assert datasource["apiVersion"] == 1
    (source,) = datasource["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus.example:9090")
    provider = yaml.safe_load((generated / "provisioning" / "dashboards" / "moovitamix.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == str(generated / "dashboards")
    (variable,) = dashboard_file["templating"]["list"]
    assert (variable["type"], variable["name"], variable["query"]) == ("datasource", "datasource", "prometheus")


def test_an_unwritable_folder_is_reported(tmp_path):
    (tmp_path / "dashboards").write_text("in the way")
    line = command("dashboard", str(tmp_path)).only_line(ExitCode.WRONG_SETTINGS)
    assert str(tmp_path) in line and "name another folder" in line


def test_each_panel_has_a_number_a_position_a_unit_and_a_description(dashboard_file, panels):
    ids = [panel["id"] for panel in dashboard_file["panels"]]
    assert len(set(ids)) == len(ids) and all(ids)
    taken = set()
    for panel in dashboard_file["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert letters and len(set(letters)) == len(letters)
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert all(legends) and len(set(legends)) == len(legends)


def test_panels_query_existing_metrics_with_matching_units(panels):
    asked = set()
    for panel, target in queries(panels):
        query, unit = target["expr"], panel["fieldConfig"]["defaults"]["unit"]
        names = set(re.findall(r"moovitamix_\w+", query))
        if all(name.startswith(OF_THE_SERVICE) for name in names):
            assert names <= METRICS_OF_THE_SERVICE, query
            assert unit == ("s" if "_seconds" in query else "short" if "rate(" in query else "none")
            continue
        assert names and names <= NAMES, query
        asked |= names
        (name, *_) = names
        if query.endswith("_timestamp_seconds * 1000"):  # Grafana counts milliseconds
            assert unit == "dateTimeFromNow"
        elif len(names) > 1:
            assert " / " in query and unit == "percentunit"
        elif query.startswith("time() - ") or name.endswith("_seconds"):
            assert unit == "s"
        elif re.search(r"_bytes(_|$)", name):
            assert unit == "bytes"
        elif "_ratio" in name:
            assert unit == "percentunit"
        else:
            assert unit in ("short", "none")
    assert NAMES - asked <= {"moovitamix_run_finished_timestamp_seconds"}, "nothing is left out"


def test_no_query_of_a_panel_is_dropped():
    asked = {f"legend {number}": f"metric_{number}" for number in range(7)}
    panel = dashboard._lines("many", "Many.", "short", asked).build()
    assert {target.legend_format: target.expr for target in panel.targets} == asked
    assert [target.ref_id for target in panel.targets] == [*"ABCDEFG"]


@dataclass(frozen=True)
class Watched:
    """Hold a Prometheus, the time after each night, and the warehouse after all nights."""

    prometheus: Prometheus
    moments: dict[str, float]
    connection: psycopg.Connection

    def at(self, night: str, query: str) -> dict[tuple[str, ...], float]:
        """Return label values, in the order of the label names -> value, just after the night."""
        self.prometheus.at = self.moments[night]
        return {
            tuple(
                value for label, value in sorted(labels.items()) if label not in ("__name__", "instance", "job")
            ): shown
            for labels, shown in self.prometheus.ask(query)
        }


# A list with a champion, for the panels of the trainings.
TRAINING = """
insert into recommendations.trainings (list, trigger, outcome, reason, started_at, finished_at)
values ('discover', 'schedule', 'promoted', '', now(), now());
insert into recommendations.model_versions
    (list, model, params, fallback_params, track_count, until_seq, known_at, code_version, metrics)
values ('discover', 'als', '{}', '{}', 1, 1, now(), '', '{"ndcg@10": 0.2, "popularity_ndcg@10": 0.1}');
insert into recommendations.aliases (list, model_version, reason) values ('discover', 1, '');
"""


@pytest.fixture(scope="module")
def watched(postgres_url, postgres_folder, tmp_path_factory) -> Iterator[Watched]:
    """Run four real nights after six with records only: usual values need five."""
    folder = tmp_path_factory.mktemp("prometheus")
    find = database.find
    with (
        pytest.MonkeyPatch.context() as patch,
        new_database(postgres_url, "watched") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
        serve(snapshot(WORLD, 0)) as api,
        launched("metrics", "--port", "0", DATABASE_URL=url) as exporter,
        running(folder, exporter.stdout.readline().split("http://")[1].split("/")[0]) as prometheus,
    ):
        # CPU time is measured only for the project's own Postgres
        server = embedded_postgres.process_id(postgres_folder)
        patch.setattr(database, "find", lambda *arguments: replace(find(*arguments), server=server))
        # where a run stores the password of the login for analysts
        Settings().postgres_folder.mkdir(parents=True, exist_ok=True)
        migrate(connection)
        connection.execute(TRAINING)
        for days_ago in (7, 6, 5, 4, 3, 2):
            run_id = enter_run(connection, days_ago)
            for table in SOURCE_TABLE_NAMES:
                enter_scan(connection, run_id, table, f"load {days_ago}", rows_read=40)
        # releases and how they did, as of nights that made lists
        for days_ago in (2, 1):
            release = enter_release(connection, days_ago)
            for day in range(4):
                enter_quality(connection, release, dt.date(2026, 3, 1 + day), 0.2)
        moments = {}

        def night(name: str, code: ExitCode, *faults: str) -> None:
            for fault in faults:
                api.faults.add(fault)
            assert run_pipeline(url, api.url).exit_code == code
            api.faults.clear()
            prometheus.wait_for_next_scrape()
            moments[name] = prometheus.at

        night("good", ExitCode.PUBLISHED, "bad_rows=0.1/1")
        api.set_rows(snapshot(WORLD, 1))
        night("blocked", ExitCode.BLOCKED, "bad_rows@users=0.6/2")
        night("failed", ExitCode.SOURCE_FAILED, "redirect@tracks=http://127.0.0.1:1/")
        connection.execute(
            "insert into ops.steps (run_id, step, started_at, finished_at, status)"
            " select run_id, 'recommend', now(), now(), 'succeeded' from ops.runs order by run_seq desc limit 1"
        )
        api.faults.add("hang=1")
        with forked("run", DATABASE_URL=url, API_BASE_URL=api.url) as run:
            until(lambda: step_is_running(connection, "extract"))
            prometheus.wait_for_next_scrape()
            moments["at work"] = prometheus.at
            run.send_signal(signal.SIGKILL)
            run.finish()
            until_unlocked(connection)
            prometheus.wait_for_next_scrape()
        moments["crashed"] = prometheus.at
        yield Watched(prometheus, moments, connection)


@pytest.mark.machine
def test_no_panel_is_empty_after_nights_of_every_kind(watched, panels):
    for panel, target in queries(panels):
        if "moovitamix_service_" in target["expr"]:
            # another program; `METRICS_OF_THE_SERVICE` is compared with its panels
            continue
        watched.prometheus.at = watched.moments["crashed"]
        found = watched.prometheus.ask(target["expr"])
        assert found, (panel["title"], target["expr"])
        labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        names = set()
        for series, value in found:
            assert value == value, "no value is NaN"
            assert labels <= set(series), (panel["title"], target["legendFormat"])
            names.add(tuple(sorted((label, series[label]) for label in labels)))
        assert len(names) == len(found), f"series of {panel['title']} cannot be distinguished"
        if target["range"]:
            points = watched.prometheus.get(
                "query_range", query=target["expr"], start=str(watched.moments["good"]),
                end=str(watched.moments["crashed"]), step="1",
            )  # fmt: skip
            assert points["result"], (panel["title"], target["expr"])


@pytest.mark.machine
def test_the_status_of_each_night_is_shown_over_time(watched):
    nights = {"good": "succeeded", "blocked": "failed", "failed": "failed", "at work": "running", "crashed": "crashed"}
    codes = {"good": 0, "blocked": 4, "failed": 3, "at work": 3, "crashed": 3}
    for name, status in nights.items():
        assert watched.at(name, "moovitamix_run_status == 1") == {(status,): 1}, name
        assert watched.at(name, "moovitamix_run_exit_code") == {(): codes[name]}, name
        assert watched.at(name, "up") == {(): 1}
    assert watched.at("good", "sum(moovitamix_open_loads)") == {(): 0}
    assert watched.at("blocked", "moovitamix_open_loads > 0") == {("blocked", "users"): 1}
    assert watched.at("failed", "moovitamix_step_status == 1") == {
        ("failed", "extract"): 1, ("succeeded", "gate"): 1, ("succeeded", "build"): 1,
    }  # fmt: skip
    assert watched.at("crashed", "moovitamix_step_status == 1") == {
        ("crashed", "extract"): 1, ("succeeded", "gate"): 1, ("succeeded", "build"): 1,
        ("succeeded", "recommend"): 1,
    }  # fmt: skip


NEWEST_LOAD = "(select max(load_id) from ops.run_tables where load_id ~ '^[0-9]')"
# title of a panel -> SQL for the expected result of its first query: labels in the order of their names, and the value
IN_SQL = {
    "Duration": """
        select extract(epoch from finished_at - started_at) from ops.runs where exit_code = 3
    """,
    "Rows in quarantine": "select count(*) from gate.quarantined_rows where closed_at is null",
    "Duration by step": f"""
        select distinct on (step) step, extract(epoch from steps.finished_at - steps.started_at)
        from ops.steps inner join ops.runs using (run_id)
        where steps.finished_at is not null and steps.step = any(string_to_array('{" ".join(STEPS)}', ' '))
        order by step, run_seq desc
    """,
    "Rows read": f"select table_name, rows_read from staging.scans where _dlt_load_id = {NEWEST_LOAD}",
    "Rows landed, removed, set aside": f"""
        select 'users', count(payload) from staging.users where _dlt_load_id = {NEWEST_LOAD}
        union all
        select 'tracks', count(payload) from staging.tracks where _dlt_load_id = {NEWEST_LOAD}
        union all
        select 'listen_history', count(payload) from staging.listen_history where _dlt_load_id = {NEWEST_LOAD}
    """,
    "Rows of the marts": """
        select 'marts.users', count(*) from marts.users
        union all select 'marts.tracks', count(*) from marts.tracks
        union all select 'marts.track_genres', count(*) from marts.track_genres
        union all select 'marts.listen_history', count(*) from marts.listen_history
    """,
    "Growth in bytes": """
        select relation, bytes - bytes_before
        from ops.run_growth
        where run_id = (select run_id from ops.runs where exit_code = 3) and bytes_before is not null
        order by 2 desc limit 10
    """,
    "Nights of seven days": """
        select status, count(run_id)
        from unnest(array['running', 'succeeded', 'failed', 'crashed']) as known (status)
        left join ops.current_runs using (status)
        where started_at > now() - interval '7 days' or run_id is null
        group by status
    """,
    "Quarantine by rule": """
        select rule, table_name, count(*) filter (where closed_at is null)
        from gate.quarantined_rows group by 1, 2
    """,
    "Rules that the last load failed": f"""
        select rule, severity, table_name, coalesce(max(rows_failed) filter (where load_id = {NEWEST_LOAD}), 0)
        from ops.run_rules group by 1, 2, 3
    """,
    "Open loads by table": """
        select state, table_name, count(load_id)
        from unnest(array['users', 'tracks', 'listen_history']) as tables (table_name)
        cross join unnest(array['pending', 'blocked']) as states (state)
        left join gate.loads using (table_name, state)
        group by 1, 2
    """,
}


@pytest.mark.machine
@pytest.mark.parametrize("title", IN_SQL)
def test_panels_show_the_values_of_the_warehouse(title, watched, panels):
    (panel,) = (panel for panel in panels if panel["title"] == title)
    expected = {tuple(labels): float(value) for *labels, value in watched.connection.execute(IN_SQL[title])}
    query = panel["targets"][0]["expr"]
    shown = watched.at("crashed", query)
    if query.startswith("topk"):  # among equal values, any
        assert sorted(shown.values()) == sorted(expected.values())
    else:
        assert shown == pytest.approx(expected)
    assert expected


@pytest.mark.machine
def test_ratios_are_shares_of_the_rows_read(watched):
    """Compare with the newest successful extraction, that of the blocked night."""
    quarantined, read = watched.connection.execute(f"""
        select
            (select count(distinct dlt_id) from gate.quarantined_rows where closed_at is null and table_name = 'users'),
            (select rows_read from staging.scans where _dlt_load_id = {NEWEST_LOAD} and table_name = 'users')
    """).fetchone()
    assert watched.at("crashed", 'moovitamix_quarantined_ratio{table="users"}') == {("users",): quarantined / read}
    # of each key, the versions of the newest load that has it; a key that was not settled then had neither
    counts = {
        (column, "users"): (nulls, absent)
        for column, nulls, absent in watched.connection.execute(
            """
            with known as (
                select payload
                from (
                    select *, first_value(_dlt_load_id) over (partition by key order by version_seq desc) as newest_load
                    from staging.users
                ) as versions
                where _dlt_load_id = newest_load and payload is not null
            )
            select
                name,
                count(*) filter (where payload -> name = 'null'),
                count(*) filter (where payload -> name is null)
            from known
            cross join unnest(%s::text[]) as names (name)
            group by name
            """,
            [list(USERS.fields)],
        )
    }
    for name, number in {"null": 0, "absent": 1}.items():
        expected = {labels: both[number] / read for labels, both in counts.items()}
        assert any(expected.values())
        shown = watched.at("crashed", f'moovitamix_column_{name}_ratio{{table="users"}}')
        assert shown == pytest.approx(expected)
