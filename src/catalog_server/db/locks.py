"""Keeps migrations to one process at a time (seed, Migration Locking; platform.md 8.1).

PostgreSQL: an advisory lock of the transaction that migrates, so that lock and migration cannot be parted by a proxy
that pools transactions. Elsewhere: a row that its owner renews; one that was not renewed for five minutes is stale.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import structlog
from sqlalchemy import Connection, Engine, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateTable

from catalog_server.clock import clock_ms
from catalog_server.db.dialects import has_transactional_locks, lost_race
from catalog_server.db.tables import migration_lock
from catalog_server.errors import Conflict

ADVISORY_LOCK_ID = 86669445  # CRC-32 of "catalog-server-migration"
_ROW = "migration"
_WAIT_SECONDS = 300
_RETRY_SECONDS = 1.0
_TOLD_EVERY_SECONDS = 10.0
_STALE_MS = 5 * 60 * 1000
_RENEW_SECONDS = 60.0

log = structlog.get_logger(__name__)


class MigrationLock(Protocol):
    """The lock of one process."""

    def try_take(self) -> bool:
        """Take it unless somebody else holds it."""

    def check(self) -> None:
        """Raises Conflict when it was lost: whoever was asleep for so long must not write any more."""

    def release(self) -> None: ...


@contextmanager
def migration_locked(
    engine: Engine, connection: Connection, *, wait_seconds: int = _WAIT_SECONDS
) -> Iterator[MigrationLock]:
    """Hold the lock while the body runs. On PostgreSQL it ends with the transaction that is open on `connection`.

    Raises:
        Conflict: another process held the lock for longer than `wait_seconds`.
    """
    lock: MigrationLock = _AdvisoryLock(connection) if has_transactional_locks(engine) else _RowLock(engine)
    started = told = time.monotonic()
    while not lock.try_take():
        now = time.monotonic()
        if now - started >= wait_seconds:
            raise Conflict(f"another process has held the migration lock for {wait_seconds} s")
        if told == started or now - told >= _TOLD_EVERY_SECONDS:
            log.info("waiting for the migration lock", seconds=round(now - started))
            told = now
        threading.Event().wait(_RETRY_SECONDS)
    try:
        yield lock
    finally:
        if connection.in_transaction():  # after a failure; it would be in the way of what follows
            connection.rollback()
        lock.release()


class _AdvisoryLock:
    """Of the connection's transaction, with which it goes, whatever happens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def try_take(self) -> bool:
        found = self._connection.execute(text("SELECT pg_try_advisory_xact_lock(:id)"), {"id": ADVISORY_LOCK_ID})
        if found.scalar():
            return True
        self._connection.rollback()
        return False

    def check(self) -> None:
        """Nobody else can have it while the transaction lasts."""

    def release(self) -> None:
        """It went with the transaction."""


class _RowLock:
    """A row with its owner's token."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._owner = f"{socket.gethostname()[:200]}/{uuid.uuid4()}"
        self._done = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="migration-lock", daemon=True)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Beside the migration's own; it waits for other writers at its begin: later it would not."""
        with self._engine.connect().execution_options(catalog_write=True) as connection, connection.begin():
            yield connection

    def try_take(self) -> bool:
        now = clock_ms()
        stale = migration_lock.c.locked_at < now - _STALE_MS
        try:
            with self._transaction() as connection:
                connection.execute(CreateTable(migration_lock, if_not_exists=True))
                connection.execute(delete(migration_lock).where(migration_lock.c.id == _ROW, stale))
                connection.execute(migration_lock.insert().values(id=_ROW, locked_at=now, locked_by=self._owner))
        except IntegrityError:
            return False
        except DBAPIError as error:
            if lost_race(error):  # SQLite: the holder is in the middle of its transaction
                return False
            raise
        self._renewing.start()
        return True

    def _renew(self) -> None:
        while not self._done.wait(_RENEW_SECONDS):
            try:
                with self._transaction() as connection:
                    connection.execute(self._mine(update(migration_lock)).values(locked_at=clock_ms()))
            except DBAPIError as error:
                # On SQLite our own migration stands in the way, and in that of everybody else too.
                log.debug("cannot renew the migration lock now", reason=type(error.orig).__name__)

    def _mine(self, statement: Any) -> Any:
        return statement.where(migration_lock.c.id == _ROW, migration_lock.c.locked_by == self._owner)

    def check(self) -> None:
        with self._engine.connect() as connection:
            held = connection.execute(self._mine(select(func.count()).select_from(migration_lock))).scalar_one()
        if not held:
            raise Conflict("the migration lock was lost: this process made no progress for five minutes")

    def release(self) -> None:
        self._done.set()
        self._renewing.join()
        with self._transaction() as connection:
            connection.execute(self._mine(delete(migration_lock)))
