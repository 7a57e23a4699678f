"""Add `known_at` to the marts that an earlier version has built; the next build fills it. dbt makes new ones so."""

from warehouse.migrations.sql import execute

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns."""
    execute("""
        -- Citus sends a statement to its workers as the text that it is part of
        do $$
        begin
            alter table if exists marts.users add column if not exists known_at timestamptz;
            alter table if exists marts.tracks add column if not exists known_at timestamptz;
            alter table if exists marts.listen_history add column if not exists known_at timestamptz;
        end
        $$;
    """)
