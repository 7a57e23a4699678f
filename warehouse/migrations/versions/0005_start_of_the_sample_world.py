"""Record day 0 of the sample world: a later run must read the same world, whatever its settings and its clock say."""

from warehouse.migrations.sql import execute

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column, also to the view of current runs."""
    execute("""
        alter table ops.runs add column sample_start date;

        create or replace view ops.current_runs as
        select
            run_id, run_seq, started_at, finished_at,
            case
                when status = 'running' and not exists (
                    select 1
                    from pg_locks
                    cross join hashtextextended('moovitamix run', 0) as lock_key
                    where
                        locktype = 'advisory' and granted and objsubid = 1
                        and database = (select oid from pg_database where datname = current_database())
                        and (classid::bigint << 32 | objid::bigint) = lock_key
                ) then 'crashed'
                else status
            end as status,
            exit_code, error_type, message, command, sample_day,
            rows, bytes, cpu_seconds, database_cpu_seconds, peak_memory_bytes, disk_read_bytes, disk_written_bytes,
            network_received_bytes, network_sent_bytes, disk_free_bytes, disk_size_bytes, sample_start
        from ops.runs;
    """)
