"""Allow scans without a total: the API may leave it open, and the last page then decides whether all rows were read."""

from warehouse.migrations.sql import execute

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Allow NULL."""
    execute("alter table staging.scans alter column total drop not null;")
