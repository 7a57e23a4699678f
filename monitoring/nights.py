"""Define nights, freshness and growth over the records in `ops` and `gate`, for metrics and report alike.

Each constant is the beginning of a query: common table expressions to select from. They take PARAMETERS.
"""

from warehouse.names import FULL_RUNS, PUBLISHED, SOURCE_TABLE_NAMES, STEPS

PARAMETERS = {
    # in the order of the night
    "commands": [*FULL_RUNS, *STEPS],
    "full_runs": list(FULL_RUNS),
    "steps": list(STEPS),
    "tables": list(SOURCE_TABLE_NAMES),
    "let_through": list(PUBLISHED),
}

# A night is one run of all steps, or one run per step from a task scheduler, beginning with `extract`; the last attempt
# of each step counts. A night without a build and without a failure is not complete yet. A night that has not ended has
# neither a `finished_at` nor an `exit_code`.
NIGHTS = """
with runs as (
    select
        *,
        array_position(%(commands)s::text[], command) as step_order,
        command = 'extract' and lag(command) over in_order = 'extract'
        and started_at - lag(started_at) over in_order < interval '12 hours' as is_retry
    from ops.current_runs
    where command = any(%(commands)s)
    window in_order as (order by run_seq)
),
parts as (
    select
        *,
        count(*) filter (where (command = any(%(full_runs)s) or command = 'extract') and is_retry is not true)
            over (order by run_seq) as night
    from runs
),
tries as (
    select distinct on (night, command)
        parts.*,
        bool_or(command = any(%(full_runs)s)) over (partition by night) as is_one_run
    from parts
    where night > 0
    order by night, command, run_seq desc
),
nights as (
    select
        night,
        array_agg(run_id order by step_order) as run_ids,
        min(started_at) as started_at,
        case when bool_and(finished_at is not null) then max(finished_at) end as finished_at,
        case
            when bool_or(status = 'running') then 'running'
            when bool_or(status = 'crashed') then 'crashed'
            when bool_or(status = 'failed') then 'failed'
            else 'succeeded'
        end as status,
        case
            when bool_and(exit_code is not null)
                then coalesce((array_agg(exit_code order by step_order) filter (where exit_code <> 0))[1], 0)
        end as exit_code,
        -- the messages of all failures, as in a run of all steps
        coalesce(
            string_agg(message, '; ' order by step_order) filter (where status <> 'succeeded'),
            (array_agg(message order by step_order desc))[1]
        ) as message,
        sum(cpu_seconds) as cpu_seconds,
        sum(database_cpu_seconds) as database_cpu_seconds,
        max(peak_memory_bytes) as peak_memory_bytes,
        sum(disk_read_bytes) as disk_read_bytes,
        sum(disk_written_bytes) as disk_written_bytes,
        sum(network_received_bytes) as network_received_bytes,
        sum(network_sent_bytes) as network_sent_bytes,
        (array_agg(disk_free_bytes order by step_order desc) filter (where disk_free_bytes is not null))[1]
            as disk_free_bytes
    from tries
    where command = any(%(full_runs)s) or not is_one_run
    group by night
    having bool_or(command = any(%(full_runs)s) or command = 'build') or bool_or(status <> 'succeeded')
)
"""

# By table, the start of the newest extraction that was published and built: readers see the source as of this time.
FRESH = """
with built as (
    select coalesce(max((figures ->> 'published_seq')::bigint), 0) as seq
    from ops.steps
    where step = 'build' and status = 'succeeded'
),
fresh as (
    select source.name as table_name, scan.started_at
    from unnest(%(tables)s::text[]) as source (name)
    cross join lateral (
        select steps.started_at
        from ops.run_tables
        inner join ops.runs on run_tables.run_id = runs.run_id
        inner join ops.steps on run_tables.run_id = steps.run_id and steps.step = 'extract'
        inner join gate.loads on run_tables.load_id = loads.load_id and run_tables.table_name = loads.table_name
        where
            run_tables.table_name = source.name
            and loads.state = any(%(let_through)s)
            and not exists (
                select
                from gate.publications
                where
                    publications.load_id = loads.load_id and publications.table_name = loads.table_name
                    and publications.seq > (select seq from built)
            )
        order by runs.run_seq desc
        limit 1
    ) as scan
)
"""

# Each relation as measured by the newest run, and its growth as in ops.run_growth, without reading all earlier runs.
GROWN = """
with newest as (
    select run_id, run_seq
    from ops.runs
    where exists (select from ops.run_relations where run_relations.run_id = runs.run_id)
    order by run_seq desc
    limit 1
),
grown as (
    select
        sized.relation,
        sized.rows,
        sized.bytes,
        sized.rows - earlier.rows as more_rows,
        sized.bytes - earlier.bytes as more_bytes
    from newest
    inner join ops.run_relations as sized on newest.run_id = sized.run_id
    left join lateral (
        select before.rows, before.bytes
        from ops.runs
        inner join ops.run_relations as before on runs.run_id = before.run_id
        where runs.run_seq < newest.run_seq and runs.status = 'succeeded' and before.relation = sized.relation
        order by runs.run_seq desc
        limit 1
    ) as earlier on true
)
"""
