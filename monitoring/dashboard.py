"""Generate a Grafana dashboard of the metrics, and the files with which Grafana provisions it at start.

FOLDER/dashboards/moovitamix.json
FOLDER/provisioning/datasources/moovitamix.yaml    the Prometheus
FOLDER/provisioning/dashboards/moovitamix.yaml     where the dashboard is
"""

import json
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

NAME = "moovitamix"
DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"
COLORS = {"succeeded": GREEN, "running": BLUE, "failed": RED, "crashed": "dark-red"}
EXIT_CODES = {
    0: ("all published", GREEN),
    1: ("unexpected error", RED),
    2: ("wrong settings", RED),
    3: ("source failed", RED),
    4: ("a table blocked", ORANGE),
    5: ("build failed", RED),
    7: ("warehouse unavailable", RED),
    8: ("gate broken", RED),
    9: ("recommendations failed", RED),
}
DAY = 24 * 60 * 60
# Lowest value -> color; None is for all values below.
Limits = Mapping[float | None, str]
NO_LIMIT: Limits = {None: GREEN}
STALE: Limits = {None: GREEN, DAY: YELLOW, 26 * 60 * 60: RED}

Panel = Builder[models.Panel]
# Legend -> query. A legend may contain labels: {{step}}.
Queries = Mapping[str, str]


