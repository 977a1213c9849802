"""Transactions that the database gives up in favour of another one are done again."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import psycopg
import pymysql
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from catalog_server.clock import clock_ms
from catalog_server.db.dialects import lost_race, read_committed
from catalog_server.db.engine import Connection, Engine, reading, writing
from catalog_server.db.tables import refresh_jobs
from tests.contract.jobs.queues import TEAM_A, ManualClock, build_queue, open_test_engine

LONGER_THAN_THE_DRIVER_WAITS_SECONDS = 2.5


@pytest.mark.parametrize(
    ("cause", "is_lost_race"),
    [
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.SerializationFailure(), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.OperationalError("connection refused"), False),
        (pymysql.err.OperationalError(1213, "Deadlock found"), True),
        (pymysql.err.OperationalError(1020, "Record has changed"), True),
        (pymysql.err.OperationalError(2003, "Can't connect"), False),
        (pymysql.err.InterfaceError(), False),
        (None, False),
    ],
    ids=repr,
)
def test_only_lost_races_are_worth_another_try(cause: BaseException | None, is_lost_race: bool) -> None:
    assert lost_race(OperationalError("…", {}, cause) if cause else None) == is_lost_race


def test_a_busy_sqlite_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    engine = open_test_engine(f"sqlite:///{path}")
    refresh_jobs.create(engine)
    queue = build_queue(engine, ManualClock())
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    end = threading.Timer(LONGER_THAN_THE_DRIVER_WAITS_SECONDS, writer.rollback)
    end.start()

    job, created = queue.enqueue(TEAM_A, "model", "a", "ann")

    assert created
    assert queue.get(TEAM_A, job.id) == job
    end.join()
    writer.close()
    engine.dispose()


def test_a_write_sees_what_others_committed_while_it_runs_and_the_next_transaction_is_as_ever(engine: Engine) -> None:
    """On MySQL the level of one transaction must neither be that of the session nor outlive the transaction."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    queue = build_queue(engine, clock_ms)

    def seen(connection: Connection, source: str) -> list[int]:
        counts = []
        for number in range(2):
            counts.append(connection.execute(select(func.count()).select_from(refresh_jobs)).scalar_one())
            queue.enqueue(TEAM_A, "model", f"{source}-{number}", "ann")
        return counts

    with writing(read_committed(engine)) as connection:
        assert seen(connection, "a") == [0, 1]
    with reading(engine) as connection:
        assert seen(connection, "b") == [2, 2]
