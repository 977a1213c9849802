"""Run by Alembic. Connection and check come from db/migrate.py, which holds the migration lock."""

from typing import Any

from alembic import context

from catalog_server.db.dialects import has_transactional_ddl
from catalog_server.db.tables import metadata

connection = context.config.attributes["connection"]
check = context.config.attributes["check"]


def before_version_is_written(*_: Any, **__: Any) -> None:
    """A process that lost the lock must not record a step as its own."""
    check()


context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=has_transactional_ddl(connection),
    transaction_per_migration=not has_transactional_ddl(connection),
    on_version_apply=before_version_is_written,
)
with context.begin_transaction():
    context.run_migrations()
