"""Index the days of listens in a mart that an earlier version has built. dbt makes new ones so."""

from warehouse.migrations.sql import execute

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the index."""
    execute("""
        -- Citus sends a statement to its workers as the text that it is part of
        do $$
        begin
            if to_regclass('marts.listen_history') is not null then
                create index if not exists listen_history_listened_at on marts.listen_history using brin (listened_at);
            end if;
        end
        $$;
    """)
