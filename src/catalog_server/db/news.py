"""Tells other replicas at once that something changed, where the database can (PostgreSQL: NOTIFY).

A message says only that there is something to look at. Whoever misses it finds the change by looking once a second, so
nothing depends on it but speed: a proxy that pools transactions, for one, lets no message through.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from catalog_server.db.dialects import can_notify
from catalog_server.db.engine import describe

CHANNEL = "catalog_changes"
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


def tell_news(connection: Connection) -> None:
    """Let the others know when this transaction is committed, and only then."""
    if can_notify(connection):
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def hear_until(stop: threading.Event, engine: Engine, heard: Callable[[], object]) -> None:
    """Call `heard` after each change until `stop` is set. Returns at once where the database tells nothing."""
    while can_notify(engine) and not stop.is_set():
        try:
            _listen(stop, engine, heard)
        except (DBAPIError, PoolTimeout) as error:
            log.debug("cannot listen for changes", reason=describe(error))
        stop.wait(_RETRY_SECONDS)


def _listen(stop: threading.Event, engine: Engine, heard: Callable[[], object]) -> None:
    """On a connection of its own, which never goes back to the pool: whoever got it there would be told, too."""
    failure = engine.dialect.loaded_dbapi.Error
    try:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            heard()  # what was told before somebody listened
            while not stop.is_set():
                for _ in driver.notifies(timeout=_LOOK_SECONDS, stop_after=1):
                    heard()
        finally:
            driver.close()
    except failure as error:
        raise DBAPIError.instance("LISTEN", None, error, failure) from error
