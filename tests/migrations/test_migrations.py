"""Migrations on all databases: they make what db/tables.py says, once, by one process at a time."""

from __future__ import annotations

import multiprocessing
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Inspector, delete, event, insert, inspect, select, text

from catalog_server.db import locks
from catalog_server.db import migrate as migrate_module
from catalog_server.db.dialects import has_transactional_ddl, has_transactional_locks
from catalog_server.db.dsn import parse_dsn
from catalog_server.db.engine import open_engine, reading
from catalog_server.db.locks import ADVISORY_LOCK_ID, migration_locked
from catalog_server.db.migrate import HEAD, check_migrated, migrate, read_revision
from catalog_server.db.tables import metadata, migration_lock
from catalog_server.errors import Conflict
from tests.databases import SERVERS, count_advisory_locks, server_database, server_dsn
from tests.pgbouncer import pooling
from tests.server import wait_until

VERSIONS = Path(migrate_module.__file__).parent / "migrations" / "versions"


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    opened = open_engine(parse_dsn(database, None))
    try:
        yield opened
    finally:
        opened.dispose()


@contextmanager
def another_database(like: Engine, folder: Path) -> Iterator[Engine]:
    """A second empty database of the same kind."""
    name = {"postgresql": "postgres", "sqlite": "sqlite"}.get(like.dialect.name, "mysql")
    if name == "sqlite":
        opened = open_engine(parse_dsn(f"sqlite:///{folder / 'other.db'}", None))
        yield opened
        opened.dispose()
        return
    assert name in SERVERS
    with server_database(name, str(server_dsn(name))) as dsn:
        opened = open_engine(parse_dsn(dsn, None))
        yield opened
        opened.dispose()


def described(found: Inspector) -> dict[str, Any]:
    """All that two schemas must have in common, by table."""
    return {table: described_table(found, table) for table in found.get_table_names() if table != "alembic_version"}


def described_table(found: Inspector, table: str) -> dict[str, Any]:
    columns = found.get_columns(table)
    return {
        "columns": [(c["name"], repr(c["type"]), c["nullable"], c["default"], c.get("autoincrement")) for c in columns],
        "primary key": found.get_pk_constraint(table),
        "unique": sorted((one["name"], tuple(one["column_names"])) for one in found.get_unique_constraints(table)),
        "indexes": sorted(
            (str(one["name"]), tuple(map(str, one["column_names"])), one["unique"]) for one in found.get_indexes(table)
        ),
        "foreign keys": sorted(
            (
                str(one["name"]),
                one["constrained_columns"],
                one["referred_table"],
                one["referred_columns"],
                one["options"],
            )
            for one in found.get_foreign_keys(table)
        ),
    }


def test_migrated_schema_when_compared_with_the_tables_then_is_the_same(engine: Engine, tmp_path: Path) -> None:
    assert migrate(engine)
    with another_database(engine, tmp_path) as scratch:
        metadata.create_all(scratch)
        expected = described(inspect(scratch))
    assert described(inspect(engine)) == expected
    assert set(expected) == set(metadata.tables)


def test_head_when_compared_with_the_files_then_is_the_newest() -> None:
    assert sorted(path.name for path in VERSIONS.glob("[0-9]*.py"))[-1].startswith(f"{HEAD}_")


def test_migrating_when_at_head_then_does_nothing_and_takes_no_lock(engine: Engine) -> None:
    assert migrate(engine)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cur, statement, *_rest: statements.append(statement))
    assert not migrate(engine)
    assert not [one for one in statements if "lock" in one.lower().replace("block", "")]
    with reading(engine) as connection:
        assert read_revision(connection) == HEAD


