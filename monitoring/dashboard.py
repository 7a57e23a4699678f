"""A Grafana dashboard of the metrics, and the files by which a Grafana takes it up at its start.

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
    1: ("unforeseen", RED),
    2: ("wrong settings", RED),
    3: ("source failed", RED),
    4: ("a table blocked", ORANGE),
    5: ("build failed", RED),
    7: ("warehouse unavailable", RED),
    8: ("gate broken", RED),
}
DAY = 24 * 60 * 60
# By the value from which on it counts, the color; None is everything below.
Limits = Mapping[float | None, str]
NO_LIMIT: Limits = {None: GREEN}
STALE: Limits = {None: GREEN, DAY: YELLOW, 26 * 60 * 60: RED}

Panel = Builder[models.Panel]
# Legend -> query. A legend may name labels: {{step}}.
Queries = Mapping[str, str]


def rows() -> dict[str, list[Panel]]:
    """The panels, row by row."""
    return {
        "Tonight at a glance": [
            _stat(
                "Newest night",
                "How the newest night stands; crashed is killed without a word.",
                units.NoUnit,
                {"{{status}}": "moovitamix_run_status == 1"},
                shows=options.BigValueTextMode.NAME,
            ),
            _stat(
                "It ended with",
                "What the exit code of the newest night that came to its end means.",
                units.NoUnit,
                {"exit code": "moovitamix_run_exit_code"},
                mappings=[_texts(EXIT_CODES)],
            ),
            _stat(
                "It began",
                "When the newest night of all began.",
                units.DateTimeFromNow,
                {"began": "moovitamix_run_started_timestamp_seconds * 1000"},
            ),
            _stat(
                "Since the last success",
                "Time since a night last ended with everything published; red from 26 hours on.",
                units.Seconds,
                {"since": "time() - moovitamix_run_last_success_timestamp_seconds"},
                limits=STALE,
            ),
            _stat(
                "It took",
                "From its beginning to its end; of the newest night that came to its end.",
                units.Seconds,
                {"duration": "moovitamix_run_duration_seconds"},
            ).span(5),
            _stat(
                "Open loads",
                "Loads that wait for the gate, for a person, or for a better delivery: make status says what to do.",
                units.NoUnit,
                {"open": "sum(moovitamix_open_loads)"},
                limits={None: GREEN, 1: ORANGE},
            ).span(5),
            _stat(
                "Rows held back",
                "Findings of row rules that wait in quarantine; a row that breaks two rules is two.",
                units.Short,
                {"held back": "sum(moovitamix_quarantined_rows)"},
                limits={None: GREEN, 1: YELLOW},
            ).span(5),
            _stat(
                "Gate",
                "Whether the gate itself was broken the last time: then loads stay pending.",
                units.NoUnit,
                {"gate": "moovitamix_gate_could_not_run"},
                mappings=[_texts({0: ("works", GREEN), 1: ("broken", RED)})],
            ).span(5),
            _stat(
                "Records",
                "Whether the exporter could read the records of the runs; its output says why not.",
                units.NoUnit,
                {"records": "moovitamix_records_readable"},
                mappings=[_texts({0: ("not readable", RED), 1: ("readable", GREEN)})],
            ).span(4),
            _states(
                "Nights",
                "How the newest night stood at each moment.",
                {"{{status}}": "moovitamix_run_status == 1"},
            ).span(24),
        ],
        "Durations": [
            _lines(
                "Duration by step",
                "How long each step took the last time that it came to its end.",
                units.Seconds,
                {"{{step}}": "moovitamix_step_duration_seconds"},
            ),
            _bars(
                "Last time against usual",
                "Duration of each step as a share of its median of 14 successes; from 200 % on, look at it.",
                units.PercentUnit,
                {"{{step}}": "moovitamix_step_duration_seconds / moovitamix_step_usual_duration_seconds"},
                limits={None: GREEN, 1.5: YELLOW, 2: ORANGE, 4: RED},
            ),
            _lines(
                "Duration of the night, and what is usual",
                "The whole night, and the sum of the medians of its steps.",
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
                "Rows of the newest pull that succeeded, and the median of the 14 before it.",
                units.Short,
                {
                    "{{table}}": "moovitamix_table_rows_read",
                    "{{table}}, usual": "moovitamix_table_usual_rows_read",
                },
            ),
            _lines(
                "Rows landed, removed, set aside",
                "New or changed rows, keys that are gone, and rows that Postgres cannot hold.",
                units.Short,
                {
                    "{{table}} landed": "moovitamix_table_rows_landed",
                    "{{table}} removed": "moovitamix_table_rows_removed",
                    "{{table}} unreadable": "moovitamix_table_rows_unreadable",
                },
            ),
            _lines(
                "Rows unchanged",
                "Rows that were read and known as they are.",
                units.Short,
                {"{{table}}": "moovitamix_table_rows_unchanged"},
            ),
            _lines(
                "Bytes received and landed",
                "Of the answers of the API, and of the rows among them that were new or had changed.",
                units.BytesIEC,
                {
                    "{{table}} received": "moovitamix_table_bytes_received",
                    "{{table}} landed": "moovitamix_table_bytes_landed",
                },
            ),
            _lines(
                "Requests",
                "Requests of the newest pull, and those of them that got no good answer.",
                units.Short,
                {
                    "{{table}}": "moovitamix_table_requests",
                    "{{table}} failed": "moovitamix_table_requests_failed",
                },
            ),
            _lines(
                "Removed",
                "Share of the rows read or gone that is gone; the gate warns of more than 20 %, and blocks masses.",
                units.PercentUnit,
                {"{{table}}": "moovitamix_table_removed_ratio"},
                limits={None: GREEN, 0.05: YELLOW, 0.2: RED},
            ),
            _lines(
                "Rows by step",
                "Rows that each step moved the last time: read, judged, written by models.",
                units.Short,
                {"{{step}}": "moovitamix_step_rows"},
            ),
            _lines(
                "Keys changed",
                "Known keys that had another content than the one delivered before.",
                units.Short,
                {"{{table}}": "moovitamix_table_keys_changed"},
            ),
            _lines(
                "Keys unsettled",
                "Known keys that were neither seen nor proved to be gone: the source did not stand still.",
                units.Short,
                {"{{table}}": "moovitamix_table_keys_unsettled"},
            ),
        ],
        "Growth": [
            _lines(
                "Size of the warehouse",
                "Bytes on disk of the ten largest tables, with their indexes.",
                units.BytesIEC,
                {"{{relation}}": "topk(10, moovitamix_relation_bytes)"},
            ),
            _lines(
                "Rows of the marts",
                "Rows of what analysts and the recommender read; of large tables an estimate.",
                units.Short,
                {"{{relation}}": 'moovitamix_relation_rows{relation=~"marts[.].*"}'},
            ),
            _bars(
                "Grown by bytes",
                "The ten tables that grew most since the run before that succeeded.",
                units.BytesIEC,
                {"{{relation}}": "topk(10, moovitamix_relation_growth_bytes)"},
            ),
            _bars(
                "Grown by rows",
                "The ten tables that grew most since the run before that succeeded.",
                units.Short,
                {"{{relation}}": "topk(10, moovitamix_relation_growth_rows)"},
            ),
        ],
        "Failures": [
            _bars(
                "Nights of seven days",
                "How many nights of the last seven days ended in each way.",
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
                "Share of each step's ends in the last seven days that were failures or crashes.",
                units.PercentUnit,
                {"{{step}}": "moovitamix_step_failure_ratio_7d"},
                limits={None: GREEN, 0.1: YELLOW, 0.3: RED},
            ),
            _states(
                "How each step ended",
                "The end of each step the last time, at each moment.",
                {"{{step}} {{status}}": "moovitamix_step_status == 1"},
            ),
        ],
        "Data quality": [
            _bars(
                "Nulls",
                "The fifteen fields with the largest share of nulls in the newest pull that succeeded.",
                units.PercentUnit,
                {"{{table}}.{{column}}": "topk(15, moovitamix_column_null_ratio)"},
                limits={None: GREEN, 0.05: YELLOW, 0.2: ORANGE},
            ),
            _bars(
                "Missing fields",
                "The fifteen fields that rows of the newest pull that succeeded lack most often.",
                units.PercentUnit,
                {"{{table}}.{{column}}": "topk(15, moovitamix_column_absent_ratio)"},
                limits={None: GREEN, 0.01: ORANGE},
            ),
            _lines(
                "Held back by rule",
                "Rows that each rule holds in quarantine.",
                units.Short,
                {"{{table}} {{rule}}": "moovitamix_quarantined_rows"},
            ),
            _lines(
                "Share held back",
                "Rows in quarantine as a share of the rows read; more than 20 % of one delivery block it.",
                units.PercentUnit,
                {"{{table}}": "moovitamix_quarantined_ratio"},
                limits={None: GREEN, 0.05: YELLOW, 0.2: RED},
            ),
            _bars(
                "Rules that the last load broke",
                "Rows that broke each rule (of a rule about the delivery: 1) in the load that was judged last.",
                units.Short,
                {"{{table}} {{rule}} ({{severity}})": "moovitamix_gate_failed_rows"},
                limits={None: GREEN, 1: YELLOW},
            ),
            _bars(
                "dbt",
                "Models and tests by how they ended the last time, in dbt's words; skipped ones did not fail.",
                units.NoUnit,
                {"{{step}} {{resource_type}} {{status}}": "moovitamix_dbt_nodes"},
            ),
        ],
        "Machine": [
            _lines(
                "Processor time",
                "Of the pipeline in the newest night that came to its end, and of the embedded Postgres meanwhile.",
                units.Seconds,
                {
                    "pipeline": "moovitamix_run_cpu_seconds",
                    "embedded Postgres": "moovitamix_run_database_cpu_seconds",
                    "{{step}}": "moovitamix_step_cpu_seconds",
                },
            ),
            _lines(
                "Memory",
                "The most that the pipeline held at a time, in the night and in each step.",
                units.BytesIEC,
                {
                    "night": "moovitamix_run_peak_memory_bytes",
                    "{{step}}": "moovitamix_step_peak_memory_bytes",
                },
            ),
            _lines(
                "Disk traffic",
                "What the pipeline read from disk and wrote to it in the newest night that came to its end.",
                units.BytesIEC,
                {
                    "read": "moovitamix_run_disk_read_bytes",
                    "written": "moovitamix_run_disk_written_bytes",
                },
            ),
            _lines(
                "Network",
                "What the machine received and sent during that night; and what of it were answers of the API.",
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
                "Share of that disk that is used; from 90 % on, see docs/runbooks/full-disk.md.",
                units.PercentUnit,
                {"used": "1 - moovitamix_disk_free_bytes / moovitamix_disk_size_bytes"},
                limits={None: GREEN, 0.8: YELLOW, 0.9: RED},
            )
            .height(8)
            .span(12),
        ],
        "Freshness and open loads": [
            _stat(
                "What readers see is as old as",
                "Time since the pull began that was last let through for the table, and built; red from 26 hours on.",
                units.Seconds,
                {"{{table}}": "time() - moovitamix_table_fresh_timestamp_seconds"},
                limits=STALE,
            )
            .height(8)
            .span(12),
            _lines(
                "Open loads by table",
                "Loads that wait: pending for the gate, blocked for a person or a better delivery.",
                units.NoUnit,
                {"{{table}} {{state}}": "moovitamix_open_loads"},
            ),
            _stat(
                "The oldest of them waits since",
                "When the oldest open load of the table was pulled, or blocked; none is good.",
                units.DateTimeFromNow,
                {"{{table}} {{state}}": "moovitamix_open_load_since_timestamp_seconds * 1000"},
            )
            .no_value("none waits")
            .height(8)
            .span(12),
            _lines(
                "Since the last night ended",
                "Time since the newest night ended that came to its end: it grows for a day, and falls back.",
                units.Seconds,
                {"since the end": "time() - moovitamix_run_finished_timestamp_seconds"},
            ),
        ],
    }


def built() -> models.Dashboard:
    """The dashboard, its panels numbered and set in lines."""
    made = (
        dashboard.Dashboard("MooVitamix: the nights")
        .uid(NAME)
        .description("What the nightly pipeline left in its records; generated by: python -m pipeline dashboard")
        .tags([NAME])
        .time("now-30d", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for title, panels in rows().items():
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    whole = made.build()
    # the builder leaves 0 for all of them
    for number, panel in enumerate(whole.panels, 1):
        panel.id_val = number
    return whole


def files(folder: Path, prometheus_url: str) -> Iterator[tuple[Path, str]]:
    """What is to be in the folder: path and text of each file."""
    yield folder / "dashboards" / f"{NAME}.json", json.dumps(built(), cls=JSONEncoder, indent=2) + "\n"
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
    """Write the files, over those of before. Raises OSError."""
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
    panel = _filled(stat.Panel(), title, description, unit, queries, limits, is_instant=True).height(4).span(6)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(options.BigValueGraphMode.NONE).color_mode(options.BigValueColorMode.BACKGROUND).text_mode(shows)
    if mappings:
        panel.mappings(mappings)
    return _colored(panel)


def _lines(title: str, description: str, unit: str, queries: Queries, limits: Limits | None = None) -> Panel:
    panel = _filled(timeseries.Panel(), title, description, unit, queries, limits, is_instant=False).height(8).span(12)
    # what a night left stays until the next one
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
    panel = _filled(bargauge.Panel(), title, description, unit, queries, limits, is_instant=True).height(8).span(12)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.orientation(options.VizOrientation.HORIZONTAL).display_mode(options.BarGaugeDisplayMode.BASIC)
    return panel.min(0)


def _states(title: str, description: str, queries: Queries) -> Panel:
    panel = _filled(statetimeline.Panel(), title, description, units.NoUnit, queries, NO_LIMIT, is_instant=False)
    panel.height(8).span(12).show_value(options.VisibilityMode.NEVER).merge_values(True)
    return _colored(panel)


def _filled(
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


def _colored(panel: Any) -> Panel:
    """Series that are named after a status have its color."""
    for status, color in COLORS.items():
        fixed = {"mode": models.FieldColorModeId.FIXED, "fixedColor": color}
        panel.override_by_regexp(f"/(^| ){status}$/", [models.DynamicConfigValue(id_val="color", value=fixed)])
    return panel


def _texts(meanings: Mapping[int, tuple[str, str]]) -> models.ValueMapping:
    return models.ValueMap(
        {
            str(value): models.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, (text, color)) in enumerate(meanings.items())
        }
    )
