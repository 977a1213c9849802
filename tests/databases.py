"""Fresh databases for tests: one per call, on SQLite, PostgreSQL or MariaDB, gone afterwards.

The servers themselves come from tools/services.py (or from whoever sets the two variables). Nothing here knows our
tables; the `database` fixture in conftest.py is the usual way in.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import psycopg
import pymysql

SERVERS = {"postgres": "CATALOG_TEST_POSTGRES_DSN", "mysql": "CATALOG_TEST_MYSQL_DSN"}
CONNECT_TIMEOUT_SECONDS = 10


def server_dsn(engine: str) -> str | None:
    """Where the server of `engine` is, or None when nobody started one."""
    return os.environ.get(SERVERS[engine]) or None


def services_required() -> bool:
    """Whether a missing server is a failure: in CI a skipped test would be a lie."""
    return os.environ.get("CI") == "true" or os.environ.get("CATALOG_TEST_REQUIRE_SERVICES") == "1"


@contextmanager
def sqlite_database(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'catalog.db'}"


@contextmanager
def server_database(engine: str, server: str) -> Iterator[str]:
    """Create a database with a random name on `server`, so that parallel workers never meet; yield its DSN."""
    name = f"catalog_test_{secrets.token_hex(8)}"
    is_mysql = engine == "mysql"
    execute(server, f"CREATE DATABASE {name}" + (" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" if is_mysql else ""))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        execute(server, f"DROP DATABASE {name}" + ("" if is_mysql else " WITH (FORCE)"))


def connect(dsn: str) -> Any:
    """A plain DBAPI connection, for tests that look beneath our own database layer. The caller closes it.

    Each statement is a transaction of its own.
    """
    parts = urlsplit(dsn)
    if parts.scheme == "sqlite":
        return sqlite3.connect(parts.path.removeprefix("/"), isolation_level=None)
    if parts.scheme == "mysql":
        return pymysql.connect(**_mysql_arguments(parts))
    return psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS)


def execute(dsn: str, statement: str) -> None:
    with closing(connect(dsn)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement)


def fetch_value(dsn: str, query: str) -> Any:
    """The first column of the first row that `query` gives."""
    with closing(connect(dsn)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def count_advisory_locks(dsn: str) -> int:
    """How many advisory locks anybody holds in this database of a PostgreSQL server.

    `pg_locks` shows the whole server, and other tests use other databases of it at the same time.
    """
    query = """
        SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE locktype = 'advisory' AND datname = current_database()
    """
    return int(fetch_value(dsn, query))


def _mysql_arguments(parts: SplitResult) -> dict[str, Any]:
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": parts.path.strip("/") or None,
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    }
