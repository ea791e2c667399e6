"""Run by alembic; `lotwise.store.migrating` gives the connection and holds the transaction."""

from alembic import context

from lotwise.store.migrating import VERSION_TABLE
from lotwise.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