def test_schema_when_newer_than_the_code_then_stops_with_a_conflict(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for lock in (True, False):
        with pytest.raises(Conflict, match=f"at revision 9999, this server knows revisions up to {HEAD}"):
            migrate(engine, lock=lock)


def test_advisory_lock_when_named_then_is_the_checksum_of_its_name() -> None:
    assert zlib.crc32(b"catalog-server-migration") == ADVISORY_LOCK_ID


def migrate_in_process(dsn: str, start: Any, answers: Any) -> None:
    engine = open_engine(parse_dsn(dsn, None))
    start.wait()
    answers.put(migrate(engine))
    engine.dispose()


def test_processes_when_two_migrate_at_once_then_one_does_it_and_both_end_at_head(
    database: str, engine: Engine
) -> None:
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=migrate_in_process, args=(database, start, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    assert sorted(answers.get(timeout=30) for _ in processes) == [False, True]
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0]
    with reading(engine) as connection:
        assert read_revision(connection) == HEAD


def test_lock_when_held_then_is_waited_for_and_then_taken(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        released = threading.Event()

        def hold() -> None:
            with migration_locked(engine, first):
                held.set()
                released.wait(10)

        held, thread = threading.Event(), threading.Thread(target=hold)
        thread.start()
        assert held.wait(10)
        with (
            pytest.raises(Conflict, match="held the migration lock"),
            migration_locked(engine, second, wait_seconds=0),
        ):
            pass
        threading.Timer(0.3, released.set).start()
        with migration_locked(engine, second, wait_seconds=10):
            assert released.is_set()
        thread.join()


def test_lock_when_its_holder_failed_then_is_free(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        with pytest.raises(ZeroDivisionError), migration_locked(engine, first):
            raise ZeroDivisionError
        with migration_locked(engine, second, wait_seconds=0):
            pass


def put_table_lock(engine: Engine, *, age_seconds: float) -> None:
    with engine.begin() as connection:
        migration_lock.create(connection, checkfirst=True)
        connection.execute(delete(migration_lock))
        locked_at = int((time.time() - age_seconds) * 1000)
        connection.execute(insert(migration_lock).values(id="migration", locked_at=locked_at, locked_by="somebody"))


def holders(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(migration_lock.c.locked_by)).scalars())


def test_table_lock_when_older_than_five_minutes_then_is_taken_over(engine: Engine) -> None:
    if has_transactional_locks(engine):
        pytest.skip("this database has locks of its own")
    put_table_lock(engine, age_seconds=301)
    assert migrate(engine)
    assert holders(engine) == []


def test_table_lock_when_fresh_then_is_left_alone(engine: Engine) -> None:
    if has_transactional_locks(engine):
        pytest.skip("this database has locks of its own")
    put_table_lock(engine, age_seconds=295)
    with (
        engine.connect() as connection,
        pytest.raises(Conflict),
        migration_locked(engine, connection, wait_seconds=0),
    ):
        pass
    assert holders(engine) == ["somebody"]


def test_migrating_when_a_fresh_table_lock_goes_then_carries_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_transactional_locks(engine):
        pytest.skip("this database has locks of its own")
    monkeypatch.setattr(locks, "_RETRY_SECONDS", 0.05)
    put_table_lock(engine, age_seconds=1)

    def release() -> None:
        with engine.begin() as connection:
            connection.execute(delete(migration_lock))

    threading.Timer(0.3, release).start()
    assert migrate(engine)


class Died(Exception):
    """What a process that ends in the middle of a migration comes to."""


def test_migration_when_it_dies_at_any_statement_then_the_next_one_completes_it(engine: Engine, tmp_path: Path) -> None:
    with another_database(engine, tmp_path) as scratch:
        metadata.create_all(scratch)
        expected = described(inspect(scratch))
    changes: list[str] = []

    def die(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.strip().split()[0] in ("CREATE", "ALTER"):
            changes.append(statement)
            if len(changes) == fatal:
                raise Died

    fatal = 1
    while True:
        event.listen(engine, "before_cursor_execute", die)
        changes.clear()
        try:
            migrate(engine)
            break
        except Died:
            event.remove(engine, "before_cursor_execute", die)
            if has_transactional_ddl(engine):
                assert not set(inspect(engine).get_table_names()) - {"migration_lock"}
        # What the process left is gone on over by the next, which dies at a later step.
        fatal += 1
    assert fatal > 5, "it died at several steps"
    assert described(inspect(engine)) == expected
    with reading(engine) as connection:
        assert read_revision(connection) == HEAD


def test_schema_when_only_checked_then_it_must_be_there(engine: Engine) -> None:
    with pytest.raises(Conflict, match=f"is empty, this server needs revision {HEAD}: run `catalog-server migrate`"):
        check_migrated(engine)
    assert inspect(engine).get_table_names() == []
    migrate(engine)
    check_migrated(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(Conflict, match="at revision 0001, this server needs"):
        check_migrated(engine)


def test_row_lock_when_held_for_long_then_is_renewed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if has_transactional_locks(engine):
        pytest.skip("this database has locks of its own")
    monkeypatch.setattr(locks, "_RENEW_SECONDS", 0.02)
    with engine.connect() as first, migration_locked(engine, first) as held:
        with engine.begin() as connection:
            connection.execute(migration_lock.update().values(locked_at=1))
        wait_until("a renewal", lambda: locked_at(engine) > 1)
        held.check()
    assert holders(engine) == []


def locked_at(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(migration_lock.c.locked_at)).scalar_one())


def test_row_lock_when_somebody_took_it_over_then_nothing_more_is_recorded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept for longer than the lock lives must not go on where another one works."""
    if has_transactional_locks(engine):
        pytest.skip("this database has locks of its own")
    taken = locks._RowLock.try_take

    def try_take(lock: Any) -> bool:
        found = taken(lock)
        put_table_lock(engine, age_seconds=0)
        return found

    monkeypatch.setattr(locks._RowLock, "try_take", try_take)
    with pytest.raises(Conflict, match="the migration lock was lost"):
        migrate(engine)
    assert holders(engine) == ["somebody"], "a lock of others is not released"
    with reading(engine) as connection:
        assert read_revision(connection) is None


def test_sqlite_when_somebody_migrates_for_long_then_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder's transaction keeps everybody from writing, also from looking whether the lock is free."""
    monkeypatch.setattr(locks, "_RETRY_SECONDS", 0.05)
    engine = open_engine(parse_dsn(f"sqlite:///{tmp_path / 'one.db'}", None))
    with engine.begin() as connection:
        migration_lock.create(connection)
    with engine.connect().execution_options(catalog_write=True) as holder:
        holder.begin()
        threading.Timer(2.5, holder.rollback).start()  # the driver gives up after 2 s
        assert migrate(engine)
    engine.dispose()


def test_processes_when_behind_a_pooling_proxy_then_one_migrates(tmp_path: Path) -> None:
    """PgBouncer gives each transaction another session: a lock of the session would be no lock."""
    server = server_dsn("postgres")
    if server is None:
        pytest.skip("CATALOG_TEST_POSTGRES_DSN is not set")
    with server_database("postgres", server) as dsn, pooling(dsn, tmp_path) as pooled:
        context = multiprocessing.get_context("spawn")
        start, answers = context.Barrier(10), context.Queue()
        processes = [context.Process(target=migrate_in_process, args=(pooled, start, answers)) for _ in range(10)]
        for process in processes:
            process.start()
        assert sorted(answers.get(timeout=60) for _ in processes) == [False] * 9 + [True]
        for process in processes:
            process.join(timeout=30)
        engine = open_engine(parse_dsn(pooled, None))
        with reading(engine) as connection:
            assert read_revision(connection) == HEAD
        engine.dispose()
        assert count_advisory_locks(dsn) == 0
