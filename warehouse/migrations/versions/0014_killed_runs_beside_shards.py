"""Show a killed run as crashed while shards of a release share the run lock: a run holds the lock alone."""

from warehouse.migrations.sql import execute

revision = "0014"
down_revision = "0013"

STATUS_NOW = """
    case
        when status = 'running' and not exists (
            select 1
            from pg_locks
            cross join hashtextextended('moovitamix run', 0) as lock_key
            where
                locktype = 'advisory' and granted and objsubid = 1 and mode = 'ExclusiveLock'
                and database = (select oid from pg_database where datname = current_database())
                and (classid::bigint << 32 | objid::bigint) = lock_key
        ) then 'crashed'
        else status
    end
""".strip()

MEASURES = """
    rows, bytes, cpu_seconds, database_cpu_seconds, peak_memory_bytes, disk_read_bytes, disk_written_bytes,
    network_received_bytes, network_sent_bytes, disk_free_bytes, disk_size_bytes
""".strip()


def upgrade() -> None:
    """Replace the views of current runs and steps."""
    execute(f"""
        create or replace view ops.current_runs as
        select
            run_id, run_seq, started_at, finished_at,
            {STATUS_NOW} as status,
            exit_code, error_type, message, command, sample_day, {MEASURES}, sample_start
        from ops.runs;

        create or replace view ops.current_steps as
        select
            run_id, step, started_at, finished_at,
            {STATUS_NOW} as status,
            error_type, message, figures, {MEASURES}
        from ops.steps;
    """)