def rows() -> dict[str, list[Panel]]:
    """Return the panels, row by row."""
    return {
        "Newest night at a glance": [
            _stat(
                "Newest night",
                "Status of the newest night; crashed: its process was killed.",
                units.NoUnit,
                {"{{status}}": "moovitamix_run_status == 1"},
                shows=options.BigValueTextMode.NAME,
            ),
            _stat(
                "Exit code",
                "Meaning of the exit code of the newest ended night.",
                units.NoUnit,
                {"exit code": "moovitamix_run_exit_code"},
                mappings=[_value_map(EXIT_CODES)],
            ),
            _stat(
                "Start",
                "Start of the newest night.",
                units.DateTimeFromNow,
                {"began": "moovitamix_run_started_timestamp_seconds * 1000"},
            ),
            _stat(
                "Since the last success",
                "Time since the end of the last successful night; red from 26 hours on.",
                units.Seconds,
                {"since": "time() - moovitamix_run_last_success_timestamp_seconds"},
                limits=STALE,
            ),
            _stat(
                "Duration",
                "Duration of the newest ended night.",
                units.Seconds,
                {"duration": "moovitamix_run_duration_seconds"},
            ).span(5),
            _stat(
                "Open loads",
                "Loads that wait for the gate, a decision, or a newer load: make status says what to do.",
                units.NoUnit,
                {"open": "sum(moovitamix_open_loads)"},
                limits={None: GREEN, 1: ORANGE},
            ).span(5),
            _stat(
                "Rows in quarantine",
                "Failures of row rules in quarantine; a row that fails two rules counts twice.",
                units.Short,
                {"in quarantine": "sum(moovitamix_quarantined_rows)"},
                limits={None: GREEN, 1: YELLOW},
            ).span(5),
            _stat(
                "Gate",
                "Whether the gate could run the last time; if not, loads stay pending.",
                units.NoUnit,
                {"gate": "moovitamix_gate_could_not_run"},
                mappings=[_value_map({0: ("works", GREEN), 1: ("broken", RED)})],
            ).span(5),
            _stat(
                "Records",
                "Whether the exporter can read the records of the runs; if not, its output says why.",
                units.NoUnit,
                {"records": "moovitamix_records_readable"},
                mappings=[_value_map({0: ("not readable", RED), 1: ("readable", GREEN)})],
            ).span(4),
            _states(
                "Nights",
                "Status of the newest night over time.",
                {"{{status}}": "moovitamix_run_status == 1"},
            ).span(24),
        ],
        "Durations": [
            _lines(
                "Duration by step",
                "Duration of each step the last time that it ended.",
                units.Seconds,
                {"{{step}}": "moovitamix_step_duration_seconds"},
            ),
            _bars(
                "Last duration against usual",
                "Last duration of each step as a share of its median over 14 successes; check it from 200 % on.",
                units.PercentUnit,
                {"{{step}}": "moovitamix_step_duration_seconds / moovitamix_step_usual_duration_seconds"},
                limits={None: GREEN, 1.5: YELLOW, 2: ORANGE, 4: RED},
            ),
            _lines(
                "Duration of the night against usual",
                "Duration of the night, and the sum of the medians of its steps.",
                units.Seconds,
                {
                    "night": "moovitamix_run_duration_seconds",
                    "usual": "sum(moovitamix_step_usual_duration_seconds)",
                },
            ),
        ],
        "Rows and bytes by source table": [
            _lines(
                "Rows read",
                "Rows of the newest successful extraction, and the median of the 14 earlier ones.",
                units.Short,
                {
                    "{{table}}": "moovitamix_table_rows_read",
                    "{{table}}, usual": "moovitamix_table_usual_rows_read",
                },
            ),
            _lines(
                "Rows landed, removed, set aside",
                "New or changed rows, removed keys, and rows that Postgres cannot hold.",
                units.Short,
                {
                    "{{table}} landed": "moovitamix_table_rows_landed",
                    "{{table}} removed": "moovitamix_table_rows_removed",
                    "{{table}} unreadable": "moovitamix_table_rows_unreadable",
                },
            ),
            _lines(
                "Rows unchanged",
                "Rows read that were known and unchanged.",
                units.Short,
                {"{{table}}": "moovitamix_table_rows_unchanged"},
            ),
            _lines(
                "Bytes received and landed",
                "Bytes of the API's responses, and of their new or changed rows.",
                units.BytesIEC,
                {
                    "{{table}} received": "moovitamix_table_bytes_received",
                    "{{table}} landed": "moovitamix_table_bytes_landed",
                },
            ),
            _lines(
                "Requests",
                "Requests of the newest extraction, and the failed ones among them.",
                units.Short,
                {
                    "{{table}}": "moovitamix_table_requests",
                    "{{table}} failed": "moovitamix_table_requests_failed",
                },
            ),
            _lines(
                "Removed",
                "Removed keys as a share of all rows; the gate reports more than 20 % and blocks mass removals.",
                units.PercentUnit,
                {"{{table}}": "moovitamix_table_removed_ratio"},
                limits={None: GREEN, 0.05: YELLOW, 0.2: RED},
            ),
            _lines(
                "Rows by step",
                "Rows that each step processed the last time: read, checked, written by models.",
                units.Short,
                {"{{step}}": "moovitamix_step_rows"},
            ),
            _lines(
                "Keys changed",
                "Known keys whose content differs from the delivered one.",
                units.Short,
                {"{{table}}": "moovitamix_table_keys_changed"},
            ),
            _lines(
                "Unconfirmed removals",
                "Known keys that were neither seen nor proved to be removed: the source kept changing.",
                units.Short,
                {"{{table}}": "moovitamix_table_keys_unsettled"},
            ),
        ],
        "Recommendations": [
            _stat(
                "Published release",
                "Number of the release that readers see.",
                units.NoUnit,
                {"release": "moovitamix_recommendations_release"},
            ),
            _stat(
                "Made",
                "Time when this release was made.",
                units.DateTimeFromNow,
                {"made": "moovitamix_recommendations_released_timestamp_seconds * 1000"},
            ),
            _stat(
                "Since the step recommend succeeded",
                "Time since the newest success of the step recommend; red from 26 hours on.",
                units.Seconds,
                {"since": "time() - moovitamix_recommendations_last_success_timestamp_seconds"},
                limits=STALE,
            ),
            _stat(
                "Nights below launch",
                "Number of newest nights in a row on which the model did worse than at its launch; red from 3 on.",
                units.NoUnit,
                {"{{list}}": "moovitamix_recommendations_nights_below_launch"},
                limits={None: GREEN, 1: YELLOW, 3: RED},
            ).no_value("popularity"),
            _lines(
                "NDCG@10 of seven days",
                "How well the lists met what users then heard, beside the most popular tracks for the same users.",
                units.NoUnit,
                {
                    "{{list}} v{{model_version}}": "moovitamix_recommendations_ndcg_7d",
                    "{{list}} v{{model_version}} popularity": "moovitamix_recommendations_popularity_ndcg_7d",
                },
            ),
            _lines(
                "Hits of seven days",
                "Share of the users who played one of the first 10 tracks, beside the most popular tracks.",
                units.PercentUnit,
                {
                    "{{list}} v{{model_version}}": "moovitamix_recommendations_hit_ratio_7d",
                    "{{list}} v{{model_version}} popularity": "moovitamix_recommendations_popularity_hit_ratio_7d",
                },
            ),
            _lines(
                "Recommended plays",
                "Share of the plays of the last seven days that were of tracks in the list.",
                units.PercentUnit,
                {"{{list}} v{{model_version}}": "moovitamix_recommendations_played_ratio_7d"},
            ),
            _lines(
                "Coverage",
                "Share of the tracks among the first 10 of some list; an alert fires below half the usual one.",
                units.PercentUnit,
                {
                    "{{list}}": "moovitamix_recommendations_coverage_ratio",
                    "{{list}} usually": "moovitamix_recommendations_usual_coverage_ratio",
                },
            ),
            _lines(
                "Users with lists",
                "Number of users with a list, and of their lists, when the published release was made.",
                units.Short,
                {"users": "moovitamix_recommendations_users", "lists": "moovitamix_recommendations_lists"},
            ),
        ],
        "Service": [
            _stat(
                "Requests per second",
                "Requests that the service answered per second, over 5 minutes.",
                units.Short,
                {"requests": "sum(rate(moovitamix_service_requests_total[5m]))"},
            ),
            _stat(
                "Workers answer",
                "1 while all workers of the service answer requests, else 0.",
                units.NoUnit,
                {"ready": "moovitamix_service_ready"},
                limits={None: RED, 1: GREEN},
            ),
            _stat(
                "Cache",
                "1 while lists are read from the cache, 0 while Postgres answers instead; empty without REDIS_URL.",
                units.NoUnit,
                {"cache": "moovitamix_service_cache_up"},
                limits={None: YELLOW, 1: GREEN},
            ),
            _stat(
                "Release served",
                "Number of the release that the worker furthest behind serves, and 1 while its models are in memory.",
                units.NoUnit,
                {"release": "moovitamix_service_release_id", "models": "moovitamix_service_models_loaded"},
            ),
            _lines(
                "Answers by status",
                "Requests per second by status, over 5 minutes.",
                units.Short,
                {"{{status}}": "sum by (status) (rate(moovitamix_service_requests_total[5m]))"},
            ),
            _lines(
                "Time to answer",
                "Time within which 19 of 20 requests were answered, by route; an alert fires above 0.1 s for lists.",
                units.Seconds,
                {
                    "{{route}}": "histogram_quantile(0.95, sum by (route, le)"
                    " (rate(moovitamix_service_request_seconds_bucket[5m])))"
                },
            ),
            _lines(
                "Lists read from",
                "Lists per second by where they were read from: cache, warehouse, or models (made on request).",
                units.Short,
                {"{{read_from}}": "sum by (read_from) (rate(moovitamix_service_lists_total[5m]))"},
            ),
            _lines(
                "Time since the refresh",
                "Time since the worker furthest behind read what is published and removed; none answers after 10 s.",
                units.Seconds,
                {"since": "time() - moovitamix_service_refreshed_timestamp_seconds"},
            ),
        ],
        "Growth": [
            _lines(
                "Size of the warehouse",
                "Bytes on disk of the ten largest tables, including indexes.",
                units.BytesIEC,
                {"{{relation}}": "topk(10, moovitamix_relation_bytes)"},
            ),
            _lines(
                "Rows of the marts",
                "Rows of the tables in schema marts; estimated for large tables.",
                units.Short,
                {"{{relation}}": 'moovitamix_relation_rows{relation=~"marts[.].*"}'},
            ),
            _bars(
                "Growth in bytes",
                "The ten tables that grew most since the previous successful run.",
                units.BytesIEC,
                {"{{relation}}": "topk(10, moovitamix_relation_growth_bytes)"},
            ),
            _bars(
                "Growth in rows",
                "The ten tables that grew most since the previous successful run.",
                units.Short,
                {"{{relation}}": "topk(10, moovitamix_relation_growth_rows)"},
            ),
        ],
        "Failures": [
            _bars(
                "Nights of seven days",
                "Number of nights of the last seven days by status.",
                units.NoUnit,
                {"{{status}}": "moovitamix_runs_7d"},
            ),
            _bars(
                "Failures by step and cause",
                "Failures of the last seven days; the cause is the name of an exit code, or CRASHED.",
                units.NoUnit,
                {"{{step}} {{error_type}}": "moovitamix_step_failures_7d"},
                limits={None: GREEN, 1: RED},
            ),
            _lines(
                "Failure ratio by step",
                "Share of failures and crashes among the ends of each step in the last seven days.",
                units.PercentUnit,
                {"{{step}}": "moovitamix_step_failure_ratio_7d"},
                limits={None: GREEN, 0.1: YELLOW, 0.3: RED},
            ),
            _states(
                "Status of each step",
                "Last status of each step over time.",
                {"{{step}} {{status}}": "moovitamix_step_status == 1"},
            ),
        ],
        "Data quality": [
            _bars(
                "Nulls",
                "The fifteen fields with the largest share of nulls in the newest successful extraction.",
                units.PercentUnit,
                {"{{table}}.{{column}}": "topk(15, moovitamix_column_null_ratio)"},
                limits={None: GREEN, 0.05: YELLOW, 0.2: ORANGE},
            ),
            _bars(
                "Missing fields",
                "The fifteen fields that are absent most often in the newest successful extraction.",
                units.PercentUnit,
                {"{{table}}.{{column}}": "topk(15, moovitamix_column_absent_ratio)"},
                limits={None: GREEN, 0.01: ORANGE},
            ),
            _lines(
                "Quarantine by rule",
                "Rows in quarantine by rule.",
                units.Short,
                {"{{table}} {{rule}}": "moovitamix_quarantined_rows"},
            ),
            _lines(
                "Share in quarantine",
                "Rows in quarantine as a share of the rows read; more than 20 % of one load block it.",
                units.PercentUnit,
                {"{{table}}": "moovitamix_quarantined_ratio"},
                limits={None: GREEN, 0.05: YELLOW, 0.2: RED},
            ),
            _bars(
                "Rules that the last load failed",
                "Rows that failed each rule (for a rule about the delivery: 1) in the load checked last.",
                units.Short,
                {"{{table}} {{rule}} ({{severity}})": "moovitamix_gate_failed_rows"},
                limits={None: GREEN, 1: YELLOW},
            ),
            _bars(
                "dbt",
                "Models and tests by their last dbt status; skipped ones did not fail.",
                units.NoUnit,
                {"{{step}} {{resource_type}} {{status}}": "moovitamix_dbt_nodes"},
            ),
        ],
        "Machine": [
            _lines(
                "CPU time",
                "CPU time of the pipeline and of the embedded Postgres in the newest ended night.",
                units.Seconds,
                {
                    "pipeline": "moovitamix_run_cpu_seconds",
                    "embedded Postgres": "moovitamix_run_database_cpu_seconds",
                    "{{step}}": "moovitamix_step_cpu_seconds",
                },
            ),
            _lines(
                "Memory",
                "Peak memory of the pipeline, in the night and in each step.",
                units.BytesIEC,
                {
                    "night": "moovitamix_run_peak_memory_bytes",
                    "{{step}}": "moovitamix_step_peak_memory_bytes",
                },
            ),
            _lines(
                "Disk traffic",
                "Bytes that the pipeline read from disk and wrote to it in the newest ended night.",
                units.BytesIEC,
                {
                    "read": "moovitamix_run_disk_read_bytes",
                    "written": "moovitamix_run_disk_written_bytes",
                },
            ),
            _lines(
                "Network",
                "Bytes that the machine received and sent during that night, and the API's part of them.",
                units.BytesIEC,
                {
                    "received": "moovitamix_run_network_received_bytes",
                    "sent": "moovitamix_run_network_sent_bytes",
                    "from the API": 'moovitamix_step_bytes{step="extract"}',
                },
            ),
            _lines(
                "Disk",
                "Free space and size of the disk of the pipeline when the newest run ended.",
                units.BytesIEC,
                {"free": "moovitamix_disk_free_bytes", "size": "moovitamix_disk_size_bytes"},
            ),
            _stat(
                "Disk used",
                "Used share of that disk; from 90 % on, see docs/runbooks/full-disk.md.",
                units.PercentUnit,
                {"used": "1 - moovitamix_disk_free_bytes / moovitamix_disk_size_bytes"},
                limits={None: GREEN, 0.8: YELLOW, 0.9: RED},
            )
            .height(8)
            .span(12),
        ],
        "Trainings": [
            _stat(
                "Age of the champion",
                "Time since the champion of the list was fitted; red from 21 days on.",
                units.Seconds,
                {"{{list}}": "time() - moovitamix_champion_trained_timestamp_seconds"},
                limits={None: GREEN, 14 * 86400: YELLOW, 21 * 86400: RED},
            ),
            _stat(
                "Last training",
                "Time of the newest training that looked at the data.",
                units.DateTimeFromNow,
                {"{{list}}": "moovitamix_training_timestamp_seconds * 1000"},
            ),
            _stat(
                "Refused in a row",
                "Trainings in a row that left the champion or refused the data; red from 3 on.",
                units.NoUnit,
                {"{{list}}": "moovitamix_trainings_refused"},
                limits={None: GREEN, 1: YELLOW, 3: RED},
            ),
            _stat(
                "Champion",
                "Number of the model version that makes the list.",
                units.NoUnit,
                {"{{list}}": "moovitamix_champion_version"},
            ),
            _lines(
                "Champion beside popularity",
                "NDCG@10 of the champion and of popularity in the final window of its training.",
                units.NoUnit,
                {
                    "{{list}}": "moovitamix_champion_ndcg",
                    "popularity, {{list}}": "moovitamix_champion_popularity_ndcg",
                },
            ),
        ],
        "Freshness and open loads": [
            _stat(
                "Age of the published data",
                "Time since the start of the newest extraction that was published and built; red from 26 hours on.",
                units.Seconds,
                {"{{table}}": "time() - moovitamix_table_fresh_timestamp_seconds"},
                limits=STALE,
            )
            .height(8)
            .span(12),
            _lines(
                "Open loads by table",
                "Open loads: pending ones wait for the gate, blocked ones for a decision or a newer load.",
                units.NoUnit,
                {"{{table}} {{state}}": "moovitamix_open_loads"},
            ),
            _stat(
                "Oldest open load",
                "Time when the oldest open load of the table was extracted or blocked.",
                units.DateTimeFromNow,
                {"{{table}} {{state}}": "moovitamix_open_load_since_timestamp_seconds * 1000"},
            )
            .no_value("none")
            .height(8)
            .span(12),
            _lines(
                "Since the last night ended",
                "Time since the end of the newest ended night: it grows for a day, then drops.",
                units.Seconds,
                {"since the end": "time() - moovitamix_run_finished_timestamp_seconds"},
            ),
        ],
    }


