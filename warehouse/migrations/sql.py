"""Execute the SQL of a migration as it is written."""

from alembic import op


def execute(statements: str) -> None:
    """Execute several statements, or print them if this is a dry run.

    Alembic's own `op.execute` would read `:name` as a parameter, and takes one statement only.
    """
    migration = op.get_context()
    if migration.as_sql:
        migration.impl.static_output(statements.strip())
    else:
        op.get_bind().connection.driver_connection.execute(statements)
