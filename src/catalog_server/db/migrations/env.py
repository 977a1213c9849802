"""Run by Alembic. The connection comes from db/migrate.py, which holds the migration lock on it."""

from alembic import context

from catalog_server.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
