"""Brings the schema to the head revision. Looks first, and takes no lock where nothing is to be done."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from catalog_server.db.engine import describe, reading
from catalog_server.db.locks import migration_locked
from catalog_server.errors import Conflict, Unavailable

HEAD = "0003"
"""The revision that this code needs; a test compares it with the newest file in migrations/versions."""
_FOLDER = Path(__file__).parent / "migrations"

log = structlog.get_logger(__name__)


def migrate(engine: Engine, *, lock: bool = True) -> bool:
    """Migrate to HEAD and return whether anything was done.

    Raises:
        Conflict: the schema is newer than this code.
        Unavailable: the database cannot be reached, the lock was not to be had, or a step failed.
    """
    with reading(engine) as connection:
        current = read_revision(connection)
    if current == HEAD:
        return False
    _check_not_newer(current)
    try:
        with engine.connect().execution_options(catalog_write=True) as connection:
            if not lock:
                return _upgrade(connection)
            with migration_locked(engine, connection):
                return _upgrade(connection)
    except DBAPIError as error:
        raise Unavailable(f"migration failed: {describe(error)}") from error


def _upgrade(connection: Connection) -> bool:
    current = read_revision(connection)
    connection.commit()
    if current == HEAD:
        log.info("another process has migrated the database", revision=HEAD)
        return False
    _check_not_newer(current)
    # Alembic takes 150 ms to import, and is of no use to a process that finds its schema at head.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    log.info("migrating the database", found=current or "nothing", to=HEAD)
    command.upgrade(config, "head")
    if connection.in_transaction():
        connection.commit()
    return True


def read_revision(connection: Connection) -> str | None:
    """The revision that the database stands at, None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _check_not_newer(current: str | None) -> None:
    if current is not None and current > HEAD:
        raise Conflict(
            f"the database schema is at revision {current}, this server knows revisions up to {HEAD}:"
            " run the server version that migrated it, or a newer one"
        )
