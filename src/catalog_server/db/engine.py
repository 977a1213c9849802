"""Opens the database, and tells whether it answers. Driver errors are wrapped here, so that none leaks upwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from catalog_server.db.dialects import connect_options, one_snapshot, prepare_connections
from catalog_server.db.dsn import DatabaseTarget
from catalog_server.db.fencing import check_fence
from catalog_server.errors import Unavailable

# Other layers name these types without importing sqlalchemy themselves.
__all__ = ["Connection", "Engine", "describe", "open_engine", "ping", "reading", "writing"]

_CONNECT_TIMEOUT_SECONDS = 2
_POOL_TIMEOUT_SECONDS = 10


def open_engine(target: DatabaseTarget) -> Engine:
    """An engine with a small pool. Nothing is connected yet."""
    engine = create_engine(
        target.url,
        pool_size=5,
        max_overflow=5,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args=connect_options(target.url, _CONNECT_TIMEOUT_SECONDS),
    )
    prepare_connections(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reads, in one transaction, so that all of them see the same state.

    Raises:
        Unavailable: the database cannot be reached, or gave up on the statement.
    """
    with _wrapped(), one_snapshot(engine).connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection with a transaction for writes: committed at the end, rolled back on any error.

    Raises:
        Unavailable: the database cannot be reached, or gave up on the statement.
        Fenced: this is the work of a leader that leads no more.
    """
    with _wrapped(), engine.connect().execution_options(catalog_write=True) as connection, connection.begin():
        check_fence(connection)
        yield connection


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise Unavailable(f"database: {describe(error)}") from error


def ping(engine: Engine) -> None:
    """Ask the database for a sign of life.

    Raises:
        Unavailable: with a class of failure, never with host, user or DSN.
    """
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))


def is_lost(error: DBAPIError) -> bool:
    """Whether it says of the connection, not of the statement."""
    return error.connection_invalidated or describe(error) in _LOST


_REASONS = (
    ("refused", "connection refused"),
    ("timed out", "timed out"),
    ("timeout", "timed out"),
    ("password", "authentication failed"),
    ("access denied", "authentication failed"),
    ("does not exist", "database or role does not exist"),
    ("unknown database", "database or role does not exist"),
    ("unable to open", "database file cannot be opened"),
    ("locked", "database is locked"),
    ("shut", "database is shutting down"),
    ("translate host", "host name cannot be resolved"),
    ("resolve", "host name cannot be resolved"),
    ("can't connect", "connection refused"),
    ("closed", "connection lost"),
    ("gone away", "connection lost"),
    ("lost connection", "connection lost"),
)


_LOST = ("connection refused", "timed out", "connection lost", "database is shutting down", "database is locked")


def describe(error: SQLAlchemyError) -> str:
    """A class of failure that is safe to show: the driver's words may hold hosts, users and statements."""
    words = str(getattr(error, "orig", None) or error).lower()
    return next((reason for part, reason in _REASONS if part in words), "operation failed")