def build() -> models.Dashboard:
    """Build the dashboard, with its panels numbered and laid out in rows."""
    builder = (
        dashboard.Dashboard("MooVitamix: the nights")
        .uid(NAME)
        .description("The records of the nightly pipeline; generated by: python -m pipeline dashboard")
        .tags([NAME])
        .time("now-30d", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for title, panels in rows().items():
        builder.with_row(dashboard.Row(title))
        for panel in panels:
            builder.with_panel(panel)
    whole = builder.build()
    # the builder gives all panels the id 0
    for number, panel in enumerate(whole.panels, 1):
        panel.id_val = number
    return whole


def files(folder: Path, prometheus_url: str) -> Iterator[tuple[Path, str]]:
    """Yield path and text of each file in the folder."""
    yield folder / "dashboards" / f"{NAME}.json", json.dumps(build(), cls=JSONEncoder, indent=2) + "\n"
    datasource = {"name": "MooVitamix", "type": "prometheus", "uid": NAME, "access": "proxy", "url": prometheus_url}
    yield _provisioning(folder, "datasources", {"datasources": [datasource]})
    provider = {
        "name": NAME,
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": str((folder / "dashboards").resolve())},
    }
    yield _provisioning(folder, "dashboards", {"providers": [provider]})


def write(folder: Path, prometheus_url: str) -> None:
    """Write the files; existing ones are replaced. Raises OSError."""
    for path, text in files(folder, prometheus_url):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _provisioning(folder: Path, kind: str, content: dict[str, Any]) -> tuple[Path, str]:
    text = yaml.safe_dump({"apiVersion": 1, **content}, sort_keys=False)
    return folder / "provisioning" / kind / f"{NAME}.yaml", text


def _stat(
    title: str,
    description: str,
    unit: str,
    queries: Queries,
    limits: Limits = NO_LIMIT,
    mappings: list[models.ValueMapping] | None = None,
    shows: options.BigValueTextMode = options.BigValueTextMode.AUTO,
) -> Panel:
    panel = _fill(stat.Panel(), title, description, unit, queries, limits, is_instant=True).height(4).span(6)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(options.BigValueGraphMode.NONE).color_mode(options.BigValueColorMode.BACKGROUND).text_mode(shows)
    if mappings:
        panel.mappings(mappings)
    return _color(panel)


def _lines(title: str, description: str, unit: str, queries: Queries, limits: Limits | None = None) -> Panel:
    panel = _fill(timeseries.Panel(), title, description, unit, queries, limits, is_instant=False).height(8).span(12)
    # a value stays constant until the next night
    panel.line_interpolation(options.LineInterpolation.STEP_AFTER).min(0)
    panel.legend(
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    if limits:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED))
    return panel


def _bars(title: str, description: str, unit: str, queries: Queries, limits: Limits = NO_LIMIT) -> Panel:
    panel = _fill(bargauge.Panel(), title, description, unit, queries, limits, is_instant=True).height(8).span(12)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.orientation(options.VizOrientation.HORIZONTAL).display_mode(options.BarGaugeDisplayMode.BASIC)
    return panel.min(0)


def _states(title: str, description: str, queries: Queries) -> Panel:
    panel = _fill(statetimeline.Panel(), title, description, units.NoUnit, queries, NO_LIMIT, is_instant=False)
    panel.height(8).span(12).show_value(options.VisibilityMode.NEVER).merge_values(True)
    return _color(panel)


def _fill(
    panel: Any, title: str, description: str, unit: str, queries: Queries, limits: Limits | None, *, is_instant: bool
) -> Any:
    panel.title(title).description(description).unit(unit).datasource(DATASOURCE)
    if limits:
        steps = [models.Threshold(value, color) for value, color in limits.items()]
        panel.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    letters = string.ascii_uppercase[: len(queries)]
    for letter, (legend, expression) in zip(letters, queries.items(), strict=True):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter)
        panel.with_target(query.instant() if is_instant else query.range())
    return panel


def _color(panel: Any) -> Panel:
    """Give each series that is named after a status the color of that status."""
    for status, color in COLORS.items():
        fixed = {"mode": models.FieldColorModeId.FIXED, "fixedColor": color}
        panel.override_by_regexp(f"/(^| ){status}$/", [models.DynamicConfigValue(id_val="color", value=fixed)])
    return panel


def _value_map(meanings: Mapping[int, tuple[str, str]]) -> models.ValueMapping:
    return models.ValueMap(
        {
            str(value): models.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, (text, color)) in enumerate(meanings.items())
        }
    )
