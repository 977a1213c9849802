"""All that differs between SQLite, PostgreSQL and MySQL/MariaDB. No other file asks which database it talks to."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    cast,
    event,
    func,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

_MYSQL = ("mysql", "mariadb")
_SWITCH_ATTEMPTS = 100
_SWITCH_WAIT_SECONDS = 0.02
_STREAM_ROWS = 100
_READ_COMMITTED = "catalog_read_committed"
_LOST_RACE_STATES = ("40001", "40P01")  # PostgreSQL: serialization failure, deadlock
_LOST_RACE_NUMBERS = (1213, 1020)  # MySQL: deadlock; MariaDB: record has changed since last read


def big_id() -> TypeEngine[int]:
    """A 64-bit key that the database counts up."""
    return BigInteger().with_variant(Integer(), "sqlite")


def word(length: int) -> TypeEngine[str]:
    """Short ASCII text, compared exactly."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), *_MYSQL)


def text(length: int) -> TypeEngine[str]:
    """Unicode text of bounded length, compared exactly: MySQL's default would ignore case."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), *_MYSQL)


def long_text() -> TypeEngine[str]:
    """Unicode text without a bound. Documents are kept as text, since JSON column types reorder keys."""
    return Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *_MYSQL)


def connect_options(url: URL, timeout_seconds: int) -> dict[str, Any]:
    """Arguments for the driver's connect()."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return {"timeout": timeout_seconds}
    options: dict[str, Any] = {"connect_timeout": timeout_seconds}
    if backend == "postgresql":
        # Prepared statements belong to a server session, which a transaction-pooling proxy changes under us.
        options["prepare_threshold"] = None
    return options


def prepare_connections(engine: Engine) -> None:
    """Set up each new connection: transactions that begin when told to, foreign keys, UTC."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name in _MYSQL:
        event.listen(engine, "begin", _begin_mysql)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own idea of when a transaction begins would let two writers read before either one locks.
    connection.isolation_level = None
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """Switch the journal mode. Processes that open a new file at once meet here, and SQLite does not let them wait."""
    for _ in range(_SWITCH_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            threading.Event().wait(_SWITCH_WAIT_SECONDS)
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("catalog_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _begin_mysql(connection: Connection) -> None:
    # For this transaction only. SQLAlchemy's own option sets the session, and sets it back when the connection goes
    # back to the pool: one that is lost just then raises the driver's error and leaves the pool for good.
    if connection.get_execution_options().get(_READ_COMMITTED):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


def has_transactional_locks(engine: Engine) -> bool:
    """Whether a lock can belong to a transaction (seed, Migration Locking)."""
    return engine.dialect.name == "postgresql"


def can_notify(engine_or_connection: Engine | Connection) -> bool:
    """Whether the database can tell other processes of a change (NOTIFY)."""
    return engine_or_connection.dialect.name == "postgresql"


def end_idle_transactions(connection: Connection, after_seconds: int) -> None:
    """Let the server give up this transaction when its client falls asleep in it. PostgreSQL only."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{after_seconds}s'")


def has_transactional_ddl(engine_or_connection: Engine | Connection) -> bool:
    """Whether a migration that fails leaves nothing behind: MySQL commits with each change of the schema."""
    return engine_or_connection.dialect.name not in _MYSQL


def insert_ignore(engine_or_connection: Engine | Connection, table: Table, values: Sequence[dict[str, Any]]) -> Any:
    """INSERT that leaves rows alone which are there already."""
    name = engine_or_connection.dialect.name
    if name == "postgresql":
        return postgresql.insert(table).values(values).on_conflict_do_nothing()
    if name == "sqlite":
        return sqlite.insert(table).values(values).on_conflict_do_nothing()
    # Not INSERT IGNORE: that locks a row which is there in shared mode, and two writers who then want it deadlock.
    key = next(iter(table.primary_key))
    return mysql.insert(table).values(values).on_duplicate_key_update({key.name: key})


def upsert(connection: Connection, table: Table, values: dict[str, Any]) -> Any:
    """INSERT that replaces the row with the same primary key."""
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in values.items() if name not in keys}
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).values(values).on_conflict_do_update(index_elements=keys, set_=changed)
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).values(values).on_conflict_do_update(index_elements=keys, set_=changed)
    return mysql.insert(table).values(values).on_duplicate_key_update(changed)


def read_committed(engine: Engine) -> Engine:
    """The same pool, for short writes to rows that many processes fight over.

    MySQL's default, REPEATABLE READ, locks the gaps between rows too: claimers of a queue would wait for each other
    where SKIP LOCKED promises that they do not, and deadlock.
    """
    return engine.execution_options(**{_READ_COMMITTED: True})


def one_snapshot(engine: Engine) -> Engine:
    """The same pool, for transactions in which all statements see the same state: not the default of PostgreSQL."""
    is_default = engine.dialect.name != "postgresql"
    return engine if is_default else engine.execution_options(isolation_level="REPEATABLE READ")


def holds_text(connection: Connection, column: ColumnElement[str], part: str) -> ColumnElement[bool]:
    """Whether a text holds another one, compared exactly: LIKE would ignore case on SQLite."""
    find = func.strpos if connection.dialect.name == "postgresql" else func.instr
    return find(column, part) > 0


def utf8(connection: Connection, column: ColumnElement[str]) -> ColumnElement[bytes]:
    """A text as its bytes, for those who would only encode again what the driver has decoded."""
    is_postgres = connection.dialect.name == "postgresql"
    return func.convert_to(column, "UTF8", type_=LargeBinary) if is_postgres else cast(column, LargeBinary)


def stream_rows(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """The rows of a large result, a few at a time."""
    if connection.dialect.name == "postgresql":
        return _chunks_of_rows(connection, query)
    options = {"stream_results": True, "yield_per": _STREAM_ROWS}
    return iter(connection.execution_options(**options).execute(query))


def _chunks_of_rows(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """With a server-side cursor, server and client would wait for each other in turn; so the server works ahead."""
    compiled = query.compile(dialect=connection.dialect)
    driver: Any = connection.connection
    try:
        with driver.cursor(binary=True) as cursor:
            yield from cursor.stream(str(compiled), compiled.params, binary=True, size=_STREAM_ROWS)
    except connection.dialect.loaded_dbapi.Error as error:
        # As SQLAlchemy does for its own statements, so that nobody has to know of a second kind of error.
        raise DBAPIError.instance(str(compiled), None, error, connection.dialect.loaded_dbapi.Error) from error


def returns_updates(connection: Connection) -> bool:
    """Whether UPDATE … RETURNING is there."""
    return connection.dialect.update_returning


def lost_race(error: BaseException | None) -> bool:
    """Whether the database gave up this transaction in favour of another one, so that doing it again helps."""
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if getattr(cause, "sqlstate", None) in _LOST_RACE_STATES:
        return True
    number, *_ = getattr(cause, "args", None) or (None,)
    return number in _LOST_RACE_NUMBERS
