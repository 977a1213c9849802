"""Brings the schema to the head revision. Looks first, and takes no lock where nothing is to be done.

All or nothing: where the database can change its schema in a transaction, one transaction holds all steps. MySQL
cannot, so there each revision is recorded when it is done, and its steps pass over what a process that died left.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from catalog_server.db.dialects import has_transactional_ddl
from catalog_server.db.engine import describe, is_lost, reading
from catalog_server.db.locks import migration_locked
from catalog_server.errors import Conflict, Unavailable

HEAD = "0007"
"""The revision that this code needs; a test compares it with the newest file in migrations/versions."""
_FOLDER = Path(__file__).parent / "migrations"

log = structlog.get_logger(__name__)


def check_migrated(engine: Engine) -> None:
    """For a server that leaves migrating to a job of its own.

    Raises:
        Conflict: the schema is not the one that this code needs.
        Unavailable: the database cannot be reached.
    """
    with reading(engine) as connection:
        current = read_revision(connection)
    _check_not_newer(current)
    if current != HEAD:
        found = f"at revision {current}" if current else "empty"
        raise Conflict(
            f"the database schema is {found}, this server needs revision {HEAD}: run `catalog-server migrate` first"
        )


def migrate(engine: Engine, *, lock: bool = True) -> bool:
    """Migrate to HEAD and return whether anything was done.

    Raises:
        Conflict: the schema is newer than this code, the lock was not to be had, or a step failed.
        Unavailable: the database cannot be reached.
    """
    with reading(engine) as connection:
        current = read_revision(connection)
    if current == HEAD:
        return False
    _check_not_newer(current)
    try:
        with engine.connect().execution_options(catalog_write=True) as connection:
            if not lock:
                return _upgrade(connection, _no_check)
            with migration_locked(engine, connection) as held:
                return _upgrade(connection, held.check)
    except DBAPIError as error:
        failed = f"migration to revision {HEAD} failed: {describe(error)}"
        raise (Unavailable if is_lost(error) else Conflict)(failed) from error


def _no_check() -> None:
    """Nobody else migrates, says the operator."""


def _upgrade(connection: Connection, check: Callable[[], None]) -> bool:
    """In the transaction that may be open, because the lock may be one of it."""
    current = read_revision(connection)
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
    config.attributes["check"] = check
    log.info("migrating the database", found=current or "nothing", to=HEAD)
    if not has_transactional_ddl(connection):
        connection.rollback()  # so that Alembic makes a transaction of its own for each revision
    command.upgrade(config, "head")
    check()
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
