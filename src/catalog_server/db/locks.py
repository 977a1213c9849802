"""Keeps migrations to one process at a time, on one dedicated connection (seed, Migration Locking; platform.md 8.1)."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection, Engine, delete, text
from sqlalchemy.exc import IntegrityError

from catalog_server.clock import clock_ms
from catalog_server.db.dialects import lock_strategy
from catalog_server.db.tables import migration_lock
from catalog_server.errors import Unavailable

ADVISORY_LOCK_ID = 86669445  # CRC-32 of "catalog-server-migration"
_LOCK_NAME = "catalog-server-migration"
_ROW = "migration"
_WAIT_SECONDS = 300
_RETRY_SECONDS = 1.0
_STALE_MS = 5 * 60 * 1000

log = structlog.get_logger(__name__)


@contextmanager
def migration_locked(engine: Engine, connection: Connection, *, wait_seconds: int = _WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock while the body runs on the same `connection`.

    Raises:
        Unavailable: another process held the lock for longer than `wait_seconds`.
    """
    strategy = lock_strategy(engine)
    owner = f"{socket.gethostname()[:200]}/{uuid.uuid4()}"
    if strategy == "table":
        with _transaction(engine) as setup:
            migration_lock.create(setup, checkfirst=True)
    deadline = time.monotonic() + wait_seconds
    while not _try(strategy, engine, connection, owner):
        if time.monotonic() >= deadline:
            raise Unavailable(f"another process has held the migration lock for {wait_seconds} s")
        log.info("waiting for the migration lock", strategy=strategy)
        threading.Event().wait(_RETRY_SECONDS)
    try:
        yield
    finally:
        _release(strategy, engine, connection, owner)


def _try(strategy: str, engine: Engine, connection: Connection, owner: str) -> bool:
    if strategy == "advisory":
        found = connection.execute(text("SELECT pg_try_advisory_lock(:id)"), {"id": ADVISORY_LOCK_ID})
        return bool(_committed(connection, found.scalar()))
    if strategy == "named":
        found = connection.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": _LOCK_NAME})
        return bool(_committed(connection, found.scalar()))
    return _try_row(engine, owner)


def _committed(connection: Connection, value: object) -> object:
    # Both kinds of lock belong to the session, not to a transaction; an open one would only stand in the way.
    connection.commit()
    return value


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction beside the migration's own, which waits for other writers at its begin: later it would not."""
    with engine.connect().execution_options(catalog_write=True) as connection, connection.begin():
        yield connection


def _try_row(engine: Engine, owner: str) -> bool:
    now = clock_ms()
    stale = migration_lock.c.locked_at < now - _STALE_MS
    try:
        with _transaction(engine) as connection:
            connection.execute(delete(migration_lock).where(migration_lock.c.id == _ROW, stale))
            connection.execute(migration_lock.insert().values(id=_ROW, locked_at=now, locked_by=owner))
    except IntegrityError:
        return False
    return True


def _release(strategy: str, engine: Engine, connection: Connection, owner: str) -> None:
    if connection.in_transaction():
        connection.rollback()
    if strategy == "advisory":
        connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": ADVISORY_LOCK_ID})
    elif strategy == "named":
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK_NAME})
    else:
        with _transaction(engine) as setup:
            setup.execute(delete(migration_lock).where(migration_lock.c.locked_by == owner))
        return
    connection.commit()
