"""Read the metrics of the pipeline from the records of its runs in `ops` and `gate`, and from its releases of lists.

All metrics are gauges of the state after a run, so a restart of the exporter loses nothing. A metric with the value
NULL has no series; an unknown value is never 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from psycopg.rows import dict_row

from monitoring import nights
from monitoring.nights import FRESH, GROWN, NIGHTS
from warehouse import launch_quality, schema

PREFIX = "moovitamix_"
RECORDS_READABLE = "records_readable"
RECORDS_READABLE_HELP = "1 if the records of the runs could be read, else 0; with 0 there is no other metric."
# Limit for a statement that waits for a lock or a busy disk.
STATEMENT_TIMEOUT = "4s"

RUN_STATUSES = ("running", "succeeded", "failed", "crashed")
# The names of the exit codes. The Python names of other errors are not used, because their number is unlimited.
ERROR_TYPES = (
    "UNEXPECTED_ERROR",
    "WRONG_SETTINGS",
    "SOURCE_FAILED",
    "BLOCKED",
    "BUILD_FAILED",
    "ALREADY_RUNNING",
    "WAREHOUSE_UNAVAILABLE",
    "GATE_BROKEN",
    "RECOMMENDATIONS_FAILED",
)
# dbt's statuses of a finished node, by step and resource type.
NODE_STATUSES = {
    ("gate", "model"): ("success", "error", "skipped"),
    ("build", "model"): ("success", "error", "skipped"),
    ("build", "test"): ("pass", "warn", "fail", "error", "skipped"),
}
USUAL_OF, USUAL_FROM = 14, 5

# The steps of nights, from runs of all steps and of single steps; steps of decisions are excluded.
STEPS_DONE = """
with done as (
    select steps.*, runs.run_seq
    from ops.current_steps as steps
    inner join ops.runs using (run_id)
    where steps.step = any(%(steps)s) and runs.command = any(%(commands)s)
)
"""

SCANS = """
with scans as (
    select run_tables.*, runs.run_seq
    from ops.run_tables
    inner join ops.runs using (run_id)
)
"""

# By table, the newest successful extraction.
NEWEST_SCANS = f"""{SCANS},
newest as (
    select scan.*
    from unnest(%(tables)s::text[]) as source (name)
    cross join lateral (
        select *
        from scans
        where table_name = source.name and rows_read is not null
        order by run_seq desc
        limit 1
    ) as scan
)
"""


# The release that readers see.
PUBLISHED = """
with published as (
    select releases.*
    from recommendations.release_history
    inner join recommendations.releases using (release_id)
    order by history_seq desc
    limit 1
)
"""


@dataclass(frozen=True)
class Group:
    """Define the metrics of one query.

    `metrics`: name without the prefix -> help text; the query has a column for each metric and each label.
    """

    title: str
    labels: tuple[str, ...]
    metrics: dict[str, str]
    query: str


GROUPS = (
    Group(
        "Nights",
        ("status",),
        {"run_status": "1 if the newest night has this status, else 0; crashed: its process was killed."},
        f"""{NIGHTS}
        select known.status, (newest.status = known.status)::int as run_status
        from (select status from nights order by night desc limit 1) as newest
        cross join unnest(%(run_statuses)s::text[]) as known (status)
        """,
    ),
    Group(
        "Nights",
        (),
        {
            "run_started_timestamp_seconds": "Start of the newest night.",
            "run_last_success_timestamp_seconds": "End of the newest successful night.",
            "run_finished_timestamp_seconds": "End of the newest ended night.",
            "run_exit_code": "Exit code of the newest ended night.",
            "run_duration_seconds": "Duration of the newest ended night.",
            "run_cpu_seconds": "CPU time of the pipeline in the newest ended night.",
            "run_database_cpu_seconds": "CPU time of the embedded Postgres in the same night.",
            "run_peak_memory_bytes": "Peak memory of the pipeline in the same night.",
            "run_disk_read_bytes": "Bytes that the pipeline read from disk in the same night.",
            "run_disk_written_bytes": "Bytes that the pipeline wrote to disk in the same night.",
            "run_network_received_bytes": "Bytes that the machine received from the network during the same night.",
            "run_network_sent_bytes": "Bytes that the machine sent to the network during the same night.",
        },
        f"""{NIGHTS}
        select
            (
                select extract(epoch from started_at) from nights order by night desc limit 1
            ) as run_started_timestamp_seconds,
            (
                select extract(epoch from finished_at)
                from nights
                where status = 'succeeded'
                order by night desc
                limit 1
            ) as run_last_success_timestamp_seconds,
            extract(epoch from finished_at) as run_finished_timestamp_seconds,
            exit_code as run_exit_code,
            extract(epoch from finished_at - started_at) as run_duration_seconds,
            cpu_seconds as run_cpu_seconds,
            database_cpu_seconds as run_database_cpu_seconds,
            peak_memory_bytes as run_peak_memory_bytes,
            disk_read_bytes as run_disk_read_bytes,
            disk_written_bytes as run_disk_written_bytes,
            network_received_bytes as run_network_received_bytes,
            network_sent_bytes as run_network_sent_bytes
        from (select) as always
        left join (
            select * from nights where status in ('succeeded', 'failed') order by night desc limit 1
        ) as ended on true
        """,
    ),
    Group(
        "Nights",
        ("status",),
        {"runs_7d": "Number of nights of the last 7 days with this status."},
        f"""{NIGHTS}
        select known.status, count(nights.night) as runs_7d
        from unnest(%(run_statuses)s::text[]) as known (status)
        left join nights on known.status = nights.status and nights.started_at > now() - interval '7 days'
        group by known.status
        """,
    ),
    Group(
        "Nights",
        (),
        {
            "disk_free_bytes": "Free bytes on the disk of the pipeline when the newest run of any kind ended.",
            "disk_size_bytes": "Size of the disk of the pipeline.",
        },
        """
        select disk_free_bytes, disk_size_bytes
        from ops.runs
        where disk_free_bytes is not null
        order by run_seq desc
        limit 1
        """,
    ),
    Group(
        "Steps",
        ("step", "status"),
        {"step_status": "1 if the step last ended with this status, else 0; crashes included."},
        f"""{STEPS_DONE}
        select newest.step, known.status, (newest.status = known.status)::int as step_status
        from (
            select distinct on (step) step, status
            from done
            where status <> 'running'
            order by step, run_seq desc
        ) as newest
        cross join unnest(%(run_statuses)s::text[]) as known (status)
        where known.status <> 'running'
        """,
    ),
    Group(
        "Steps",
        ("step",),
        {
            "step_duration_seconds": "Duration of the step the last time that it ended.",
            "step_usual_duration_seconds": "Median duration of the 14 earlier successes of the step that processed rows"
            " (at least 5).",
            "step_rows": "Rows that the step processed the last time: read, checked, or written by models.",
            "step_bytes": "Bytes that the step received from the source the last time; only for extract.",
            "step_cpu_seconds": "CPU time of the pipeline in the step the last time.",
            "step_peak_memory_bytes": "Peak memory of the pipeline in the step the last time.",
        },
        f"""{STEPS_DONE}
        select
            newest.step,
            extract(epoch from newest.finished_at - newest.started_at) as step_duration_seconds,
            usual.seconds as step_usual_duration_seconds,
            newest.rows as step_rows,
            newest.bytes as step_bytes,
            newest.cpu_seconds as step_cpu_seconds,
            newest.peak_memory_bytes as step_peak_memory_bytes
        from (
            select distinct on (step) *
            from done
            where finished_at is not null
            order by step, run_seq desc
        ) as newest
        cross join lateral (
            select
                case
                    when count(*) >= %(usual_from)s then percentile_cont(0.5) within group (order by earlier.seconds)
                end as seconds
            from (
                select extract(epoch from finished_at - started_at) as seconds
                from done
                where
                    step = newest.step and status = 'succeeded' and run_seq < newest.run_seq
                    -- a build without changes takes no time
                    and rows is distinct from 0
                order by run_seq desc
                limit %(usual_of)s
            ) as earlier
        ) as usual
        """,
    ),
    Group(
        "Steps",
        ("step", "error_type"),
        {
            "step_failures_7d": "Failures of the step in the last 7 days by cause: the name of an exit code,"
            " or CRASHED; 0 for causes that any step had before."
        },
        f"""{STEPS_DONE},
        failures as (
            select
                step,
                started_at,
                case
                    when status = 'crashed' then 'CRASHED'
                    when error_type = any(%(error_types)s) then error_type
                    else 'UNEXPECTED_ERROR'
                end as error_type
            from done
            where status in ('failed', 'crashed')
        )
        select known.step, seen.error_type, count(failures.step) as step_failures_7d
        from unnest(%(steps)s::text[]) as known (step)
        cross join (select distinct error_type from failures) as seen
        left join failures
            on
                known.step = failures.step and seen.error_type = failures.error_type
                and failures.started_at > now() - interval '7 days'
        group by known.step, seen.error_type
        """,
    ),
    Group(
        "Steps",
        ("step",),
        {"step_failure_ratio_7d": "Share of failures and crashes among the ends of the step in the last 7 days."},
        f"""{STEPS_DONE}
        select step, avg((status <> 'succeeded')::int) as step_failure_ratio_7d
        from done
        where started_at > now() - interval '7 days' and status <> 'running'
        group by step
        """,
    ),
    Group(
        "Tables of the source",
        ("table",),
        {
            "table_rows_read": "Rows of the table that the newest successful extraction read.",
            "table_usual_rows_read": "Median of the rows read by the 14 earlier extractions (at least 5).",
            "table_rows_unchanged": "Rows read that were known and unchanged.",
            "table_rows_landed": "Rows read that were new or changed.",
            "table_rows_removed": "Known keys that the newest successful extraction found removed.",
            "table_removed_ratio": "Removed keys as a share of the rows read and the removed keys.",
            "table_rows_unreadable": "Rows read that Postgres cannot hold, set aside.",
            "table_keys_unsettled": "Known keys that the newest successful extraction neither saw"
            " nor proved to be removed.",
            "table_keys_changed": "Known keys whose content changed in the newest successful extraction.",
            "table_bytes_received": "Bytes of the table that the newest successful extraction received.",
            "table_bytes_landed": "Bytes of the table that the newest successful extraction landed, as JSON.",
        },
        f"""{NEWEST_SCANS}
        select
            newest.table_name as table,
            newest.rows_read as table_rows_read,
            usual.rows_read as table_usual_rows_read,
            newest.rows_unchanged as table_rows_unchanged,
            newest.rows_landed as table_rows_landed,
            newest.rows_removed as table_rows_removed,
            newest.rows_removed::float8 / nullif(newest.rows_read + newest.rows_removed, 0) as table_removed_ratio,
            newest.rows_unreadable as table_rows_unreadable,
            newest.keys_unsettled as table_keys_unsettled,
            newest.keys_changed as table_keys_changed,
            newest.bytes_received as table_bytes_received,
            newest.bytes_landed as table_bytes_landed
        from newest
        cross join lateral (
            select
                case
                    when count(*) >= %(usual_from)s then percentile_cont(0.5) within group (order by earlier.rows_read)
                end as rows_read
            from (
                select rows_read
                from scans
                where table_name = newest.table_name and rows_read is not null and run_seq < newest.run_seq
                order by run_seq desc
                limit %(usual_of)s
            ) as earlier
        ) as usual
        """,
    ),
    Group(
        "Tables of the source",
        ("table",),
        {
            "table_requests": "Requests for the table in the newest extraction, even if it failed.",
            "table_requests_failed": "Failed requests of the newest extraction, including those that were retried.",
        },
        f"""{SCANS}
        select source.name as table, asked.requests as table_requests, asked.requests_failed as table_requests_failed
        from unnest(%(tables)s::text[]) as source (name)
        cross join lateral (
            select requests, requests_failed
            from scans
            where table_name = source.name
            order by run_seq desc
            limit 1
        ) as asked
        """,
    ),
    Group(
        "Tables of the source",
        ("table",),
        {
            "table_fresh_timestamp_seconds": "Start of the newest extraction of the table that was published and built:"
            " readers see the source as of this time."
        },
        f"""{FRESH}
        select table_name as table, extract(epoch from started_at) as table_fresh_timestamp_seconds
        from fresh
        """,
    ),
    Group(
        "Columns of the source",
        ("table", "column"),
        {
            "column_null_ratio": "Share of the rows of the newest successful extraction with null in this field.",
            "column_absent_ratio": "Share of the rows of the newest successful extraction without this field.",
        },
        f"""{NEWEST_SCANS}
        select
            newest.table_name as table,
            column_name as column,
            nulls::float8 / nullif(rows, 0) as column_null_ratio,
            absent::float8 / nullif(rows, 0) as column_absent_ratio
        from newest
        inner join ops.run_columns using (run_id, table_name)
        """,
    ),
    Group(
        "Gate",
        ("table", "state"),
        {
            "open_loads": "Number of loads of the table that wait for the gate (pending), or for a decision or a newer"
            " load (blocked).",
            "open_load_since_timestamp_seconds": "Time when the oldest open load was extracted (pending) or blocked.",
        },
        f"""{NEWEST_SCANS},
        extracted as (
            select scans.load_id, scans.table_name, min(steps.started_at) as at
            from scans
            inner join ops.steps on scans.run_id = steps.run_id and steps.step = 'extract'
            group by scans.load_id, scans.table_name
        ),
        open as (
            select load_id, table_name, state, judged_at from gate.loads where state in ('pending', 'blocked')
            union all
            -- landed, and not registered by the gate yet
            select newest.load_id, newest.table_name, 'pending', null
            from newest
            where
                newest.load_id is not null
                and not exists (
                    select
                    from gate.loads
                    where loads.load_id = newest.load_id and loads.table_name = newest.table_name
                )
        )
        select
            source.name as table,
            known.state,
            count(open.load_id) as open_loads,
            extract(epoch from min(case when open.state = 'pending' then extracted.at else open.judged_at end))
                as open_load_since_timestamp_seconds
        from unnest(%(tables)s::text[]) as source (name)
        cross join unnest(array['pending', 'blocked']) as known (state)
        left join open on source.name = open.table_name and known.state = open.state
        left join extracted on open.load_id = extracted.load_id and open.table_name = extracted.table_name
        group by source.name, known.state
        """,
    ),
    Group(
        "Gate",
        ("table", "rule"),
        {"quarantined_rows": "Rows in quarantine by rule; 0 for rules that had rows in quarantine before."},
        """
        select table_name as table, rule, count(*) filter (where closed_at is null) as quarantined_rows
        from gate.quarantined_rows
        where table_name = any(%(tables)s)
        group by table_name, rule
        """,
    ),
    Group(
        "Gate",
        ("table",),
        {"quarantined_ratio": "Rows in quarantine as a share of the rows read by the newest successful extraction."},
        f"""{NEWEST_SCANS}
        select
            newest.table_name as table,
            coalesce(quarantined.rows, 0)::float8 / nullif(newest.rows_read, 0) as quarantined_ratio
        from newest
        left join (
            select table_name, count(distinct dlt_id) as rows
            from gate.quarantined_rows
            where closed_at is null
            group by table_name
        ) as quarantined using (table_name)
        """,
    ),
    Group(
        "Gate",
        ("table", "rule", "severity"),
        {
            "gate_failed_rows": "Rows (for a rule about the delivery: 1) that failed the rule in the load checked last;"
            " 0 for rules that an earlier load failed."
        },
        """
        with failed as (
            select run_rules.*, runs.run_seq
            from ops.run_rules
            inner join ops.runs using (run_id)
            where table_name = any(%(tables)s)
        ),
        newest as (
            select distinct on (table_name) table_name, run_id, load_id
            from ops.run_loads
            inner join ops.runs using (run_id)
            where run_loads.state <> 'pending'
            order by table_name, run_seq desc, load_id desc
        )
        select
            failed.table_name as table,
            failed.rule,
            failed.severity,
            coalesce(
                max(failed.rows_failed) filter (
                    where failed.run_id = newest.run_id and failed.load_id = newest.load_id
                ),
                0
            ) as gate_failed_rows
        from failed
        inner join newest using (table_name)
        group by failed.table_name, failed.rule, failed.severity
        """,
    ),
    Group(
        "Gate",
        (),
        {"gate_could_not_run": "1 if the gate could not run the last time that it ended, else 0."},
        f"""{STEPS_DONE}
        select (error_type is not distinct from 'GATE_BROKEN')::int as gate_could_not_run
        from done
        where step = 'gate' and finished_at is not null
        order by run_seq desc
        limit 1
        """,
    ),
    Group(
        "dbt",
        ("step", "resource_type", "status"),
        {
            "dbt_nodes": "Number of models or tests of the newest build that ended with this dbt status; a build leaves"
            " out what would not change.",
        },
        f"""{STEPS_DONE}
        select newest.step, known.resource_type, known.status, count(nodes.node) as dbt_nodes
        from (
            select distinct on (step) step, run_id
            from done
            where status <> 'running'
            order by step, run_seq desc
        ) as newest
        inner join unnest(%(node_steps)s::text[], %(node_types)s::text[], %(node_statuses)s::text[])
            as known (step, resource_type, status)
            on newest.step = known.step
        left join ops.run_nodes as nodes
            on
                newest.run_id = nodes.run_id and newest.step = nodes.step
                and known.resource_type = nodes.resource_type and known.status = nodes.status
        group by newest.step, known.resource_type, known.status
        """,
    ),
    Group(
        "Recommendations",
        (),
        {
            "recommendations_last_success_timestamp_seconds": "End of the newest success of the step recommend, if the"
            " step was not left out since the newest build.",
        },
        """
        select
            case
                when
                    max(started_at) filter (where step = 'recommend')
                    >= max(started_at) filter (where step = 'build' and status = 'succeeded') is not false
                    then extract(epoch from max(finished_at) filter (where step = 'recommend' and status = 'succeeded'))
            end as recommendations_last_success_timestamp_seconds
        from ops.current_steps
        """,
    ),
    Group(
        "Recommendations",
        (),
        {
            "recommendations_release": "Number of the release that readers see.",
            "recommendations_released_timestamp_seconds": "Time when this release was made.",
            "recommendations_users": "Number of users with a list when it was made.",
            "recommendations_lists": "Number of its lists when it was made.",
        },
        f"""{PUBLISHED}
        select
            release_id as recommendations_release,
            extract(epoch from released_at) as recommendations_released_timestamp_seconds,
            users as recommendations_users,
            lists as recommendations_lists
        from published
        """,
    ),
    Group(
        "Recommendations",
        ("list",),
        {
            "recommendations_coverage_ratio": "Share of the candidates that are among the first 10 of some list of this"
            " release.",
            "recommendations_usual_coverage_ratio": "Median of the same of the releases of the 7 days before it.",
        },
        f"""{PUBLISHED}
        select
            of_list.list,
            (of_list.figures ->> 'coverage')::float8 as recommendations_coverage_ratio,
            (
                select
                    percentile_cont(0.5) within group (
                        order by (earlier.figures #>> array['by_list', of_list.list, 'coverage'])::float8
                    )
                from recommendations.releases as earlier
                where
                    earlier.release_id < published.release_id
                    and earlier.released_at > published.released_at - interval '7 days'
            ) as recommendations_usual_coverage_ratio
        from published
        cross join lateral jsonb_each(published.figures -> 'by_list') as of_list (list, figures)
        """,
    ),
    Group(
        "Recommendations",
        ("list", "model_version"),
        {
            "recommendations_ndcg_7d": "NDCG@10 of the lists against what their users then heard: mean of the users and"
            " of the last 7 days with listens.",
            "recommendations_popularity_ndcg_7d": "The same of the most popular tracks, for the same users and days.",
            "recommendations_hit_ratio_7d": "Share of the users of these days who played one of the first 10 tracks.",
            "recommendations_popularity_hit_ratio_7d": "The same of the most popular tracks.",
            "recommendations_played_ratio_7d": "Share of the plays that were of tracks in the list.",
        },
        """
        select
            list,
            model_version::text as model_version,
            sum(users * ndcg) / sum(users) as recommendations_ndcg_7d,
            sum(users * popularity_ndcg) / sum(users) as recommendations_popularity_ndcg_7d,
            sum(users * hit_rate) / sum(users) as recommendations_hit_ratio_7d,
            sum(users * popularity_hit_rate) / sum(users) as recommendations_popularity_hit_ratio_7d,
            sum(recommended_plays)::float8 / sum(plays) as recommendations_played_ratio_7d
        from recommendations.quality
        where segment = 'all' and day > (select max(day) from recommendations.quality) - 7
        group by list, model_version
        """,
    ),
    Group(
        "Recommendations",
        ("list",),
        {
            "recommendations_nights_below_launch": "Number of newest nights in a row on which the model did worse than"
            " at its launch, see docs/operations/retraining.md#degradation; not where popularity is the model.",
        },
        f"""{PUBLISHED}
        select served.list, compared.nights_below as recommendations_nights_below_launch
        from published
        cross join lateral jsonb_each_text(published.model_versions) as served (list, model_version)
        inner join ({launch_quality.QUERY}) as compared
            on served.list = compared.list and served.model_version::bigint = compared.model_version
        """,
    ),
    Group(
        "Trainings",
        ("list",),
        {
            "training_timestamp_seconds": "End of the newest training that looked at the data.",
            "trainings_refused": "Trainings in a row, up to the newest, that left the champion or refused the data.",
            "champion_version": "Number of the model version that is the champion.",
            "champion_trained_timestamp_seconds": "Time when the champion was fitted.",
            "champion_ndcg": "NDCG@10 of the champion in the final window of its training.",
            "champion_popularity_ndcg": "NDCG@10 of popularity in the same window.",
        },
        """
        with ended as (
            select list, outcome, training_id, finished_at
            from recommendations.trainings
            where finished_at is not null and outcome <> 'abandoned'
        ),
        changes as (
            select list, max(training_id) as training_id
            from ended
            where outcome in ('promoted', 'refreshed', 'popularity')
            group by list
        ),
        newest as (
            select
                ended.list,
                extract(epoch from max(ended.finished_at)) as training_timestamp_seconds,
                count(*) filter (
                    where ended.outcome in ('refused', 'data_refused')
                    and ended.training_id > coalesce(changes.training_id, 0)
                ) as trainings_refused
            from ended
            left join changes on ended.list = changes.list
            group by ended.list
        ),
        champions as (
            select distinct on (list) list, model_version
            from recommendations.aliases
            where alias = 'champion'
            order by list, alias_seq desc
        )
        select
            coalesce(newest.list, champions.list) as list,
            newest.training_timestamp_seconds,
            newest.trainings_refused,
            champions.model_version as champion_version,
            extract(epoch from versions.trained_at) as champion_trained_timestamp_seconds,
            (versions.metrics ->> 'ndcg@10')::float8 as champion_ndcg,
            (versions.metrics ->> 'popularity_ndcg@10')::float8 as champion_popularity_ndcg
        from newest
        full join champions on newest.list = champions.list
        left join recommendations.model_versions as versions on champions.model_version = versions.model_version
        """,
    ),
    Group(
        "Warehouse",
        ("relation",),
        {
            "relation_rows": "Rows of the table when the newest run ended; estimated for a large table.",
            "relation_bytes": "Size of the table on disk with its indexes, when the newest run ended.",
            "relation_growth_rows": "Growth of the table in rows since the previous successful run.",
            "relation_growth_bytes": "Growth of the table in bytes since the previous successful run.",
        },
        f"""{GROWN}
        select
            relation,
            rows as relation_rows,
            bytes as relation_bytes,
            more_rows as relation_growth_rows,
            more_bytes as relation_growth_bytes
        from grown
        """,
    ),
)

PARAMETERS = nights.PARAMETERS | {
    "run_statuses": list(RUN_STATUSES),
    "error_types": list(ERROR_TYPES),
    "usual_of": USUAL_OF,
    "usual_from": USUAL_FROM,
    "node_steps": [step for (step, _), statuses in NODE_STATUSES.items() for _ in statuses],
    "node_types": [kind for (_, kind), statuses in NODE_STATUSES.items() for _ in statuses],
    "node_statuses": [status for statuses in NODE_STATUSES.values() for status in statuses],
}


class RecordVersionError(Exception):
    """Report that the records have another version. `str()` says what to do."""


def families(connection: psycopg.Connection) -> list[Metric]:
    """Read all metrics in one snapshot; in a warehouse without runs, only `records_readable`.

    `connection`: autocommit, with read access to `ops` and the load ledger. Raises RecordVersionError, and
    psycopg.Error when the records cannot be read.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        connection.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'")
        if connection.execute("select to_regclass('ops.runs') is null").fetchone()[0]:
            return [records_readable(True)]
        try:
            return [records_readable(True), *(family for group in GROUPS for family in _read(connection, group))]
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            raise RecordVersionError(schema.NOT_PREPARED) from None


def records_readable(is_readable: bool) -> Metric:
    """Return the metric that always exists."""
    return GaugeMetricFamily(PREFIX + RECORDS_READABLE, RECORDS_READABLE_HELP, value=is_readable)


def _read(connection: psycopg.Connection, group: Group) -> Iterator[Metric]:
    rows = connection.cursor(row_factory=dict_row).execute(group.query, PARAMETERS).fetchall()
    for name, meaning in group.metrics.items():
        family = GaugeMetricFamily(PREFIX + name, meaning, labels=group.labels)
        for row in rows:
            if row[name] is not None:
                family.add_metric([row[label] for label in group.labels], float(row[name]))
        yield family
