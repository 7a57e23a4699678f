"""Run the numbered migrations: Alembic executes this file. `warehouse/schema.py` calls Alembic."""

from alembic import context

OPTIONS = {"version_table": "alembic_version", "version_table_schema": "ops"}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", **OPTIONS)
else:
    # the caller owns the transaction, which also claims the names of the new relations
    context.configure(connection=context.config.attributes["connection"], **OPTIONS)
with context.begin_transaction():
    context.run_migrations()
